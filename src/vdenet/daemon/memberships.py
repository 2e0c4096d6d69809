"""Which VLANs a guest's port is in: the segment's file says so, else what the guest joined with.

Only what the host's side of a port says counts, its name or the MAC that a hypervisor gives the host's end: of what
comes out of a port, a guest is the author, and could ask itself into any VLAN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vdenet.daemon.guests import Guest, GuestBook
from vdenet.model import names
from vdenet.model.observed import Link
from vdenet.model.segment import Host, Segment
from vdenet.model.vlans import UNTAGGED, Membership, SwitchPort, of_guest
from vdenet.model.wanted import guest_alias


def of(segment: Segment, guest: Guest) -> Membership:
    """The VLANs of a guest's port."""
    host = in_file(segment, guest)
    return of_guest(guest.vlan) if host is None else of_guest(host.vlan, host.trunk)


def in_file(segment: Segment, guest: Guest) -> Host | None:
    """The table of the guest's that says where its port belongs."""
    host = segment.host_of(guest.mac, guest.name)
    # Who serves DHCP, serves the segment's own network only.
    return host if host is not None and (host.vlan is not None or host.trunk or host.dhcp_server) else None


def vlan_of(segment: Segment, guest: Guest) -> int | None:
    """The VLAN whose frames a guest gets without a tag; None for the segment's own network."""
    pvid = of(segment, guest).pvid
    return None if pvid == UNTAGGED else pvid


def of_ports(segment: Segment, book: GuestBook, there: Mapping[str, Link]) -> dict[str, Membership]:
    """The VLANs of the ports that are a known guest's.

    A port of another hypervisor's is known by the name that we would have given it (`vd0-web`, uncut), or by its
    MAC where that is the guest's with the first octet fe, as libvirt makes it. Others are let be: their own
    hypervisor may have put them into a VLAN. So is a tap that the kernel says is another account's, and one
    whose MAC may be that of several guests. And so is what the kernel does not say whose it is, such as the taps of
    libvirt's for the whole host, but for the word of root's and of the file: any member could join its guest's MAC.
    """
    found = {guest.port: of(segment, guest) for guest in book.all() if guest.port is not None}
    by_name, by_mac = _by_name(segment, book), _by_mac(segment, book)
    for link in there.values():
        if link.master != segment.bridge or link.name in found or link.name == segment.tap \
                or link.alias == guest_alias(segment.name):
            continue
        known = by_name.get(link.name) or (by_mac.get(link.mac) if link.kind == "tap" else None)
        if known is not None and _counts(known, link):
            found[link.name] = known.member
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """Where a guest's port belongs; `uid` None: the segment's file says so, whosever the guest is. `by_file`: it says
    so of who joined under that name."""

    member: Membership
    uid: int | None
    by_file: bool = False


def _counts(known: _Known, link: Link) -> bool:
    """Whether that is to be believed of a port; where only the name stands in the file, see `admission.enter`."""
    if known.uid in (None, 0):
        return True
    return known.uid == link.owner if link.owner else known.by_file


def _by_name(segment: Segment, book: GuestBook) -> dict[str, _Known]:
    prefix = names.port_prefix(segment.name)
    known = {prefix + guest.name: _known(segment, guest) for guest in _present(book)}
    return known | {prefix + host.name: _Known(of_guest(host.vlan, host.trunk), None)
                    for host in _placed(segment) if host.name is not None}


def _by_mac(segment: Segment, book: GuestBook) -> dict[str, _Known]:
    """By the MAC of the host's end; nothing where that may be several guests' and they belong in several places."""
    guests = _agreed((guest.mac, _known(segment, guest)) for guest in _present(book))
    hosts = _agreed((host.mac, _Known(of_guest(host.vlan, host.trunk), None))
                    for host in _placed(segment) if host.mac is not None)
    return {key: known for key, known in (guests | hosts).items() if known is not None}


def _known(segment: Segment, guest: Guest) -> _Known:
    return _Known(of(segment, guest), guest.uid, in_file(segment, guest) is not None)


def _agreed(claims: Iterable[tuple[str, _Known]]) -> dict[str, _Known | None]:
    found: dict[str, _Known | None] = {}
    for mac, known in claims:
        key = names.host_side_mac(mac)
        found[key] = known if found.get(key, known) == known else None
    return found


def _present(book: GuestBook) -> list[Guest]:
    """One that is away had a port of ours, or will have one."""
    return [guest for guest in book.all() if guest.holds_name]


def _placed(segment: Segment) -> list[Host]:
    return [host for host in segment.hosts if host.vlan is not None or host.trunk]


def plugged(segment: Segment, book: GuestBook) -> tuple[SwitchPort, ...]:
    """The ports of the VDE switch that guests were given: for their owner alone."""
    found = []
    for guest in book.all():
        if guest.vde_port is not None:
            member = of(segment, guest)
            # Both at once would let in a second tag under the port's own, see `vdenet.text.vdeports`.
            tagged = member.tagged | (member.untagged - {UNTAGGED}) if member.tagged else frozenset[int]()
            found.append(SwitchPort(guest.vde_port, None if tagged else member.pvid, tagged, user=guest.uid))
    return tuple(found)

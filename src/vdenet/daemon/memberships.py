"""Which VLANs a guest's port is in: the segment's file says so, else what the guest joined with.

Only what the host's side of a port says counts, its name or the MAC that a hypervisor gives the host's end: of what
comes out of a port, a guest is the author, and could ask itself into any VLAN.
"""

from __future__ import annotations

from collections.abc import Mapping

from vdenet.daemon.guests import CLAIMED, Guest, GuestBook
from vdenet.model import names
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.model.vlans import UNTAGGED, Membership, SwitchPort, of_guest
from vdenet.model.wanted import guest_alias


def of(segment: Segment, guest: Guest) -> Membership:
    """The VLANs of a guest's port."""
    host = segment.host_of(guest.mac, guest.name)
    if host is not None and (host.vlan is not None or host.trunk or host.dhcp_server):
        return of_guest(host.vlan, host.trunk)  # who serves DHCP, serves the segment's own network only
    return of_guest(guest.vlan)


def vlan_of(segment: Segment, guest: Guest) -> int | None:
    """The VLAN whose frames a guest gets without a tag; None for the segment's own network."""
    pvid = of(segment, guest).pvid
    return None if pvid == UNTAGGED else pvid


def of_ports(segment: Segment, book: GuestBook, there: Mapping[str, Link]) -> dict[str, Membership]:
    """The VLANs of the ports that are a known guest's.

    A port of another hypervisor's is known by the name that we would have given it (`vd0-web`), or by its MAC
    where that is the guest's with the first octet fe, as libvirt makes it. Others are let be: their own
    hypervisor may have put them into a VLAN.
    """
    found = {guest.port: of(segment, guest) for guest in book.all() if guest.port is not None}
    by_name, by_mac = {}, {}
    for guest in [one for one in book.all() if one.kind != CLAIMED]:
        by_name[names.port_name(segment.name, guest.name)] = by_mac[f"fe{guest.mac[2:]}"] = of(segment, guest)
    for host in segment.hosts:
        if host.vlan is not None or host.trunk:
            if host.name is not None:
                by_name[names.port_name(segment.name, host.name)] = of_guest(host.vlan, host.trunk)
            if host.mac is not None:
                by_mac[f"fe{host.mac[2:]}"] = of_guest(host.vlan, host.trunk)
    for link in there.values():
        if link.master != segment.bridge or link.name in found or link.name == segment.tap \
                or link.alias == guest_alias(segment.name):
            continue
        member = by_name.get(link.name) or (by_mac.get(link.mac) if link.kind == "tap" else None)
        if member is not None:
            found[link.name] = member
    return found


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

"""What becomes of a member's wish to have a guest on a segment: its name, MAC, VLAN and port, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vdenet.daemon import authority
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import CLAIMED, Guest, GuestBook
from vdenet.daemon.members import Caller
from vdenet.daemon.quota import MAX_TAPS
from vdenet.effect import switch
from vdenet.errors import BadValue, NameTaken, QuotaExceeded, Refused, SegmentDown
from vdenet.i18n import _
from vdenet.model import names, vlans
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.probe import links
from vdenet.text import dnsmasq

KINDS = ("qemu", "virtualbox", "vmware", "lxc", "libvirt", "incus", "nspawn", "podman", "docker", "run")


@dataclass(frozen=True, slots=True)
class Asked:
    """A guest as a member asks for it; None is for the daemon to choose."""

    name: str | None
    mac: str | None
    kind: str | None
    vlan: int | None = None
    """None is for the segment's file to say, else its own network."""


def admit(engine: Engine, segment: Segment, caller: Caller, asked: Asked, kind: str) -> Guest:
    """The guest as it will be written down, with a port's name that is free.

    Raises `SegmentDown`, `QuotaExceeded`, `NameTaken`, `BadValue`, `BadPolicy`, `Refused`.
    """
    if links.link(segment.sign) is None:
        raise SegmentDown(what=_("join"), segment=segment.name)
    there = links.links()
    taken = sum(1 for other in engine.configuration.names() for guest in engine.book(other).all()
                if guest.uid == caller.uid and guest.port in there)
    if caller.uid != 0 and taken >= MAX_TAPS:
        raise QuotaExceeded(what=_("join"), limit=MAX_TAPS, unit=_("ports"))
    name = name_for(engine, segment, caller, asked.name)
    authority.require_room_for_guest(engine, caller, segment.name, name)
    mac = mac_for(segment, caller, name, asked.mac)
    guest = Guest(name, mac, kind_of(asked.kind, kind), caller.uid, vlan=vlan_for(segment, mac, name, asked.vlan))
    book = engine.book(segment.name)
    refuse_a_second(segment, book, there, guest)
    return replace(guest, port=free_port(segment, book, there, name))


def free_port(segment: Segment, book: GuestBook, there: Mapping[str, Link], name: str) -> str:
    """A name for the port of the guest of that name."""
    kept = {known.port for known in book.all() if known.keeps_port and known.port is not None}
    return names.port_name(segment.name, name, frozenset({*there, *kept}))


def free_switch_port(engine: Engine, segment: Segment, name: str) -> int:
    """A port of the VDE switch for the guest of that name: its own again, else one that nobody is on.

    Raises `Refused`.
    """
    held = {guest.vde_port for guest in engine.book(segment.name).all()
            if guest.name != name and guest.vde_port is not None}
    declared = {one.number for one in segment.ports} | {
        plug.port for plug in segment.plugs if plug.port is not None}
    known = engine.book(segment.name).find(name)
    if known is not None and known.vde_port is not None and known.vde_port not in declared | held \
            and known.vde_port < segment.switch_ports:
        return known.vde_port
    active = switch.active_ports(segment.name, engine.places)
    number = vlans.free_switch_port(segment.switch_ports, declared | active, held)
    if number is None:
        raise Refused(what=_("join"), why=_("half of the VDE switch's ports are guests' own already; "
                                            "leave gives one back, [switch] ports adds some"))
    return number


def refuse_a_second(segment: Segment, book: GuestBook, there: Mapping[str, Link], guest: Guest,
                    but: Guest | None = None) -> None:
    """Raises `NameTaken` when the name or the MAC is that of another guest of the same user's than `but`, which
    has a port that is there, or is of another kind and keeps its name while it is off.

    The book would forget that one: its owner could have any number of ports, or two cards with one MAC address.
    """
    for known in book.all():
        if known == but or known.uid != guest.uid or not _holds(known, there) \
                or guest.name != known.name and guest.mac != known.mac:
            continue  # of another user's guest the book itself says no
        if known.kind != guest.kind:
            named = known.name == guest.name
            raise NameTaken(
                name=guest.name if named else guest.mac,
                why=(_("your {kind} guest of that name has it") if named else
                     _("your {kind} guest {name} has this MAC address")).format(kind=known.kind, name=known.name),
                kind=known.kind, guest=known.name,
                segment=None if segment.name == names.DEFAULT_SEGMENT else segment.name)
        if known.port not in there:
            continue  # the same guest, or the successor of one that its hypervisor has no more
        if known.name == guest.name:
            raise NameTaken(name=guest.name, why=_("your guest of that name is on the segment already"))
        raise NameTaken(name=guest.mac, why=_("your guest {name} has this MAC address").format(name=known.name))


def _holds(guest: Guest, there: Mapping[str, Link]) -> bool:
    """Whether its name and MAC are its own now: the book may not know yet that its port is gone."""
    return guest.keeps_port or guest.by_itself or guest.port in there


def enter(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Write the guest into the book. Raises `NameTaken`."""
    given = dnsmasq.owners(segment.hosts, segment.labels)
    if guest.name in given and given[guest.name] != guest.mac:
        raise NameTaken(name=guest.name, why=_("the segment's configuration gives it to another guest"))
    fixed = {host.mac for host in segment.hosts if host.mac is not None}
    if guest.mac not in fixed and any(names.same_on_host_side(mac, guest.mac) for mac in fixed):
        raise NameTaken(name=guest.mac, why=_(
            "the segment's configuration has a host with this MAC address, but for its first octet"))
    engine.book(segment.name).enter(guest)


def name_for(engine: Engine, segment: Segment, caller: Caller, asked: str | None) -> str:
    """The name that was asked for, else one made of the caller's. Raises `BadValue`, `Refused`."""
    if asked is not None:
        name = names.guest_name(asked)
        if name in engine.labels(segment):
            raise BadValue(what=_("guest name"), value=asked, why=_("it is the host's own"))
        return name
    stem = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "-" for c in caller.name.lower())
    stem = stem.strip("-")[:40] or "guest"
    book = engine.book(segment.name)
    there = links.links()
    for number in range(1, 10_000):
        name = f"{stem}-{number}"
        known = book.find(name)
        if known is None or (known.uid == caller.uid and known.kind != CLAIMED and not _holds(known, there)):
            return name
    raise Refused(what=_("join"), why=_("there is no name left"))


def mac_for(segment: Segment, caller: Caller, name: str, asked: str | None) -> str:
    """The same guest of the same member gets the same MAC, and so the same lease, each time. Raises `BadValue`."""
    if asked is None:
        return names.derived_mac(segment.name, str(caller.uid), name)
    mac = names.mac_address(asked)
    link = links.link(segment.bridge)
    if link is not None and link.mac == mac:
        raise BadValue(what=_("MAC address"), value=asked, why=_("it is the segment's own"))
    return mac


def vlan_for(segment: Segment, mac: str, name: str, asked: int | None) -> int | None:
    """The VLAN that a guest asked for, where it may have it. Raises `BadValue`, `Refused`."""
    if asked is None:
        return None
    there = [vlan.id for vlan in segment.vlans]
    if asked not in there:
        raise vlans.undeclared(segment.name, asked, there)
    host = segment.host_of(mac, name)
    if host is not None and (host.trunk or host.vlan not in (None, asked)):
        raise Refused(what=_("join VLAN {vlan}").format(vlan=asked),
                      why=_("the segment's configuration puts {name} elsewhere").format(name=name))
    return asked


def kind_of(text: str | None, default: str) -> str:
    """The kind of guest that was asked for. Raises `BadValue`."""
    if text is None:
        return default
    if text not in KINDS:
        raise BadValue(what=_("kind of guest"), value=text,
                       why=_("expected one of {kinds}").format(kinds=", ".join(KINDS)))
    return text

"""What becomes of a member's wish to have a guest on a segment: its name, MAC, VLAN and port, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vdenet.daemon import authority, memberships, namesakes, whereabouts
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import CLAIMED, Guest, GuestBook
from vdenet.daemon.members import Caller
from vdenet.daemon.quota import MAX_TAPS
from vdenet.effect import switch
from vdenet.errors import BadValue, MacTaken, NameTaken, QuotaExceeded, Refused, SegmentDown
from vdenet.i18n import _
from vdenet.model import names, vlans
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.probe import links
from vdenet.text import dnsmasq

KINDS = ("qemu", "virtualbox", "vmware", "lxc", "libvirt", "incus", "nspawn", "podman", "docker", "run")
DAEMONS_OWN = frozenset({"qemu", "podman", "docker", "run"})
"""Kinds whose guests are on a port of the daemon's making, or on the VDE switch: no other port is theirs."""
OVER_VDE = frozenset({"qemu", "virtualbox"})
"""Kinds whose guests can be on the VDE switch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A guest as a member asks for it; None is for the daemon to choose."""

    name: str | None
    mac: str | None
    kind: str | None
    vlan: int | None = None
    """None is for the segment's file to say, else its own network."""


def open_book(engine: Engine, segment: Segment) -> GuestBook:
    """The book of a segment that is up, brought up to now: in it a guest that has just ended has given its name back,
    and not when the watch looks next. Raises `SegmentDown`, `Refused` when it cannot be written.
    """
    if links.link(segment.sign) is None:
        raise SegmentDown(what=_("join"), segment=segment.name)
    engine.follow_guests(segment)
    return engine.book(segment.name)


def admit(engine: Engine, segment: Segment, book: GuestBook, caller: Caller, asked: Asked, kind: str) -> Guest:
    """The guest as it will be written down in the `open_book`, with a port's name that is free.

    Raises `QuotaExceeded`, `NameTaken`, `MacTaken`, `BadValue`, `BadPolicy`, `Refused`.
    """
    there = links.links()
    name = name_for(engine, segment, caller, asked.name)
    authority.require_room_for_guest(engine, caller, segment.name, name)
    mac = mac_for(segment, caller, name, asked.mac)
    guest = Guest(name, mac, kind_of(asked.kind, kind), caller.uid, vlan=vlan_for(segment, mac, name, asked.vlan))
    require_room_for_port(engine, segment, guest)
    refuse_a_second(segment, book, there, guest)
    if asked.mac is None:
        refuse_a_twin(engine, segment, guest)
    return replace(guest, port=free_port(engine, segment, name))


def require_room_for_port(engine: Engine, segment: Segment, guest: Guest) -> None:
    """That the guest's owner may have one port more, if it is to have one. Raises `QuotaExceeded`.

    What the book keeps for a guest counts also while it is not there: all of it comes back with its segment.
    """
    if guest.uid == 0:
        return
    there = links.links()
    taken = sum(1 for other in engine.configuration.names() for known in engine.book(other).all()
                if known.uid == guest.uid and not (other == segment.name and _same(known, guest))
                and (known.keeps_port or known.vde_port is not None or known.port in there))
    # Also those that its programs still hold after `leave`, or it could have any number of them.
    taken += sum(1 for link in there.values() if link.left is not None and link.left[1] == guest.uid)
    if taken >= MAX_TAPS:
        raise QuotaExceeded(what=_("join"), limit=MAX_TAPS, unit=_("ports"))


def _same(known: Guest, guest: Guest) -> bool:
    """Whether the book has room for one of them only."""
    return known.name == guest.name or known.mac == guest.mac


def free_port(engine: Engine, segment: Segment, name: str) -> str:
    """A name for the port of the guest of that name. None that is kept for a guest of any segment: two segments may
    name their ports alike."""
    kept = {known.port for other in {segment.name, *engine.configuration.names()}
            for known in engine.book(other).all() if known.keeps_port and known.port is not None}
    return names.port_name(segment.name, name, frozenset({*links.links(), *kept}))


def refuse_elsewhere(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Raises `NameTaken` when the port that the book keeps for the guest is another segment's by now."""
    if guest.port is not None and guest.port in namesakes.elsewhere(engine, segment.name, links.links()):
        raise NameTaken(name=guest.port, why=_("another segment has a port of that name; leave, and join again"),
                        **_freed_by_leaving(segment, guest))


def free_switch_port(engine: Engine, segment: Segment, guest: Guest) -> int:
    """A port of the VDE switch for the guest: its own again, else one that nobody is on.

    Raises `QuotaExceeded`, `Refused`.
    """
    others = [known for known in engine.book(segment.name).all()
              if known.name != guest.name and known.vde_port is not None]
    held = {known.vde_port for known in others if known.vde_port is not None}
    declared = {one.number for one in segment.ports} | {
        plug.port for plug in segment.plugs if plug.port is not None}
    known = engine.book(segment.name).find(guest.name)
    if known is not None and known.vde_port is not None and known.vde_port not in declared | held \
            and known.vde_port < segment.switch_ports:
        return known.vde_port
    share = vlans.share_of_switch_ports(segment.switch_ports)
    if guest.uid != 0 and sum(1 for one in others if one.uid == guest.uid and one.mac != guest.mac) >= share:
        raise QuotaExceeded(what=_("join"), limit=share, unit=_("ports of the VDE switch"))
    active = switch.active_ports(segment.name, engine.places)
    number = vlans.free_switch_port(segment.switch_ports, declared | active, held)
    if number is None:
        raise Refused(what=_("join"), why=_("half of the VDE switch's ports are guests' own already; "
                                            "leave gives one back, [switch] ports adds some"))
    return number


def refuse_a_second(segment: Segment, book: GuestBook, there: Mapping[str, Link], guest: Guest,
                    but: Guest | None = None) -> None:
    """Raises `NameTaken` or `MacTaken` when the name or the MAC is that of another guest of the same user's than `but`,
    which has a port that is there, or is of another kind and keeps its name while it is off.

    The book would forget that one: its owner could have any number of ports, or two cards with one MAC address.
    """
    for known in book.all():
        if known == but or known.uid != guest.uid or not known.holds_name \
                or guest.name != known.name and guest.mac != known.mac:
            continue  # of another user's guest the book itself says no
        if known.kind != guest.kind:
            freed = _freed_by_leaving(segment, known)
            if known.name == guest.name:
                raise NameTaken(name=guest.name, why=_("your {kind} guest of that name has it").format(kind=known.kind),
                                **freed)
            raise MacTaken(mac=guest.mac, why=_("your {kind} guest {name} has it").format(
                kind=known.kind, name=known.name), **freed)
        if known.port not in there:
            continue  # the same guest, or the successor of one that its hypervisor has no more
        if known.name == guest.name:
            raise NameTaken(name=guest.name, why=_("your guest of that name is on the segment already"))
        raise MacTaken(mac=guest.mac, why=_("your guest {name} has it").format(name=known.name))


def _freed_by_leaving(segment: Segment, guest: Guest) -> dict[str, str | None]:
    """What the hint of a `NameTaken` or `MacTaken` is made from where the guest itself can give way."""
    return {"kind": guest.kind, "guest": guest.name,
            "segment": None if segment.name == names.DEFAULT_SEGMENT else segment.name}


def refuse_a_twin(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Raises `NameTaken` when another guest of the same user's is on the segment with the MAC that was made of the
    guest's name: one that left while it runs keeps its card until it ends, and two would fight for the address.

    For a MAC of our making only: by one that its hypervisor has, the guest itself is heard, wherever it is now. Nor
    does what other users' ports send count, or one could keep all names from a member.
    """
    there = links.links()
    where = _heard_elsewhere(engine, segment, guest, there)
    if where is not None:
        raise NameTaken(name=guest.name, why=_("a guest on {port} runs with its MAC address {mac} until that one ends")
                        .format(port=where, mac=guest.mac))


def _heard_elsewhere(engine: Engine, segment: Segment, guest: Guest, there: Mapping[str, Link]) -> str | None:
    """The port with somebody who has the guest's MAC and cannot be the guest itself, in words."""
    makes_port = guest.by_itself and guest.kind not in DAEMONS_OWN
    for link in there.values():
        if link.mac == guest.mac and _is_strangers(segment, link, guest):
            return link.name
    last = engine.whereabouts.get(segment.name, {})
    if guest.mac not in last and guest.mac not in links.heard(segment.bridge):
        return None  # the switch may keep one waiting: it is asked for a reason only
    heard, silent = whereabouts.heard(engine, segment)
    place = heard.get(guest.mac) or silent.get(guest.mac)
    if place is None:
        return None
    if place.port == segment.tap:
        over_vde = guest.by_itself and not guest.handed and guest.kind in OVER_VDE
        mine = place.client is not None and place.client.uid == guest.uid
        return _("port {number} of the VDE switch").format(number=place.plug) if mine and not over_vde else None
    behind = there.get(place.port)
    return place.port if behind is not None and not makes_port and _is_strangers(segment, behind, guest) else None


def _is_strangers(segment: Segment, link: Link, guest: Guest) -> bool:
    """Whether a port is one that some other program put on the bridge, and may be the user's."""
    return link.master == segment.bridge and link.name != segment.tap and not link.ours \
        and link.owner in (None, 0, guest.uid)


def enter(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Write the guest into the book. Raises `NameTaken`, `MacTaken`, `Refused`."""
    given = dnsmasq.owners(segment.hosts, segment.labels)
    if guest.name in given and given[guest.name] != guest.mac:
        raise NameTaken(name=guest.name, why=_("the segment's configuration gives it to another guest"))
    fixed = {host.mac for host in segment.hosts if host.mac is not None}
    if guest.mac not in fixed and any(names.same_on_host_side(mac, guest.mac) for mac in fixed):
        raise MacTaken(mac=guest.mac, why=_("the segment's configuration has a host with it, but for its first octet"))
    _refuse_to_move(engine, segment, guest)
    engine.book(segment.name).enter(guest)


def _refuse_to_move(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Raises `Refused` when the file has a VLAN for the guest's name, and what would be put there by its MAC is a tap
    that is on the segment already, of which nobody can tell whose it is: any member could say that it is his.
    """
    known = engine.book(segment.name).find(guest.name)
    if guest.uid == 0 or memberships.in_file(segment, guest) is None \
            or memberships.of(segment, guest) == vlans.access() \
            or (known is not None and (known.uid, known.mac) == (guest.uid, guest.mac)) \
            or any(host.mac == guest.mac for host in segment.hosts):
        return
    for link in links.links().values():
        if link.kind == "tap" and not link.owner and link.mac == names.host_side_mac(guest.mac) \
                and _is_strangers(segment, link, guest):
            raise Refused(what=_("put {name} into a VLAN").format(name=guest.name),
                          why=_("{mac} is on {port} already, and whose that is cannot be told").format(
                              mac=guest.mac, port=link.name),
                          hint=_("root joins it, or names its MAC address in a table [[host]]"))


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
    for number in range(1, 10_000):
        name = f"{stem}-{number}"
        known = book.find(name)
        if known is None or (known.uid == caller.uid and known.kind != CLAIMED and not known.holds_name):
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

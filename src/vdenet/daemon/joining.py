"""Guests that join through the daemon: taps by descriptor, veth ends into a namespace, names for VDE.

A tap's lease is the tap itself: the kernel removes it when the last descriptor is closed, whoever holds it
and whether or not the daemon runs. What a holder can do against that (make it persistent and let go) the
watch undoes (`vdenet.daemon.reaper`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vdenet.daemon import authority, memberships
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import CLAIMED, Guest, GuestBook
from vdenet.daemon.members import Caller
from vdenet.daemon.quota import MAX_TAPS
from vdenet.effect import tun
from vdenet.errors import BadValue, NameTaken, NotPermitted, QuotaExceeded, Refused, SegmentDown
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.observed import Link
from vdenet.model.segment import MTU, Segment
from vdenet.model.tunnel import Tunnel, address
from vdenet.model.vlans import access
from vdenet.model.wanted import guest_alias
from vdenet.probe import links
from vdenet.text import dnsmasq, relay

KINDS = ("qemu", "virtualbox", "vmware", "lxc", "libvirt", "incus", "nspawn", "podman", "docker",
         "run")
INNER_NAME = "eth0"
"""What the end of a veth is called in a namespace made for it."""
FREE_NAME = "vd%d"
"""In a container that may have networks of its own: the kernel takes the first number that is free. Not eth%d:
Podman and Docker count those themselves, and fail where one is taken (`docker network connect`)."""

# linux/nsfs.h
_NS_GET_USERNS = 0xB701
_NS_GET_NSTYPE = 0xB703
_NS_GET_OWNER_UID = 0xB704
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a member asks for; None is for the daemon to choose."""

    name: str | None
    mac: str | None
    kind: str | None
    vlan: int | None = None
    """None is for the segment's file to say, else its own network."""


@dataclass(slots=True)
class Opened:
    """A port, and the descriptors by which the guest has it."""

    segment: Segment
    guest: Guest
    port: str
    fds: list[int] = field(default_factory=list)
    vhost: bool = False
    interface: str | None = None

    def json(self) -> dict[str, Any]:
        """As the reply on the wire; `dhcp`: an address is to be expected."""
        vlan = memberships.vlan_of(self.segment, self.guest)
        reply: dict[str, Any] = {
            "segment": self.segment.name, "port": self.port, "mac": self.guest.mac, "name": self.guest.name,
            "fqdn": f"{self.guest.name}.{self.segment.domain}", "mtu": MTU, "vlan": vlan,
            "dhcp": vlan is None or any(one.id == vlan and one.dhcp for one in self.segment.served_vlans)}
        if self.interface is not None:
            reply["interface"] = self.interface
        else:
            reply["vhost"] = self.vhost
        return reply


def open_tap(engine: Engine, segment: Segment, caller: Caller, wish: Wish) -> Opened:
    """A tap on the segment for a virtual machine of the caller.

    Raises `SegmentDown`, `QuotaExceeded`, `NameTaken`, `BadValue`, `ToolFailed`.
    """
    with engine.lock:
        guest = _admit(engine, segment, caller, wish, "qemu")
        assert guest.port is not None
        fd = tun.open_tap(guest.port, caller.uid, vnet_hdr=True)
        try:
            engine.netlink.set(guest.port, mac=names.tap_mac(guest.port))
            _settle(engine, segment, guest)
        except BaseException:
            os.close(fd)
            raise
        vhost = tun.open_vhost()
        return Opened(segment, guest, guest.port, [fd] if vhost is None else [fd, vhost], vhost is not None)


def keep_tap(engine: Engine, segment: Segment, caller: Caller, wish: Wish,
             tunnel: Callable[[str], int] | None = None) -> Opened:
    """A tap with a name that the caller's hypervisor opens by itself; it stays until `leave`.

    Only the caller may open it. The same guest asked for again gets the same tap, under the name that it is
    asked for by now. With `tunnel` it is the end of a UDP tunnel, whose number that makes from the guest's MAC;
    then only the relay may open it. Raises as `open_tap`.
    """
    with engine.lock:
        book = engine.book(segment.name)
        known = None if links.link(segment.sign) is None else _kept(book, caller, wish)
        if known is not None and (known.tunnel is None) is not (tunnel is None):
            known = None
        if known is None:
            guest = replace(_admit(engine, segment, caller, wish, "qemu"), kept=True)
            guest = guest if tunnel is None else replace(guest, tunnel=tunnel(guest.mac))
        else:
            name = known.name if wish.name is None else _name(engine, segment, caller, wish.name)
            guest = replace(known, name=name, kind=_kind(wish.kind, "qemu"),
                            vlan=_vlan(segment, known.mac, name, wish.vlan))
            other = book.find(name)
            if other is not None and other != known and other.port in links.links():
                raise NameTaken(name=name, why=_("another guest of that name is on the segment already"))
        assert guest.port is not None
        if guest != known:
            _enter(engine, segment, guest)
        try:
            engine.bring_up(segment)
        except BaseException:
            if known is None:
                book.strike(guest.name)
            elif guest != known:
                book.enter(known)
            raise
        return Opened(segment, guest, guest.port)


def _kept(book: GuestBook, caller: Caller, wish: Wish) -> Guest | None:
    """The caller's tap that is asked for again: by the guest's name, or by its MAC where that is given.

    One made by hand (`join qemu --tap`) may become that of a guest whose hypervisor has its MAC.
    """
    mac = None if wish.mac is None else names.mac_address(wish.mac)
    if mac is not None:
        known = book.by_mac(mac)
    else:
        known = None if wish.name is None else book.find(names.guest_name(wish.name))
    if known is None or not known.kept or known.uid != caller.uid or known.port is None:
        return None
    same = known.kind == _kind(wish.kind, "qemu") or (mac is not None and known.kind == "qemu")
    return known if same else None


def open_veth(engine: Engine, segment: Segment, caller: Caller, wish: Wish, netns: int) -> Opened:
    """A port whose other end is in the caller's network namespace `netns` (a descriptor): `eth0`, or for guests
    that have networks of their own, any name that is free there.

    Raises as `open_tap`, and `NotPermitted` when the namespace is not the caller's own.
    """
    require_own_namespace(netns, caller)
    with engine.lock:
        guest = _admit(engine, segment, caller, wish, "run")
        assert guest.port is not None
        inner = INNER_NAME if guest.kind == "run" else FREE_NAME
        engine.netlink.make_veth(guest.port, inner, guest.mac, MTU, guest_alias(segment.name), netns)
        try:
            _settle(engine, segment, guest)
        except BaseException:
            engine.netlink.delete(guest.port, 0)
            raise
        return Opened(segment, guest, guest.port, interface=inner)


def reserve(engine: Engine, segment: Segment, caller: Caller, wish: Wish, plug: bool = False,
            handed: bool = False) -> dict[str, Any]:
    """A name and a MAC for a guest that joins by itself. Raises `NameTaken`, `BadValue`, `Refused`.

    Where it is to be in a VLAN, it is given a port of the switch if it comes over VDE (`plug`), or the name of a port
    that its hypervisor is to make and leave to us (`handed`).
    """
    with engine.lock:
        if links.link(segment.sign) is None:
            raise SegmentDown(what=_("join"), segment=segment.name)
        name = _name(engine, segment, caller, wish.name)
        authority.require_room_for_guest(engine, caller, segment.name, name)
        mac = _mac(segment, caller, name, wish.mac)
        guest = Guest(name, mac, _kind(wish.kind, "qemu"), caller.uid, by_itself=True,
                      vlan=_vlan(segment, mac, name, wish.vlan))
        if plug and memberships.of(segment, guest) != access():
            guest = replace(guest, vde_port=engine.free_switch_port(segment, name))
        book, there = engine.book(segment.name), links.links()
        before = book.by_mac(guest.mac)
        if before is not None and (before.uid != caller.uid or (before.tunnel is None and not before.handed)):
            before = None  # it has no port of the daemon's to say
        if handed and memberships.of(segment, guest) != access():
            own = before.port if before is not None and before.handed else None
            guest = replace(guest, handed=True, port=own or _free_port(segment, book, there, name))
        _refuse_a_second(book, there, guest, but=None if before is None else before.port)
        known = [one for one in (book.find(name), book.by_mac(guest.mac)) if one is not None]
        _enter(engine, segment, guest)
        if before is not None and before.port != guest.port:
            _close(engine, segment, before)  # it comes another way now
        try:
            engine.bring_up(segment)
        except BaseException:
            book.strike(name)
            for one in known:
                book.enter(one)
            raise
        return {"segment": segment.name, "mac": guest.mac, "name": name, "fqdn": f"{name}.{segment.domain}",
                "switch": str(engine.places.switch(segment.name)), "port": guest.port,
                "vlan": memberships.vlan_of(segment, guest), "vde_port": guest.vde_port}


def leave(engine: Engine, segment: Segment, caller: Caller, name: str, kind: str | None) -> bool:
    """Take a guest off the segment and free its name; False when it was not there.

    Raises `NotPermitted` for another member's guest.
    """
    with engine.lock:
        guest = engine.book(segment.name).find(names.guest_name(name))
        if guest is None or guest.kind == CLAIMED or (kind is not None and guest.kind != _kind(kind, "qemu")):
            return False
        if caller.uid not in (0, guest.uid):
            raise NotPermitted(what=_("remove {name}").format(name=guest.name),
                               why=_("it belongs to another user"))
        engine.book(segment.name).strike(guest.name)
        engine.departed(segment, guest.mac)
        _close(engine, segment, guest)
        if links.link(segment.sign) is not None:
            engine.bring_up(segment)
        return True


def _close(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Take away the port of a guest that no longer has it by the book."""
    if guest.port is None:
        return
    if guest.tunnel is not None and guest.uid is not None:
        ends = Tunnel(address(segment.bridge), guest.tunnel, guest.port, guest.uid)
        engine.supervisor.stop(segment.name, relay.service(ends))
    if guest.handed:
        engine.let_go(segment, guest.port)
    else:
        engine.netlink.delete(guest.port, 0)


def require_own_namespace(netns: int, caller: Caller) -> None:
    """Raises `NotPermitted` unless the descriptor is a network namespace that the caller made: one that is
    owned by a user namespace of the caller's (ioctl_ns(2)), and not the host's own."""
    refusal = NotPermitted(what=_("use that namespace"),
                           why=_("it is not a network namespace of {name}").format(name=caller.name))
    try:
        # Asked first: what else may be behind a descriptor (a device, a file system of the caller's own) is
        # sent no request, which it might answer in its own time.
        if not os.readlink(f"/proc/self/fd/{netns}").startswith("net:["):
            raise refusal
        if fcntl.ioctl(netns, _NS_GET_NSTYPE) != _CLONE_NEWNET \
                or os.fstat(netns).st_ino == os.stat("/proc/self/ns/net").st_ino:
            raise refusal
        userns = fcntl.ioctl(netns, _NS_GET_USERNS)
        try:
            buffer = bytearray(4)
            fcntl.ioctl(userns, _NS_GET_OWNER_UID, buffer)
        finally:
            os.close(userns)
    except OSError:
        raise refusal from None
    if int.from_bytes(buffer, "little") != caller.uid:
        raise refusal


def _admit(engine: Engine, segment: Segment, caller: Caller, wish: Wish, kind: str) -> Guest:
    """The guest as it will be written down, with a port's name that is free."""
    if links.link(segment.sign) is None:
        raise SegmentDown(what=_("join"), segment=segment.name)
    there = links.links()
    taken = sum(1 for other in engine.configuration.names() for guest in engine.book(other).all()
                if guest.uid == caller.uid and guest.port in there)
    if caller.uid != 0 and taken >= MAX_TAPS:
        raise QuotaExceeded(what=_("join"), limit=MAX_TAPS, unit=_("ports"))
    name = _name(engine, segment, caller, wish.name)
    authority.require_room_for_guest(engine, caller, segment.name, name)
    mac = _mac(segment, caller, name, wish.mac)
    guest = Guest(name, mac, _kind(wish.kind, kind), caller.uid, vlan=_vlan(segment, mac, name, wish.vlan))
    book = engine.book(segment.name)
    _refuse_a_second(book, there, guest)
    return replace(guest, port=_free_port(segment, book, there, name))


def _free_port(segment: Segment, book: GuestBook, there: Mapping[str, Link], name: str) -> str:
    """A name for the port of the guest of that name."""
    kept = {known.port for known in book.all() if known.keeps_port and known.port is not None}
    return names.port_name(segment.name, name, frozenset({*there, *kept}))


def _refuse_a_second(book: GuestBook, there: Mapping[str, Link], guest: Guest, but: str | None = None) -> None:
    """Raises `NameTaken` when the name or the MAC is that of another port than `but` which is there: the book
    would forget that one, and its owner could have any number of them."""
    for known in book.all():
        if known.port not in there or known.uid != guest.uid or known.port == but:
            continue  # of another user's guest the book itself says no
        if known.name == guest.name:
            raise NameTaken(name=guest.name, why=_("your guest of that name is on the segment already"))
        if known.mac == guest.mac:
            raise NameTaken(name=guest.mac, why=_("your guest {name} has this MAC address").format(name=known.name))


def _settle(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Write the guest down and put its port, which exists, on the bridge."""
    assert guest.port is not None
    engine.netlink.set(guest.port, alias=guest_alias(segment.name), mtu=MTU)
    _enter(engine, segment, guest)
    engine.bring_up(segment)


def _enter(engine: Engine, segment: Segment, guest: Guest) -> None:
    given = dnsmasq.owners(segment.hosts, segment.labels)
    if guest.name in given and given[guest.name] != guest.mac:
        raise NameTaken(name=guest.name, why=_("the segment's configuration gives it to another guest"))
    fixed = {host.mac for host in segment.hosts if host.mac is not None}
    if guest.mac not in fixed and any(names.same_on_host_side(mac, guest.mac) for mac in fixed):
        raise NameTaken(name=guest.mac, why=_(
            "the segment's configuration has a host with this MAC address, but for its first octet"))
    engine.book(segment.name).enter(guest)


def _name(engine: Engine, segment: Segment, caller: Caller, asked: str | None) -> str:
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
        if known is None or (known.uid == caller.uid and known.kind != CLAIMED and not known.by_itself
                             and known.port not in there):
            return name
    raise Refused(what=_("join"), why=_("there is no name left"))


def _mac(segment: Segment, caller: Caller, name: str, asked: str | None) -> str:
    """The same guest of the same member gets the same MAC, and so the same lease, each time."""
    if asked is None:
        return names.derived_mac(segment.name, str(caller.uid), name)
    mac = names.mac_address(asked)
    link = links.link(segment.bridge)
    if link is not None and link.mac == mac:
        raise BadValue(what=_("MAC address"), value=asked, why=_("it is the segment's own"))
    return mac


def _vlan(segment: Segment, mac: str, name: str, asked: int | None) -> int | None:
    """The VLAN that a guest asked for, where it may have it."""
    if asked is None:
        return None
    if asked not in {vlan.id for vlan in segment.vlans}:
        there = ", ".join(str(vlan.id) for vlan in segment.vlans)
        raise BadValue(what=_("VLAN"), value=str(asked), why=_("{segment} has the VLANs {vlans}").format(
            segment=segment.name, vlans=there) if there else _("{segment} has no VLANs").format(segment=segment.name))
    host = segment.host_of(mac, name)
    if host is not None and (host.trunk or host.vlan not in (None, asked)):
        raise Refused(what=_("join VLAN {vlan}").format(vlan=asked),
                      why=_("the segment's configuration puts {name} elsewhere").format(name=name))
    return asked


def _kind(text: str | None, default: str) -> str:
    if text is None:
        return default
    if text not in KINDS:
        raise BadValue(what=_("kind of guest"), value=text,
                       why=_("expected one of {kinds}").format(kinds=", ".join(KINDS)))
    return text

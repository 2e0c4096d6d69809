"""Guests that join through the daemon: taps by descriptor, veth ends into a namespace, names for VDE.

A tap's lease is the tap itself: the kernel removes it when the last descriptor is closed, whoever holds it
and whether or not the daemon runs. What a holder can do against that (make it persistent and let go) the
watch undoes (`vdenet.daemon.reaper`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from vdenet.daemon import admission, authority, memberships, namespaces
from vdenet.daemon.admission import Asked
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import CLAIMED, Guest, GuestBook
from vdenet.daemon.members import Caller
from vdenet.effect import tun
from vdenet.errors import NotPermitted
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.segment import MTU, Segment
from vdenet.model.tunnel import Tunnel, address
from vdenet.model.vlans import access
from vdenet.model.wanted import guest_alias, left_alias
from vdenet.probe import links
from vdenet.text import relay

TWO_MACS = frozenset({"nspawn"})
"""Kinds whose guests have another MAC on a port that is handed over than on one of their own: that it is the same
guest, the name says."""
INNER_NAME = "eth0"
"""What the end of a veth is called in a namespace made for it."""
FREE_NAME = "vd%d"
"""In a container that may have networks of its own: the kernel takes the first number that is free. Not eth%d:
Podman and Docker count those themselves, and fail where one is taken (`docker network connect`)."""


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


def open_tap(engine: Engine, segment: Segment, caller: Caller, asked: Asked) -> Opened:
    """A tap on the segment for a virtual machine of the caller.

    Raises `SegmentDown`, `QuotaExceeded`, `NameTaken`, `MacTaken`, `BadValue`, `Refused`, `ToolFailed`.
    """
    with engine.lock:
        guest = admission.admit(engine, segment, admission.open_book(engine, segment), caller, asked, "qemu")
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


def keep_tap(engine: Engine, segment: Segment, caller: Caller, asked: Asked,
             tunnel: Callable[[str], int] | None = None) -> Opened:
    """A tap with a name that the caller's hypervisor opens by itself; it stays until `leave`.

    Only the caller may open it. The same guest asked for again gets the same tap, under the name that it is
    asked for by now. With `tunnel` it is the end of a UDP tunnel, whose number that makes from the guest's MAC;
    then only the relay may open it. Raises as `open_tap`.
    """
    with engine.lock:
        book = admission.open_book(engine, segment)
        known = _kept(book, caller, asked)
        if known is not None and (known.tunnel is None) is not (tunnel is None):
            known = None
        if known is None:
            guest = replace(admission.admit(engine, segment, book, caller, asked, "qemu"), kept=True)
            guest = guest if tunnel is None else replace(guest, tunnel=tunnel(guest.mac))
        else:
            name = known.name if asked.name is None else admission.name_for(engine, segment, caller, asked.name)
            guest = replace(known, name=name, kind=admission.kind_of(asked.kind, "qemu"),
                            vlan=admission.vlan_for(segment, known.mac, name, asked.vlan))
            admission.refuse_a_second(segment, book, links.links(), guest, but=known)
            admission.refuse_elsewhere(engine, segment, known)
        assert guest.port is not None
        if guest != known:
            admission.enter(engine, segment, guest)
        try:
            engine.bring_up(segment)
        except BaseException:
            if known is None:
                book.strike(guest.name)
            elif guest != known:
                book.enter(known)
            raise
        return Opened(segment, guest, guest.port)


def _kept(book: GuestBook, caller: Caller, asked: Asked) -> Guest | None:
    """The caller's tap that is asked for again: by the guest's name, or by its MAC where that is given.

    One made by hand (`join qemu --tap`) may become that of a guest whose hypervisor has its MAC.
    """
    mac = None if asked.mac is None else names.mac_address(asked.mac)
    if mac is not None:
        known = book.by_mac(mac)
    else:
        known = None if asked.name is None else book.find(names.guest_name(asked.name))
    if known is None or not known.kept or known.uid != caller.uid or known.port is None:
        return None
    same = known.kind == admission.kind_of(asked.kind, "qemu") or (mac is not None and known.kind == "qemu")
    return known if same else None


def open_veth(engine: Engine, segment: Segment, caller: Caller, asked: Asked, netns: int) -> Opened:
    """A port whose other end is in the caller's network namespace `netns` (a descriptor): `eth0`, or for guests
    that have networks of their own, any name that is free there.

    Raises as `open_tap`, and `NotPermitted` when the namespace is not the caller's own.
    """
    namespaces.require_own(netns, caller)
    with engine.lock:
        guest = admission.admit(engine, segment, admission.open_book(engine, segment), caller, asked, "run")
        assert guest.port is not None
        inner = INNER_NAME if guest.kind == "run" else FREE_NAME
        engine.netlink.make_veth(guest.port, inner, guest.mac, MTU, guest_alias(segment.name), netns)
        try:
            _settle(engine, segment, guest)
        except BaseException:
            engine.netlink.delete(guest.port, 0, guest_alias(segment.name))
            raise
        return Opened(segment, guest, guest.port, interface=inner)


def reserve(engine: Engine, segment: Segment, caller: Caller, asked: Asked, plug: bool = False,
            handed: bool = False) -> dict[str, Any]:
    """A name and a MAC for a guest that joins by itself.

    Raises `SegmentDown`, `QuotaExceeded`, `NameTaken`, `MacTaken`, `BadValue`, `Refused`.

    Where it is to be in a VLAN, it is given a port of the switch if it comes over VDE (`plug`), or the name of a port
    that its hypervisor is to make and leave to us (`handed`).
    """
    with engine.lock:
        book = admission.open_book(engine, segment)
        name = admission.name_for(engine, segment, caller, asked.name)
        authority.require_room_for_guest(engine, caller, segment.name, name)
        mac = admission.mac_for(segment, caller, name, asked.mac)
        guest = Guest(name, mac, admission.kind_of(asked.kind, "qemu"), caller.uid, by_itself=True,
                      vlan=admission.vlan_for(segment, mac, name, asked.vlan))
        before = _replaced(book, guest)
        if memberships.of(segment, guest) != access():
            guest = _with_ports(engine, segment, guest, before, plug, handed)
        admission.refuse_a_second(segment, book, links.links(), guest, but=before)
        if asked.mac is None:
            admission.refuse_a_twin(engine, segment, guest)
        known = [one for one in (book.find(name), book.by_mac(guest.mac)) if one is not None]
        admission.enter(engine, segment, guest)
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


def _replaced(book: GuestBook, guest: Guest) -> Guest | None:
    """The same guest as the book has it, where the daemon has made it a port, or named one.

    None where it has none such, or where name and MAC are another guest's.
    """
    before = book.by_mac(guest.mac)
    if before is None and guest.kind in TWO_MACS:
        before = book.find(guest.name)
    if before is None or (before.uid, before.kind) != (guest.uid, guest.kind):
        return None
    return before if before.tunnel is not None or before.handed else None


def _with_ports(engine: Engine, segment: Segment, guest: Guest, before: Guest | None, plug: bool,
                handed: bool) -> Guest:
    """The guest with what gets it into its VLAN; `before` as `_replaced` has it, `plug` and `handed` as in `reserve`.

    Raises `QuotaExceeded`, `Refused`, `NameTaken`.
    """
    if plug or handed:
        admission.require_room_for_port(engine, segment, guest)
    if plug:
        guest = replace(guest, vde_port=admission.free_switch_port(engine, segment, guest))
    if not handed:
        return guest
    if before is not None and before.handed and before.port is not None:
        admission.refuse_elsewhere(engine, segment, before)
        return replace(guest, handed=True, port=before.port)
    return replace(guest, handed=True, port=admission.free_port(engine, segment, guest.name))


def leave(engine: Engine, segment: Segment, caller: Caller, name: str, kind: str | None) -> bool:
    """Take a guest off the segment and free its name; False when it was not there.

    Raises `NotPermitted` for another member's guest.
    """
    with engine.lock:
        guest = engine.book(segment.name).find(names.guest_name(name))
        if guest is None or guest.kind == CLAIMED:
            return False
        if kind is not None and guest.kind != admission.kind_of(kind, "qemu"):
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
        others = {whose: number for whose, number in engine.left_tunnels.items() if number != guest.tunnel}
        engine.left_tunnels = {**others, (guest.uid, guest.mac): guest.tunnel}
    if guest.handed:
        engine.let_go(segment, guest.port)
    elif guest.tunnel is not None:  # its holder was the relay, and has ended
        engine.netlink.delete(guest.port, 0, guest_alias(segment.name))
    else:
        engine.netlink.part(guest.port, guest_alias(segment.name), left_alias(segment.name, guest.uid or 0))


def _settle(engine: Engine, segment: Segment, guest: Guest) -> None:
    """Write the guest down and put its port, which exists, on the bridge."""
    assert guest.port is not None
    engine.netlink.set(guest.port, alias=guest_alias(segment.name), mtu=MTU)
    admission.enter(engine, segment, guest)
    engine.bring_up(segment)

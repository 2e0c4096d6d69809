"""Interfaces and addresses, changed over rtnetlink by pyroute2 (rtnetlink(7)).

Every function names what it changes by index where the name could meanwhile be another's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vdenet.effect import tun
from vdenet.errors import ToolFailed
from vdenet.model.names import left_port, tap_mac
from vdenet.model.observed import Link
from vdenet.model.vlans import Membership
from vdenet.model.wanted import ALIAS, GROUP, Address, Bridge, Patch, Tap, VlanLink
from vdenet.probe import ethtool, links, vlans

_ETHTOOL_STXCSUM = 0x00000017
_PVID, _UNTAGGED = 0x2, 0x4  # linux/if_bridge.h
_PROBE, _PROBES = "vdenet-probe", f"{ALIAS}probe"


class Netlink:
    """A connection to the kernel's routing socket; for one thread at a time."""

    def __init__(self) -> None:
        self._route = IPRoute()

    def create_bridge(self, bridge: Bridge, alias: str) -> None:
        """A bridge with a MAC of its own, without spanning tree, down and without an address."""
        with explained(f"make the bridge {bridge.name}"):
            self._route.link("add", ifname=bridge.name, kind="bridge", mtu=bridge.mtu, address=bridge.mac,
                             group=GROUP)
            self._route.link("set", index=index(bridge.name), ifalias=alias)

    def create_tap(self, tap: Tap, alias: str) -> None:
        """A persistent tap that its owner may open by name."""
        fd = tun.open_tap(tap.name, tap.owner, vnet_hdr=False)
        try:
            with explained(f"make the tap {tap.name}"):
                self._route.link("set", index=index(tap.name), ifalias=alias, mtu=tap.mtu,
                                 address=tap_mac(tap.name))
                tun.make_persistent(fd)  # last: until here a crash leaves nothing behind
        finally:
            os.close(fd)

    def create_vlan_link(self, link: VlanLink, alias: str) -> None:
        """The host's interface in a VLAN of a bridge; down and without an address."""
        with explained(f"make the interface {link.name}"):
            self._route.link("add", ifname=link.name, kind="vlan", link=index(link.bridge), vlan_id=link.vlan,
                             group=GROUP)
            self._route.link("set", index=index(link.name), ifalias=alias)

    def set_vlan_filtering(self, bridge: str, on: bool) -> None:
        """Have a bridge keep VLANs apart, or not."""
        with explained(f"set the VLANs of {bridge}"):
            self._route.link("set", index=index(bridge), kind="bridge", br_vlan_filtering=int(on))
        if vlans.filtering(bridge) is not on:  # without the ability, the kernel passes over it
            raise ToolFailed(what=f"set the VLANs of {bridge}", tool="netlink", why=os.strerror(errno.EOPNOTSUPP))

    def set_vlans(self, name: str, wanted: Membership, bridge: str | None) -> None:
        """Put a port into these VLANs only; `bridge` None means a bridge itself.

        First out of those that it is not to be in: it is never in two that are to be kept apart.
        """
        own = {"vlan_flags": "self"} if bridge is None else {}
        number = index(name)
        now = vlans.of_bridge(name if bridge is None else bridge).get(name, Membership())
        before = {vid: _flags(now, vid) for vid in now.untagged | now.tagged}
        after = {vid: _flags(wanted, vid) for vid in wanted.untagged | wanted.tagged}
        with explained(f"set the VLANs of {name}"):
            for vid in sorted(before.keys() - after.keys()):
                self._route.vlan_filter("del", index=number, vlan_info={"vid": vid, "flags": 0}, **own)
            for vid, flags in sorted(after.items()):
                if before.get(vid) != flags:
                    self._route.vlan_filter("add", index=number, vlan_info={"vid": vid, "flags": flags}, **own)

    def can_vlans(self) -> bool:
        """Whether this kernel's bridges can keep VLANs apart, and it has 802.1Q interfaces.

        Tried on a bridge that nothing is on, which is gone again at once: the kernel has no other answer.
        """
        self.delete(_PROBE, 0, _PROBES)
        try:
            self._route.link("add", ifname=_PROBE, kind="bridge")
            try:
                probe = index(_PROBE)
                self._route.link("set", index=probe, ifalias=_PROBES)
                self._route.link("add", ifname=f"{_PROBE}.2", kind="vlan", link=probe, vlan_id=2)
                return vlans.can(_PROBE)
            finally:
                self._route.link("del", ifname=_PROBE)
        except (NetlinkError, OSError, ToolFailed):
            return False

    def delete(self, name: str, ifindex: int, mark: str) -> None:
        """Delete the interface that carries this mark of ours; that it is gone already is no error.

        `ifindex` 0 stands for whatever has the name now. What carries another mark is left alone: the names of
        two segments' ports may be the same.
        """
        link = _marked(name, ifindex, mark)
        if link is not None:
            with explained(f"delete {name}", ignore=errno.ENODEV):
                self._route.link("del", index=link.ifindex)

    def part(self, name: str, mark: str, after: str) -> None:
        """Take a guest's port that carries `mark` from its bridge for good, and its name from it.

        A tap that a program holds stays with that, down, and is marked `after`: QEMU ends itself when its tap is gone
        at the moment that the guest's driver sets the card up. All else is deleted.
        """
        link = _marked(name, 0, mark)
        if link is None:
            return
        if link.kind != "tap" or not self.is_held(link.ifindex):
            self.delete(name, link.ifindex, mark)
            return
        with explained(f"take {name} off its bridge", ignore=errno.ENODEV):
            # Down first: one that is up and on no bridge, the host itself would hear.
            self._route.link("set", index=link.ifindex, state="down", ifalias=after)
            self._route.link("set", index=link.ifindex, master=0)
        # Last, and if somebody has that name, not at all: the next guest's port is called otherwise then.
        with contextlib.suppress(ToolFailed), explained(f"rename {name}"):
            self._route.link("set", index=link.ifindex, ifname=left_port(link.ifindex))

    def is_held(self, ifindex: int) -> bool:
        """Whether a program has a tap open. Of one that is down only netlink says so."""
        try:
            return any(link.get_attr("IFLA_CARRIER") for link in self._route.link("get", index=ifindex))
        except NetlinkError:
            return False  # it went away just now

    def create_patch(self, patch: Patch, alias: str) -> None:
        """A pair of interfaces, both marked and up. Half of one from a crash is made anew."""
        self.delete(patch.inner, 0, alias)
        with explained(f"make the patch {patch.inner}"):
            self._route.link("add", ifname=patch.inner, kind="veth", mtu=patch.mtu, group=GROUP,
                             peer={"ifname": patch.outer, "mtu": patch.mtu, "group": GROUP})
            for name in (patch.inner, patch.outer):
                self._route.link("set", index=index(name), ifalias=alias, state="up")

    def set(self, name: str, *, up: bool | None = None, mac: str | None = None, mtu: int | None = None,
            alias: str | None = None) -> None:
        """Change what is given."""
        values: dict[str, object] = {}
        if mac is not None:
            values["address"] = mac
        if mtu is not None:
            values["mtu"] = mtu
        if alias is not None:
            values["ifalias"] = alias
        if up is not None:
            values["state"] = "up" if up else "down"
        with explained(f"change {name}"):
            self._route.link("set", index=index(name), **values)

    def attach(self, name: str, bridge: str) -> None:
        """Put an interface on a bridge."""
        with explained(f"put {name} on {bridge}"):
            self._route.link("set", index=index(name), master=index(bridge))

    def detach(self, name: str) -> None:
        """Take an interface off its bridge; that it is gone is no error."""
        link = links.link(name)
        if link is not None:
            with explained(f"take {name} off its bridge"):
                self._route.link("set", index=link.ifindex, master=0)

    def add_address(self, name: str, address: Address) -> None:
        """Give an interface an address; one that it has is no error."""
        with explained(f"give {name} the address {address}", ignore=17):
            more = {"broadcast": str(address.network.broadcast_address)} if address.version == 4 else {}
            self._route.addr("add", index=index(name), address=str(address.ip),
                             prefixlen=address.network.prefixlen, **more)

    def remove_address(self, name: str, address: Address) -> None:
        """Take an address from an interface; one that it has not is no error.

        The kernel takes secondary addresses of the same network along, unless promote_secondaries is on;
        two addresses of one network are never both ours.
        """
        with explained(f"take the address {address} from {name}", ignore=99):
            self._route.addr("del", index=index(name), address=str(address.ip),
                             prefixlen=address.network.prefixlen)

    def make_veth(self, outer: str, inner: str, mac: str, mtu: int, alias: str, netns: int) -> None:
        """A pair of interfaces: `outer` here, marked as ours; `inner` in the namespace behind `netns`.

        The inner end is born in the other namespace, so that no name is taken here for a moment.
        """
        with explained(f"make the port {outer}"):
            self._route.link("add", ifname=outer, kind="veth", mtu=mtu,
                             peer={"ifname": inner, "address": mac, "mtu": mtu, "net_ns_fd": netns})
            self._route.link("set", index=index(outer), ifalias=alias)


def _marked(name: str, ifindex: int, mark: str) -> Link | None:
    """The interface of that index, or for 0 of that name, if it carries the mark."""
    found = links.link(name) if ifindex == 0 else \
        next((link for link in links.links().values() if link.ifindex == ifindex), None)
    return found if found is not None and found.alias == mark else None


def _flags(membership: Membership, vid: int) -> int:
    return (_PVID if vid == membership.pvid else 0) | (_UNTAGGED if vid in membership.untagged else 0)


def set_transmit_checksum(name: str, on: bool) -> None:
    """Turn transmit checksum offload of an interface on or off (ethtool -K NAME tx on|off)."""
    data = array("B", struct.pack("=II", _ETHTOOL_STXCSUM, int(on)))
    with explained(f"set the checksum offload of {name}"):
        ethtool.request(name, data)


def index(name: str) -> int:
    """The number of an interface. Raises `ToolFailed` when there is none of that name."""
    link = links.link(name)
    if link is None:
        raise ToolFailed(what=f"change {name}", tool="netlink", why="no such interface")
    return link.ifindex


@contextmanager
def explained(what: str, ignore: int | None = None) -> Iterator[None]:
    """Turns what pyroute2 raises into `ToolFailed`; the error number `ignore` passes for success."""
    try:
        yield
    except NetlinkError as error:
        if error.code != ignore:
            raise ToolFailed(what=what, tool="netlink", why=os.strerror(error.code)) from None
    except OSError as error:
        raise ToolFailed(what=what, tool="netlink", why=error.strerror or str(error)) from None

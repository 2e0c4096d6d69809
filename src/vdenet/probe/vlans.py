"""VLANs on a bridge: whether it sorts frames by them, and which its ports carry."""

from __future__ import annotations

from vdenet.model.vlans import Membership
from vdenet.probe import links

_PVID, _UNTAGGED = 0x2, 0x4
"""linux/if_bridge.h: BRIDGE_VLAN_INFO_PVID, BRIDGE_VLAN_INFO_UNTAGGED."""


def filtering(bridge: str) -> bool:
    """Whether the bridge keeps VLANs apart."""
    try:
        return (links.SYS_CLASS_NET / bridge / "bridge/vlan_filtering").read_text().strip() == "1"
    except OSError:
        return False


def can(bridge: str) -> bool:
    """Whether this bridge could."""
    return (links.SYS_CLASS_NET / bridge / "bridge/vlan_filtering").exists()


def of_bridge(bridge: str) -> dict[str, Membership]:
    """The VLANs of the bridge itself and of each of its ports, by name.

    Empty where the kernel knows none. Only the daemon asks: pyroute2 takes long to import.
    """
    from pyroute2 import IPRoute

    there = {link.ifindex: link.name for link in links.links().values()
             if link.name == bridge or link.master == bridge}
    found: dict[str, Membership] = {}
    with IPRoute() as netlink:
        for message in netlink.get_vlans():
            name = there.get(message["index"])
            spec = message.get_attr("IFLA_AF_SPEC")
            if name is None or spec is None or not hasattr(spec, "get_attrs"):
                continue
            found[name] = _membership([(info["vid"], info["flags"])
                                       for info in spec.get_attrs("IFLA_BRIDGE_VLAN_INFO")])
    # Of a port in no VLAN at all the kernel says nothing.
    return {name: found.get(name, Membership()) for name in there.values()} if found else {}


def _membership(infos: list[tuple[int, int]]) -> Membership:
    return Membership(
        next((vid for vid, flags in infos if flags & _PVID), None),
        frozenset(vid for vid, flags in infos if flags & _UNTAGGED),
        frozenset(vid for vid, flags in infos if not flags & _UNTAGGED))

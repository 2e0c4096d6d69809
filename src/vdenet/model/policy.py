"""What the admin lets members do to segments, and the question whether a change is within it.

Pure. Root is bound by nothing of this: who asks for root does not ask here. A subject's check is a function
in `CHECKS`; it says only what a change makes worse, so a key that stays as it was is never refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from vdenet.i18n import _
from vdenet.model.names import PRIVATE_NETWORKS
from vdenet.model.segment import Mode, OpenPort, Segment


@dataclass(frozen=True, slots=True)
class Policy:
    """policy.toml, parsed; the defaults hold where there is none."""

    pools: tuple[IPv4Network, ...] = PRIVATE_NETWORKS
    """Where members may take a segment's network from."""
    modes: tuple[Mode, ...] = (Mode.NAT, Mode.ROUTED, Mode.ISOLATED)
    domains: tuple[str, ...] = ("internal",)
    """DNS domains at or below which a member's segment may have its own: the host asks the segment for them."""
    open: tuple[OpenPort, ...] = field(default=())
    """Services of the host that members may open to guests."""
    change: bool = True
    """Members may change the address and the configuration of the admin's segments."""
    segments: int = 4
    """How many segments a member may have."""
    guests: int = 64
    """How many guests a member may have on all segments at once."""
    uplinks: tuple[str, ...] = field(default=())
    """Interfaces that a member may make a port of a segment."""
    adopt: tuple[str, ...] = field(default=())
    """Bridges that a member may take for a segment."""
    plugs: tuple[str, ...] = field(default=())
    """Kinds of other switches (URL schemes) that a member may plug in."""
    netboot: tuple[str, ...] = field(default=())
    """Directories that a member may serve to guests that boot."""
    vlans: bool = True
    """Members may divide segments into VLANs."""


DEFAULT = Policy()

_OF_OTHERS = re.compile(
    r"en|eth|wl|ww|(?:br|bond|team|docker|podman|cni|virbr|vnet|lxcbr|lxdbr|incusbr|wg|tun|tap|ppp|veth|vmnet|vboxnet"
    r"|vlan|vxlan|dummy|ifb|usb|sit|gre|ip6tnl|macvtap|zt|ovs)[0-9]")
"""Names of cards (systemd.net-naming-scheme(7)) begin so, and networkd's files match by that; the others are those
that programs give their own interfaces."""

Check = Callable[[Policy, str, Segment | None, Segment], Iterable[str]]
"""From policy, the member's account name, the segment before (None: a new one) and after, to sentences that
say what is refused and what is allowed instead."""


def refusals(policy: Policy, who: str, before: Segment | None, after: Segment) -> list[str]:
    """Why the member `who` may not turn `before` into `after`; empty when he may."""
    if before is not None and not may_change(policy, who, before):
        return [_("the segment belongs to {owner}").format(owner=before.owner) if before.owner is not None
                else _("only root may: change = false in the policy")]
    return [why for check in CHECKS for why in check(policy, who, before, after)]


def may_change(policy: Policy, who: str, segment: Segment) -> bool:
    """Whether the member may change the segment's configuration at all."""
    return policy.change if segment.owner is None else segment.owner == who


def changed(before: Segment | None, after: Segment, name: str) -> bool:
    """Whether the field differs from before; in a new segment every field does that is not the default."""
    if before is None:
        before = Segment(after.name, after.address)
        if name == "address":
            return True
    return bool(getattr(before, name) != getattr(after, name))


def listed(values: Iterable[object]) -> str:
    """Values in a sentence."""
    return ", ".join(map(str, values)) or _("nothing")


def _name(_policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    """The bridge would be there before the program whose name it has, at every boot."""
    if before is None and _OF_OTHERS.match(after.name):
        yield _("name: {name} looks like an interface of another program's or a network card").format(name=after.name)


def _address(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    if after.address is None or not changed(before, after, "address"):
        return
    if not any(after.address.network.subnet_of(pool) for pool in policy.pools):
        yield _("address: {network} is in none of the pools {pools}").format(
            network=after.address.network, pools=listed(policy.pools))


def _divided(segment: Segment | None) -> tuple[object, ...]:
    """What says which VLANs there are, and who is in which."""
    if segment is None:
        return (), frozenset(), frozenset()
    return (segment.vlans,
            frozenset((one.number, one.vlan, one.trunk) for one in segment.ports if one.vlan or one.trunk),
            frozenset((one.mac, one.name, one.vlan, one.trunk) for one in segment.hosts if one.vlan or one.trunk))


def _vlans(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    if not policy.vlans and _divided(before) != _divided(after):
        yield _("vlan: members may not change the VLANs of a segment, nor who is in which")
    known = set(before.networks) if before is not None else set()
    for network in after.networks[1:]:
        if network not in known and not any(network.subnet_of(pool) for pool in policy.pools):
            yield _("vlan.address: {network} is in none of the pools {pools}").format(
                network=network, pools=listed(policy.pools))


def _mode(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    # A new segment may not have a forbidden default either.
    if (before is None or changed(before, after, "mode")) and after.mode not in policy.modes:
        yield _("mode: {mode} is not allowed; allowed: {modes}").format(mode=after.mode, modes=listed(policy.modes))


def _domain(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    if before is not None and not changed(before, after, "domain"):
        return
    if not any((after.domain == top and "." in top) or after.domain.endswith(f".{top}") for top in policy.domains):
        yield _("domain: {domain} is not allowed; allowed is what ends in: {domains}").format(
            domain=after.domain, domains=listed(policy.domains))


def _open(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    allowed = {*policy.open, *(before.open_ports if before is not None else ())}
    more = [port for port in after.open_ports if port not in allowed]
    if more:
        yield _("open: {ports} is not allowed; allowed: {allowed}").format(
            ports=listed(f"{port.protocol}/{port.port}" for port in more),
            allowed=listed(f"{port.protocol}/{port.port}" for port in policy.open))


def _guard(_policy: Policy, who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    """Others' guests on the admin's segment rely on it; on a member's own it is the member's affair."""
    if changed(before, after, "guard") and not after.guard and after.owner != who:
        yield _("guard: only root may switch it off on a segment of the admin's")


def _owner(_policy: Policy, who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    expected = who if before is None else before.owner
    if after.owner != expected:
        yield _("owner: only root may change it; here it has to be {owner}").format(
            owner=f'owner = "{expected}"' if expected is not None else _("absent"))


def _outside(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    for name, allowed in (("uplink", policy.uplinks), ("adopt", policy.adopt), ("openvswitch", policy.adopt)):
        value = getattr(after, name)
        if value is not None and changed(before, after, name) and value not in allowed:
            yield _("{key}: {name} is not allowed; allowed: {allowed}").format(
                key=name, name=value, allowed=listed(allowed))


def _netboot(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    root = after.netboot.root if after.netboot is not None else None
    if root is None or (before is not None and before.netboot is not None and before.netboot.root == root):
        return
    if not any(root == allowed or root.startswith(allowed.rstrip("/") + "/") for allowed in policy.netboot):
        yield _("netboot.root: {root} is not allowed; allowed is what is in: {directories}").format(
            root=root, directories=listed(policy.netboot))


def _guest_dhcp(_policy: Policy, who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    """Whom the others take their addresses from; on a member's own segment it is the member's affair."""
    servers = [[(host.mac, host.name) for host in segment.hosts if host.dhcp_server] if segment is not None else []
               for segment in (before, after)]
    if after.owner != who and (changed(before, after, "guest_dhcp") or servers[0] != servers[1]):
        yield _("dhcp: only root may let a guest serve on a segment of the admin's")


def _plugs(policy: Policy, _who: str, before: Segment | None, after: Segment) -> Iterable[str]:
    there = {plug.url for plug in before.plugs} if before is not None else set()
    for plug in after.plugs:
        if plug.url not in there and plug.scheme not in policy.plugs:
            yield _("plug: {url} is not allowed; allowed: {allowed}").format(
                url=plug.url, allowed=listed(f"{scheme}://" for scheme in policy.plugs))


CHECKS: tuple[Check, ...] = (
    _owner, _name, _address, _vlans, _mode, _domain, _open, _guard, _outside, _netboot, _guest_dhcp, _plugs)

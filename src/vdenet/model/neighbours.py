"""The other segments of the host, as one of them sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from vdenet.model.segment import Mode, Segment


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another segment. Its guests are `reachable` by routing when both name each other, and else kept out."""

    bridge: str
    network: IPv4Network
    network6: IPv6Network | None
    domain: str
    server: IPv4Address
    reachable: bool
    vlan_links: tuple[str, ...] = ()
    """The host's interfaces in its VLANs, which are in nobody's reach."""
    vlan_networks: tuple[IPv4Network | IPv6Network, ...] = ()


def neighbours(segment: Segment, others: Iterable[Segment]) -> tuple[Neighbour, ...]:
    """All other segments, by name; none of them bridged, as those are the outside, and so is all beside them."""
    if segment.mode is Mode.BRIDGED:
        return ()
    return tuple(
        Neighbour(other.bridge, other.own.network, None if other.address6 is None else other.address6.network,
                  other.domain, other.own.ip, other.name in segment.reach and segment.name in other.reach,
                  other.links[1:], tuple(address.network for vlan in other.served_vlans
                                         for address in (vlan.address, vlan.address6) if address is not None))
        for other in sorted(others, key=lambda one: one.name)
        if other.name != segment.name and other.mode is not Mode.BRIDGED)


MOST_SERVERS = 2
"""How many segments a host without a resolver of its own may ask: programs ask three name servers at most
(MAXNS of resolv.conf(5)), and one of them has to be the network outside's."""


def asked(segment: Segment, others: Iterable[Segment]) -> bool:
    """Whether such a host asks this segment: those that look up every name come first, then by name.

    One that is isolated refuses names of the outside, and three of them would leave the host without any.
    """
    rivals = sorted((one for one in (segment, *others) if one.mode is not Mode.BRIDGED),
                    key=lambda one: (one.mode is Mode.ISOLATED, one.name))
    return segment in rivals[:MOST_SERVERS]

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


def neighbours(segment: Segment, others: Iterable[Segment]) -> tuple[Neighbour, ...]:
    """All other segments, by name; none of them bridged, as those are the outside, and so is all beside them."""
    if segment.mode is Mode.BRIDGED:
        return ()
    return tuple(
        Neighbour(other.bridge, other.own.network, None if other.address6 is None else other.address6.network,
                  other.domain, other.own.ip, other.name in segment.reach and segment.name in other.reach)
        for other in sorted(others, key=lambda one: one.name)
        if other.name != segment.name and other.mode is not Mode.BRIDGED)

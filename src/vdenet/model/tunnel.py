"""A UDP tunnel on this host, between a guest's own driver and a tap of its segment.

The guest's end is a port on which its hypervisor listens, the segment's end a port of `vdenet.relay` on an
address of 127/8. Who knows the address knows the segment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TUNNELS = 256
"""How many there can be on a host."""
_GUESTS = 29200
"""Below where Linux takes ports for those who name none (ip_local_port_range)."""
_SEGMENTS = 512
"""Where an ordinary user cannot listen: nobody takes the segment's end while the relay is away."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Both ends; `uid` is the account that may use it, `tap` the port on the segment's bridge."""

    address: str
    number: int
    tap: str
    uid: int

    @property
    def guest_port(self) -> int:
        """Where the hypervisor listens, on every address: it cannot be told otherwise."""
        return guest_port(self.number)

    @property
    def segment_port(self) -> int:
        """Where the relay listens, on `address`."""
        return segment_port(self.number)


def guest_port(number: int) -> int:
    """The guest's end of a tunnel of that number."""
    return _GUESTS + number


def segment_port(number: int) -> int:
    """The segment's end of a tunnel of that number."""
    return _SEGMENTS + number


def address(bridge: str) -> str:
    """The address of this host at which the relays of a segment listen, made from its bridge's name."""
    digest = hashlib.sha256(f"vdenet tunnel\0{bridge}".encode()).digest()
    return f"127.83.{digest[0]}.{digest[1]}"

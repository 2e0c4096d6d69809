"""VLANs: which of them a port carries, on the kernel's bridge and on the VDE switch.

The segment's own network is VLAN 1 on both: the kernel's bridge puts a port without an order there, and the VDE
switch is told to. Between the two it travels with a tag, as every VLAN does, while there are VLANs at all: what
one side sends without a tag could be a frame whose sender hid a second tag under the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from vdenet.errors import BadValue
from vdenet.i18n import _

UNTAGGED = 1
"""The VLAN of the segment's own network."""
FIRST, LAST = 2, 4093
"""What a VLAN's number can be. IEEE 802.1Q has 1 to 4094; vde_switch of vde-2 r586 takes none beyond 4093."""
NO_VLAN = 4095
"""vde_switch's word for: nothing without a tag (NOVLAN in port.h)."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The VLANs of one port. `pvid` is where frames go that come without a tag; `untagged` are sent without
    their tag, `tagged` with it."""

    pvid: int | None = None
    untagged: frozenset[int] = frozenset()
    tagged: frozenset[int] = frozenset()

    def without(self, vlans: frozenset[int]) -> Membership:
        """The same, but for these."""
        return Membership(None if self.pvid in vlans else self.pvid, self.untagged - vlans, self.tagged - vlans)


def access(vlan: int = UNTAGGED) -> Membership:
    """A port in one VLAN, whose guest knows nothing of tags."""
    return Membership(vlan, frozenset({vlan}))


def of_guest(vlan: int | None, trunk: Iterable[int] = ()) -> Membership:
    """A guest's port: in its VLAN without a tag, and in those of `trunk` with one."""
    own = UNTAGGED if vlan is None else vlan
    return Membership(own, frozenset({own}), frozenset(trunk) - {own})


def between(vlans: Iterable[int]) -> Membership:
    """The bridge's port to the VDE switch: everything with a tag, see above.

    What comes without one is still taken for the segment's own network: the switch sends so until it has been told.
    """
    return Membership(UNTAGGED, frozenset(), frozenset({UNTAGGED, *vlans}))


def undeclared(segment: str, vlan: int, declared: Iterable[int]) -> BadValue:
    """What is wrong with a VLAN that the segment's configuration does not declare."""
    there = ", ".join(map(str, declared))
    why = _("{segment} has the VLANs {vlans}") if there else _("{segment} has no VLANs")
    return BadValue(what=_("VLAN"), value=str(vlan), why=why.format(segment=segment, vlans=there), segment=segment,
                    undeclared=vlan if FIRST <= vlan <= LAST else None)


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """A port of the VDE switch that is told apart from the others.

    `untagged` None: nothing without a tag. `user` is the only uid, beside root, that may plug in.
    """

    number: int
    untagged: int | None = UNTAGGED
    tagged: frozenset[int] = frozenset()
    reserved: bool = True
    """Only who asks for it by its number gets it."""
    user: int | None = None


@dataclass(frozen=True, slots=True)
class SwitchTable:
    """What the VDE switch has been told: its VLANs, and the ports that are not as the others."""

    vlans: frozenset[int] = frozenset()
    ports: Mapping[int, SwitchPort] = field(default_factory=dict)


def share_of_switch_ports(ports: int) -> int:
    """How many of a VDE switch with so many ports may be one user's guests' own: a quarter of those that can be any
    guest's, so that no member has all of them."""
    return max(1, ports // 2 // 4)


def free_switch_port(ports: int, taken: Collection[int], held: Collection[int]) -> int | None:
    """A number for a guest's own port on a VDE switch with so many ports; None where there is none left.

    From the last one down: guests that ask for none come from the first one up. `held` are the guests' own ports
    already. They stay theirs while they are off, so half of the switch is for those who come and go.
    """
    if len(held) >= ports // 2:
        return None
    return next((number for number in range(ports - 1, 1, -1) if number not in taken and number not in held), None)

"""What the VDE switch is told of VLANs and ports: as its start-up script, as a change, and read back.

The switch carries a script out between two frames, at its start before anybody can plug in. So no guest is ever
in a VLAN that is not its own. Every port is made beforehand: one that a guest's arrival makes is in VLAN 0, which
no port uses here. That VLAN would let a guest send a second tag past the switch: it takes the tag 0 off and passes on
what follows. Facts: src/vde_switch/port.c of vde-2 r586.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from vdenet.model.places import SWITCH_ACCOUNT
from vdenet.model.segment import Segment
from vdenet.model.vlans import NO_VLAN, UNTAGGED, SwitchPort, SwitchTable

BRIDGE_PORT = 1
"""The port of the tap: the switch opens it before anything else."""


def table(segment: Segment, guests: Iterable[SwitchPort] = (), trunk: bool = False) -> SwitchTable:
    """What the file, and guests that joined with a port of their own, want; `trunk` as `Wanted.vlan_filtering`.

    A guest whose VLAN is declared no longer hears nobody.
    """
    vlans = frozenset(vlan.id for vlan in segment.vlans)
    ports = {port.number: SwitchPort(port.number, port.vlan if port.vlan is not None
                                     else None if port.trunk else UNTAGGED, frozenset(port.trunk))
             for port in segment.ports}
    for port in guests:
        if port.number not in ports and 1 < port.number < segment.switch_ports:
            known = {port.untagged, *port.tagged} <= {None, UNTAGGED, *vlans}
            ports[port.number] = port if known else replace(port, untagged=None, tagged=frozenset())
    if trunk:
        ports[BRIDGE_PORT] = SwitchPort(BRIDGE_PORT, None, frozenset({UNTAGGED, *vlans}))
    return SwitchTable(vlans, ports)


def is_usual(port: SwitchPort, asked: bool) -> bool:
    """Whether a port is as those are that nobody has said anything of; `asked`: it is known who may plug in."""
    return port.untagged == UNTAGGED and not port.tagged and (
        not asked or (port.reserved is (port.number == BRIDGE_PORT) and port.user is None))


def script(wanted: SwitchTable, most: int) -> str:
    """The start-up script of a switch with `most` ports, the management's 0 counted."""
    lines = ["# Written by vdenetd; changes here are lost.", f"vlan/create {UNTAGGED}"]
    lines += [f"vlan/create {vlan}" for vlan in sorted(wanted.vlans)]
    for number in range(2, most):
        lines += [f"port/create {number}", f"port/allocatable {number} 1", f"port/setvlan {number} {UNTAGGED}"]
    lines += [f"port/setvlan {BRIDGE_PORT} {UNTAGGED}"]
    lines += _port(SwitchPort(BRIDGE_PORT), SwitchPort(BRIDGE_PORT))
    for number, port in sorted(wanted.ports.items()):
        lines += _port(port, SwitchPort(number))
    return "\n".join(lines) + "\n"


def change(before: SwitchTable, after: SwitchTable) -> str:
    """The script that makes a running switch what is wanted; empty when it is."""
    lines = [f"vlan/create {vlan}" for vlan in sorted(after.vlans - before.vlans)]
    for number in sorted({*before.ports, *after.ports}):
        ordinary = SwitchPort(number, reserved=number == BRIDGE_PORT)
        old, new = before.ports.get(number, ordinary), after.ports.get(number, ordinary)
        if old != new:
            lines += _port(new, old)
    lines += [f"vlan/remove {vlan}" for vlan in sorted(before.vlans - after.vlans)]
    return "\n".join([*lines, ""])


def given_back(before: SwitchTable, after: SwitchTable) -> list[int]:
    """The ports that an account had for itself and has no more."""
    return [number for number, port in sorted(before.ports.items()) if number != BRIDGE_PORT
            and port.user is not None and port.user != after.ports.get(number, SwitchPort(number)).user]


def _port(new: SwitchPort, old: SwitchPort) -> list[str]:
    """Out of what it must not have before into what it gets: never in both at once."""
    number = new.number
    lines = [f"vlan/delport {vlan} {number}" for vlan in sorted(old.tagged - new.tagged)]
    if old.untagged != new.untagged:
        lines.append(f"port/setvlan {number} {NO_VLAN if new.untagged is None else new.untagged}")
    lines += [f"vlan/addport {vlan} {number}" for vlan in sorted(new.tagged - old.tagged)]
    lines.append(f"port/allocatable {number} {int(not new.reserved)}")
    # Whoever could plug in beside the tap, when that is gone for a moment, would be in every VLAN.
    user = SWITCH_ACCOUNT if number == BRIDGE_PORT else "NONE" if new.user is None else str(new.user)
    return [*lines, f"port/setuser {number} {user}"]


_RESERVED = re.compile(r"(?m)^port/allocatable (\d+) 0$")


def told_apart(text: str) -> set[int]:
    """The ports that a start-up script reserves."""
    return {int(number) for number in _RESERVED.findall(text)}


_VLAN = re.compile(r"VLAN (\d+)")
_MEMBER = re.compile(r" -- Port (\d+) tagged=([01]) ")
_ACTIVE = re.compile(r"(?m)^ -- Port (\d+) tagged=[01] active=1 ")
_PORT = re.compile(r"Port (\d+) untagged_vlan=\d+ (?:IN)?ACTIVE - (NOT )?Unnamed Allocatable")
_USER = re.compile(r" Current User: \S+ Access Control: \(User: (\S+) - Group: \S+\)")


def memberships(text: str) -> SwitchTable:
    """What `vlan/allprint` says: the VLANs, and each port that is in another than the usual."""
    vlans: set[int] = set()
    ports: dict[int, SwitchPort] = {}
    vlan = 0
    for line in text.splitlines():
        if matched := _VLAN.fullmatch(line):
            vlan = int(matched[1])
            vlans.add(vlan)
        elif matched := _MEMBER.match(line):
            number = int(matched[1])
            port = ports.get(number, SwitchPort(number, None))
            ports[number] = replace(port, tagged=port.tagged | {vlan}) if matched[2] == "1" \
                else replace(port, untagged=vlan)
    return SwitchTable(frozenset(vlans - {0, UNTAGGED}), ports)


def active(text: str) -> set[int]:
    """The ports that somebody is plugged into, as `vlan/allprint` says."""
    return {int(number) for number in _ACTIVE.findall(text)}


_ENDPOINT = re.compile(r"(?m)^  -- endpoint ID (\d+) module ")


def endpoints(text: str) -> list[int]:
    """What `port/allprint N` says: by which number the switch knows each of those that are plugged in there."""
    return [int(number) for number in _ENDPOINT.findall(text)]


def access(text: str) -> tuple[bool, str | None] | None:
    """What `port/allprint N` says: whether the port is reserved, and for whom; None when there is no such port.

    Only the first two lines are the switch's own: the rest has words of whoever is plugged in.
    """
    first, _end, rest = text.partition("\n")
    matched, user = _PORT.match(first), _USER.match(rest.partition("\n")[0])
    if matched is None or user is None:
        return None
    return matched[2] is not None, None if user[1] == "NONE" else user[1]

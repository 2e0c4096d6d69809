"""Scripts of vde_switch, as its option --rcfile takes them: a command of its console in each line.

Facts: vde_switch(1); consmgmt.c (`handle_cmd`, `runscript`) and port.c of vde-2 r586. The switch goes on after a
command that fails, so one that it would refuse is no mistake here either, only said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from vdenet.i18n import _
from vdenet.model.segment import Port, Segment, Vlan
from vdenet.text.config import MAX_SWITCH_PORTS
from vdenet.text.foreign.draft import Draft

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
LAST_VLAN = 4093
"""The console makes no other; 4095 stands for none."""
NO_VLAN = 4095


@dataclass
class Plug:
    """A port that the script makes."""

    line: int
    untagged: int = 0
    tagged: dict[int, int] = field(default_factory=dict)
    """VLAN to the line that says so."""


@dataclass
class Switch:
    """The switch after the script; VLANs with the line that makes them."""

    vlans: dict[int, int] = field(default_factory=dict)
    ports: dict[int, Plug] = field(default_factory=dict)
    number: tuple[int, int] | None = None
    """How many ports, and the line."""
    tree: bool | None = None
    """Spanning tree on or off."""


def read(draft: Draft, text: str) -> Segment:
    """The segment with the switch of the script. Raises `BadImport`."""
    if draft.given is not None:
        draft.base = Segment(draft.base.name, draft.given, domain=draft.base.domain)
    switch = Switch()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            _carry_out(draft, switch, number, words)
    return _segment(draft, switch)


def _carry_out(draft: Draft, switch: Switch, line: int, words: list[str]) -> None:
    command, *rest = words
    if command in _CHANGES:
        count, change = _CHANGES[command]
        if len(rest) != count or not all(_NUMBER.fullmatch(word) for word in rest):
            raise draft.bad(line, (_("{command}: expected one number after it") if count == 1 else
                                   _("{command}: expected two numbers after it")).format(command=command))
        refused = change(switch, line, *map(int, rest))
        if refused:
            draft.leave_out(line, " ".join(words), refused)
        return
    menu, _slash, what = command.partition("/")
    if what in _SHOWS or command in ("help", "showinfo"):
        return
    draft.leave_out(line, " ".join(words), _REASONS.get(command, _REASONS.get(
        menu, lambda: _("no command that is known here")))())


# --- the commands, which answer why they have no effect ------------------------------------------------

def _create_vlan(switch: Switch, line: int, vlan: int) -> str | None:
    if not 1 <= vlan <= LAST_VLAN:
        return _("vde_switch makes VLANs from 1 to {last} only").format(last=LAST_VLAN)
    switch.vlans.setdefault(vlan, line)
    return None


def _remove_vlan(switch: Switch, _line: int, vlan: int) -> str | None:
    if any(vlan == port.untagged or vlan in port.tagged for port in switch.ports.values()):
        return _("vde_switch removes no VLAN that has ports")
    return None if switch.vlans.pop(vlan, None) else _no_vlan(vlan)


def _create_port(switch: Switch, line: int, number: int) -> str | None:
    if number < 1:
        return _("it makes any port that is free; a segment keeps those that have a number")
    switch.ports.setdefault(number, Plug(line))
    return None


def _remove_port(switch: Switch, _line: int, number: int) -> str | None:
    return None if switch.ports.pop(number, None) else _no_port(number)


def _set_vlan(switch: Switch, _line: int, number: int, vlan: int) -> str | None:
    if number not in switch.ports:
        return _no_port(number)
    if vlan not in (0, NO_VLAN) and vlan not in switch.vlans:
        return _no_vlan(vlan)
    switch.ports[number].untagged = vlan
    switch.ports[number].tagged.pop(vlan, None)
    return None


def _add_port(switch: Switch, line: int, vlan: int, number: int) -> str | None:
    if number not in switch.ports:
        return _no_port(number)
    if vlan not in switch.vlans:
        return _no_vlan(vlan)
    if switch.ports[number].untagged == vlan:
        return _("the port is in this VLAN without a tag")
    switch.ports[number].tagged.setdefault(vlan, line)
    return None


def _delete_port(switch: Switch, _line: int, vlan: int, number: int) -> str | None:
    if number not in switch.ports:
        return _no_port(number)
    return None if switch.ports[number].tagged.pop(vlan, None) else _("the port is not in this VLAN")


def _set_number(switch: Switch, line: int, number: int) -> str | None:
    if not 2 <= number <= MAX_SWITCH_PORTS:
        return _("a segment's switch has 2 to {most} ports").format(most=MAX_SWITCH_PORTS)
    switch.number = (number, line)
    return None


def _set_tree(switch: Switch, _line: int, on: int) -> str | None:
    switch.tree = on != 0
    return None


def _no_vlan(vlan: int) -> str:
    return _("vde_switch refuses it too: VLAN {vlan} has not been created").format(vlan=vlan)


def _no_port(number: int) -> str:
    return _("vde_switch refuses it too: port {number} has not been created").format(number=number)


_CHANGES: Mapping[str, tuple[int, Callable[..., str | None]]] = {
    "vlan/create": (1, _create_vlan),
    "vlan/remove": (1, _remove_vlan),
    "vlan/addport": (2, _add_port),
    "vlan/delport": (2, _delete_port),
    "port/create": (1, _create_port),
    "port/remove": (1, _remove_port),
    "port/setvlan": (2, _set_vlan),
    "port/setnumports": (1, _set_number),
    "fstp/setfstp": (1, _set_tree),
}
"""How many numbers they take, and what they do."""
_SHOWS = ("print", "allprint", "showinfo", "find", "list")
_REASONS: Mapping[str, Callable[[], str]] = {
    "port/allocatable": lambda: _("a port that is declared is always kept for those who ask for its number"),
    "port/preconfigure": lambda: _("a port that is declared is always kept for those who ask for its number"),
    "port/setuser": lambda: _("whoever may use the segment may use each port that is nobody's guest"),
    "port/setgroup": lambda: _("the group vdenet may use the switch"),
    "port/sethub": lambda: _("the switch is never a hub"),
    "port": lambda: _("the switch does this by itself, or not at all"),
    "hash": lambda: _("the switch keeps its own defaults for its table of addresses"),
    "fstp": lambda: _("spanning tree is on or off; the rest the switch keeps as it is"),
    "plugin": lambda: _("the switch runs no plugins: they are code in its process"),
    "debug": lambda: _("for the console's user only"),
    "load": lambda: _("import that file by itself"),
    "shutdown": lambda: _("for the console's user only"),
    "logout": lambda: _("for the console's user only"),
}
"""Why a command, or all of a menu's, has no like here."""


# --- the segment -----------------------------------------------------------------------------------------

def _segment(draft: Draft, switch: Switch) -> Segment:
    """The base with the switch's settings; what the script does not name stays, as when a switch loads it."""
    segment = replace(draft.base, ports=tuple(port for port in draft.base.ports if port.number not in switch.ports))
    if switch.tree is not None:
        segment = replace(segment, spanning_tree=switch.tree)
    if switch.number is not None:
        most, line = switch.number
        segment = draft.with_change(segment, replace(segment, switch_ports=most), line, f"port/setnumports {most}")
    last = max(switch.ports, default=0)
    if segment.switch_ports <= last < MAX_SWITCH_PORTS:
        segment = replace(segment, switch_ports=last + 1)
    known = {vlan.id for vlan in segment.vlans}
    segment = draft.with_entries(segment, "vlans", [
        (line, f"vlan/create {vlan}", Vlan(vlan)) for vlan, line in switch.vlans.items() if vlan not in known])
    found = [(port.line, f"port/create {number}", _port(draft, number, port))
             for number, port in sorted(switch.ports.items())]
    return draft.with_entries(segment, "ports", [entry for entry in found if entry[2] is not None])


def _port(draft: Draft, number: int, port: Plug) -> Port | None:
    """A port as a segment has it: in one VLAN without tags, or in several with tags, not both."""
    if port.untagged == NO_VLAN and not port.tagged:
        draft.leave_out(port.line, f"port/create {number}", _("a port in no VLAN hears nobody"))
        return None
    if port.untagged in (0, NO_VLAN):
        if port.tagged and port.untagged == 0:
            draft.leave_out(port.line, _("port {number}: frames without a tag").format(number=number),
                            _("a port has a vlan or a trunk, not both"))
        return Port(number, None, tuple(sorted(port.tagged)))
    for vlan, line in port.tagged.items():
        draft.leave_out(line, f"vlan/addport {vlan} {number}", _("a port has a vlan or a trunk, not both"))
    return Port(number, port.untagged)

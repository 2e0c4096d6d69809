"""The VDE switch, told of VLANs and ports while it runs."""

from __future__ import annotations

import pwd
from pathlib import Path

from vdenet.effect import files
from vdenet.effect.console import Console
from vdenet.errors import ToolFailed, VdenetError
from vdenet.i18n import _
from vdenet.model.places import SWITCH_ACCOUNT, Places
from vdenet.model.vlans import SwitchPort, SwitchTable
from vdenet.text import vde, vdeports


def tell(segment: str, before: SwitchTable, after: SwitchTable, places: Places) -> None:
    """Have the switch carry out the difference, as one script. Raises `ToolFailed`.

    Who is on a port that a guest gives back is unplugged before: he would be wherever the port is next.
    """
    now = told(segment, {*before.ports, *after.ports}, places)
    if now == after:
        return
    now = before if now is None else now
    for number in vdeports.given_back(now, after):
        _unplug(segment, number, places)
    script = places.switch_change(segment)
    files.write(script, vdeports.change(now, after), 0o640, SWITCH_ACCOUNT)
    try:
        with Console(Path(places.console(segment))) as console:
            said = console.ask_text(f"load {script}")
    except OSError as error:
        raise ToolFailed(what=_("set the ports of the VDE switch"), tool="vde_switch",
                         why=error.strerror or str(error)) from None
    if refused := vde.refused(said):
        raise ToolFailed(what=_("set the ports of the VDE switch"), tool="vde_switch", why=refused)


def told(segment: str, special: set[int], places: Places) -> SwitchTable | None:
    """What the switch has been told, as far as it is not the usual; None when it cannot be asked.

    `special` are the ports of which it is worth knowing who may plug in. Each is asked for by itself: after the
    switch's own first lines comes what the client says of itself, which may look like anything.
    """
    path = Path(places.console(segment))
    try:
        with Console(path) as console:
            found = vdeports.memberships(console.ask("vlan/allprint"))
        ports = dict(found.ports)
        for number in special | {vdeports.BRIDGE_PORT}:
            with Console(path) as console:
                said = vdeports.access(console.ask(f"port/allprint {number}"))
            if said is None:
                ports.pop(number, None)
                continue
            reserved, user = said
            port = ports.get(number, SwitchPort(number, None))
            ports[number] = SwitchPort(number, port.untagged, port.tagged, reserved, _uid(number, user))
    except (OSError, VdenetError):
        return None
    return SwitchTable(found.vlans, {number: port for number, port in ports.items()
                                     if not vdeports.is_usual(port, number in special)})


def active_ports(segment: str, places: Places) -> set[int]:
    """The ports that somebody is plugged into. Raises `ToolFailed` when the switch does not answer."""
    try:
        with Console(Path(places.console(segment))) as console:
            return vdeports.active(console.ask("vlan/allprint"))
    except OSError as error:
        raise ToolFailed(what=_("ask the VDE switch for a port"), tool="vde_switch",
                         why=error.strerror or str(error)) from None


def _unplug(segment: str, number: int, places: Places) -> None:
    """Close a port to those who are plugged in. Raises `ToolFailed` when the switch does not answer."""
    try:
        with Console(Path(places.console(segment))) as console:
            for endpoint in vdeports.endpoints(console.ask(f"port/allprint {number}")):
                console.ask_text(f"port/epclose {number} {endpoint}")  # one that has gone by itself is an error there
    except OSError as error:
        raise ToolFailed(what=_("close a port of the VDE switch"), tool="vde_switch",
                         why=error.strerror or str(error)) from None


def _uid(number: int, user: str | None) -> int | None:
    """Who may plug in; None for everybody, and for the switch itself on the bridge's port."""
    if user is None:
        return None if number != vdeports.BRIDGE_PORT else -1
    if number == vdeports.BRIDGE_PORT and user == SWITCH_ACCOUNT:
        return None
    try:
        return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1

"""A port of ours on an Open vSwitch bridge, by ovs-vsctl(8); the bridge itself is its admin's.

Open vSwitch keeps its ports over a reboot, so what is to be taken off one day is written down where that
lasts as long.
"""

from __future__ import annotations

from vdenet.effect import files, run
from vdenet.errors import Refused, ToolFailed, ToolMissing
from vdenet.i18n import _
from vdenet.model.places import Places

_TOOL = "ovs-vsctl"
_ARGUMENTS = (_TOOL, "--timeout=10", "--no-wait")
"""ovsdb-server answers at once; ovs-vswitchd, which may be starting, is not waited for."""


def plug(port: str, switch: str, segment: str, places: Places) -> None:
    """Make an interface a port of an Open vSwitch bridge. Raises `Refused`, `ToolFailed`."""
    what = _("plug {port} into the Open vSwitch bridge {switch}").format(port=port, switch=switch)
    try:
        bridges = run.run([*_ARGUMENTS, "list-br"], what=what).split()
    except ToolMissing:
        raise Refused(what=what, why=_("Open vSwitch is not installed"),
                      hint="apt install openvswitch-switch") from None
    if switch not in bridges:
        raise Refused(what=what, why=_("there is no such bridge"), hint=f"ovs-vsctl add-br {switch}")
    files.write(places.patch(segment), switch, 0o600, "root")
    run.run([*_ARGUMENTS, "--may-exist", "add-port", switch, port, "--", "set", "Interface", port,
             f"external_ids:vdenet={segment}"], what=what)


def unplug(port: str, switch: str, segment: str, places: Places) -> None:
    """Take our port off; that it is off already is no error. Raises `ToolFailed`."""
    try:
        run.run([*_ARGUMENTS, "--if-exists", "del-port", switch, port],
                what=_("take {port} off the Open vSwitch bridge {switch}").format(port=port, switch=switch))
    except ToolMissing:
        pass  # and all its bridges with it
    files.remove(places.patch(segment))


def bridge_of(port: str) -> str | None:
    """The Open vSwitch bridge that has this port; None for none, and where it cannot be asked."""
    try:
        return run.run([*_ARGUMENTS, "port-to-br", port], what="ask Open vSwitch").strip() or None
    except (ToolFailed, ToolMissing):
        return None

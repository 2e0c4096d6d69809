"""Networks of other programs, read from their files and written as a segment: what `import` does.

Each format has a module; `Draft` collects what it finds and what could not be carried over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Interface

from vdenet.errors import BadImport
from vdenet.i18n import _
from vdenet.model.segment import Segment
from vdenet.text.foreign import libvirt, lxcnet, vde
from vdenet.text.foreign.draft import Draft, Imported, LeftOut

__all__ = ["FORMATS", "Imported", "LeftOut", "SWITCH", "read", "recognise"]

SWITCH = "vde"
FORMATS: Mapping[str, Callable[[Draft, str], Segment]] = {
    SWITCH: vde.read,
    "lxc-net": lxcnet.read,
    "libvirt": libvirt.read,
}
"""From what `--from` calls a format to what reads it."""

_LXC = re.compile(r"\s*(?:export\s+)?(?:USE_)?LXC_[A-Z0-9_]+=", re.ASCII)
_VDE = re.compile(r"\s*(?:ds|debug|fstp|hash|plugin|port|vlan)/[a-z]+", re.ASCII)


def recognise(text: str, where: str) -> str:
    """Which of `FORMATS` a text has. Raises `BadImport`."""
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return "libvirt"
    lines = text.splitlines()
    for name, line in (("lxc-net", _LXC), (SWITCH, _VDE)):
        if any(line.match(each) for each in lines):
            return name
    raise BadImport(where=where, why=_("it is no script of vde_switch, no /etc/default/lxc-net and no network of "
                                       "libvirt's"), hint=_("--from says which it is"))


def read(format: str, text: str, where: str, base: Segment, address: IPv4Interface | None = None) -> Imported:
    """What a file says, as a segment. Raises `BadImport` with file and line.

    `base` is the segment whose switch a script of vde_switch describes; of the other formats, which describe
    a segment as a whole, it gives the name. `address` is the host's where the file names none.
    """
    draft = Draft(where, base, address)
    return draft.finished(FORMATS[format](draft, text))

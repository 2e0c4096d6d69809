"""What a bridged segment is one Ethernet with: one of `uplink`, `adopt`, `openvswitch`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vdenet.i18n import _
from vdenet.model.segment import Mode
from vdenet.text.config.reader import Reader

KEYS = ("uplink", "adopt", "openvswitch")
_FOREIGN = ("address", "address6", "dhcp", "host", "record", "netboot", "vlan", "open", "host_access", "reach")
"""What the network outside has a say in, not we."""
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,14}", re.ASCII)
"""Interface names are 1 to 15 characters (IFNAMSIZ in linux/if.h); of those that the kernel takes, these."""


def read(reader: Reader, table: Mapping[str, Any], mode: Mode) -> dict[str, str]:
    """The one key that says it, with the interface's name; empty for another mode than bridged."""
    given = [key for key in KEYS if key in table]
    if mode is not Mode.BRIDGED:
        if given:
            raise reader.bad(given[0], _("only for a segment of mode \"bridged\""))
        return {}
    if len(given) != 1:
        raise reader.bad(given[1] if given else "mode", _("a bridged segment needs one of {keys}").format(
            keys=", ".join(KEYS)))
    for key in _FOREIGN:
        if key in table:
            raise reader.bad(key, _("not for a bridged segment: the network outside has its own"))
    key, = given
    name = reader.text(table, key) or ""
    if not _INTERFACE.fullmatch(name) or name in (".", "..", "lo"):
        raise reader.bad(key, _("expected the name of an interface, such as \"eth0\""))
    return {key: name}

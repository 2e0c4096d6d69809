"""Words of nft(8) from values of ours and of others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vdenet.errors import BadValue
from vdenet.i18n import _

_INTERFACE = re.compile(r"[A-Za-z0-9._:@-]{1,15}", re.ASCII)


def set_of(values: Sequence[object]) -> str:
    """An anonymous set."""
    return "{ " + ", ".join(str(value) for value in values) + " }"


def quoted(interface: str) -> str:
    """An interface name as nft reads it; other programs name their ports as they like. Raises `BadValue`."""
    if not _INTERFACE.fullmatch(interface):
        raise BadValue(what=_("interface name"), value=interface,
                       why=_("it does not fit into a firewall rule"))
    return f'"{interface}"'

"""What may stand as one word in dnsmasq's files."""

from __future__ import annotations

import re

from vdenet.errors import BadValue
from vdenet.i18n import _

_WORD = re.compile(r"[A-Za-z0-9._:/\[\]*-]+", re.ASCII)


def word(value: object) -> str:
    """`value` as text, when it is one plain word of a directive. Raises `BadValue`."""
    text = str(value)
    if not _WORD.fullmatch(text):
        raise BadValue(what=_("value"), value=text, why=_("it does not fit into dnsmasq's configuration"))
    return text

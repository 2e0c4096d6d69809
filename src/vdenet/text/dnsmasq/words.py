"""What may stand as one word in dnsmasq's files."""

from __future__ import annotations

import re

from vdenet.errors import BadValue
from vdenet.i18n import _

_WORD = re.compile(r"[A-Za-z0-9._:/\[\]*-]+", re.ASCII)
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?", re.ASCII)
_URL = re.compile(r"[A-Za-z0-9._~/%+@=&?:-]{1,127}", re.ASCII)
_STRING = re.compile(r"[ !#-\[\]-~]{1,255}", re.ASCII)


def word(value: object) -> str:
    """`value` as text, when it is one plain word of a directive. Raises `BadValue`."""
    return _checked(_WORD, str(value))


def name(text: str) -> str:
    """A whole domain name; a label may begin with an underscore (RFC 2782). Raises `BadValue`."""
    return _checked(_NAME, text)


def url(text: str) -> str:
    """A URL or the name of a file, without a comma or a blank. Raises `BadValue`."""
    return _checked(_URL, text)


def quoted(text: str) -> str:
    """Any printable text that needs no escape, in quotes: a comma in it is one. Raises `BadValue`."""
    return f'"{_checked(_STRING, text)}"'


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise BadValue(what=_("value"), value=text, why=_("it does not fit into dnsmasq's configuration"))
    return text

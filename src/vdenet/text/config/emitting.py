"""From a segment to the shortest file that says it: `parse(emit(segment))` is the segment again.

Every field is written under its own name, as a key of the segment, unless `_ELSEWHERE` says where; what
equals its default is left out. A field of a type that has no TOML here is a `TypeError`, so a new one
cannot be forgotten: tests/unit/text/test_emit.py goes through the dataclasses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any

from vdenet.model.segment import OpenPort, Segment
from vdenet.text.config import dhcp

_ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "dhcp": ("[dhcp]", "enabled"),
    "guest_dhcp": ("", "dhcp"),
    "dhcp_range": ("[dhcp]", "range"),
    "lease_seconds": ("[dhcp]", "lease"),
    "switch_ports": ("[switch]", "ports"),
    "spanning_tree": ("[switch]", "spanning_tree"),
    "open_ports": ("", "open"),
    "hosts": ("[[host]]", ""),
    "records": ("[[record]]", ""),
    "netboot": ("[netboot]", ""),
    "plugs": ("[[plug]]", ""),
    "vlans": ("[[vlan]]", ""),
    "ports": ("[[port]]", ""),
}
"""Field to table and key, where that is not the segment's own key of the same name."""

_BY_GUEST = ("dhcp", "guest_dhcp")
"""One key says both."""

_SHORT: Mapping[str, str] = {"dhcp_range": "range", "lease_seconds": "lease"}
"""Fields of an entry of several whose key is another word."""

_ALWAYS = ("mode", "domain")
"""Written even when it is the default: a reader looks for it."""

_ADDRESSES = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)


def emit(segment: Segment, comment: str = "") -> str:
    """The file, below `comment` (plain lines, without `#`). Its name, which is the file's, is not in it."""
    tables: dict[str, list[str]] = {"": [f"# {line}".rstrip() + "\n" for line in comment.splitlines()]}
    for field in fields(segment):
        value = getattr(segment, field.name)
        if segment.guest_dhcp and field.name in _BY_GUEST:
            value = dhcp.BY_GUEST if field.name == "guest_dhcp" else _default(field)
        if field.name == "name" or value is None or (field.name not in _ALWAYS and value == _default(field)):
            continue
        table, key = _ELSEWHERE.get(field.name, ("", field.name))
        if table.startswith("[["):
            for entry in value:
                tables.setdefault(table, []).append(f"\n{table}\n" + "".join(_entry(entry)))
        elif is_dataclass(value) and not key:
            tables[table] = [f"\n{table}\n", *_entry(value)]
        else:
            tables.setdefault(table, [f"\n{table}\n"] if table else []).append(f"{key} = {toml(value)}\n")
    # A table ends only where another begins.
    return "".join(line for table in sorted(tables, key=lambda t: (t.count("["), t)) for line in tables[table])


def _entry(entry: Any) -> Iterable[str]:
    """The keys of one table of several."""
    if not is_dataclass(entry):
        raise TypeError(f"no table: {entry!r}")
    for field in fields(entry):
        value = getattr(entry, field.name)
        if value != _default(field):
            yield f"{_SHORT.get(field.name, field.name)} = {toml(value)}\n"


def _default(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def toml(value: object) -> str:
    """A value as TOML. Raises `TypeError` for one that has no such form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, StrEnum):
        return toml(str(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, OpenPort):
        return toml(f"{value.protocol}/{value.port}")
    if isinstance(value, _ADDRESSES):
        return toml(str(value))
    if isinstance(value, str):
        # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    raise TypeError(f"no TOML for {value!r}: see vdenet.text.config.emitting")

"""The tables [[plug]]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vdenet.i18n import _
from vdenet.model import names, plug
from vdenet.model.places import Places
from vdenet.model.plug import Local, Plug
from vdenet.text.config.reader import Reader

KEYS = ("url", "name", "port")

MAX_COUNT = 16


def read(reader: Reader, table: Mapping[str, Any], segment: str, ports: int) -> tuple[Plug, ...]:
    """The plugs, in the order of the file; `ports` is how many the segment's own switch has."""
    plugs: list[Plug] = []
    for nth, entry in enumerate(reader.tables(table, "plug")):
        if nth == MAX_COUNT:
            raise reader.bad("plug", _("there are more than {most}").format(most=MAX_COUNT), nth)
        reader.known(entry, KEYS, "plug.", nth)
        found = _plug(reader, entry, segment, ports, nth)
        for key in KEYS:
            value = getattr(found, key)
            if value is not None and any(getattr(other, key) == value for other in plugs):
                raise reader.bad(f"plug.{key}", _("another [[plug]] has it already"), nth)
        plugs.append(found)
    return tuple(plugs)


def _plug(reader: Reader, entry: Mapping[str, Any], segment: str, ports: int, nth: int) -> Plug:
    text = reader.text(entry, "url", "plug.", nth)
    if text is None:
        raise reader.bad("plug", _("every [[plug]] needs a url"), nth)
    target = reader.checked("plug.url", text, plug.target, nth)
    if isinstance(target, Local) and target.path == str(Places().switch(segment)):
        raise reader.bad("plug.url", _("it is the segment's own switch"), nth)
    name = reader.text(entry, "name", "plug.", nth)
    if name is not None:
        name = reader.checked("plug.name", name, names.guest_name, nth)
    port = entry.get("port")
    # Port 0 is the switch's own, the first is the bridge's.
    number = None if port is None else reader.number(port, "plug.port", 2, ports - 1, nth)
    return Plug(str(target), name, number)

"""One module a kind of guest: how its hypervisor is asked, and what joining does to it.

A kind only looks and answers with data (`vdenet.model.joining`); `vdenet.cli.guests` carries it out. Add a
kind: write the module with a class like `Kind` below, put it into `TABLE`, its text parsing into
`vdenet.text`, a row into README's table, and tests against the real tool.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from vdenet.model.joining import Found, Joining, Leaving, Place, Wish


class Kind(Protocol):
    """What every kind of guest can do. All raise `ToolMissing`, `ToolFailed`, `NoGuest`, `Refused`."""

    name: str

    def find(self, guest: str, wish: Wish, bridge: str, switch: str) -> Found:
        """Look the guest up, as the caller; change nothing."""
        ...

    def join(self, guest: str, wish: Wish, place: Place) -> Joining:
        """What puts the guest on the segment; no actions when it is there already."""
        ...

    def leave(self, guest: str, bridge: str, switch: str, memory: dict[str, object] | None) -> Leaving:
        """What takes it off; `memory` is what `join` left, None when it was joined by hand."""
        ...


TABLE: dict[str, str] = {}
"""Kind to `module:Class` below this package; imported when it is used."""


def kind(name: str) -> Kind:
    """The kind of that name, one of `TABLE`."""
    module, _colon, attribute = TABLE[name].partition(":")
    return cast(Kind, getattr(import_module(f"{__name__}.{module}"), attribute)())

"""The fast spanning tree of a VDE switch, asked for and switched while it runs: guests on it notice nothing."""

from __future__ import annotations

from pathlib import Path

from vdenet.effect.console import Console
from vdenet.errors import ToolFailed, VdenetError
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.text import vde


def is_on(segment: str, places: Places) -> bool | None:
    """Whether it is on; None when the switch cannot be asked."""
    try:
        with Console(Path(places.console(segment))) as console:
            return vde.spanning_tree(console.ask("fstp/showinfo"))
    except (OSError, VdenetError):
        return None


def switch(segment: str, on: bool, places: Places) -> None:
    """Switch it. Raises `ToolFailed`."""
    try:
        with Console(Path(places.console(segment))) as console:
            console.ask(f"fstp/setfstp {int(on)}")
    except OSError as error:
        raise ToolFailed(what=_("set the spanning tree of the VDE switch"), tool="vde_switch",
                         why=error.strerror or str(error)) from None

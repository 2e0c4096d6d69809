"""/etc/lxc/lxc-usernet, which lets containers of ordinary users onto bridges (lxc-usernet(5)).

The file is the administrator's. The package has put one line there for the default segment; a further segment gets
the like of it while that line stands, and none when the administrator has taken it out. A line is for the bridge of
the segment's own: onto one that it has adopted, the administrator alone lets people.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vdenet.effect import files
from vdenet.errors import VdenetError
from vdenet.model.places import LXC_USERNET
from vdenet.text import lxc


def let_in(bridge: str) -> str | None:
    """Let members' containers onto a bridge, as onto the default one; why that could not be done, else None."""
    return _change(lambda text: lxc.let_in(text, bridge))


def shut_out(bridge: str) -> str | None:
    """Take the group's line for a bridge out; why that could not be done, else None."""
    return _change(lambda text: lxc.shut_out(text, bridge))


def _change(edit: Callable[[str], str]) -> str | None:
    try:
        before = Path(LXC_USERNET).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    after = edit(before.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    try:
        if after != before:
            files.rewrite(LXC_USERNET, before, after)
    except VdenetError as error:
        return str(error)
    return None

"""What a kind says is to be done to a guest, carried out in the user's name: all of it, or nothing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from vdenet.cli import interruption, plug, tools
from vdenet.errors import Refused, ToolTimedOut, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Action, EditFile, Plug, RunTool

_SECONDS = 150.0
"""VirtualBox waits a minute for a card that will not stop, and goes on then (PDMR3Thread.cpp)."""


def perform(actions: Sequence[Action], tell: Callable[[str], object] = lambda _text: None) -> list[str]:
    """Carry the actions out in order; when one fails, take back those before it. Raises its error, `Terminated`.

    What is not as it should be all the same, for people. They are told by `tell` of what is taken back meanwhile.
    """
    done: list[Action] = []
    said: list[str] = []
    with interruption.raised_once():
        try:
            for action in actions:
                done.append(action)
                said += _do(action)
        except BaseException as error:
            with interruption.kept_out():
                if isinstance(error, KeyboardInterrupt | interruption.Terminated):
                    with contextlib.suppress(OSError):  # the terminal may be gone
                        tell(_("taking back what was done"))
                _take_back(done, tell, isinstance(error, _CUT_OFF))
            raise
    return said


_CUT_OFF = (KeyboardInterrupt, interruption.Terminated, ToolTimedOut)
"""Then the last action may have been done: VBoxManage only asks for what it is to do. A tool that fails has not."""


def _take_back(done: Sequence[Action], tell: Callable[[str], object], cut_off: bool) -> None:
    last = done[-1] if done else None
    for action in reversed(done):
        if action is last and not cut_off:
            continue
        try:
            _undo(action)
        except VdenetError as error:
            if action is not last:
                with contextlib.suppress(OSError):
                    tell(_("could not be taken back: {error}").format(error=error) + _by_hand(action))
            elif isinstance(action, RunTool):  # a file is changed at once, or not at all
                with contextlib.suppress(OSError):
                    tell(_("may not have been taken back: {error}").format(error=error) + _by_hand(action))


def _by_hand(action: Action) -> str:
    if not isinstance(action, RunTool):
        return ""
    return "\n" + _("by hand: {command}").format(command=RunTool(action.undo, input=action.undo_input))


def shown(actions: Sequence[Action]) -> str:
    """The actions for people, as a dry run has them."""
    return "\n".join(str(action) for action in actions) or _("nothing to do")


def _do(action: Action) -> list[str]:
    match action:
        case RunTool():
            tools.ask(action.argv, _SECONDS, input=action.input)
        case EditFile():
            _replace(action.path, action.before, action.after)
        case Plug():
            return plug.plug(action)
    return []


def _undo(action: Action) -> None:
    match action:
        case RunTool():
            if action.undo:
                tools.ask(action.undo, _SECONDS, input=action.undo_input)
        case EditFile():
            _replace(action.path, action.after, action.before)


def _replace(name: str, before: str | None, after: str | None) -> None:
    """Write a file of the user's, keeping its mode; refused when it is no longer as it was read."""
    path = Path(name)
    path = path.resolve() if path.is_symlink() else path
    try:
        now = path.read_bytes().decode(errors="surrogateescape") if path.exists() else None
        if now != before:
            raise Refused(what=_("change {path}").format(path=name), why=_("somebody else changed it meanwhile"))
        if after is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        status = path.stat() if before is not None else None
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(after.encode(errors="surrogateescape"))
                file.flush()
                # By its number: in a directory of somebody else's the name may be another file's by now.
                if status is not None and os.geteuid() == 0:
                    os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, status.st_mode & 0o7777 if status else 0o644)
                os.fsync(fd)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Refused(what=_("change {path}").format(path=name), why=error.strerror or str(error)) from None

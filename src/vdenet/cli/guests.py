"""join and leave of guests that exist already: the way that all kinds share.

Look the guest up, reserve its name at the daemon, carry out what the kind says, remember what was there
before. When an action fails, those before it are taken back and the name is freed: nothing is half done.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vdenet.cli import answers, kinds, memory, tools
from vdenet.cli.client import Client, connect
from vdenet.cli.output import Output
from vdenet.errors import Refused, SegmentDown, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Action, EditFile, Joining, Place, RunTool, Wish
from vdenet.model.names import derived_mac
from vdenet.model.report import SegmentReport, State


def join(kind_name: str, guest: str, name: str | None, wish: Wish, segment: str, dry_run: bool,
         output: Output) -> None:
    """Put the guest on the segment. Raises what the kind, the tools and the daemon raise."""
    kind = kinds.kind(kind_name)
    with connect() as daemon, memory.alone(kind_name, guest):
        where = _segment(daemon, segment)
        found = kind.find(guest, wish, where.bridge, where.switch)
        label = name or found.label
        if dry_run:
            mac = found.mac or derived_mac(segment, str(os.getuid()), label)
            reserved = {"name": label, "mac": mac, "fqdn": f"{label}.{where.domain}"}
        else:
            reserved = daemon.call("Reserve", segment=segment, name=label, mac=found.mac,
                                   kind=kind_name).parameters
        try:
            place = Place(segment, where.bridge, where.switch, answers.text(reserved, "name"),
                          answers.text(reserved, "mac"))
            joining = kind.join(guest, wish, place)
            if not dry_run and joining.actions:
                perform(joining.actions)
        except BaseException:
            if not dry_run and not found.joined:
                with contextlib.suppress(VdenetError):
                    daemon.call("Leave", segment=segment, name=label, kind=kind_name)
            raise
        if not dry_run and joining.actions:
            # What was there before the first join is what leave puts back, however often it was joined since.
            earlier = memory.load(kind_name, guest) if found.joined else None
            memory.save(kind_name, guest, {**joining.memory, **(earlier or {}),
                                           "segment": segment, "name": place.name})
    _tell(kind_name, guest, reserved, segment, joining, found.running, dry_run, output)


def _tell(kind: str, guest: str, reserved: dict[str, Any], segment: str, joining: Joining, running: bool,
          dry_run: bool, output: Output) -> None:
    changed = bool(joining.actions)
    document = {
        "segment": segment, "kind": kind, "guest": guest, "name": answers.text(reserved, "name"),
        "mac": answers.text(reserved, "mac"), "fqdn": answers.text(reserved, "fqdn"), "via": joining.via,
        "nic": joining.nic, "why": joining.why, "changed": changed and not dry_run,
        "live": joining.live, "running": running, "actions": [str(action) for action in joining.actions]}
    if dry_run:
        output.result("\n".join(str(action) for action in joining.actions) or _("nothing to do"), document)
        return
    if not changed:
        output.remark(_("{guest} is on {segment} already, as {fqdn}").format(
            guest=guest, segment=segment, fqdn=document["fqdn"]), document)
        return
    lines = [_("{guest} joins {segment} as {fqdn}, {mac}, by {via}: {why}").format(
        guest=guest, segment=segment, fqdn=document["fqdn"], mac=document["mac"], via=joining.via,
        why=joining.why)]
    if running and not joining.live:
        lines.append(_("it is running: its next start brings it onto the segment"))
    output.remark("\n".join(lines), document)


def leave(kind_name: str, guest: str, segment: str, dry_run: bool, output: Output) -> None:
    """Take the guest off the segment and put back what was there before `join`."""
    kind = kinds.kind(kind_name)
    with connect() as daemon, memory.alone(kind_name, guest):
        where = _segment(daemon, segment, must_be_up=False)
        remembered = memory.load(kind_name, guest)
        leaving = kind.leave(guest, where.bridge, where.switch, remembered)
        name = str(remembered.get("name")) if remembered else None
        if not dry_run:
            perform(leaving.actions)
            memory.forget(kind_name, guest)
            if name is not None:
                daemon.call("Leave", segment=segment, name=name, kind=kind_name)
    left = bool(leaving.actions)
    document = {"segment": segment, "kind": kind_name, "guest": guest, "name": name,
                "left": left and not dry_run, "live": leaving.live,
                "actions": [str(action) for action in leaving.actions]}
    if dry_run:
        output.result("\n".join(str(action) for action in leaving.actions) or _("nothing to do"), document)
    else:
        text = _("{guest} has left {segment}") if left else _("{guest} is not on {segment}")
        output.remark(text.format(guest=guest, segment=segment), document)


def perform(actions: Sequence[Action]) -> None:
    """Carry the actions out in order; when one fails, take back those before it. Raises its error."""
    done: list[Action] = []
    for action in actions:
        try:
            _do(action)
        except BaseException:
            for earlier in reversed(done):
                with contextlib.suppress(VdenetError):
                    _undo(earlier)
            raise
        done.append(action)


def _do(action: Action) -> None:
    match action:
        case RunTool():
            tools.ask(action.argv, seconds=60)
        case EditFile():
            _replace(action.path, action.before, action.after, action.encoding)


def _undo(action: Action) -> None:
    match action:
        case RunTool():
            if action.undo:
                tools.ask(action.undo, seconds=60)
        case EditFile():
            _replace(action.path, action.after, action.before, action.encoding)


def _replace(name: str, before: str | None, after: str | None, encoding: str) -> None:
    """Write a file of the user's, keeping its mode; refused when it is no longer as it was read."""
    path = Path(name)
    path = path.resolve() if path.is_symlink() else path
    try:
        now = path.read_bytes().decode(encoding) if path.exists() else None
        if now != before:
            raise Refused(what=_("change {path}").format(path=name), why=_("somebody else changed it meanwhile"))
        if after is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(after.encode(encoding))
                file.flush()
                os.fsync(file.fileno())
            status = path.stat() if before is not None else None
            os.chmod(temporary, status.st_mode & 0o7777 if status else 0o644)
            if status is not None and os.geteuid() == 0:
                os.chown(temporary, status.st_uid, status.st_gid)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Refused(what=_("change {path}").format(path=name), why=error.strerror or str(error)) from None


def _segment(daemon: Client, name: str, must_be_up: bool = True) -> SegmentReport:
    report = answers.segments(daemon.call("List", segment=name).parameters)[0]
    if must_be_up and report.state is State.DOWN:
        raise SegmentDown(what=_("join"), segment=name)
    return report

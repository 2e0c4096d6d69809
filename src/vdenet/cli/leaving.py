"""leave of guests that exist already: what `vdenet.cli.guests` did, taken back."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from vdenet.cli import access, answers, carrying, claims, documents, kinds, memory, tunnelling
from vdenet.cli.client import ask, require_access
from vdenet.cli.complain import PROGRAM
from vdenet.cli.memory import Entry
from vdenet.cli.output import Output
from vdenet.errors import NoGuest, NotPermitted, Refused, ToolMissing, UnknownSegment, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Leaving, Where
from vdenet.model.names import DEFAULT_SEGMENT
from vdenet.model.places import Places
from vdenet.model.report import GuestReport, SegmentReport

_PATIENCE = 10
"""Seconds for a guest's own system to let go of a card."""
_NOTHING = Leaving((), live=False)


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a guest stands: what `join` left of it, and what takes it off."""

    earlier: Entry | None
    where: Where | None
    """None when its hypervisor cannot be asked any more."""
    leaving: Leaving
    id: str | None = None
    """The hypervisor's own for it, where that can be asked."""
    gone: Sequence[Entry] = ()
    """Guests that were called the same, and are no more."""
    said: str | None = None


def leave(kind: str, guest: str, uri: str | None, segment: str, dry_run: bool, output: Output) -> None:
    """Take the guest off the segment and put back what was there before `join`."""
    require_access()
    with memory.alone(kind):
        report, unknown = _report(kind, segment)
        stands = _look(kind, guest, uri, segment, report)
        earlier, leaving = stands.earlier, stands.leaving
        if earlier is None and unknown is not None:
            raise unknown
        guests = () if report is None else report.guests
        on = next((one for one in guests if one.kind == kind and one.joined and one.mac == leaving.mac), None)
        _require_permission(kind, guest, on, earlier, [
            *(("--connect", uri) if uri is not None else ()),
            *(("--segment", segment) if segment != DEFAULT_SEGMENT else ())])
        name = earlier.name if earlier else on.name if on else None
        names = [] if report is None else list(dict.fromkeys(one for one, mac in (
            (name, leaving.mac), *((old.name, None) for old in stands.gone))
            if one is not None and not claims.is_anothers(report, one, mac)))
        left = bool(leaving.actions)
        holds_on = False
        lost: list[str] = []
        if not dry_run:
            first = names if leaving.guest_port is not None else []
            left |= _carry_out(kind, guest, segment, uri, first, stands, on, output)
            lost = tunnelling.left_behind(leaving.guest_port)
            holds_on = stands.where is not None and leaving.lingers and _is_still_on(
                kind, guest, uri, stands.where, leaving.live)
            left &= not holds_on
            for each in names if not (holds_on or first) else ():
                left |= bool(ask("Leave", segment=segment, name=each, kind=kind).get("left"))
            for old in (() if holds_on else (earlier, *stands.gone)):
                if old is not None:
                    memory.forget(kind, segment, old.id)
    by_kind = [*([leaving.note] if leaving.actions and leaving.note is not None else []), *lost]
    notes = [*by_kind, *([stands.said] if stands.said is not None else [])]
    document = documents.left(segment, kind, guest, name if name in names else None, left=left and not dry_run,
                              live=leaving.live, actions=[str(action) for action in leaving.actions], notes=notes)
    if stands.said is not None:
        output.aside(stands.said)
    if dry_run:
        output.result(carrying.shown(leaving.actions) if leaving.actions or not names else
                      "\n".join(_("{name} leaves {segment}").format(name=each, segment=segment) for each in names),
                      document)
        return
    if holds_on:
        text = _("{guest} is still on {segment}: what runs in it has not let go of the card; leave again when it "
                 "has, or when it is off")
    else:
        text = _("{guest} has left {segment}") if left else _("{guest} is not on {segment}")
        if leaving.actions and leaving.running and not leaving.live:
            text += "\n" + _("it is running: it is off the segment when it ends")
    output.remark("\n".join((text.format(guest=guest, segment=segment), *by_kind)), document)


def _carry_out(kind: str, guest: str, segment: str, uri: str | None, first: Sequence[str], stands: _Standing,
               on: GuestReport | None, output: Output) -> bool:
    """What the kind says is to be done; whether the daemon knew one of the names that leave `first`.

    Those are a tunnel's, of a guest that runs, which ends before its hypervisor lets go of it: see
    `vdenet.cli.tunnelling`. Raises what the tools and the daemon raise; then the guest has its tunnel back.
    """
    had = False
    try:
        for each in first:
            had |= bool(ask("Leave", segment=segment, name=each, kind=kind).get("left"))
        carrying.perform(stands.leaving.actions)
    except BaseException:
        if first and stands.where is not None and stands.id is not None:
            name = stands.earlier.name if stands.earlier else on.name if on else None
            vlan = stands.earlier.vlan if stands.earlier else on.vlan if on else None
            mine = on is None or on.owner in (None, access.account().name)
            if name is None or not mine or not tunnelling.put_back(
                    kind, stands.id, uri, stands.where, name, stands.leaving.mac, vlan, stands.leaving.guest_port):
                output.aside(tunnelling.ended(guest))
        raise
    return had


def _report(kind: str, segment: str) -> tuple[SegmentReport | None, UnknownSegment | None]:
    """The segment; or, when it has been deleted since guests of the caller's joined it, why there is none.

    Then the daemon knows nothing of them any more, but they are still as `join` made them. Raises
    `UnknownSegment` when none is known to have joined.
    """
    try:
        return answers.segment(ask("List", segment=segment)), None
    except UnknownSegment as error:
        if not memory.of(kind, segment):
            raise
        return None, error


def _where(report: SegmentReport | None, earlier: Entry | None) -> Where | None:
    """The segment's names and paths: as they are, or as they were when the guest joined."""
    if report is not None:
        return answers.where(report)
    return None if earlier is None else Where(
        earlier.segment, earlier.bridge or earlier.segment,
        earlier.switch or str(Places().switch(earlier.segment)))


def _look(kind: str, guest: str, uri: str | None, segment: str, report: SegmentReport | None) -> _Standing:
    """Raises what the kind and its tools raise."""
    try:
        looked_up = _look_up(kind, guest, uri, segment)
        gone = claims.predecessors(kind, segment, guest, looked_up.id, uri)
        earlier = memory.load(kind, segment, looked_up.id)
        if earlier is None and gone and kind in kinds.BY_PATH:
            earlier = gone[0]
        where = _where(report, earlier)
        leaving = _NOTHING if where is None else looked_up.leave(where, earlier.data if earlier else None)
        if earlier is None and leaving.mac is not None:
            earlier = claims.renamed(kind, segment, guest, looked_up.id, leaving.mac)
            if earlier is not None and where is not None:
                leaving = looked_up.leave(where, earlier.data)
        return _Standing(earlier, where, leaving, looked_up.id, gone)
    except (NoGuest, ToolMissing) as error:
        # Its hypervisor knows it no more, or is no more: what is left of it is its name here.
        earlier = memory.called(kind, segment, guest)
        if earlier is None:
            raise
        said = None
        if isinstance(error, ToolMissing):
            said = _("what joining changed in {guest} stays, since {tool} is not installed").format(
                guest=guest, tool=error.data.get("tool"))
        elif kind not in kinds.BY_ID:
            said = _("no guest is called {guest} any more: if it was renamed, what joining changed in it stays until "
                     "it leaves by its new name").format(guest=guest)
        return _Standing(earlier, None, _NOTHING, said=said)


def _look_up(kind: str, guest: str, uri: str | None, segment: str) -> kinds.Guest:
    """The guest; one that was called so when it joined, and was renamed since, is found by its id.

    Before one, too, that is not called so, but whose id begins like that.
    """
    known = memory.all_called(kind, segment, guest) if kind in kinds.BY_ID else []
    try:
        found = kinds.look_up(kind, guest, uri)
    except NoGuest:
        renamed = _by_id(kind, known, uri)
        if renamed is None:
            raise
        return renamed
    if kinds.is_abbreviated(found) and all(entry.id != found.id for entry in known):
        return _by_id(kind, known, uri) or found
    return found


def _by_id(kind: str, known: Sequence[Entry], uri: str | None) -> kinds.Guest | None:
    """The first of those that still is."""
    for entry in known:
        with contextlib.suppress(NoGuest):
            return kinds.look_up(kind, claims.apart(kind, entry.id)[1], uri)
    return None


def _require_permission(kind: str, guest: str, on: GuestReport | None, earlier: Entry | None,
                        options: Sequence[str]) -> None:
    """Raises `NotPermitted` where another member has joined the guest, and `Refused` for root where only that one's
    memory says how it was before: without it, a card that was only moved would be taken out."""
    if on is None or on.owner in (None, access.account().name):
        return
    what = _("take {guest} off the segment").format(guest=guest)
    why = _("it was joined by {owner}").format(owner=on.owner)
    if os.geteuid() != 0:
        raise NotPermitted(what=what, why=why)
    if earlier is None and kind in kinds.REMEMBERED and access.exists(str(on.owner)):
        words = ["sudo", "-u", str(on.owner), PROGRAM, "leave", kind, guest, *options]
        raise Refused(what=what, why=_("{joined}, and only that account knows how it was before").format(joined=why),
                      hint=shlex.join(words))


def _is_still_on(kind: str, guest: str, uri: str | None, where: Where, asked: bool) -> bool:
    """Whether a running guest still has its card; where it was `asked` to let go, it gets some seconds.

    Its port must not be taken from under it: QEMU would end as soon as the machine sets its card up again.
    """
    for _second in range(_PATIENCE if asked else 1):
        try:
            if not _look_up(kind, guest, uri, where.segment).leave(where, None).actions:
                return False
        except VdenetError:
            return False
        time.sleep(1 if asked else 0)
    return True

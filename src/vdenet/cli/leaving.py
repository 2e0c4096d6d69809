"""leave of guests that exist already: what `vdenet.cli.guests` did, taken back."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from vdenet.cli import access, answers, carrying, claims, documents, hints, interruption, kinds, memory, tunnelling
from vdenet.cli.client import ask, require_access
from vdenet.cli.memory import Entry
from vdenet.cli.output import Output
from vdenet.errors import NoGuest, NotPermitted, Refused, ToolMissing, UnknownSegment, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Leaving, Where
from vdenet.model.places import Places
from vdenet.model.report import GuestReport, SegmentReport

_PATIENCE = 10
"""Seconds for a guest's own system to let go of a card."""
_NOTHING = Leaving((), live=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who is to leave what, as the user says it."""

    kind: str
    guest: str
    uri: str | None
    segment: str


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


@dataclass(frozen=True, slots=True)
class _Departure:
    """A guest that may leave: how it stands, and what the segment has of it."""

    standing: _Standing
    report: SegmentReport | None
    on: GuestReport | None
    """It, in the report."""

    @property
    def name(self) -> str | None:
        """Its own, whether or not that is to be freed."""
        earlier = self.standing.earlier
        return earlier.name if earlier is not None else None if self.on is None else self.on.name

    @property
    def names(self) -> tuple[str, ...]:
        """Those that the daemon is to free: its own, and of guests that are no more."""
        if self.report is None:
            return ()
        holders = ((self.name, self.standing.leaving.mac), *((old.name, None) for old in self.standing.gone))
        return tuple(dict.fromkeys(name for name, mac in holders
                                   if name is not None and not claims.is_anothers(self.report, name, mac)))

    @property
    def vlan(self) -> int | None:
        """The VLAN that it was to be in."""
        earlier = self.standing.earlier
        return earlier.vlan if earlier is not None else None if self.on is None else self.on.vlan

    def still_seen(self, asked: _Asked) -> bool:
        """One that runs is still on the segment, though nothing will bring it there again.

        Not one that joined: it may have been called so when it was started, and be another by now.
        """
        return self.report is not None and any(
            (one.kind, one.guest) == (asked.kind, asked.guest) and one.port is not None and not one.joined
            for one in self.report.guests)

    @property
    def by_tunnel(self) -> bool:
        """It runs and came by a tunnel, which ends before its hypervisor lets go of it: see `vdenet.cli.tunnelling`."""
        return self.standing.leaving.guest_port is not None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of it."""

    left: bool
    """Something was done: it had been on the segment, or its name had been taken."""
    lost: Sequence[str] = ()
    """What the user should know of a tunnel that is left open."""


def leave(kind: str, guest: str, uri: str | None, segment: str, dry_run: bool, output: Output) -> None:
    """Take the guest off the segment and put back what was there before `join`."""
    require_access()
    asked = _Asked(kind, guest, uri, segment)
    with memory.alone(kind), interruption.raised_once():
        departure = _departure(asked)
        outcome = _Outcome(left=False) if dry_run else _depart(asked, departure, output)
    _tell(asked, departure, outcome, dry_run, output)


def _departure(asked: _Asked) -> _Departure:
    """Raises what the kind, its tools and the daemon raise; `NotPermitted` and `Refused` for who must not do this."""
    report, unknown = _report(asked.kind, asked.segment)
    standing = _standing(asked, report)
    if standing.earlier is None and unknown is not None:
        raise unknown
    on = next((one for one in (() if report is None else report.guests)
               if one.kind == asked.kind and one.joined and one.mac == standing.leaving.mac), None)
    _require_permission(asked, on, standing.earlier)
    return _Departure(standing, report, on)


def _depart(asked: _Asked, departure: _Departure, output: Output) -> _Outcome:
    """Raises what the tools and the daemon raise; then the guest is as it was."""
    standing = departure.standing
    leaving = standing.leaving
    freed = _carry_out(asked, departure, output)
    lost = tunnelling.left_behind(leaving.guest_port)
    if standing.where is not None and leaving.lingers and _is_still_on(asked, standing.where, leaving.live):
        raise Refused(what=_("take {guest} off the segment").format(guest=asked.guest), why=_(
            "what runs in it has not let go of the card") if leaving.live else _(
            "its configuration is as before, but the card cannot be taken out while it runs"), hint=_(
            "leave again when it has, or when it is off") if leaving.live else _("leave again when it is off"))
    if not departure.by_tunnel:
        freed = _free(asked, departure.names)
    for entry in (standing.earlier, *standing.gone):
        if entry is not None:
            memory.forget(asked.kind, asked.segment, entry.id)
    return _Outcome(left=freed or bool(leaving.actions), lost=lost)


def _carry_out(asked: _Asked, departure: _Departure, output: Output) -> bool:
    """What the kind says is to be done; whether a name was freed before, as that of a guest by a tunnel is."""
    standing = departure.standing
    try:
        freed = departure.by_tunnel and _free(asked, departure.names)
        carrying.perform(standing.leaving.actions, output.aside)
    except BaseException:
        with interruption.kept_out():
            if not _tunnel_is_back(asked, departure):
                with contextlib.suppress(OSError):  # the terminal may be gone
                    output.aside(tunnelling.ended(asked.guest))
        raise
    return freed


def _tunnel_is_back(asked: _Asked, departure: _Departure) -> bool:
    """After a `leave` that failed: whether the guest has the tunnel that it had, if it had one."""
    standing = departure.standing
    if not (departure.by_tunnel and departure.names and standing.where is not None and standing.id is not None):
        return True
    mine = departure.on is None or departure.on.owner in (None, access.account().name)
    return departure.name is not None and mine and tunnelling.put_back(
        asked.kind, standing.id, asked.uri, standing.where, departure.name, standing.leaving.mac, departure.vlan,
        standing.leaving.guest_port)


def _free(asked: _Asked, names: Sequence[str]) -> bool:
    """Whether the daemon knew one of the names."""
    known = [ask("Leave", segment=asked.segment, name=name, kind=asked.kind).get("left") for name in names]
    return any(known)


def _tell(asked: _Asked, departure: _Departure, outcome: _Outcome, dry_run: bool, output: Output) -> None:
    standing, leaving, names = departure.standing, departure.standing.leaving, departure.names
    by_kind = [*([leaving.note] if leaving.actions and leaving.note is not None else []), *outcome.lost]
    notes = [*by_kind, *([standing.said] if standing.said is not None else [])]
    document = documents.left(
        asked.segment, asked.kind, asked.guest, departure.name if departure.name in names else None,
        left=outcome.left, live=leaving.live, actions=[str(action) for action in leaving.actions], notes=notes)
    if standing.said is not None:
        output.aside(standing.said)
    if dry_run:
        output.result(carrying.shown(leaving.actions) if leaving.actions or not names else "\n".join(
            _("{name} leaves {segment}").format(name=name, segment=asked.segment) for name in names), document)
        return
    text = _("{guest} has left {segment}") if outcome.left else _("{guest} is not on {segment}")
    if leaving.actions and leaving.running and not leaving.live:
        text += "\n" + _("it is running: it is off the segment when it ends")
    elif not outcome.left and departure.still_seen(asked):
        text = _("{guest} has left {segment}, and is there until it ends")
    output.remark("\n".join((text.format(guest=asked.guest, segment=asked.segment), *by_kind)), document)


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


def _standing(asked: _Asked, report: SegmentReport | None) -> _Standing:
    """Raises what the kind and its tools raise."""
    kind, segment = asked.kind, asked.segment
    try:
        looked_up = _look_up(asked)
        gone = claims.predecessors(kind, segment, asked.guest, looked_up.id, asked.uri)
        earlier = memory.load(kind, segment, looked_up.id)
        if earlier is None and gone and kinds.TABLE[kind].by_path:
            earlier = gone[0]
        where = _where(report, earlier)
        leaving = _NOTHING if where is None else looked_up.leave(where, earlier.data if earlier else None)
        if earlier is None and leaving.mac is not None:
            earlier = claims.renamed(kind, segment, asked.guest, looked_up.id, leaving.mac)
            if earlier is not None and where is not None:
                leaving = looked_up.leave(where, earlier.data)
        return _Standing(earlier, where, leaving, looked_up.id, gone)
    except (NoGuest, ToolMissing) as error:
        # Its hypervisor knows it no more, or is no more: what is left of it is its name here.
        earlier = memory.called(kind, segment, asked.guest)
        if earlier is None:
            raise
        said = None
        if isinstance(error, ToolMissing):
            said = _("what joining changed in {guest} stays, since {tool} is not installed").format(
                guest=asked.guest, tool=error.data.get("tool"))
        elif not kinds.TABLE[kind].by_id:
            said = _("no guest is called {guest} any more: if it was renamed, what joining changed in it stays until "
                     "it leaves by its new name").format(guest=asked.guest)
        return _Standing(earlier, None, _NOTHING, said=said)


def _look_up(asked: _Asked) -> kinds.Guest:
    """The guest; one that was called so when it joined, and was renamed since, is found by its id.

    Before one, too, that is not called so, but whose id begins like that.
    """
    kind = asked.kind
    known = memory.all_called(kind, asked.segment, asked.guest) if kinds.TABLE[kind].by_id else []
    try:
        found = kinds.look_up(kind, asked.guest, asked.uri)
    except NoGuest:
        renamed = _by_id(kind, known, asked.uri)
        if renamed is None:
            raise
        return renamed
    if kinds.is_abbreviated(found) and all(entry.id != found.id for entry in known):
        return _by_id(kind, known, asked.uri) or found
    return found


def _by_id(kind: str, known: Sequence[Entry], uri: str | None) -> kinds.Guest | None:
    """The first of those that still is."""
    for entry in known:
        with contextlib.suppress(NoGuest):
            return kinds.look_up(kind, claims.apart(kind, entry.id)[1], uri)
    return None


def _require_permission(asked: _Asked, on: GuestReport | None, earlier: Entry | None) -> None:
    """Raises `NotPermitted` where another member has joined the guest, and `Refused` for root where only that one's
    memory says how it was before: without it, a card that was only moved would be taken out."""
    if on is None or on.owner in (None, access.account().name):
        return
    what = _("take {guest} off the segment").format(guest=asked.guest)
    why = _("it was joined by {owner}").format(owner=on.owner)
    if os.geteuid() != 0:
        raise NotPermitted(what=what, why=why)
    if earlier is None and kinds.TABLE[asked.kind].remembered and access.exists(str(on.owner)):
        raise Refused(what=what, why=_("{joined}, and only that account knows how it was before").format(joined=why),
                      hint=hints.leave(asked.kind, asked.guest, asked.segment, asked.uri,
                                       before=("sudo", "-u", str(on.owner))))


def _is_still_on(asked: _Asked, where: Where, told: bool) -> bool:
    """Whether a running guest still has its card; where it was `told` to let go, it gets some seconds.

    Its port must not be taken from under it: QEMU would end as soon as the machine sets its card up again.
    """
    for _second in range(_PATIENCE if told else 1):
        try:
            if not _look_up(asked).leave(where, None).lingers:
                return False
        except VdenetError:
            return False
        time.sleep(1 if told else 0)
    return True

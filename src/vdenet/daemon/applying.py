"""A segment as a text wants it: checked, planned, written and carried out as one change.

The configuration file and the machine are steps of the same plan, so a step that fails takes back both.
After a crash in the middle the file decides: if it was written, the next start completes the change.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from itertools import product
from pathlib import Path, PurePosixPath

from vdenet.daemon import authority, retiring
from vdenet.daemon.configuration import MODE
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.errors import BadConfig, Overlap, Refused
from vdenet.i18n import _
from vdenet.model.change import Change, Plan
from vdenet.model.names import same_domain
from vdenet.model.observed import Observed
from vdenet.model.places import GROUP
from vdenet.model.segment import Retiring, Segment
from vdenet.model.steps import RemoveFile, ServeLonger, Step, WriteFile
from vdenet.model.wanted import File
from vdenet.probe import links, routes
from vdenet.text import config

GIVEN = "given"
"""What a text from a member is called in messages; the member's own side knows the name of its file."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A text that was checked, and what there is now; `before` is None for a new segment, or one whose file
    cannot be understood."""

    name: str
    text: str
    after: Segment
    before: Segment | None
    before_text: str | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of it; `retiring` is an earlier address that is still served."""

    segment: str
    steps: tuple[str, ...]
    retiring: IPv4Interface | None = None

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.steps)


def wish(engine: Engine, caller: Caller, name: str, text: str) -> Wish:
    """The text as a change of the segment `name`, which exists.

    Raises `BadConfig`, `UnknownSegment`, `NotPermitted`, `BadPolicy`, `Overlap`, `Refused`.
    """
    before_text = engine.configuration.text(name)
    try:
        before = engine.configuration.segment(name)
    except BadConfig:
        if caller.uid != 0:
            raise  # whose it is cannot be known
        before = None
    after = config.parse(text, name, GIVEN)
    if before is not None or caller.uid != 0:
        authority.require_change(engine, caller, before, after)
    refuse_conflicts(engine, before, after)
    return Wish(name, text, after, before, before_text)


def refuse_conflicts(engine: Engine, before: Segment | None, after: Segment) -> None:
    """That new networks and the domain are nobody else's. Raises `Overlap`, `Refused`."""
    others = [other for other in engine.configuration.all() if other.name != after.name]
    if after.address is not None and (before is None or before.address != after.address):
        refuse_overlap(engine, after, after.address.network)
    for network in after.networks[1:]:
        if before is None or network not in before.networks:
            refuse_overlap(engine, after, network)
    new = set(after.networks6) - set(before.networks6 if before is not None else ())
    for other in others:
        for network6, theirs in product(after.networks6, other.networks6):
            if network6 in new and network6.overlaps(theirs):
                raise Overlap(network=str(network6), other=f"{theirs} (segment {other.name})")
        if (before is None or before.domain != after.domain) and same_domain(after.domain, other.domain):
            raise Refused(what=_("use the domain {domain}").format(domain=after.domain),
                          why=_("the segment {other} has {domain}").format(other=other.name, domain=other.domain))


def refuse_overlap(engine: Engine, segment: Segment, network: IPv4Network) -> None:
    """Raises `Overlap` when a route, an interface or another segment uses part of the network."""
    used = routes.networks(without=segment.links)
    for other in engine.configuration.all():
        if other.name != segment.name:
            used.setdefault(f"segment {other.name}", []).extend(other.networks)
    clash = routes.first_overlap(network, used)
    if clash is not None:
        raise Overlap(network=str(network), other=clash)


def plan(engine: Engine, what: Wish) -> tuple[Plan, Observed | None, IPv4Interface | None]:
    """The steps; what was observed, None for a segment that is stopped and stays so; and the address that is
    served on. Raises `Collision`."""
    changes: list[Change] = []
    served, old = _served(engine, what)
    if served is not None and old is not None:
        record = retiring.record(what.name, served, engine.places)
        changes.append(Change(ServeLonger(old, record), (_as_it_is(record),)))
    if what.text != what.before_text:
        path = engine.places.config(what.name)
        undo: Step = RemoveFile(path) if what.before_text is None else WriteFile(_file(path, what.before_text))
        changes.append(Change(WriteFile(_file(path, what.text)), (undo,)))
    if engine.stopped(what.name):
        return tuple(changes), None, None
    up, _wanted, observed = engine.plan_up(what.after, what.before, served)
    return (*changes, *up), observed, old


def carry_out(engine: Engine, what: Wish, undo: bool = True) -> Applied:
    """Do it. Raises what the failing step raised; file and machine are then as before, if `undo`."""
    with engine.lock:
        steps, observed, old = plan(engine, what)
        if observed is None:
            done = engine.carry_out(steps, undo)
        else:
            done = engine.make(what.after, steps, observed, undo)
        if done:
            engine.refresh_others(what.name)
        return Applied(what.name, done, old)


def _served(engine: Engine, what: Wish) -> tuple[tuple[Retiring, ...] | None, IPv4Interface | None]:
    """Earlier addresses that are served after the change of an address; None where it does not change."""
    before, after = what.before, what.after
    if before is None or before.address is None or after.address is None or before.address == after.address \
            or engine.stopped(what.name) or links.link(before.sign) is None:
        return None, None
    now = time.time()
    served = retiring.after(before, after.address, engine.places, now)
    return retiring.fitting(served, after, now), before.address


def _file(path: PurePosixPath, text: str) -> File:
    return File(path, text, MODE, GROUP)


def _as_it_is(file: File) -> Step:
    try:
        return WriteFile(File(file.path, Path(file.path).read_text(), file.mode, file.group))
    except (OSError, UnicodeDecodeError):
        return RemoveFile(file.path)

"""Changes that take themselves back unless somebody confirms them.

The former configuration is recorded before the change begins, on disk: whatever becomes of the member's
program, of this daemon or of the machine, the record is found. Time is counted by a clock that no one sets
(CLOCK_BOOTTIME); a reboot within it means that nobody confirmed.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from vdenet.daemon import applying
from vdenet.daemon.applying import Applied, Wish
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import logger
from vdenet.daemon.members import Caller
from vdenet.effect import files
from vdenet.errors import BadConfig, NotPermitted, Refused, VdenetError
from vdenet.i18n import _
from vdenet.model.digests import digest
from vdenet.model.names import same_domain
from vdenet.model.places import Places
from vdenet.model.segment import Segment
from vdenet.text import config

LEAST, MOST = 5, 3600
"""Seconds that somebody may take to confirm."""

_told: dict[str, str] = {}
"""Why a change cannot be taken back, by segment, as it was logged."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that waits; `until` is a time of CLOCK_BOOTTIME in the boot `boot`."""

    before: str
    after: str
    """A fingerprint of the configuration that was written."""
    uid: int
    boot: str
    until: float

    def left(self) -> float:
        """Seconds until it is taken back; 0 when that is due."""
        if self.boot != _boot():
            return 0.0
        return max(0.0, min(self.until - _now(), MOST))


def apply(engine: Engine, caller: Caller, what: Wish, seconds: int | None) -> Applied:
    """Carry the wish out; with `seconds`, until somebody confirms it. Raises as `applying.carry_out`, and
    `Refused` while another change waits."""
    with engine.lock:
        refuse_pending(engine, what.name)
        refuse_waited_for(engine, what.after)
        steps, _observed, _old = applying.plan(engine, what)
        if seconds is None or not steps or what.before_text is None:
            return applying.carry_out(engine, what)
        Path(engine.places.state(what.name)).mkdir(parents=True, exist_ok=True)
        _write(engine.places, what.name, Pending(
            what.before_text, digest(what.text), caller.uid, _boot(), _now() + seconds))
        try:
            return applying.carry_out(engine, what)
        except BaseException:
            files.remove(engine.places.pending(what.name))
            raise


def confirm(engine: Engine, caller: Caller, segment: str) -> None:
    """Keep the change. Raises `Refused` when none waits, `NotPermitted` when it is another member's."""
    with engine.lock:
        _mine(engine, caller, segment, _("confirm"))
        files.remove(engine.places.pending(segment))


def take_back(engine: Engine, caller: Caller, segment: str) -> None:
    """Do not wait for the time to pass. Raises as `confirm`."""
    with engine.lock:
        _mine(engine, caller, segment, _("take a change back"))
        roll_back(engine, segment)


def refuse_pending(engine: Engine, segment: str) -> None:
    """Raises `Refused` while a change of the segment waits: another one would be taken back with it."""
    waiting = pending(engine.places, segment)
    if waiting is not None:
        raise Refused(what=_("change {segment}").format(segment=segment),
                      why=_("a change waits for {seconds} s to be confirmed").format(
                          seconds=math.ceil(waiting.left())),
                      hint=_("tarr-steps apply --confirmed keeps that one, tarr-steps apply --rollback takes it back"))


def refuse_waited_for(engine: Engine, after: Segment) -> None:
    """Raises `Refused` for a domain or a network that another segment gets back when its change is not confirmed."""
    for path in Path(engine.places.var).glob("*/pending.json"):
        waiting = pending(engine.places, path.parent.name)
        if waiting is None or path.parent.name == after.name:
            continue
        try:
            other = config.parse(waiting.before, path.parent.name, str(path))
        except BadConfig:
            continue
        if same_domain(after.domain, other.domain) \
                or any(one.overlaps(its) for one, its in product(after.networks, other.networks)) \
                or any(one.overlaps(its) for one, its in product(after.networks6, other.networks6)):
            raise Refused(what=_("change {segment}").format(segment=after.name), why=_(
                "its domain or network was {other}'s, whose change waits to be confirmed").format(other=other.name))


def pending(places: Places, segment: str) -> Pending | None:
    """The change that waits, if one does."""
    try:
        data = json.loads(Path(places.pending(segment)).read_text())
        return Pending(str(data["before"]), str(data["after"]), int(data["uid"]), str(data["boot"]),
                       float(data["until"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def expire(engine: Engine) -> None:
    """Take back what nobody confirmed in time. Called again and again; never raises a `VdenetError`."""
    for path in Path(engine.places.var).glob("*/pending.json"):
        waiting = pending(engine.places, path.parent.name)
        if waiting is None:
            with engine.lock:
                if pending(engine.places, path.parent.name) is None and path.exists():
                    logger.error("%s cannot be read: the change that it was for stays", path)
                    files.remove(path)
        elif not waiting.left():
            logger.info("nobody confirmed the change of %s", path.parent.name)
            roll_back(engine, path.parent.name)


def roll_back(engine: Engine, segment: str) -> None:
    """Bring the configuration from before back; what cannot be carried out now, the watch repairs later."""
    with engine.lock:
        waiting = pending(engine.places, segment)
        if waiting is None:
            return
        try:
            now = engine.configuration.text(segment)
            if digest(now) not in (waiting.after, digest(waiting.before)):
                logger.error("the file of %s was edited since: it stays as it is", segment)
            else:
                after = config.parse(waiting.before, segment, str(engine.places.pending(segment)))
                before = config.parse(now, segment, str(engine.places.config(segment)))
                applying.carry_out(engine, Wish(segment, waiting.before, after, before, now), undo=False)
                logger.info("%s is as it was before the change", segment)
        except BadConfig as error:  # a version that took this text is gone, or somebody broke the file
            logger.error("cannot take back the change of %s: %s", segment, error)
        except VdenetError as error:
            if _told.get(segment) != str(error):
                _told[segment] = str(error)
                logger.error("cannot take back the change of %s yet: %s", segment, error)
            if not _came_back(engine, segment, waiting):
                return
        _told.pop(segment, None)
        files.remove(engine.places.pending(segment))


def _came_back(engine: Engine, segment: str, waiting: Pending) -> bool:
    try:
        return engine.configuration.text(segment) == waiting.before
    except VdenetError:
        return True  # the file is gone: nothing is left to be taken back


def _mine(engine: Engine, caller: Caller, segment: str, what: str) -> None:
    """Raises `Refused` when no change waits, `NotPermitted` when it is another member's, that `what` cannot be done."""
    waiting = pending(engine.places, segment)
    if waiting is None or not waiting.left():
        raise Refused(what=what, why=_("no change of {segment} waits for it").format(segment=segment))
    if caller.uid not in (0, waiting.uid):
        raise NotPermitted(what=what, why=_("the change is another user's"))


def _write(places: Places, segment: str, waiting: Pending) -> None:
    data = {"before": waiting.before, "after": waiting.after, "uid": waiting.uid, "boot": waiting.boot,
            "until": waiting.until}
    files.write(places.pending(segment), json.dumps(data) + "\n", 0o600, "root")


def _boot() -> str:
    return _BOOT.read_text().strip()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)

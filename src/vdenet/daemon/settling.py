"""What is not as it should be, and not just for a moment: a guest that goes leaves the watch something to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from vdenet.daemon.engine import Engine
from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.change import Plan
from vdenet.model.observed import Observed
from vdenet.model.segment import Segment
from vdenet.model.wanted import Wanted
from vdenet.probe import links

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of a segment that is up."""

    plan: Plan
    wanted: Wanted
    observed: Observed


@contextmanager
def settled(engine: Engine, name: str, find: Callable[[], Found],
            matters: Callable[[Found], object] = bool) -> Iterator[Found]:
    """What `find` finds with the engine's lock held, which is held on; where that matters, and the watch is about to
    look at the segment, what it finds after that.

    For those who only read, and do not hold the lock. Raises what `find` does.
    """
    with engine.lock:
        found, since = find(), engine.repairs.count()
        if not matters(found) or engine.stopped(name) or not engine.repairs.is_coming(name):
            yield found
            return
    engine.repairs.await_next(name, since)
    with engine.lock:
        yield find()


def look(engine: Engine, segment: Segment) -> Look | None:
    """None when the segment is down. Raises as `Engine.plan_up`, and `Refused` when it was stopped and is there."""
    there = links.link(segment.sign)
    if there is None or (engine.stopped(segment.name) and not there.ours):
        return None
    if engine.stopped(segment.name):
        raise Refused(what=_("keep {segment} down").format(segment=segment.name),
                      why=_("it was stopped, but a part of it is still there"), hint=f"tarr-steps stop {segment.name}")
    return Look(*engine.plan_up(segment))

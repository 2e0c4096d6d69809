"""What is not as it should be, and not just for a moment: a guest that goes leaves the watch something to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vdenet.daemon.engine import Engine
from vdenet.model.change import Plan
from vdenet.model.observed import Observed
from vdenet.model.segment import Segment
from vdenet.model.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Look:
    """A segment, and what was found of it at the same time."""

    segment: Segment
    plan: Plan
    wanted: Wanted
    observed: Observed


def look(engine: Engine, name: str, matters: Callable[[Plan], object] = bool) -> Look:
    """The plan that would bring the segment up; where it matters, and the watch is about to look, once more after that.

    For those who only read, and do not hold the engine's lock. Raises as `Engine.plan_up` and
    `Configuration.segment`.
    """
    with engine.lock:
        found = _look(engine, name)
        since = engine.repairs.count(name)
    if not matters(found.plan) or engine.stopped(name) or not engine.repairs.await_next(name, since):
        return found
    with engine.lock:
        return _look(engine, name)


def _look(engine: Engine, name: str) -> Look:
    segment = engine.configuration.segment(name)  # whoever had the lock may have changed it
    return Look(segment, *engine.plan_up(segment))

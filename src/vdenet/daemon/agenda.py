"""What the watch has to look after though no message tells of it: services that may end, and what is due by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from math import inf

from vdenet.daemon import retiring
from vdenet.model.change import Plan
from vdenet.model.observed import Observed
from vdenet.model.places import Places
from vdenet.model.segment import Segment
from vdenet.model.steps import StartService

_PLUG_SECONDS = 1.0
"""A plug that is started may have ended by then, and waits."""


class Agenda:
    """By segment, as it was brought up last; who only looks notes nothing. Written with the engine's lock, and read
    without, so what is read is never changed but replaced."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._due: dict[str, float] = {}
        """On the monotonic clock."""
        self._services: dict[str, frozenset[int]] = {}

    def note(self, segment: Segment, plan: Plan, observed: Observed) -> None:
        """What there is to look after, as what was `observed` is brought up by the plan."""
        pids = frozenset(service.pid for service in observed.services.values())
        self._services = {**self._services, segment.name: pids}
        now = time.time()
        waits = [wait.seconds for wait in observed.waiting.values()]
        waits += [old.until - now for old in retiring.current(segment, self._places, now)]
        if any(isinstance(change.step, StartService) and change.step.service.patient for change in plan):
            waits.append(_PLUG_SECONDS)
        self._due = {**self._due, segment.name: time.monotonic() + min(waits, default=inf)}

    def postpone(self, name: str) -> None:
        """Nothing is due of the segment: it is being looked after."""
        self._due = {**self._due, name: inf}

    def drop(self, name: str) -> None:
        """Forget a segment that is down."""
        self.keep((self._due.keys() | self._services.keys()) - {name})

    def keep(self, names: Collection[str]) -> None:
        """Forget all others: they are down, or cannot be read."""
        self._due = {name: when for name, when in self._due.items() if name in names}
        self._services = {name: pids for name, pids in self._services.items() if name in names}

    def services(self) -> list[int]:
        """The processes whose end somebody should notice."""
        return [pid for pids in self._services.values() for pid in pids]

    def is_due(self, may: Callable[[str], bool]) -> bool:
        """Whether the time has come for something of a segment that `may` be looked after: a service is to be started
        again, an address is served no longer."""
        now = time.monotonic()
        return any(when <= now and may(name) for name, when in self._due.items())

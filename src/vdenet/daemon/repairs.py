"""What became of the last attempt to repair each segment, for the watch and for those who wait for its next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

MAX_RETRY_SECONDS = 30.0
TURN_SECONDS = 5.0
"""How long somebody who looks waits for the watch's next attempt."""


@dataclass(frozen=True, slots=True)
class _Failure:
    again: float
    """When it is tried once more, on the monotonic clock."""
    delay: float
    why: str


class Repairs:
    """By segment; for several threads."""

    def __init__(self) -> None:
        self._ended = threading.Condition()
        self._failures: dict[str, _Failure] = {}
        self._count = 0
        self._last: dict[str, int] = {}
        """By segment, the number of the attempt that ended last."""
        self.is_awake: Callable[[], bool] = lambda: False
        """Whether the watch has heard of something, and is about to look."""

    def keep(self, names: Collection[str]) -> None:
        """Forget other segments: one that is there no more would be due for ever, and names come and go."""
        with self._ended:
            for name in (self._failures.keys() | self._last.keys()) - set(names):
                self._failures.pop(name, None)
                self._last.pop(name, None)
            self._ended.notify_all()  # nobody waits for what does not come

    def is_due(self) -> bool:
        """Whether one that failed is to be tried again by now."""
        with self._ended:
            return any(time.monotonic() >= failure.again for failure in self._failures.values())

    def may(self, name: str) -> bool:
        """Whether it may be tried now."""
        with self._ended:
            return name not in self._failures or time.monotonic() >= self._failures[name].again

    def succeeded(self, name: str) -> None:
        """Note that all is as it should be, whoever brought that about."""
        with self._ended:
            self._failures.pop(name, None)
            self._end(name)

    def failed(self, name: str, why: str) -> bool:
        """Note that it is not, and is tried again, ever later; true when this is news."""
        with self._ended:
            before = self._failures.get(name)
            delay = 0.5 if before is None else min(MAX_RETRY_SECONDS, before.delay * 2)
            self._failures[name] = _Failure(time.monotonic() + delay, delay, why)
            self._end(name)
            return before is None or before.why != why

    def why_failed(self, name: str) -> str | None:
        """Why the last attempt failed, if it did."""
        with self._ended:
            failure = self._failures.get(name)
            return None if failure is None else failure.why

    def count(self) -> int:
        """How many attempts have ended. Who looks asks with the engine's lock, so that none ends between."""
        with self._ended:
            return self._count

    def is_coming(self, name: str) -> bool:
        """Whether the watch is about to look at the segment, as it did before; not where that failed a moment ago."""
        with self._ended:
            return name in self._last and name not in self._failures and self.is_awake()

    def await_next(self, name: str, since: int) -> None:
        """Wait until an attempt for the segment has ended after the first `since` of all, or it was forgotten; for
        `TURN_SECONDS` at most. Not for one who holds the engine's lock."""
        with self._ended:
            self._ended.wait_for(lambda: self._last.get(name, since + 1) > since, TURN_SECONDS)

    def _end(self, name: str) -> None:
        self._count += 1
        self._last[name] = self._count
        self._ended.notify_all()

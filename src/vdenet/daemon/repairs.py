"""What became of the watch's attempts to repair each segment, for itself and for those who wait for the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

MAX_RETRY_SECONDS = 30.0
TURN_SECONDS = 3.0
"""How long somebody who looks waits for the watch's next attempt."""


@dataclass(frozen=True, slots=True)
class _Failure:
    again: float
    """When it is tried once more, on the monotonic clock."""
    delay: float
    why: str


class Repairs:
    """By segment. For several threads; who counts and looks holds the engine's lock, so that no attempt is between."""

    def __init__(self) -> None:
        self._ended = threading.Condition()
        self._failures: dict[str, _Failure] = {}
        self._counts: dict[str, int] = {}
        self.is_coming: Callable[[], bool] = lambda: False
        """Whether the watch has heard of something, and is about to look."""

    def keep(self, names: Collection[str]) -> None:
        """Forget other segments: one that is there no more would be due for ever, and names come and go."""
        with self._ended:
            self._failures = {name: self._failures[name] for name in self._failures.keys() & set(names)}
            self._counts = {name: self._counts[name] for name in self._counts.keys() & set(names)}

    def is_due(self) -> bool:
        """Whether one that failed is to be tried again by now."""
        with self._ended:
            return any(time.monotonic() >= failure.again for failure in self._failures.values())

    def may(self, name: str) -> bool:
        """Whether it may be tried now."""
        with self._ended:
            return name not in self._failures or time.monotonic() >= self._failures[name].again

    def succeeded(self, name: str) -> None:
        """Note that all is as it should be."""
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

    def count(self, name: str) -> int:
        """How many attempts have ended."""
        with self._ended:
            return self._counts.get(name, 0)

    def await_next(self, name: str, since: int) -> bool:
        """Wait until more than `since` attempts have ended, where the watch is about to make one; whether it has.

        What could not be repaired a moment ago is not waited for. Not for one who holds the engine's lock.
        """
        coming = self.is_coming()  # first: an attempt that ends now is counted by the next line
        with self._ended:
            if name in self._failures or not (coming or self._counts.get(name, 0) > since):
                return False
            return self._ended.wait_for(lambda: self._counts.get(name, 0) > since, TURN_SECONDS)

    def _end(self, name: str) -> None:
        self._counts[name] = self._counts.get(name, 0) + 1
        self._ended.notify_all()

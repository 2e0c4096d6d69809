"""A booted machine under test."""

from __future__ import annotations

from dataclasses import dataclass

from lab.booted import Booted
from system.snapshot import Snapshot


@dataclass(frozen=True)
class Host:
    """A machine, and what it was like before the package came."""

    machine: Booted
    suite: str
    before: Snapshot

"""A booted machine under test."""

from __future__ import annotations

from dataclasses import dataclass

from lab.booted import Booted
from system.snapshot import Snapshot


@dataclass(frozen=True)
class Host:
    """A machine, and what it was like before the package came."""

    machine: Booted
    resolved: bool
    """Name resolution is by systemd-resolved; else by nobody who could be told of a domain."""

    before: Snapshot

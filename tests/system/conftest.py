"""The machines of the scenarios: fresh, with people in them, and what they were like before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import roots
from lab.booted import Booted
from lab.machine import Machine
from system import scenario, snapshot
from system.host import Host


@pytest.fixture(scope="module", params=["bookworm-systemd", "trixie-systemd", "trixie-sysv"])
def host(request: pytest.FixtureRequest, deb: Path) -> Iterator[Host]:
    suite, _, init = request.param.partition("-")
    root = roots.root(suite, init)
    with Booted(root, request.param, files=scenario.files()) as machine:
        for name in scenario.PEOPLE:
            machine.user(name)
        scenario.occupy(machine, "host0")
        resolved = "/systemd-resolved" in machine.sh("ps -e -o args")
        yield Host(machine, resolved, snapshot.take(machine))


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def bare(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    """A container without an init."""
    with Machine(roots.root(request.param, "depends"), request.param) as machine:
        for name in scenario.PEOPLE:
            machine.user(name)
        yield machine

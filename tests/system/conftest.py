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


@pytest.fixture(scope="module", params=roots.SUITES)
def host(request: pytest.FixtureRequest, deb: Path) -> Iterator[Host]:
    suite = request.param
    with Booted(roots.root(suite, "systemd"), suite, files=scenario.files()) as machine:
        for name in scenario.PEOPLE:
            machine.user(name)
        scenario.occupy(machine, "host0")
        yield Host(machine, suite, snapshot.take(machine))


@pytest.fixture(scope="module", params=roots.SUITES)
def bare(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    with Machine(roots.root(request.param, "plain"), request.param) as machine:
        for name in scenario.PEOPLE:
            machine.user(name)
        yield machine

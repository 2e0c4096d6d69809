"""Machines with the package installed, and the daemon in them; one for each module, as tests leave it whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab import roots, traces
from lab.daemon import Daemon
from lab.machine import Machine

MEMBERS = ("alice", "bob")
STRANGER = "nora"


def installed(suite: str, deb: Path, extra: Sequence[str] = ()) -> Machine:
    """A machine with the package, two members and a stranger; the daemon does not run yet.

    With VDENET_TREE set, the working tree's own code lies over the package's: for trying a change.
    """
    machine = Machine(roots.root(suite, "installed", deb=deb, extra=extra))
    for name in MEMBERS:
        machine.user(name, member=True)
    machine.user(STRANGER)
    if os.environ.get("VDENET_TREE"):
        shutil.copytree(roots.REPOSITORY / "src/vdenet", machine.path("/usr/lib/python3/dist-packages/vdenet"),
                        dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    machine.run(["vdenetd", "--init"])
    return machine


@pytest.fixture(scope="module")
def new_machine(deb: Path) -> Iterator[Callable[..., Machine]]:
    """Makes machines of a release, with further packages if named, which end with the module."""
    with ExitStack() as stack:
        yield lambda suite, *extra: stack.enter_context(installed(suite, deb, extra))


@pytest.fixture(scope="module", params=["trixie"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[..., Machine]) -> Machine:
    return new_machine(request.param)


@pytest.fixture(scope="module")
def daemon(machine: Machine) -> Iterator[Daemon]:
    """The daemon of that machine, with the segment up."""
    with Daemon(machine) as running:
        traces.settle(machine)
        yield running

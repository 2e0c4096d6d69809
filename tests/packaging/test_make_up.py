"""`make up` from a clone: the package built, installed with its dependencies, the segment on the screen.

In a machine that has neither an init system nor any network; what apt would fetch lies in its cache.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.machine import Machine
from lab.roots import root

TOP = Path(__file__).resolve().parents[2]
CLONE = "/root/vdenet"


def build_needs() -> tuple[str, ...]:
    """What `apt-get build-dep` would install; it takes build-essential for granted."""
    control = (TOP / "debian/control").read_text()
    found = re.search(r"(?ms)^Build-Depends:(.*?)^\S", control)
    assert found
    names = {re.split(r"[ (]", clause.strip())[0] for clause in found[1].split(",") if clause.strip()}
    return ("build-essential", *sorted(name.replace("debhelper-compat", "debhelper") for name in names))


@pytest.fixture(params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, as_root: None) -> Iterator[Machine]:
    with Machine(root(request.param, "plain", extra=build_needs())) as machine:
        ignore = shutil.ignore_patterns(".git", "dist", "__pycache__", ".*_cache")
        shutil.copytree(TOP, machine.path(CLONE), ignore=ignore)
        # apt's own account must not be in need of reading the clone.
        machine.path("/root").chmod(0o700)
        machine.user("alice")
        yield machine


def up(machine: Machine) -> str:
    return machine.run(
        ["make", "-C", CLONE, "up"], env={"DEBIAN_FRONTEND": "noninteractive", "SUDO_USER": "alice"}, timeout=300
    ).stdout


def works(machine: Machine, shown: str) -> None:
    assert re.search(r"(?m)^vdenet0 .*\bup\b", shown)
    assert "The segment is up" in shown
    machine.run(["tarr-steps", "check"], user="alice")
    assert "vdenet" in machine.run(["id", "-nG", "alice"]).stdout.split()


def test_up_twice(machine: Machine) -> None:
    works(machine, up(machine))
    switch = machine.run(["pidof", "vde_switch"]).stdout
    # Once more, as after a pull: the same version again, and the segment stays.
    machine.run(["touch", f"{CLONE}/pyproject.toml"])
    works(machine, up(machine))
    assert machine.run(["pidof", "vde_switch"]).stdout == switch
    made = {path.name for path in machine.path(CLONE).iterdir()} - {path.name for path in TOP.iterdir()}
    assert made <= {"dist"}


def test_up_where_packages_may_start_nothing(machine: Machine) -> None:
    """As in a container's image: the package only installs, and `make up` then does as it was asked."""
    policy = machine.path("/usr/sbin/policy-rc.d")
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    works(machine, up(machine))

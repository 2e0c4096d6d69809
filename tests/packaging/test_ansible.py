"""The Ansible role in examples/, by Debian's ansible-core: it reports what it changed, and what it would change."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.machine import Machine
from lab.roots import root

TOP = Path(__file__).resolve().parents[2]
PLAYBOOK = "/root/ansible/playbook.yml"
CONFIG = "/etc/vdenet/vdenet0.toml"


@pytest.fixture(scope="module", params=["trixie"])
def machine(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    """With ansible-core and what the package depends on, and the package as a file: apt has no network."""
    with Machine(root(request.param, "depends", extra=("ansible-core", "python3-apt"))) as machine:
        machine.path("/etc/apt/apt.conf.d/99offline").write_text('APT::Install-Recommends "false";\n')
        shutil.copytree(TOP / "examples/ansible", machine.path("/root/ansible"))
        shutil.copy(deb, machine.path("/root/vdenet.deb"))
        machine.user("alice")
        yield machine


def play(machine: Machine, *options: str) -> tuple[int, str]:
    """How many tasks changed something, and what was said."""
    done = machine.run(["ansible-playbook", "--inventory=localhost,", "--connection=local", *options, PLAYBOOK],
                       env={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"},
                       timeout=600, check=False)
    counted = re.search(r"changed=(\d+) +unreachable=0 +failed=0 ", done.stdout)
    assert done.returncode == 0 and counted, done.stdout + done.stderr
    return int(counted[1]), done.stdout


def segments(machine: Machine) -> dict[str, dict[str, object]]:
    shown = json.loads(machine.run(["tarr-steps", "list", "--json"], user="alice").stdout)
    return {one["name"]: one for one in shown["segments"]}


def test_it_installs_and_applies_and_a_second_run_changes_nothing(machine: Machine) -> None:
    changed, said = play(machine, "--check")
    assert changed and not machine.path("/usr/bin/tarr-steps").exists(), said
    assert play(machine)[0] > 0
    there = segments(machine)
    assert {name: (one["address"], one["mode"], one["state"]) for name, one in there.items()} == {
        "vdenet0": ("10.83.14.1/24", "nat", "up"), "lab": ("10.83.15.1/24", "isolated", "up")}
    assert "tcp/22" in machine.path(CONFIG).read_text()
    changed, said = play(machine)
    assert changed == 0, said


def test_what_somebody_did_meanwhile_is_reported_and_changed_back(machine: Machine) -> None:
    machine.run(["tarr-steps", "apply", "-"], input=machine.path(CONFIG).read_text().replace("tcp/22", "tcp/80"))
    machine.run(["tarr-steps", "stop"], user="alice")
    machine.run(["tarr-steps", "segment", "delete", "lab"])
    # The file of one, its start, and the other.
    changed, said = play(machine, "--check", "-v")
    assert changed == 3 and f"~ file {CONFIG}" in said, said
    assert "tcp/80" in machine.path(CONFIG).read_text(), "a check changes nothing"
    assert {name: one["state"] for name, one in segments(machine).items()} == {"vdenet0": "down"}
    changed, said = play(machine)
    assert changed == 3, said
    assert "tcp/22" in machine.path(CONFIG).read_text()
    assert {name: one["state"] for name, one in segments(machine).items()} == {"vdenet0": "up", "lab": "up"}
    assert play(machine)[0] == 0


def test_a_mistake_fails_and_changes_nothing(machine: Machine) -> None:
    lab = machine.path("/root/ansible/lab.toml")
    good, before = lab.read_text(), machine.path("/etc/vdenet/lab.toml").read_text()
    lab.write_text(good.replace("isolated", "magic"))
    try:
        done = machine.run(["ansible-playbook", "--inventory=localhost,", "--connection=local", PLAYBOOK], check=False,
                           env={"LC_ALL": "C.UTF-8"}, timeout=600)
        assert done.returncode and "mode: 'magic': expected one of" in done.stdout.replace("\\", "")
    finally:
        lab.write_text(good)
    assert machine.path("/etc/vdenet/lab.toml").read_text() == before

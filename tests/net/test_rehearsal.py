"""A dry run of `join qemu` and `leave` ends as the run itself would, and changes nothing."""

from __future__ import annotations

import json
import signal
from subprocess import PIPE, CompletedProcess

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for

BOOK = "/var/lib/vdenet/vdenet0/guests.json"


def tarr(machine: Machine, *words: str, user: str = "alice") -> CompletedProcess[str]:
    return machine.run(["tarr-steps", *words], user=user, check=False)


@pytest.fixture
def bobs(machine: Machine, daemon: Daemon) -> None:
    """A tap of bob's, one of alice's, and a name of hers."""
    tarr(machine, "join", "qemu", "--tap", "bobs", user="bob")
    tarr(machine, "join", "qemu", "--tap", "web")


@pytest.mark.parametrize("words", [
    "join qemu --tap new", "join qemu --tap web", "join qemu --tap bobs", "join qemu --tap new --vlan 9",
    "join qemu --tap new --segment nosuch", "join qemu --name web -- true", "join qemu --name new -- nosuchqemu",
    "join qemu --print --name bobs", "join qemu --print --name web", "leave qemu bobs", "leave qemu web", "leave qemu nosuch",
    "leave run web", "leave run bobs",
])
@pytest.mark.parametrize("user", ["alice", "nora"])
def test_it_ends_as_the_run_does(machine: Machine, bobs: None, words: str, user: str) -> None:
    words, _dashes, command = words.partition(" -- ")
    line, behind = words.split(), ["--", command] if command else []
    before = machine.path(BOOK).read_text()
    told = tarr(machine, *line, "--dry-run", *behind, user=user)
    assert machine.path(BOOK).read_text() == before
    done = tarr(machine, *line, *behind, user=user)
    assert (told.returncode, told.stderr if told.returncode else "") == (
        done.returncode, done.stderr if done.returncode else "")


def test_of_a_segment_that_is_down(machine: Machine, daemon: Daemon) -> None:
    machine.run(["tarr-steps", "stop"], user="alice")
    try:
        for words in (["--tap", "new"], ["--print", "--name", "new"], ["--name", "new", "--", "true"]):
            told = tarr(machine, "join", "qemu", "--dry-run", *words)
            assert (told.returncode, "hint: tarr-steps start vdenet0" in told.stderr) == (1, True)
        assert tarr(machine, "ip", "10.77.1.1/24").stdout == "vdenet0 will have the address 10.77.1.1/24 when it is up\n"
    finally:
        machine.run(["tarr-steps", "start"], user="alice")


@pytest.mark.parametrize("words", [["--tap", "twice"], ["--print", "--name", "thrice"]])
def test_asked_for_again_nothing_changes(machine: Machine, daemon: Daemon, words: list[str]) -> None:
    for new in (True, False):
        assert json.loads(tarr(machine, "join", "qemu", "--json", *words).stdout)["changed"] is new
    assert tarr(machine, "leave", "qemu", words[-1]).returncode == 0


def test_closed_streams(machine: Machine, daemon: Daemon) -> None:
    for line, status in (("tarr-steps list <&- >&-", 0), ("tarr-steps list >&- 2>&-", 0), ("tarr-steps nosuch 2>&-", 2)):
        done = machine.run(["sh", "-c", line], user="alice", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_interrupted_before_the_command_runs(machine: Machine, daemon: Daemon) -> None:
    """^C when what sets its namespaces up has begun, and will find nobody to talk to."""
    with machine.popen(["tarr-steps", "join", "run", "--name", "hasty", "--", "sleep", "60"], user="alice",
                       stdout=PIPE, stderr=PIPE) as joining:
        wait_for(lambda: machine.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c vdenet.cli.run_insid[e] || true") != "0\n",
                 20, "the inside")
        joining.send_signal(signal.SIGINT)
        _out, told = joining.communicate(timeout=30)
    assert (joining.returncode, told) == (130, "")

"""Which processes are heard, and how much of each: a made-up /proc, of processes that may say whatever they like."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from vdenet.probe import programs

MAC = "52:54:00:8a:1b:2c"
STATUS = "Name:\t{pid}\nUid:\t{uid}\t0\t0\t0\nGroups:\t{groups}\nNSpid:\t{depth}\nNSpgid:\t1\n"


class Proc:
    """Processes of root's and others', and which of their children were asked after."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.asked: Mapping[int, Sequence[int]] = {}
        (place / "self").mkdir()
        (place / "self/status").write_text(STATUS.format(pid=1, uid=0, groups="", depth="1\t1"))

    def process(self, pid: int, *argv: str, uid: int = 1000, depth: int = 2, groups: str = "") -> Path:
        made = self.place / str(pid)
        made.mkdir()
        (made / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in argv))
        (made / "status").write_text(STATUS.format(pid=pid, uid=uid, groups=groups, depth="\t".join(["1"] * depth)))
        return made


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    made = Proc(tmp_path)

    def of(processes: Mapping[int, Sequence[int]]) -> dict[int, frozenset[int]]:
        made.asked = processes
        return {pid: frozenset({7}) for pid in processes}

    monkeypatch.setattr(programs, "PROC", str(tmp_path))
    monkeypatch.setattr(programs.namespaces, "of", of)
    return made


def test_they_are_heard(proc: Proc) -> None:
    proc.process(5, "/usr/bin/qemu-system-x86_64", "-name", "web", "-nic", f"tap,ifname=tap7,mac={MAC}")
    for thread, children in ((6, "8 9 "), (7, "10 ")):
        place = proc.place / "6/task" / str(thread)
        if thread == 6:
            proc.process(6, "/usr/bin/conmon", "-n", "db", uid=0)
        place.mkdir(parents=True)
        (place / "children").write_text(children)
    proc.process(11, "/usr/bin/python3", "-m", "qemu-system-x86_64")
    proc.process(12)
    (proc.place / "uptime").touch()
    found = {one.pid: one for one in programs.running()}
    assert set(found) == {5, 6}
    assert (found[5].uid, found[5].runs.guest, found[5].runs.macs, found[5].runs.taps) == (
        1000, "web", {MAC}, {"tap7"})
    assert (found[6].uid, found[6].runs.guest, found[6].inside) == (0, "db", {7})
    assert {pid: sorted(children) for pid, children in proc.asked.items()} == {6: [8, 9, 10]}


def test_another_namespace_is_not_even_read(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's root may have as many programs there as he likes, with command lines of any length."""
    read = []
    monkeypatch.setattr(programs, "runs", lambda argv: read.append(argv))
    for pid, depth in ((5, 3), (6, 1)):
        proc.process(pid, "qemu-system-x86_64", "-name", "web", uid=0, depth=depth)
    assert programs.running() == []
    assert read == []


def test_of_a_long_command_line_the_beginning_is_read(proc: Proc) -> None:
    nics = [word for number in range(10_000) for word in ("-nic", f"tap,ifname=t{number},mac=02:00:00:00:{number >> 8:02x}"
                                                          f":{number & 255:02x}")]
    proc.process(5, "qemu-system-x86_64", *nics)
    one, = programs.running()
    assert (len(one.runs.macs), len(one.runs.taps)) == (64, 64)
    assert "t0" in one.runs.taps
    # A word that may have been cut says nothing.
    proc.process(6, "qemu-system-x86_64", "-name", "x" * 100_000)
    assert {one.pid: one.runs.guest for one in programs.running()} == {5: None, 6: None}


def test_many_words_do_not_hold_it_up(proc: Proc) -> None:
    for pid in range(2, 52):
        proc.process(pid, "systemd-nspawn", *["-b"] * 15_000)
    before = time.process_time()
    assert len(programs.running()) == 50
    assert time.process_time() - before < 1


def test_an_account_may_have_many_and_root_more(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_EACH", 3)
    monkeypatch.setattr(programs, "_ALL", 9)
    for pid in range(2, 7):
        proc.process(pid, "conmon", "-n", "x", uid=1000)
        proc.process(pid + 10, "conmon", "-n", "x", uid=0)
    uids = [one.uid for one in programs.running()]
    assert (uids.count(1000), uids.count(0)) == (3, 5)
    # As many accounts as there are in a range of subordinate ones.
    for pid in range(20, 40):
        proc.process(pid, "conmon", "-n", "x", uid=100_000 + pid)
    assert len(programs.running()) == 9


def test_it_ends_whatever_the_processes_are_like(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in range(2, 12):
        proc.process(pid, "conmon", "-n", "x", groups="4294967294 " * 6000)  # what follows them is not read
    proc.process(12, "conmon", "-n", "x", groups="1000 " * 3000)
    assert [one.pid for one in programs.running()] == [12]
    monkeypatch.setattr(programs, "_SECONDS", -1.0)
    assert programs.running() == []


def test_of_many_children_a_few_are_asked_after(proc: Proc) -> None:
    made = proc.process(5, "conmon", "-n", "x")
    for thread in range(5, 105):
        (made / "task" / str(thread)).mkdir(parents=True)
        (made / "task" / str(thread) / "children").write_text("".join(f"{child} " for child in range(5000)))
    assert len(programs.running()) == 1
    assert len(proc.asked[5]) == 8


def test_a_process_that_has_gone_is_nobody(proc: Proc) -> None:
    os.remove(proc.process(5, "conmon", "-n", "x") / "cmdline")
    os.remove(proc.process(6, "conmon", "-n", "x") / "status")
    assert programs.running() == []
    os.remove(proc.place / "self/status")
    assert programs.running() == []

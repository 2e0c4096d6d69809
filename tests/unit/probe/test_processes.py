"""Who a process is: this one, and those that are nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vdenet.probe import processes
from vdenet.probe.processes import Identity


def test_this_process() -> None:
    me = processes.identity(os.getpid())
    assert me is not None and me.pid == os.getpid() and me.started > 0 and me.boot == processes.boot_id()
    assert processes.real_uid(me.pid) == os.getuid()
    assert Path(processes.command_line(me.pid)[0]).name.startswith("python")
    assert processes.identity(me.pid) == me
    fd = processes.hold(me)
    assert fd is not None and not os.get_inheritable(fd)
    os.close(fd)


@pytest.mark.parametrize("other", (
    {"started": 1}, {"boot": "00000000-0000-0000-0000-000000000000"}, {"pid": 1}), ids=str)
def test_a_recycled_number_is_not_held(other: dict[str, object]) -> None:
    me = processes.identity(os.getpid())
    assert me is not None
    before = len(os.listdir("/proc/self/fd"))
    values = {"pid": me.pid, "started": me.started, "boot": me.boot, **other}
    assert processes.hold(Identity(**values)) is None  # type: ignore[arg-type]
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("pid", (2**22 + 1, 2**31 - 1))
def test_nobody(pid: int) -> None:
    assert processes.identity(pid) is None
    assert processes.real_uid(pid) is None
    assert processes.command_line(pid) == ()
    assert processes.hold(Identity(pid, 1, "")) is None


def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Identity | None:
    """The identity of a process whose /proc/PID/stat says `text`."""
    (tmp_path / "stat").write_text(text)
    monkeypatch.setattr(processes, "Path", lambda _where: tmp_path / "stat")
    monkeypatch.setattr(processes, "boot_id", lambda: "boot")
    return processes.identity(7)


AFTER = "1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 {started} 1000 50"


@pytest.mark.parametrize("command", ("dnsmasq", "a b", "x) S 1 1", "))))", ") Z 1 2 3", "\udcff"), ids=ascii)
def test_a_command_may_be_called_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    text = f"7 ({command}) S {AFTER.format(started=4711)}".encode(errors="replace").decode()
    assert stat(tmp_path, monkeypatch, text) == Identity(7, 4711, "boot")


@pytest.mark.parametrize("text", ("", "7", "7 (x", "7 (x) S 1 2", f"7 (x) Z {AFTER.format(started=1)}",
                                  f"7 (x) X {AFTER.format(started=1)}"))
def test_a_zombie_is_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert stat(tmp_path, monkeypatch, text) is None

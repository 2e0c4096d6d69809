"""Nothing here may touch the machine: the daemon is a socket in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from unit.cli.files import RESERVED, Files
from vdenet.cli import checkup, client, kinds, main, show
from vdenet.errors import VdenetError
from vdenet.model.places import Places
from vdenet.wire import message
from vdenet.wire.channel import Channel, Closed


class Touched(BaseException):
    """A unit test reached for the machine. Not an Exception: nothing catches it on its way."""


@pytest.fixture(autouse=True)
def untouchable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*given: object, **_named: object) -> None:
        raise Touched(f"a unit test reached for the machine: {given!r}")

    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        mine = isinstance(address, str) and Path(address).is_relative_to(tmp_path)
        if not mine and not (isinstance(address, tuple) and address[0] == "127.0.0.1"):
            refuse(address)
        real(self, address)

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    for name in ("execv", "execve", "execvp", "fork", "posix_spawn", "system"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("NO_COLOR", "VDENET_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Places:
    """The package's directories, below a temporary one, for all that looks there."""
    ours = Places(*(PurePosixPath(tmp_path) / name for name in ("run", "etc", "var")))
    for path in (ours.run, ours.etc, ours.var):
        Path(path).mkdir()
    for module in (client, checkup, show):
        monkeypatch.setattr(module, "Places", lambda: ours)
    return ours


Answer = Mapping[str, Any] | VdenetError


@dataclass
class Daemon:
    """Answers every call as told, and remembers it; a double of vdenetd on a real socket."""

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fds: Sequence[int] = ()
    hang_up: bool = False
    talking: bool = False
    """Somebody has a connection."""

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _address = listener.accept()
            except OSError:
                return
            self.talking = True
            with sock:
                self._talk(Channel(sock))
            self.talking = False

    def _talk(self, channel: Channel) -> None:
        while True:
            try:
                call, _fds = channel.receive()
            except (Closed, OSError):
                return
            if self.hang_up:
                return
            method = call["method"].rpartition(".")[2]
            self.calls.append((method, call["parameters"]))
            answer = self.answers[method]
            if isinstance(answer, VdenetError):
                channel.send(message.refusal(answer))
            else:
                with contextlib.suppress(BrokenPipeError):  # the caller may have what it wanted
                    channel.send(message.reply(answer), self.fds)


@pytest.fixture
def daemon(places: Places) -> Iterator[Daemon]:
    double = Daemon()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(places.control))
    listener.listen()
    thread = threading.Thread(target=double.serve, args=(listener,), daemon=True)
    thread.start()
    yield double
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@dataclass(frozen=True)
class Done:
    """How a run of tarr-steps ended."""

    status: int
    out: str
    err: str


class TarrSteps:
    """Runs the tool in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Done:
        self._capsys.readouterr()
        status = main.main(words)
        shown = self._capsys.readouterr()
        return Done(status, shown.out, shown.err)


@pytest.fixture
def tarr_steps(capsys: pytest.CaptureFixture[str]) -> TarrSteps:
    return TarrSteps(capsys)


GUEST: dict[str, Any] = {
    "name": "web", "mac": "52:54:00:12:34:56", "address": "10.83.14.23", "fqdn": "web.vdenet.internal",
    "via": "tap", "port": "vd0-web", "vlan": None, "owner": "alice", "kind": "qemu",
    "guest": None, "joined": True}
SEGMENT: dict[str, Any] = {
    "name": "vdenet0", "state": "up", "address": "10.83.14.1/24", "address6": "fd5e:1::1/64",
    "mode": "nat", "domain": "vdenet.internal", "bridge": "vdenet0", "tap": "vdenet0-vde",
    "switch": "/run/vdenet/vdenet0/switch", "guests": [GUEST]}


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, daemon: Daemon) -> Path:
    """A guest called box, not on the segment; the daemon answers."""
    monkeypatch.setattr(kinds, "look_up", lambda _kind, guest, _connect: Files(guest))
    monkeypatch.setattr(Files, "place", tmp_path / "guests")
    monkeypatch.setattr(Files, "fails", False)
    monkeypatch.setattr(Files, "tap", False)
    monkeypatch.setattr(Files, "handed", False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    daemon.answers |= {"List": {"segments": [SEGMENT]}, "Reserve": RESERVED, "Leave": {"left": True}}
    Files.place.mkdir()
    (Files.place / "box").write_text("off, as it was\n")
    return Files.place / "box"


def methods(daemon: Daemon) -> list[str]:
    return [method for method, _parameters in daemon.calls]


def memories(box: Path) -> list[Path]:
    return sorted((box.parents[1] / "state").rglob("*.json"))

"""A conversation with a switch that does not keep to the rules."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from vdenet.effect import console
from vdenet.effect.console import PROMPT, Console
from vdenet.errors import ToolFailed

Serve = Callable[[Callable[[socket.socket], None]], Path]


class Connected(socket.socket):
    """One end of a pair; no test connects to anything."""

    def connect(self, _address: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A switch that talks like this."""
    def start(talk: Callable[[socket.socket], None]) -> Path:
        ours, theirs = socket.socketpair()

        def run() -> None:
            with theirs, contextlib.suppress(OSError):  # who asked may go
                talk(theirs)
        threading.Thread(target=run, daemon=True).start()
        monkeypatch.setattr(console, "socket", SimpleNamespace(
            socket=lambda *_kind: Connected(socket.AF_UNIX, socket.SOCK_STREAM, 0, ours.detach()),
            AF_UNIX=0, SOCK_STREAM=0, SOCK_CLOEXEC=0))
        return Path("socket")
    return start


def answering(*answers: bytes) -> Callable[[socket.socket], None]:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"VDE switch V.2.3.3" + PROMPT)
        for answer in answers:
            sock.recv(100)
            sock.sendall(answer + PROMPT)
    return talk


def test_question_and_answer(serve: Serve) -> None:
    path = serve(answering(b"0000 DATA END WITH '.'\nPort 1\n.\n1000 Success\n", b"1038 Function not implemented\n"))
    with Console(path) as switch:
        assert switch.ask("port/allprint") == "Port 1"
        with pytest.raises(ToolFailed, match="38"):
            switch.ask("nonsense")


def test_who_talks_for_ever_is_not_listened_to(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "SECONDS", 0.3)

    def drip(sock: socket.socket) -> None:
        while True:
            sock.send(b"x")
            time.sleep(0.02)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        Console(serve(drip))
    assert time.monotonic() - begun < 2


def test_who_talks_too_much_is_not_listened_to(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "MAX_ANSWER", 1000)
    with pytest.raises(ConnectionError):
        Console(serve(lambda sock: sock.sendall(b"x" * 200_000)))

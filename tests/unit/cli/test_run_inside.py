from __future__ import annotations

import ctypes
import signal
import socket
from collections.abc import Iterator

import pytest

from vdenet.cli import run_inside
from vdenet.errors import Refused
from vdenet.wire.channel import Channel


@pytest.fixture
def harmless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is done to this process, nor to others below it."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: type("Libc", (), {"prctl": lambda *_given: 0}))
    monkeypatch.setattr(run_inside, "_end_descendants", lambda: None)
    before = {number: signal.getsignal(number) for number in run_inside.TERMINAL_SIGNALS}
    yield
    for number, action in before.items():
        signal.signal(number, action)


@pytest.mark.parametrize("error", [None, BrokenPipeError(), Refused(what="x", why="y")])
def test_who_started_it_is_gone(harmless: None, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """^C: the other end is closed before anything was said, or while the lease is waited for."""
    ours, theirs = socket.socketpair()
    if error is not None:
        def live(_self: object) -> int:
            raise error

        monkeypatch.setattr(run_inside.Inside, "live", live)
    ours.close()
    assert run_inside.main([str(theirs.detach()), "0", "0", "true"]) == 1


def test_who_started_it_hears_why(harmless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def live(_self: object) -> int:
        raise Refused(what="x", why="y")

    monkeypatch.setattr(run_inside.Inside, "live", live)
    ours, theirs = socket.socketpair()
    with ours:
        assert run_inside.main([str(theirs.detach()), "0", "0", "true"]) == 1
        said, _fds = Channel(ours).receive()
    assert "error" in said

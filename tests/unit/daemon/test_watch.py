"""What wakes the watch, and what it remembers of segments: of none that is no more, as members make and delete them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon import reaper, watch
from vdenet.daemon.engine import Engine
from vdenet.daemon.ports import Ports
from vdenet.daemon.repairs import Repairs
from vdenet.daemon.serving import Servers
from vdenet.errors import Refused
from vdenet.model.places import Places
from vdenet.model.segment import Segment

LAB = replace(PLAIN, name="lab")


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What is sent here, both of the watch's sockets hear."""
    hears, says = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    hears.setblocking(False)
    other = hears.dup()
    other.setblocking(False)
    heard = iter((hears, other))
    monkeypatch.setattr(watch, "_listen", lambda *_words: next(heard))
    monkeypatch.setattr(reaper, "reap_left", lambda _engine: None)
    yield says
    for sock in (hears, other, says):
        sock.close()


def test_a_segment_that_is_deleted_leaves_nothing(places: Places, talk: socket.socket) -> None:
    there: list[Segment] = [PLAIN, LAB]

    def fail(_segment: Any) -> None:
        raise Refused(what="go on", why="no")

    repairs = Repairs()
    engine = SimpleNamespace(places=places, lock=threading.RLock(), stopped=lambda _name: False, follow_guests=fail,
                             repairs=repairs,
                             configuration=SimpleNamespace(all=lambda: there, segment=lambda name: name))
    one = watch.Watch(cast(Engine, engine))
    for expected in ({PLAIN.name, LAB.name}, {PLAIN.name}, set()):
        one._look(due=True)
        assert set(one._files) == set(repairs._failures) == set(repairs._counts) == expected
        del there[-1:]


class Processes:
    """A pidfd can be read once its process has ended, as a pipe can whose writer is closed; and none is had of one that
    was reaped."""

    def __init__(self) -> None:
        self.pids = [7]
        self.reaped = False
        self.pidfd, self._alive = os.pipe()

    def end(self, reaped: bool) -> None:
        os.close(self._alive)
        self.reaped = reaped

    def open(self, _pid: int) -> int:
        if self.reaped:
            raise ProcessLookupError
        return os.dup(self.pidfd)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    made = Processes()
    monkeypatch.setattr(os, "pidfd_open", made.open)
    return made


@pytest.fixture
def one(talk: socket.socket, processes: Processes) -> watch.Watch:
    return watch.Watch(cast(Engine, SimpleNamespace(service_pids=lambda: list(processes.pids), repairs=Repairs())))


@pytest.mark.parametrize("reaped", (True, False))
@pytest.mark.parametrize("listed", (True, False))
def test_the_end_of_a_service_wakes_it_once(one: watch.Watch, processes: Processes, listed: bool, reaped: bool) -> None:
    """Also when somebody who looked before has found it gone already, so that it is none of the services any more."""
    assert not one._wait(0) and not one.is_awake()
    processes.end(reaped)
    processes.pids[:] = processes.pids if listed else []
    assert one._wait(10) and one.is_awake()
    one._awake = False
    assert not one._wait(0) and not one.is_awake()


def test_a_service_that_ended_before_it_was_watched_wakes_it_once(one: watch.Watch, processes: Processes) -> None:
    processes.end(reaped=True)
    assert one._wait(10)
    assert not one._wait(0)


def test_it_is_awake_from_the_first_word_on(one: watch.Watch, talk: socket.socket) -> None:
    talk.send(b"x")
    assert one.is_awake()
    assert one._wait(10) and one.is_awake(), "until it has looked"


# --- who looks waits for it ---------------------------------------------------------------------------------

def test_who_looks_waits_for_an_attempt_that_is_coming() -> None:
    repairs = Repairs()
    assert not repairs.await_next("lab", repairs.count("lab")), "nothing is coming"
    repairs.is_coming = lambda: True
    since = repairs.count("lab")
    later = threading.Timer(0.2, repairs.succeeded, ["lab"])
    later.start()
    assert repairs.await_next("lab", since)
    repairs.is_coming = lambda: False
    assert repairs.await_next("lab", since), "it came before one asked"


def test_what_could_not_be_repaired_is_not_waited_for() -> None:
    repairs = Repairs()
    assert repairs.failed("lab", "no") and not repairs.failed("lab", "no") and repairs.failed("lab", "never")
    repairs.is_coming = lambda: True
    assert not repairs.may("lab") and not repairs.await_next("lab", 0)
    repairs.succeeded("lab")
    assert repairs.may("lab") and repairs.await_next("lab", 0) and repairs.failed("lab", "never")


def test_after_each_failure_it_is_waited_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    repairs, waits = Repairs(), []
    for _nth in range(8):
        repairs.failed("lab", "no")
        asked: Callable[[], bool] = repairs.is_due
        since = now[0]
        while not asked():
            now[0] += 0.25
        waits.append(now[0] - since)
        assert repairs.may("lab")
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_the_engine_forgets_it_too() -> None:
    memories = {name: {LAB.name: object(), PLAIN.name: object()} for name in (
        "_books", "_departed", "_due", "_service_pids", "whereabouts")}
    heard = Servers()
    heard._heard = {LAB.name: ("", "", 0)}
    Engine.forget(cast(Engine, SimpleNamespace(_ports=Ports(), _servers=heard, **memories)), LAB.name)
    assert {name: list(memory) for name, memory in memories.items()} == dict.fromkeys(memories, [PLAIN.name])
    assert heard._heard == {}

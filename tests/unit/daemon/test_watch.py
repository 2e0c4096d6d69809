"""What wakes the watch, and what it remembers of segments: of none that is no more, as members make and delete them."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon import reaper, retiring, settling, watch
from vdenet.daemon.agenda import Agenda
from vdenet.daemon.engine import Engine
from vdenet.daemon.ports import Ports
from vdenet.daemon.repairs import Repairs
from vdenet.daemon.serving import Servers
from vdenet.errors import Refused
from vdenet.model.change import Change
from vdenet.model.observed import Observed, RunningService, Waiting
from vdenet.model.places import Places
from vdenet.model.segment import Retiring, Segment
from vdenet.model.steps import StartService
from vdenet.model.wanted import Service
from vdenet.probe import links

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

    repairs, kept = Repairs(), list[set[str]]()
    engine = SimpleNamespace(places=places, lock=threading.RLock(), stopped=lambda _name: False, follow_guests=fail,
                             repairs=repairs, keep=kept.append,
                             configuration=SimpleNamespace(all=lambda: there, segment=lambda name: name))
    one = watch.Watch(cast(Engine, engine))
    for expected in ({PLAIN.name, LAB.name}, {PLAIN.name}, set()):
        one._look(due=True)
        assert set(one._files) == kept[-1] == expected
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
    return watch.Watch(cast(Engine, SimpleNamespace(
        service_pids=lambda: list(processes.pids), repairs=Repairs(), is_due=lambda: False)))


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


def test_a_service_that_could_not_be_watched_is_watched_at_the_next_turn(
        one: watch.Watch, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", full)
        assert not one._wait(0)
    assert not one._wait(0)
    processes.end(reaped=False)
    assert one._wait(10)


# --- who looks waits for it ---------------------------------------------------------------------------------

@pytest.fixture
def repairs() -> Repairs:
    """Of a watch that has looked at lab, and is about to do so again."""
    made = Repairs()
    made.succeeded(LAB.name)
    made.is_awake = lambda: True
    return made


Reader = Callable[[], list[str]]


@pytest.fixture
def read(repairs: Repairs) -> Reader:
    """What is seen as wrong: one thing, until the watch has done something."""
    engine = cast(Engine, SimpleNamespace(lock=threading.RLock(), repairs=repairs, stopped=lambda _name: False))
    done = repairs._last[LAB.name]

    def find() -> list[str]:
        return ["wrong"] if LAB.name in repairs._failures or repairs._last.get(LAB.name) == done else []

    def once() -> list[str]:
        with settling.settled(engine, LAB.name, find) as found:
            return found

    return once


@pytest.mark.parametrize(("end", "left"), (
    (lambda repairs: repairs.succeeded(LAB.name), []), (lambda repairs: repairs.failed(LAB.name, "no"), ["wrong"]),
    (lambda repairs: repairs.keep([]), [])), ids=("repaired", "failed", "stopped or deleted meanwhile"))
def test_who_sees_something_wrong_looks_again_after_the_watch(
        repairs: Repairs, read: Reader, end: Callable[[Repairs], object], left: list[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdenet.daemon.repairs.TURN_SECONDS", 60)
    later = threading.Timer(0.2, end, [repairs])
    later.start()
    began = time.monotonic()
    assert read() == left
    assert time.monotonic() - began < 30
    later.join()


def test_who_sees_something_wrong_looks_again_though_the_watch_did_not(
        repairs: Repairs, read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdenet.daemon.repairs.TURN_SECONDS", 0.1)
    assert read() == ["wrong"]


def test_what_becomes_of_another_is_not_waited_for(repairs: Repairs, read: Reader,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    repairs.succeeded("other")
    since = repairs.count()
    monkeypatch.setattr("vdenet.daemon.repairs.TURN_SECONDS", 0.5)
    timers = [threading.Timer(0.1, repairs.keep, [[LAB.name]]), threading.Timer(0.2, repairs.succeeded, ["third"])]
    for timer in timers:
        timer.start()
    began = time.monotonic()
    repairs.await_next(LAB.name, since)
    assert time.monotonic() - began > 0.4
    for timer in timers:
        timer.join()


@pytest.mark.parametrize("spoil", (
    lambda repairs: setattr(repairs, "is_awake", lambda: False), lambda repairs: repairs.failed(LAB.name, "no")),
    ids=("nothing is coming", "it failed just now"))
def test_what_is_not_coming_is_not_waited_for(repairs: Repairs, read: Reader, spoil: Callable[[Repairs], object],
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(repairs)
    monkeypatch.setattr(repairs, "await_next", None)
    assert read() == ["wrong"]


def test_an_attempt_that_ended_since_is_not_waited_for(repairs: Repairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after others were forgotten."""
    for name in ("a", "b", LAB.name):
        repairs.succeeded(name)
    repairs.keep([LAB.name])
    since = repairs.count()
    repairs.succeeded(LAB.name)
    monkeypatch.setattr("vdenet.daemon.repairs.TURN_SECONDS", 60)
    began = time.monotonic()
    repairs.await_next(LAB.name, since)
    assert time.monotonic() - began < 30


def test_a_failure_is_news_once(repairs: Repairs) -> None:
    assert repairs.failed("lab", "no") and not repairs.failed("lab", "no") and repairs.failed("lab", "never")
    assert not repairs.may("lab") and repairs.why_failed("lab") == "never"
    repairs.succeeded("lab")
    assert repairs.may("lab") and repairs.why_failed("lab") is None and repairs.failed("lab", "never")


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


def test_what_is_due(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that waits, one that may have ended by then, and an address that is served no longer."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    agenda = Agenda(places)
    plug = Service("plug", ("vde_plug",), "vdenet-plug", patient=True)
    served = (Retiring(IPv4Interface("10.9.9.1/24"), time.time() + 30),)

    def due_after(seconds: float) -> bool:
        now[0] += seconds - 0.5
        early = agenda.is_due(lambda _name: True)
        now[0] += 1
        return not early and agenda.is_due(lambda _name: True)

    agenda.note(PLAIN, (), Observed())
    assert not due_after(10_000)
    agenda.note(PLAIN, (), Observed(waiting={"plug": Waiting(5, "")}))
    assert due_after(5)
    agenda.note(PLAIN, (Change(StartService(PLAIN.name, plug)),), Observed())
    assert due_after(1)
    Path(places.retiring(PLAIN.name)).write_text(retiring.record(PLAIN.name, served, places).text)
    agenda.note(PLAIN, (), Observed())
    assert due_after(30)
    assert not agenda.is_due(lambda name: name != PLAIN.name), "it cannot be looked after now"
    agenda.keep([PLAIN.name])
    assert agenda.is_due(lambda _name: True)
    agenda.postpone(PLAIN.name)
    assert not due_after(0)
    agenda.note(PLAIN, (), Observed(waiting={"plug": Waiting(1, "")}))
    agenda.drop(PLAIN.name)
    assert not due_after(1)


def test_which_services_are_watched(places: Places) -> None:
    """Of each segment those that ran when it was brought up last."""
    agenda = Agenda(places)
    for name, pids in (("vdenet0", (1, 2)), ("lab", (3,)), ("vdenet0", (2, 4))):
        services = {str(pid): RunningService(pid, "", "") for pid in pids}
        agenda.note(replace(PLAIN, name=name), (), Observed(services=services))
    assert sorted(agenda.services()) == [2, 3, 4]
    agenda.drop("vdenet0")
    assert agenda.services() == [3]
    agenda.keep([])
    assert agenda.services() == []


def test_the_engine_forgets_it_too(places: Places) -> None:
    memories = {name: {LAB.name: object(), PLAIN.name: object()} for name in ("_books", "_departed", "whereabouts")}
    heard, agenda = Servers(), Agenda(places)
    heard._heard = {LAB.name: ("", "", 0)}
    for segment in (LAB, PLAIN):
        agenda.note(segment, (), Observed())
    Engine.forget(cast(Engine, SimpleNamespace(_ports=Ports(), _servers=heard, agenda=agenda, **memories)), LAB.name)
    memories |= {"due": agenda._due, "services": agenda._services}  # type: ignore[dict-item]
    assert {name: list(memory) for name, memory in memories.items()} == dict.fromkeys(memories, [PLAIN.name])
    assert heard._heard == {}



@pytest.mark.parametrize(("there", "stopped", "seen"), (
    (None, False, "down"), (None, True, "down"), ("ours", False, "plan"), ("ours", True, "a part of it is still there"),
    ("another's", False, "plan"), ("another's", True, "down")))
def test_what_was_stopped_and_is_there_is_told_from_what_is_down(
        monkeypatch: pytest.MonkeyPatch, there: str | None, stopped: bool, seen: str) -> None:
    monkeypatch.setattr(links, "link", lambda _name: SimpleNamespace(ours=there == "ours") if there else None)
    engine = cast(Engine, SimpleNamespace(stopped=lambda _name: stopped, plan_up=lambda _segment: ("plan", None, None)))
    try:
        found = settling.look(engine, PLAIN)
        assert (found.plan if found is not None else "down") == seen
    except Refused as error:
        assert seen in str(error) and error.data["hint"] == "tarr-steps stop vdenet0"

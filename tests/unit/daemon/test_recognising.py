"""The programs of the host are looked for once, however many ask who the guests are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from vdenet.daemon import recognising
from vdenet.daemon.recognising import Row
from vdenet.model.report import GuestReport
from vdenet.text.programs import Runs
from vdenet.text.recognition import Program, Sighting

MAC = "52:54:00:8a:1b:2c"
ROW = Row(GuestReport("web", MAC), Sighting(MAC), None)


class Host:
    """A host with one more program at each look, which takes its time, and a clock."""

    def __init__(self) -> None:
        self.looks = 0
        self.now = 1000.0
        self.takes = 0.02

    def running(self) -> list[Program]:
        time.sleep(0.05)
        self.now += self.takes
        self.looks += 1
        return [Program(5, 0, Runs("qemu", f"look-{self.looks}", frozenset({MAC})))]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host()
    monkeypatch.setattr(recognising.programs, "running", made.running)
    monkeypatch.setattr(recognising.namespaces, "peers", lambda _ports: {})
    monkeypatch.setattr(recognising, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(recognising, "_look", recognising.Look())
    yield made


def recognised() -> str | None:
    return recognising.recognise([ROW])[0].guest


def test_one_look_for_all_who_ask(host: Host) -> None:
    found: list[str | None] = []
    asking = [threading.Thread(target=lambda: found.append(recognised())) for _each in range(8)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert (host.looks, found) == (1, ["look-1"] * 8)


@pytest.mark.parametrize(("takes", "good"), [(0.02, 0.08), (0.1, 0.4), (1.0, 1.0), (7.0, 1.0)])
def test_one_that_took_long_is_good_for_long(host: Host, takes: float, good: float) -> None:
    host.takes = takes
    assert recognised() == "look-1"
    host.now += 0.9 * good
    assert recognised() == "look-1"
    host.now += 0.2 * good
    assert recognised() == "look-2"


def test_one_that_fails_is_made_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Program]:
        raise OSError

    monkeypatch.setattr(recognising.programs, "running", fail)
    with pytest.raises(OSError):
        recognised()
    monkeypatch.setattr(recognising.programs, "running", host.running)
    assert recognised() == "look-1"


def test_nobody_there_nobody_asked(host: Host) -> None:
    assert recognising.recognise([]) == ()
    assert host.looks == 0

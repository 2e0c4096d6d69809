"""What is remembered of segments: of none that is no more, as members make and delete them."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon import reaper, watch
from vdenet.daemon.engine import Engine
from vdenet.daemon.ports import Ports
from vdenet.daemon.serving import Servers
from vdenet.errors import Refused
from vdenet.model.places import Places
from vdenet.model.segment import Segment

LAB = replace(PLAIN, name="lab")


def test_a_segment_that_is_deleted_leaves_nothing(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[Segment] = [PLAIN, LAB]

    def fail(_segment: Any) -> None:
        raise Refused(what="go on", why="no")

    engine = SimpleNamespace(places=places, lock=threading.RLock(), stopped=lambda _name: False, follow_guests=fail,
                             configuration=SimpleNamespace(all=lambda: there, segment=lambda name: name))
    monkeypatch.setattr(watch, "_listen", lambda *_words: None)
    monkeypatch.setattr(reaper, "reap_left", lambda _engine: None)
    one = watch.Watch(cast(Engine, engine))
    for expected in ({PLAIN.name, LAB.name}, {PLAIN.name}, set()):
        one._look(due=True)
        assert set(one._files) == set(one._retry) == set(one._told) == expected
        del there[-1:]


def test_the_engine_forgets_it_too() -> None:
    memories = {name: {LAB.name: object(), PLAIN.name: object()} for name in (
        "_books", "_departed", "_due", "whereabouts")}
    heard = Servers()
    heard._heard = {LAB.name: ("", "", 0)}
    Engine.forget(cast(Engine, SimpleNamespace(_ports=Ports(), _servers=heard, **memories)), LAB.name)
    assert {name: list(memory) for name, memory in memories.items()} == dict.fromkeys(memories, [PLAIN.name])
    assert heard._heard == {}

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from vdenet.cli.complain import complaint
from vdenet.daemon import segments
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.errors import BadValue, Collision
from vdenet.model.places import Places

ROOT = Caller(0, "root")


@pytest.fixture
def engine(places: Places, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(segments.links, "links", lambda: {"podman0": None})
    there = SimpleNamespace(names=tuple)
    return cast(Engine, SimpleNamespace(lock=threading.RLock(), places=places, configuration=there))


@pytest.mark.parametrize("address", [None, "10.9.8.1/24"])
def test_a_bridged_segment_takes_more_than_its_mode(engine: Engine, address: str | None) -> None:
    with pytest.raises(BadValue) as caught:
        segments.create(engine, ROOT, "x1", None, address, "bridged")
    told = complaint(caught.value)
    assert told.message == "cannot use mode bridged: it needs a FILE that also has one of uplink, adopt, openvswitch"
    assert told.hint == "tarr-steps segment create x1 FILE; man vdenet.toml tells what it may hold"


def test_a_name_that_an_interface_has(engine: Engine) -> None:
    with pytest.raises(Collision) as caught:
        segments.create(engine, ROOT, "podman0", None, None, None)
    assert complaint(caught.value).hint == "choose another name for the segment"

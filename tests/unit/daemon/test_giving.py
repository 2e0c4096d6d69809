"""What the operations that give a guest a port or a name answer besides: whether that was news."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon import operations
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import Guest, GuestBook
from vdenet.daemon.members import Caller
from vdenet.daemon.operations import Request
from vdenet.model.places import Places
from vdenet.wire.message import Parameters


@pytest.mark.parametrize(("method", "door"), [("KeepTap", "keep_tap"), ("Reserve", "reserve")])
def test_it_says_whether_the_book_has_changed(places: Places, monkeypatch: pytest.MonkeyPatch, method: str,
                                              door: str) -> None:
    book = GuestBook(PLAIN.name, places)
    guest = Guest("web", "52:54:00:12:34:56", "qemu", 1000, "vd0-web", kept=True)

    def give(*_given: object, **_named: object) -> Any:
        book.enter(guest)
        reply = {"name": guest.name, "mac": guest.mac}
        return SimpleNamespace(json=lambda: reply) if door == "keep_tap" else reply

    monkeypatch.setattr(operations.joining, door, give)
    engine = cast(Engine, SimpleNamespace(
        lock=threading.RLock(), book=lambda _segment: book, configuration=SimpleNamespace(segment=lambda _name: PLAIN)))

    def ask() -> object:
        return operations.find(method).do(Request(engine, Caller(1000, "alice"), Parameters({}))).parameters

    assert ask() == {"name": "web", "mac": guest.mac, "changed": True}
    assert ask() == {"name": "web", "mac": guest.mac, "changed": False}
    guest = replace(guest, vlan=33)
    assert ask() == {"name": "web", "mac": guest.mac, "changed": True}

"""Which ports end, and which stay, whatever their holders did to them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon import members, reaper
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import Guest, GuestBook
from vdenet.model.names import tap_mac
from vdenet.model.observed import Link
from vdenet.model.places import Places
from vdenet.model.wanted import guest_alias
from vdenet.probe import links

ALICE, LEFT = 1000, 1001
PORT = "vd0-web"
TAP = Link(PORT, 7, tap_mac(PORT), 1500, True, True, "tap", PLAIN.bridge, guest_alias(PLAIN.name), ALICE)
WEB = Guest("web", "52:54:00:00:00:01", "qemu", ALICE, PORT)


class Machine:
    """The engine, as far as the reaper asks it."""

    def __init__(self, places: Places) -> None:
        self.lock = threading.RLock()
        self.netlink = self
        self.deleted: list[int] = []
        self._book = GuestBook(PLAIN.name, places)

    def book(self, _segment: str) -> GuestBook:
        return self._book

    def delete(self, _name: str, ifindex: int, mark: str) -> None:
        assert mark == guest_alias(PLAIN.name)
        self.deleted.append(ifindex)


def reaped(places: Places, monkeypatch: pytest.MonkeyPatch, link: Link, guest: Guest | None) -> tuple[bool, Machine]:
    machine = Machine(places)
    if guest is not None:
        machine.book("").enter(guest)
    monkeypatch.setattr(links, "links", lambda: {link.name: link})
    monkeypatch.setattr(members, "is_member", lambda uid: uid == ALICE)
    reaper.reap(cast(Engine, machine), PLAIN)
    return machine.deleted == [link.ifindex], machine


@pytest.mark.parametrize(("link", "guest", "ends"), [
    (TAP, WEB, False),
    (replace(TAP, owner=None), WEB, False),
    (TAP, None, False),
    (replace(TAP, carrier=False), WEB, True),
    (replace(TAP, carrier=False, up=False), WEB, False),
    (replace(TAP, carrier=False), replace(WEB, kept=True), False),
    (replace(TAP, mac="52:54:00:00:00:02"), WEB, True),
    (replace(TAP, mac="52:54:00:00:00:02"), replace(WEB, kept=True), True),
    (TAP, replace(WEB, uid=LEFT), True),
    (replace(TAP, owner=LEFT), WEB, False),
    (replace(TAP, owner=LEFT), None, True),
    (TAP, replace(WEB, uid=0), False),
    (replace(TAP, kind="veth", mac="52:54:00:00:00:02", carrier=False), WEB, False),
    (replace(TAP, alias="", mac="52:54:00:00:00:02", owner=LEFT), None, False),
], ids=["held", "owner-lost", "book-lost", "let-go", "not-yet-up", "kept", "mac", "kept-mac", "left", "owner-forged",
        "book-lost-and-left", "root", "veth", "not-ours"])
def test_what_ends(places: Places, monkeypatch: pytest.MonkeyPatch, link: Link, guest: Guest | None,
                   ends: bool) -> None:
    done, machine = reaped(places, monkeypatch, link, guest)
    assert done is ends
    if guest is not None:
        assert (machine.book("").find("web") is None) is (ends and guest.kept), "a plan would make it again"

"""Guests that are silent: kept where they were heard, for as long as that is theirs."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from unit.samples import PLAIN
from vdenet.daemon import whereabouts
from vdenet.daemon.whereabouts import Place, Plugged
from vdenet.model.observed import Link
from vdenet.model.vlans import SwitchPort
from vdenet.text.vde import Client

WEB, OLD = "52:54:00:00:00:01", "52:54:00:00:00:02"
ALICE = Client("alice", 4711)


class Segment:
    """What bridge, switch and lease file of a segment say, changed by the tests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bridge: dict[str, str] = {}
        self.ports = {"veth1": 7, PLAIN.tap: 3}
        self.plugged: Plugged | None = Plugged({}, {})
        self.asked = 0
        self.engine: Any = SimpleNamespace(
            lock=threading.RLock(), whereabouts={}, leases=lambda _segment: [SimpleNamespace(mac=WEB)],
            book=lambda _name: SimpleNamespace(all=lambda: []))
        monkeypatch.setattr(whereabouts.links, "heard", lambda _bridge: dict(self.bridge))
        monkeypatch.setattr(whereabouts.links, "links", self.links)
        monkeypatch.setattr(whereabouts, "_ask", self.ask)

    def links(self) -> dict[str, Link]:
        return {name: Link(name, ifindex, f"fe:00:00:00:00:{ifindex:02x}", 1500, True, True, "veth", PLAIN.bridge)
                for name, ifindex in self.ports.items()}

    def ask(self, *_: object) -> Plugged | None:
        self.asked += 1
        return self.plugged

    def heard(self) -> tuple[dict[str, Place], dict[str, Place]]:
        return whereabouts.heard(self.engine, PLAIN)


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch) -> Segment:
    return Segment(monkeypatch)


def test_a_port_of_the_bridge(segment: Segment) -> None:
    place = Place("veth1", 7)
    segment.bridge = {WEB: "veth1", OLD: "veth1"}
    assert segment.heard() == ({WEB: place, OLD: place}, {})
    segment.bridge = {}
    assert segment.heard() == ({}, {WEB: place})  # the other has no lease and no name: anybody may make up a MAC
    assert segment.heard() == ({}, {WEB: place})
    segment.ports["veth1"] = 8  # another interface by that name
    assert segment.heard() == ({}, {})
    segment.ports["veth1"] = 7
    assert segment.heard() == ({}, {}), "and what is forgotten stays so"


def test_a_port_of_the_switch(segment: Segment) -> None:
    place = Place(PLAIN.tap, 3, 2, ALICE)
    segment.bridge = {WEB: PLAIN.tap}
    segment.plugged = Plugged({2: ALICE}, {WEB: 2})
    assert segment.heard() == ({WEB: place}, {})
    segment.plugged = Plugged({2: ALICE}, {})  # the switch forgets before the bridge does
    assert segment.heard() == ({}, {WEB: place})
    segment.plugged = Plugged({2: Client("alice", 4712)}, {})  # somebody else has the port
    assert segment.heard() == ({}, {})


def test_the_vlan_of_a_port_of_the_switch(segment: Segment) -> None:
    segment.bridge = {WEB: PLAIN.tap}
    segment.plugged = Plugged({2: ALICE}, {WEB: 2}, {2: SwitchPort(2, 33)})
    assert segment.heard()[0][WEB].vlan == 33
    segment.plugged = Plugged({2: ALICE}, {}, {2: SwitchPort(2, 44)})  # it is put into another while it is silent
    assert segment.heard()[1][WEB].vlan == 44
    segment.plugged = Plugged({2: ALICE}, {WEB: 2}, {2: SwitchPort(2, None, frozenset({33}))})
    assert segment.heard()[0][WEB].vlan is None


def test_a_guest_that_has_moved(segment: Segment) -> None:
    segment.bridge = {WEB: "veth1"}
    segment.heard()
    segment.bridge = {WEB: PLAIN.tap}
    segment.plugged = Plugged({2: ALICE}, {WEB: 2})
    segment.heard()
    segment.bridge = {}
    assert segment.heard() == ({}, {WEB: Place(PLAIN.tap, 3, 2, ALICE)})


def test_a_switch_that_does_not_answer(segment: Segment) -> None:
    segment.plugged = None
    segment.bridge = {WEB: PLAIN.tap}
    assert segment.heard() == ({WEB: Place(PLAIN.tap, 3)}, {})
    segment.bridge = {}
    assert segment.heard() == ({}, {}), "nobody to know the place by"


def test_the_switch_is_asked_when_there_is_something_to_learn(segment: Segment) -> None:
    def notice() -> int:
        before = segment.asked
        whereabouts.notice(segment.engine, PLAIN)
        return segment.asked - before
    segment.bridge = {OLD: PLAIN.tap, WEB: "veth1"}
    assert notice() == 1  # where WEB is was not known
    assert notice() == 0
    segment.bridge = {WEB: PLAIN.tap}
    segment.plugged = Plugged({2: ALICE}, {WEB: 2})
    assert notice() == 1
    assert notice() == 0
    assert segment.heard()[0] == {WEB: Place(PLAIN.tap, 3, 2, ALICE)}

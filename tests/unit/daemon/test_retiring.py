"""Earlier addresses: for how long, how many, and after damage."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from unit.samples import PLAIN
from vdenet.daemon import retiring
from vdenet.model.places import Places
from vdenet.model.segment import Segment, Vlan

NOW = 1_700_000_000.0


def at(address: str) -> Segment:
    return replace(PLAIN, address=IPv4Interface(address))


def move(old: str, new: str, places: Places, now: float = NOW) -> None:
    file = retiring.record("vdenet0", retiring.after(at(old), IPv4Interface(new), places, now), places)
    Path(file.path).write_text(file.text)


def served(address: str, places: Places, now: float = NOW) -> list[str]:
    return [str(one.address) for one in retiring.current(at(address), places, now)]


def test_for_one_lease_time(places: Places) -> None:
    move("10.1.0.1/24", "10.2.0.1/24", places)
    assert served("10.2.0.1/24", places) == ["10.1.0.1/24"]
    assert served("10.2.0.1/24", places, NOW + PLAIN.lease_seconds - 1) == ["10.1.0.1/24"]
    assert served("10.2.0.1/24", places, NOW + PLAIN.lease_seconds) == []


@pytest.mark.parametrize("years", (-10, 10))
def test_a_clock_that_jumps_leaves_nothing_for_ever(places: Places, years: int) -> None:
    move("10.1.0.1/24", "10.2.0.1/24", places)
    assert served("10.2.0.1/24", places, NOW + years * 365 * 86400) == []


def test_inside_the_new_network_it_is_an_address_without_a_network(places: Places) -> None:
    move("10.1.0.1/24", "10.1.0.2/16", places)
    assert served("10.1.0.2/16", places) == ["10.1.0.1/32"]


def test_not_beside_a_vlan_that_has_its_network_now(places: Places) -> None:
    move("10.1.0.1/24", "10.2.0.1/24", places)
    lan = replace(at("10.2.0.1/24"), vlans=(Vlan(33, None, IPv4Interface("10.1.0.1/24")),))
    assert retiring.current(lan, places, NOW) == ()


def test_there_and_back(places: Places) -> None:
    move("10.1.0.1/24", "10.2.0.1/24", places)
    move("10.2.0.1/24", "10.1.0.1/24", places)
    assert served("10.1.0.1/24", places) == ["10.2.0.1/24"]


def test_the_oldest_goes_first(places: Places) -> None:
    for number in range(8):
        move(f"10.{number}.0.1/24", f"10.{number + 1}.0.1/24", places, NOW + number)
    assert served("10.8.0.1/24", places, NOW + 8) == [f"10.{n}.0.1/24" for n in (4, 5, 6, 7)]


def test_damage(places: Places) -> None:
    move("10.1.0.1/24", "10.2.0.1/24", places)
    path = Path(places.retiring("vdenet0"))
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert served("10.2.0.1/24", places) in ([], ["10.1.0.1/24"])
    for at_byte in range(len(whole)):
        for bit in range(8):
            raw = bytearray(whole)
            raw[at_byte] ^= 1 << bit
            path.write_bytes(raw)
            assert len(served("10.2.0.1/24", places)) <= 1


@pytest.mark.parametrize("text", (
    "null", "{}", "7", "[7]", "[[]]", '[{"address": "10.1.0.1/24"}]', '[{"address": null, "until": 1}]',
    '[{"address": "10.1.0.1/24", "until": NaN}]', '[{"address": "10.1.0.1/24", "until": Infinity}]',
    '[{"address": "10.1.0.1/24", "until": ' + "9" * 400 + "}]", "[" * 100_000,
    json.dumps([{"address": "10.2.0.9/24", "until": NOW + 10}]),
    json.dumps([{"address": "10.2.0.1/32", "until": NOW + 9}]),
), ids=lambda text: str(text)[:30])
def test_what_is_not_served(places: Places, text: str) -> None:
    Path(places.retiring("vdenet0")).write_text(text)
    assert served("10.2.0.1/24", places) == []

"""Ports of the VDE switch that guests get for themselves."""

from __future__ import annotations

from vdenet.model.vlans import free_switch_port


def test_from_the_last_one_down() -> None:
    assert free_switch_port(64, set(), set()) == 63
    assert free_switch_port(64, {63, 61}, {62}) == 60
    assert free_switch_port(4, {3}, set()) == 2


def test_never_the_bridges() -> None:
    assert free_switch_port(4, {2, 3}, set()) is None


def test_half_of_them_are_for_those_who_come_and_go() -> None:
    assert free_switch_port(64, set(), set(range(33, 64))) == 32
    assert free_switch_port(64, set(), set(range(32, 64))) is None

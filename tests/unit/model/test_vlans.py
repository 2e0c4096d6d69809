"""Ports of the VDE switch that guests get for themselves."""

from __future__ import annotations

from vdenet.model.vlans import free_switch_port, share_of_switch_ports


def test_from_the_last_one_down() -> None:
    assert free_switch_port(64, set(), set()) == 63
    assert free_switch_port(64, {63, 61}, {62}) == 60
    assert free_switch_port(4, {3}, set()) == 2


def test_never_the_bridges() -> None:
    assert free_switch_port(4, {2, 3}, set()) is None


def test_half_of_them_are_for_those_who_come_and_go() -> None:
    assert free_switch_port(64, set(), set(range(33, 64))) == 32
    assert free_switch_port(64, set(), set(range(32, 64))) is None


def test_a_users_share() -> None:
    assert [share_of_switch_ports(ports) for ports in (2, 8, 16, 64, 1024)] == [1, 1, 2, 8, 128]

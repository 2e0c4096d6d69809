"""Ports that somebody takes off the bridge while it stays, or puts on another: the daemon does not fight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for

BRIDGE, OTHER = "vdenet0", "br9"


def port(machine: Machine, name: str) -> dict[str, Any]:
    link: dict[str, Any] = json.loads(machine.sh(f"ip -j link show {name}"))[0]
    return link


def looks(machine: Machine) -> None:
    """The daemon looks at everything, and has nothing to do."""
    machine.run(["tarr-steps", "reload"], user="alice")
    assert json.loads(machine.run(["tarr-steps", "--json", "plan"], user="alice").stdout)["steps"] == []


@pytest.fixture
def other(machine: Machine, daemon: Daemon) -> Iterator[Machine]:
    """With another bridge."""
    machine.sh(f"ip link add {OTHER} type bridge; ip link set {OTHER} addrgenmode none up")
    yield machine
    machine.sh(f"ip link del {OTHER}")


@pytest.fixture
def foreign(other: Machine) -> Iterator[str]:
    """A port that another program made, on the segment's bridge, which the daemon has seen there."""
    other.sh(f"ip link add foreign type veth peer name inner; ip link set inner addrgenmode none up;"
             f" ip link set foreign addrgenmode none master {BRIDGE} up")
    looks(other)
    yield "foreign"
    other.sh("ip link del foreign")


@pytest.fixture
def tap(other: Machine) -> Iterator[str]:
    """A tap of a member's, made by the daemon."""
    joined = other.run(["tarr-steps", "--json", "join", "qemu", "--tap", "web"], user="alice").stdout
    yield json.loads(joined)["port"]
    other.run(["tarr-steps", "leave", "qemu", "web"], user="alice")


def test_a_foreign_port_that_is_taken_off_stays_off(other: Machine, foreign: str) -> None:
    other.sh(f"ip link set {foreign} nomaster")
    looks(other)
    assert "master" not in port(other, foreign)


def test_a_foreign_port_stays_on_the_bridge_that_it_is_moved_to(other: Machine, foreign: str) -> None:
    other.sh(f"ip link set {foreign} master {OTHER}")
    looks(other)
    assert port(other, foreign)["master"] == OTHER


def test_a_foreign_port_that_lost_the_bridge_gets_it_back(other: Machine, foreign: str) -> None:
    other.sh(f"ip link del {BRIDGE}")
    wait_for(lambda: port(other, foreign).get("master") == BRIDGE, 60, "the bridge")
    looks(other)


def test_a_members_port_stays_on_the_bridge_that_root_puts_it_on(other: Machine, tap: str) -> None:
    other.sh(f"ip link set {tap} master {OTHER}; ip link set {tap} down")
    looks(other)
    assert port(other, tap)["master"] == OTHER
    assert "UP" not in port(other, tap)["flags"]


def test_a_members_port_that_is_on_no_bridge_comes_back(other: Machine, tap: str) -> None:
    other.sh(f"ip link set {tap} nomaster")
    wait_for(lambda: port(other, tap).get("master") == BRIDGE, 60, "the port")
    looks(other)

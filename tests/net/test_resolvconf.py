"""A host whose programs ask a list of name servers: the segments' are in it, and never in the place of all others."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from lab.daemon import Daemon
from lab.machine import Machine

OUTSIDE = "192.0.2.53"
MOST = 3
"""MAXNS of resolv.conf(5)."""


@pytest.fixture(scope="module")
def machine(new_machine: Callable[..., Machine]) -> Machine:
    made = new_machine("trixie", "openresolv")
    made.run(["resolvconf", "-a", "eth0"], input=f"nameserver {OUTSIDE}\n")
    return made


def servers(machine: Machine) -> list[str]:
    return [line.split()[1] for line in machine.sh("cat /etc/resolv.conf").splitlines() if line.startswith("nameserver")]


def crowded(machine: Machine, segment: str) -> bool:
    told = json.loads(machine.run(["tarr-steps", "check", "--segment", segment, "--json"], check=False).stdout)
    return any(one["code"] == "resolver-none" and "three servers at most" in one["message"] for one in told["findings"])


def test_the_outsides_server_keeps_its_place(machine: Machine, daemon: Daemon) -> None:
    main = json.loads(machine.run(["tarr-steps", "ip", "--json"]).stdout)["address"].partition("/")[0]
    assert servers(machine) == [main, OUTSIDE]
    made = {}
    for name in ("aa", "bb", "cc"):
        machine.run(["tarr-steps", "segment", "create", name, "--mode", "isolated"], user="alice")
        made[name] = json.loads(machine.run(["tarr-steps", "ip", "--segment", name, "--json"]).stdout)["address"].partition("/")[0]
    machine.wait_for(lambda: made["aa"] in servers(machine), 30, "the first of them")
    assert set(servers(machine)) == {main, made["aa"], OUTSIDE} and len(servers(machine)) == MOST
    assert [name for name in ("vdenet0", *made) if crowded(machine, name)] == ["bb", "cc"]
    # Who had no place gets the one that is free.
    machine.run(["tarr-steps", "segment", "delete", "aa"], user="alice")
    machine.wait_for(lambda: set(servers(machine)) == {main, made["bb"], OUTSIDE}, 60, "the next of them")
    assert not crowded(machine, "bb") and crowded(machine, "cc")

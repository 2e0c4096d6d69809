"""A port that a hypervisor makes by the name that it was given, and leaves to the daemon.

Such names are given for VLANs alone, which take another kernel (tests/vlans); so here the book says that one was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer

BRIDGE, PORT = "vdenet0", "vd0-web"


def tarr(machine: Machine, *argv: str, user: str = "alice") -> Any:
    return json.loads(machine.run(["tarr-steps", "--json", *argv], user=user, check=False).stdout)


def port(machine: Machine) -> dict[str, Any]:
    said = machine.run(["ip", "-json", "link", "show", "dev", PORT], check=False).stdout
    return dict(json.loads(said)[0]) if said.strip() else {}


def make(machine: Machine, *, up: bool) -> None:
    """As nspawn does, or `up` as LXC and Incus do."""
    machine.sh(f"ip link add {PORT} type veth peer name inner; ip link set inner address {mac(machine)} up; "
               f"ip link set {PORT} {'up' if up else 'down'}")


def mac(machine: Machine) -> str:
    return str(entry(machine)["mac"])


def book(machine: Machine) -> Any:
    return json.loads(machine.path("/var/lib/vdenet/vdenet0/guests.json").read_text())


def entry(machine: Machine) -> dict[str, Any]:
    return next(dict(guest) for guest in book(machine)["guests"] if guest["name"] == "web")


@pytest.fixture
def handed(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon by whose book alice's guest web, of the kind asked for, has a port handed over."""
    with Daemon(machine):
        assert tarr(machine, "join", "qemu", "--name", "web", "--print")["name"] == "web"
    known = book(machine)
    for guest in known["guests"]:
        guest |= {"handed": True, "port": PORT, "kind": getattr(request, "param", "qemu")}
    machine.path("/var/lib/vdenet/vdenet0/guests.json").write_text(json.dumps(known))
    with Daemon(machine) as running:
        yield running
    machine.run(["ip", "link", "del", PORT], check=False)


def on_the_bridge(machine: Machine) -> bool:
    now = port(machine)
    return now.get("master") == BRIDGE and "LOWER_UP" in now["flags"]


def test_it_is_put_on_the_bridge_whenever_it_appears(machine: Machine, handed: Daemon) -> None:
    machine.sh(f"ip link add {PORT} type bridge")
    tarr(machine, "reload")
    assert "master" not in port(machine), "no hypervisor makes such a one"
    machine.sh(f"ip link del {PORT}")
    for up in (False, True):
        make(machine, up=up)
        wait_for(lambda: on_the_bridge(machine), 30, f"{PORT} on the bridge")
        assert tarr(machine, "plan")["steps"] == []
        guest = next(one for one in tarr(machine, "list")["segments"][0]["guests"] if one["name"] == "web")
        assert (guest["port"], guest["via"], guest["owner"]) == (PORT, "veth", "alice")
        machine.sh(f"ip link del {PORT}")
        tarr(machine, "reload")
        assert entry(machine)["port"] == PORT, "it is the guest's own while it is off"


def test_when_it_leaves_it_is_taken_off_and_left_to_its_hypervisor(machine: Machine, handed: Daemon) -> None:
    make(machine, up=True)
    wait_for(lambda: on_the_bridge(machine), 30, f"{PORT} on the bridge")
    assert tarr(machine, "leave", "qemu", "web", user="bob")["error"]["code"] == "not-permitted"
    assert on_the_bridge(machine)
    assert tarr(machine, "leave", "qemu", "web")["left"]
    for _again in range(2):
        now = port(machine)
        assert now and "master" not in now
        tarr(machine, "reload")


@pytest.mark.parametrize("handed", ["nspawn"], indirect=True)
def test_a_container_of_nspawns_that_runs_goes_back_by_its_other_mac(machine: Machine, handed: Daemon) -> None:
    """As `join nspawn web` does without --vlan: host0 has a MAC of its own."""
    make(machine, up=True)
    wait_for(lambda: on_the_bridge(machine), 30, f"{PORT} on the bridge")
    with Peer(machine, "alice") as alice:
        said = alice.call("Reserve", name="web", mac="52:54:00:00:00:99", kind="nspawn", handed=True)
        assert (said["mac"], said["port"]) == ("52:54:00:00:00:99", None)
        assert [(one["name"], one["mac"], one["handed"]) for one in book(machine)["guests"]] \
            == [("web", "52:54:00:00:00:99", False)]
        for _again in range(2):
            now = port(machine)
            assert now and "master" not in now
            alice.call("Reload")
        assert alice.call("Leave", name="web", kind="nspawn")["left"]

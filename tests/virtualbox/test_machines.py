"""VirtualBox machines that run, on one segment with a QEMU machine and the host: all know one another by name.

The tests build on one another: a machine takes minutes to boot, and is then moved while it runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.machine import wait_for
from lab.virtualbox import PATIENCE, Host

DOMAIN = "vdenet.internal"
BOXES = ("box1", "box2")
GUESTS = (*BOXES, "third")
FAULTY = """#!/bin/sh
echo "$*" >>~/faulty/log
case "$*" in *controlvm*nic1*generic*) echo 'error: as the test says' >&2; exit 1;; esac
exec /usr/bin/VBoxManage "$@"
"""
"""A VBoxManage that cannot plug a running machine into the switch."""
VLAN = """
[[vlan]]
id = 33
name = "lab"
address = "10.33.0.1/24"
"""


@pytest.fixture(scope="module")
def host(deb: Path) -> Iterator[Host]:
    made = Host(deb, BOXES)
    try:
        yield made
    finally:
        made.close()


def all_talk(host: Host, guests: tuple[str, ...] = GUESTS, gateway: str = "gateway") -> None:
    """Each guest reaches each other one and the host by name and by address, and the host each of them.

    `gateway` is what the host is called where they are.
    """
    addresses = {name: guest["address"] for name, guest in host.listed().items() if name in guests}
    assert set(addresses) == set(guests) and all(addresses.values()), f"not all of them have an address: {addresses}"
    addresses[gateway] = host.run(f"getent ahostsv4 {gateway}.{DOMAIN}", PATIENCE).split()[0]
    for one in guests:
        others = " ".join(target for name, address in addresses.items() if name != one
                          for target in (f"{name}.{DOMAIN}", address))
        # The first answer after a card was moved waits for its link and the neighbours' tables.
        host.ask(one, f"for target in {others}; do tries=0; until ping -c 1 -W 3 $target; do "
                      "tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; sleep 1; done; done")
        for target in (f"{one}.{DOMAIN}", addresses[one]):
            host.run(f"ping -c 3 -W 5 {target}", PATIENCE)


def test_debians_modules_are_there(host: Host) -> None:
    host.until("test -e /sys/module/vboxdrv && test -e /sys/module/vboxnetflt", timeout=PATIENCE)


def test_one_by_the_switch(host: Host) -> None:
    """Joined while off."""
    joined = host.told("join", "virtualbox", "box1", "--via", "vde")
    assert (joined["via"], joined["running"], joined["changed"]) == ("vde", False, True)
    host.power_on("box1")
    host.up("box1")
    all_talk(host, ("box1",))


def test_the_other_by_what_is_best_here(host: Host) -> None:
    best = host.told("join", "virtualbox", "box2")
    assert (best["via"], best["running"], best["changed"]) == ("bridge", False, True)
    assert "vboxnetflt" in best["why"]
    host.power_on("box2")
    host.up("box2")
    all_talk(host, BOXES)


def test_with_a_qemu_machine(host: Host) -> None:
    host.start_qemu("third")
    host.up("third")
    all_talk(host)


def test_list_knows_them(host: Host) -> None:
    listed = host.listed()
    assert {(name, guest["kind"], guest["owner"], guest["via"], guest["fqdn"]) for name, guest in listed.items()} == {
        ("box1", "virtualbox", "alice", "vde", f"box1.{DOMAIN}"),
        # The bridge cannot tell by which way vboxnetflt brings frames.
        ("box2", "virtualbox", "alice", "unknown", f"box2.{DOMAIN}"),
        ("third", "qemu", "alice", "tap", f"third.{DOMAIN}")}
    assert all(guest["address"] for guest in listed.values())
    assert all(listed[box]["guest"] == box for box in BOXES)


def test_a_move_that_fails_half_way_is_taken_back(host: Host) -> None:
    """At the second of its commands; the first has told the driver where it is to go."""
    host.alice("sh", "-c", f"mkdir faulty && printf %s {shlex.quote(FAULTY)} >faulty/VBoxManage && chmod 755 faulty/*")
    said = refused(host, 5, "env PATH=$HOME/faulty:$PATH tarr-steps join virtualbox box2 --via vde")
    assert "as the test says" in said
    assert host.alice("tail", "-n", "1", "faulty/log").endswith(" nicproperty1 network=\n")
    all_talk(host, ("box2", "third"))


@pytest.mark.parametrize("way", ["vde", "bridge"])
def test_both_by_one_way(host: Host, way: str) -> None:
    """Moved while they run: those that are there already stay."""
    addresses = {name: guest["address"] for name, guest in host.listed().items()}
    for box in BOXES:
        moved = host.told("join", "virtualbox", box, "--via", way)
        assert (moved["via"], moved["running"], moved["live"]) == (way, True, True)
        assert all(" controlvm " in action for action in moved["actions"])
    all_talk(host)
    assert {name: guest["address"] for name, guest in host.listed().items()} == addresses


def refused(host: Host, status: int, command: str) -> str:
    """What a command of alice's says that ends with this status."""
    return host.alice("sh", "-c", f"{command} 2>&1; test $? = {status}")


def off(host: Host, box: str) -> None:
    host.alice("VBoxManage", "controlvm", box, "poweroff")
    host.until(f"! pgrep -f '[-]-startvm {box}'", timeout=PATIENCE)


def test_both_by_a_tunnel(host: Host) -> None:
    """Which a machine gets while it is off."""
    for box in BOXES:
        said = refused(host, 1, f"tarr-steps join virtualbox {box} --via udp")
        assert "while it runs" in said and "--via bridge" in said
        off(host, box)
        assert host.told("join", "virtualbox", box, "--via", "udp")["via"] == "udp"
        host.power_on(box)
    for box in BOXES:
        host.up(box)
    all_talk(host)


def apply(host: Host, text: str) -> None:
    host.run(f"cat >/srv/wished.toml <<'END'\n{text}END\n", PATIENCE)
    host.alice("tarr-steps", "apply", "/srv/wished.toml")


def new_lease(host: Host, box: str, network: str) -> None:
    """As systems do when a cable is plugged in; this one does not look."""
    host.ask(box, "kill -USR2 $(cat /run/udhcpc.pid); sleep 2; kill -USR1 $(cat /run/udhcpc.pid)")
    wait_for(lambda: str(host.listed().get(box, {}).get("address")).startswith(network), 1200,
             f"{box}'s address in {network}", step=3)  # who asks all the time takes the processor from the guests


def test_in_a_vlan(host: Host) -> None:
    """Moved there while they run, by either way that leads there, and back to the bridge."""
    plain = host.run("cat /etc/vdenet/vdenet0.toml", PATIENCE)
    own = host.told("ip")["address"].rpartition(".")[0] + "."
    apply(host, plain + VLAN)
    for box, way in zip(BOXES, ("vde", "udp"), strict=True):
        moved = host.told("join", "virtualbox", box, "--vlan", "33", "--via", way)
        assert (moved["via"], moved["live"], moved["vlan"]) == (way, True, 33)
        new_lease(host, box, "10.33.0.")
    all_talk(host, BOXES, gateway="lab")
    third = host.listed()["third"]["address"]
    for one, other in (("box1", third), ("box2", third), ("third", host.listed()["box1"]["address"])):
        host.ask(one, f"! ping -c 2 -W 3 {other}")
    leave_under_traffic(host, "box2")
    for box in BOXES:
        assert host.told("join", "virtualbox", box, "--via", "bridge")["vlan"] is None
        new_lease(host, box, own)
    apply(host, plain)
    all_talk(host)


def leave_under_traffic(host: Host, box: str) -> None:
    """From a tunnel: what came to VirtualBox' end of it afterwards could end the machine."""
    pings = host.run(f"setsid ping -q -i 0.05 -W 1 {host.listed()[box]['address']} >/dev/null 2>&1 & echo $!", PATIENCE)
    try:
        left = host.told("leave", "virtualbox", box)
        host.run("sleep 3", PATIENCE)
    finally:
        host.run(f"kill {pings}", PATIENCE)
    assert left["left"] and left["live"]
    # Plugged in while the machine was off, it listens nowhere any more.
    assert not any("listens" in note for note in left["notes"]), left
    assert 'VMState="running"' in host.alice("VBoxManage", "showvminfo", box, "--machinereadable")


def test_leave_takes_one_off_while_it_runs(host: Host) -> None:
    address = host.listed()["box1"]["address"]
    host.run(f"ping -c 3 -W 5 {address}", PATIENCE)
    left = host.told("leave", "virtualbox", "box1")
    assert left["left"] and left["live"]
    assert "box1" not in host.listed()
    host.run(f"! ping -c 3 -W 5 {address}", PATIENCE)
    all_talk(host, ("box2", "third"))


def renewed(host: Host) -> dict[str, Any]:
    """box1 in the list, when it has asked for its address, as systems do when a cable is plugged in; this one does
    not look."""
    host.ask("box1", "kill -USR1 $(cat /run/udhcpc.pid)")

    def there() -> list[dict[str, Any]]:
        return [guest for name, guest in host.listed().items()
                if name not in ("box2", "third") and guest["address"] is not None]
    return wait_for(there, 1200, "box1's address", step=3)[0]


def test_list_knows_one_that_was_put_there_by_hand(host: Host) -> None:
    """Which of the two machines it is, nothing says; it leaves all the same."""
    said = refused(host, 1, "tarr-steps join virtualbox box1 --nic 4")
    assert "its adapter 4 is disabled" in said
    host.alice("VBoxManage", "controlvm", "box1", "nic1", "bridged", "vdenet0")
    found = renewed(host)
    assert (found["kind"], found["guest"], found["owner"]) == ("virtualbox", None, "alice")
    left = host.told("leave", "virtualbox", "box1")
    assert left["left"] and left["live"]
    host.run(f"! ping -c 3 -W 5 {found['address']}", PATIENCE)


def test_join_while_it_runs(host: Host) -> None:
    """Its adapter is on a network of its own, and is free."""
    back = host.told("join", "virtualbox", "box1")
    assert (back["via"], back["live"]) == ("bridge", True)
    assert renewed(host)["name"] == "box1"
    all_talk(host)


def test_what_was_there_before_comes_back(host: Host) -> None:
    for box in BOXES:
        host.alice("tarr-steps", "leave", "virtualbox", box)
        off(host, box)
        shown = host.alice("VBoxManage", "showvminfo", box, "--machinereadable")
        assert 'intnet1="vdenet-unplugged-none-vdenet0-' in shown and 'nic1="intnet"' in shown
        # What could not be while it ran.
        assert [host.told("leave", "virtualbox", box)["left"] for _again in range(2)] == [True, False]
        shown = host.alice("VBoxManage", "showvminfo", box, "--machinereadable")
        for number in range(1, 5):
            assert f'nic{number}="none"' in shown
    assert list(host.listed()) == ["third"]

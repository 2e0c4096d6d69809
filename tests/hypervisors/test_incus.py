"""join incus, on the real server: containers that run, restricted projects, profiles."""

from __future__ import annotations

import ipaddress
import os
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.machine import wait_for

from . import renaming
from .conftest import DOMAIN, SEGMENT, Host
from .instances import Instance, instances

OTHER = ("nic", "nictype=p2p", "name=eth0")


@pytest.fixture
def box(incus: Host) -> Iterator[Instance]:
    yield from instances(incus)


@pytest.fixture
def own(incus: Host) -> Iterator[Instance]:
    """An instance of alice's, in the restricted project that incus-user made for her."""
    yield from instances(incus, "alice")


@pytest.fixture
def tools(incus: Host) -> Iterator[Callable[[str], dict[str, str]]]:
    """Makes the real client, but for some cases of its own, the first in PATH."""
    place = incus.machine.path("/tmp/broken")

    def make(cases: str) -> dict[str, str]:
        place.mkdir()
        (place / "incus").write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\nexec /usr/bin/incus "$@"\n')
        (place / "incus").chmod(0o755)
        return {"PATH": f"/tmp/broken:{os.defpath}:/usr/sbin:/sbin"}

    yield make
    incus.machine.run(["rm", "-rf", "/tmp/broken"])


def test_a_container_that_runs_joins_and_leaves_live(incus: Host, box: Instance) -> None:
    before = box.devices()
    box.incus("start", box.name)
    told = incus.told("join", "incus", box.name, user="root")
    assert (told["changed"], told["via"], told["nic"], told["live"], told["running"]) == (
        True, "veth", "eth0", True, True)
    assert box.devices() == {**before, "eth0": {
        "type": "nic", "nictype": "bridged", "parent": SEGMENT, "hwaddr": told["mac"], "name": "eth0"}}
    box.run("ip", "link", "set", "eth0", "up")
    box.run("udhcpc", "-n", "-q", "-t", "10", "-i", "eth0", "-s", "/etc/dhcp.sh")
    guest = incus.listed(box.name)
    assert guest is not None
    assert (guest["kind"], guest["via"], guest["mac"], guest["owner"]) == ("incus", "veth", told["mac"], "root")
    network = ipaddress.IPv4Interface(incus.segment()["address"]).network
    assert ipaddress.IPv4Address(guest["address"]) in network
    assert guest["address"] in box.run("nslookup", f"{box.name}.{DOMAIN}")
    incus.machine.run(["ping", "-c", "1", "-W", "5", guest["address"]])
    assert "has left" in box.leave()
    assert box.devices() == before
    assert "eth0" not in box.run("ip", "link")
    wait_for(lambda: incus.listed(box.name) is None, 20, f"{box.name} gone")


def test_an_instance_that_was_renamed(incus: Host, box: Instance) -> None:
    renaming.leaves_by_its_new_name(
        incus, "incus", box.name, lambda old, new: incus.machine.run(["incus", "rename", old, new]),
        lambda name: f"parent: {SEGMENT}\n" in incus.machine.run(["incus", "config", "show", name]).stdout)


def test_both_are_idempotent(incus: Host, box: Instance) -> None:
    before = box.devices()
    assert "is not on" in box.leave()
    box.join()
    joined = box.devices()
    assert "already" in box.join()
    assert not incus.told("join", "incus", box.name, user="root")["changed"]
    assert box.devices() == joined
    box.leave()
    assert "is not on" in box.leave()
    assert box.devices() == before


def test_dry_run_prints_what_can_be_pasted(box: Instance) -> None:
    before, kept = box.devices(), box.kept()
    command = box.join("--dry-run").strip()
    assert (box.devices(), box.kept()) == (before, kept)
    box.incus(*shlex.split(command)[1:])
    joined = box.devices()
    assert "already" in box.join()
    kept = box.kept()
    command = box.leave("--dry-run").strip()
    assert (box.devices(), box.kept()) == (joined, kept)
    box.incus(*shlex.split(command)[1:])
    assert box.devices() == before


def test_other_devices_stay(box: Instance) -> None:
    box.incus("config", "device", "add", box.name, "lan", *OTHER)
    before = box.devices()
    assert "inside, eth1 has to be told to ask for an address" in box.join()
    assert box.devices()["eth1"]["name"] == "eth1"
    assert {name: box.devices()[name] for name in before} == before
    box.leave()
    assert box.devices() == before


def test_the_device_that_was_asked_for(incus: Host, box: Instance) -> None:
    box.incus("config", "device", "add", box.name, "lan", *OTHER)
    before = box.devices()
    assert "without --nic" in incus.refused(1, "refused", "join", "incus", box.name, "--nic", "0", user="root")
    assert box.devices() == before
    box.join("--nic", "3")
    assert box.devices()["eth3"]["parent"] == SEGMENT
    assert "by its device eth3" in incus.refused(1, "refused", "join", "incus", box.name, "--nic", "4", user="root")
    box.leave()
    assert box.devices() == before


def test_joined_by_hand(incus: Host, box: Instance) -> None:
    before = box.devices()
    box.incus("config", "device", "add", box.name, "wire", "nic", "nictype=bridged", f"parent={SEGMENT}")
    told = incus.told("join", "incus", box.name, user="root")
    assert told["nic"] == "wire"
    assert not incus.told("join", "incus", box.name, user="root")["changed"]
    box.incus("start", box.name)
    assert box.state()["expanded_config"]["volatile.wire.hwaddr"] == told["mac"]
    box.leave()
    assert box.devices() == before


def test_one_that_was_put_there_by_hand_is_recognised(incus: Host, box: Instance) -> None:
    box.incus("config", "device", "add", box.name, "eth0", "nic", "nictype=bridged", f"parent={SEGMENT}")
    box.incus("start", box.name)
    box.run("ip", "link", "set", "eth0", "up")
    box.run("udhcpc", "-n", "-q", "-t", "10", "-i", "eth0", "-s", "/etc/dhcp.sh")
    settings = box.state()["expanded_config"]
    guest = next(one for one in incus.segment()["guests"] if one["mac"] == settings["volatile.eth0.hwaddr"])
    assert (guest["kind"], guest["guest"], guest["owner"], guest["via"], guest["joined"]) == (
        "incus", box.name, "root", "veth", False)
    assert guest["port"] == settings["volatile.eth0.host_name"]
    assert guest["address"] in box.run("ip", "addr")


def test_joined_by_a_profile(incus: Host, box: Instance) -> None:
    before = box.devices()
    box.incus("profile", "create", "seg")
    box.incus("profile", "device", "add", "seg", "eth7", "nic", "nictype=bridged", f"parent={SEGMENT}")
    box.incus("profile", "add", box.name, "seg")
    try:
        told = incus.told("join", "incus", box.name, user="root")
        assert told["nic"] == "eth7"
        assert box.devices() == before
        assert "profile puts it there" in incus.refused(1, "refused", "leave", "incus", box.name, user="root")
        assert box.devices() == before
    finally:
        box.incus("profile", "remove", box.name, "seg")
        box.incus("profile", "delete", "seg")
    assert "has left" in box.leave()


def test_remotes(incus: Host, box: Instance) -> None:
    incus.told("join", "incus", f"local:{box.name}", user="root")
    assert "already" in box.join()
    assert "on another machine" in incus.refused(1, "refused", "join", "incus", "images:debian", user="root")
    incus.refused(1, "no-guest", "join", "incus", f"nowhere:{box.name}", user="root")
    incus.refused(1, "no-guest", "join", "incus", "local:", user="root")


def test_an_instance_that_is_not_there(incus: Host, box: Instance) -> None:
    for verb in ("join", "leave"):
        incus.refused(1, "no-guest", verb, "incus", "nobody", user="root")
        incus.refused(1, "no-guest", verb, "incus", box.name[:-1], user="root")  # the start of a name
        incus.refused(1, "no-guest", verb, "incus", box.name)  # root's, not in alice's project
        incus.refused(2, "bad-value", verb, "incus", "--", "--all-projects")


def test_a_member_whom_the_server_does_not_let_in(incus: Host, box: Instance) -> None:
    said = incus.refused(4, "not-permitted", "join", "incus", box.name, user="bob")
    assert "sudo adduser bob incus-admin" in said


def test_an_instance_that_another_administrator_has_joined(incus: Host, box: Instance) -> None:
    """The server lets both change it; the guest on the segment is hers who joined it."""
    for user in ("carol", "dave"):
        incus.machine.user(user, member=True)
        incus.machine.run(["usermod", "--append", "--groups=incus-admin", user])
    incus.tarr("join", "incus", box.name, user="carol")
    box.incus("start", box.name)
    joined = box.devices()
    wait_for(lambda: incus.listed(box.name), 30, f"{box.name} listed")
    for verb, status, code in (("join", 1, "name-taken"), ("leave", 4, "not-permitted")):
        incus.refused(status, code, verb, "incus", box.name, user="dave")
        assert box.devices() == joined
    assert "has left" in incus.tarr("leave", "incus", box.name, user="carol").stdout


def test_a_restricted_project(incus: Host, own: Instance) -> None:
    before = own.devices()
    said = incus.refused(4, "not-permitted", "join", "incus", own.name)
    assert own.devices() == before
    hint = said.splitlines()[1].removeprefix("hint: sudo ")
    incus.machine.run(shlex.split(hint))  # what the admin is told to run lets her in
    told = incus.told("join", "incus", own.name)
    guest = incus.segment()["guests"]
    assert own.devices()["eth0"]["hwaddr"] == told["mac"]
    assert told["fqdn"] == f"{own.name}.{DOMAIN}", guest
    own.leave()
    assert own.devices() == before


def test_without_incus(incus: Host, box: Instance) -> None:
    incus.machine.sh("mkdir /tmp/tools; ln -s /usr/bin/* /tmp/tools/; rm -f /tmp/tools/incus* /tmp/tools/lxc")
    said = incus.refused(5, "tool-missing", "join", "incus", box.name, user="root", env={"PATH": "/tmp/tools"})
    assert "install the package incus" in said


def test_a_server_that_fails_leaves_nothing(incus: Host, box: Instance,
                                            tools: Callable[[str], dict[str, str]]) -> None:
    """It breaks off as it would without space."""
    env = tools("config*) echo 'Error: no space left' >&2; exit 1;;")
    before = box.devices()
    assert "no space left" in incus.refused(5, "tool-failed", "join", "incus", box.name, user="root", env=env)
    assert box.devices() == before
    # The name is free again.
    incus.tarr("join", "run", "--name", box.name, "--", "true", user="bob")


def test_one_that_cannot_leave_stays_as_it_joined(incus: Host, box: Instance,
                                                  tools: Callable[[str], dict[str, str]]) -> None:
    env = tools("config*) echo 'Error: no space left' >&2; exit 1;;")
    before = box.devices()
    box.join()
    joined, kept = box.devices(), box.kept()
    assert "no space left" in incus.refused(5, "tool-failed", "leave", "incus", box.name, user="root", env=env)
    assert (box.devices(), box.kept()) == (joined, kept)
    incus.refused(1, "name-taken", "join", "run", "--name", box.name, "--", "true", user="bob")
    assert "has left" in box.leave()
    assert box.devices() == before


def test_of_two_nics_one_that_cannot_be_removed(incus: Host, box: Instance,
                                                tools: Callable[[str], dict[str, str]]) -> None:
    """The other is as it was, also for the one who gave it its address."""
    for device in ("eth0", "eth1"):
        box.incus("config", "device", "add", box.name, device, "nic", "nictype=bridged", f"parent={SEGMENT}")
    box.incus("start", box.name)
    before, macs = box.devices(), box.macs()
    env = tools("'config device remove '*' eth1') echo 'Error: no space left' >&2; exit 1;;")
    assert "no space left" in incus.refused(5, "tool-failed", "leave", "incus", box.name, user="root", env=env)
    assert (box.devices(), box.macs()) == (before, macs)
    assert "has left" in box.leave()
    assert list(box.devices()) == ["root"]


def test_what_leave_answers_by_json(incus: Host, box: Instance) -> None:
    told = incus.told("leave", "incus", box.name, user="root")
    assert told == {"segment": SEGMENT, "kind": "incus", "guest": box.name, "name": None, "left": False, "live": False,
                    "actions": [], "notes": []}
    box.join("--name", "named")
    dry = incus.told("leave", "incus", box.name, "--dry-run", user="root")
    assert incus.told("leave", "incus", box.name, user="root") == {**dry, "left": True} == {
        **told, "name": "named", "left": True, "actions": [f"incus config device remove {box.name} eth0"]}


def test_two_joins_at_once(incus: Host, box: Instance) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _number: incus.tarr("join", "incus", box.name, user="root"), range(3)))
    assert sum("already" in one.stdout for one in done) == 2
    assert [name for name, device in box.devices().items() if device["type"] == "nic"] == ["eth0"]


def test_while_the_segment_is_down(incus: Host, box: Instance) -> None:
    before = box.devices()
    box.join()
    incus.tarr("stop")
    try:
        box.leave()
        assert box.devices() == before
        incus.refused(1, "segment-down", "join", "incus", box.name, user="root")
        assert box.devices() == before
    finally:
        incus.tarr("start")


def test_one_that_was_deleted_meanwhile(incus: Host, box: Instance) -> None:
    box.join()
    box.incus("delete", "--force", box.name)
    assert "has left" in box.leave()
    incus.refused(1, "no-guest", "leave", "incus", box.name, user="root")


def test_into_a_vlan_by_a_port_that_the_daemon_puts_there(incus: Host, box: Instance) -> None:
    """Incus makes it by its name, while the instance runs, and leaves it alone."""
    before = box.devices()
    box.incus("start", box.name)
    assert "has no VLANs" in incus.refused(2, "bad-value", "join", "incus", box.name, "--vlan", "33", user="root")
    with incus.vlan():
        kept = box.kept()
        told = incus.told("join", "incus", box.name, "--vlan", "33", "--dry-run", user="root")
        assert (told["vlan"], box.devices(), box.kept()) == (33, before, kept)
        box.incus(*shlex.split(told["actions"][0])[1:])
        device = box.devices()["eth0"]
        port = device.pop("host_name")
        assert device == {"type": "nic", "nictype": "p2p", "hwaddr": told["mac"], "name": "eth0"}
        end = incus.end(port)
        assert port.startswith("vd0-") and end["linkinfo"]["info_kind"] == "veth" and "master" not in end
        assert told["mac"] in box.run("ip", "link", "show", "eth0")
        moved = incus.told("join", "incus", box.name, "--dry-run", user="root")
        assert [shlex.split(action)[3] for action in moved["actions"]] == ["remove", "add"]
        assert box.kept() == kept
        assert "has left" in box.leave()
    assert box.devices() == before
    assert incus.end(port) == {}

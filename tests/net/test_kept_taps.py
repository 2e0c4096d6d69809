"""A tap with a name: its owner alone opens it, it is there after a boot, and goes with `leave`."""

from __future__ import annotations

import json
import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer
from vdenet.wire.channel import close_all

BRIDGE = "vdenet0"
# What a hypervisor does to a tap that it opens by name (linux/if_tun.h: TUNSETIFF, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR).
OPEN = "import fcntl, struct, sys; tun = open('/dev/net/tun', 'rb+', buffering=0); " \
    "fcntl.ioctl(tun, 0x400454CA, struct.pack('16sH22x', sys.argv[1].encode(), 0x5002)); sys.stdin.read()"


def tarr(machine: Machine, *argv: str, user: str = "alice") -> Any:
    return json.loads(machine.run(["tarr-steps", "--json", *argv], user=user, check=False).stdout)


def listed(machine: Machine, name: str) -> dict[str, Any] | None:
    guests: list[dict[str, Any]] = tarr(machine, "list")["segments"][0]["guests"]
    return next((guest for guest in guests if guest["name"] == name), None)


def port(machine: Machine, name: str) -> dict[str, Any]:
    link: dict[str, Any] = json.loads(machine.sh(f"ip -j -d link show {name}"))[0]
    return link


def test_asked_for_again_it_is_the_same(machine: Machine, daemon: Daemon) -> None:
    said = machine.run(["tarr-steps", "join", "qemu", "--tap", "web"], user="alice").stdout
    told = tarr(machine, "join", "qemu", "--tap", "WEB")
    assert shlex.split(said) == told["arguments"]
    assert f"ifname={told['port']},script=no,downscript=no" in said
    link = port(machine, told["port"])
    assert (link["master"], link["linkinfo"]["info_data"]["user"]) == (BRIDGE, "alice")
    guest = listed(machine, "web")
    assert guest is not None
    assert (guest["port"], guest["mac"], guest["owner"], guest["kind"]) == (told["port"], told["mac"], "alice", "qemu")
    assert tarr(machine, "join", "qemu", "--tap", "web", user="bob")["error"]["code"] == "name-taken"
    assert not tarr(machine, "leave", "qemu", "other")["left"]
    assert tarr(machine, "leave", "qemu", "web", user="bob")["error"]["code"] == "not-permitted"
    assert tarr(machine, "leave", "qemu", "web")["left"]
    assert machine.run(["ip", "link", "show", told["port"]], check=False).returncode != 0
    assert listed(machine, "web") is None


def test_the_name_of_a_guest_that_runs_is_refused_in_a_dry_run_too(machine: Machine, daemon: Daemon) -> None:
    with Peer(machine, "alice") as alice:
        alice.call("OpenTap", name="web")
        said = [tarr(machine, "join", "qemu", "--tap", "web", *dry_run)["error"] for dry_run in ((), ("--dry-run",))]
        close_all(alice.take())
    assert said[0]["message"] == "cannot use the name web: your guest of that name is on the segment already"
    assert said[0] == said[1]
    wait_for(lambda: listed(machine, "web") is None, 20, "the end of the guest")
    kept = [tarr(machine, "join", "qemu", "--tap", "web", *dry_run) for dry_run in ((), ("--dry-run",))]
    assert kept[0]["arguments"] == kept[1]["arguments"] and kept[0]["port"] == kept[1]["port"]
    assert tarr(machine, "leave", "qemu", "web")["left"]


def test_its_owner_opens_it_and_nobody_else(machine: Machine, daemon: Daemon) -> None:
    name = tarr(machine, "join", "qemu", "--tap", "mine")["port"]
    for user in ("bob", "nora"):
        done = machine.run(["python3", "-c", OPEN, name], user=user, check=False, input="")
        assert "Operation not permitted" in done.stderr
    for _again in range(2):  # closing it does not end it
        with machine.popen(["python3", "-c", OPEN, name], user="alice", stdin=-1) as holder:
            wait_for(lambda: "LOWER_UP" in port(machine, name)["flags"], 20, "a holder")
            holder.communicate(timeout=20)
        assert holder.returncode == 0
    assert port(machine, name)["master"] == BRIDGE
    tarr(machine, "leave", "qemu", "mine")


def test_two_joins_at_once(machine: Machine, daemon: Daemon) -> None:
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(lambda _number: tarr(machine, "join", "qemu", "--tap", "both"), range(4)))
    assert {one["port"] for one in told} == {told[0]["port"]}
    assert port(machine, told[0]["port"])["master"] == BRIDGE
    assert tarr(machine, "leave", "qemu", "both")["left"]
    assert not tarr(machine, "leave", "qemu", "both")["left"]


def test_while_the_segment_is_down(machine: Machine, daemon: Daemon) -> None:
    tarr(machine, "join", "qemu", "--tap", "old")
    tarr(machine, "stop")
    for name in ("old", "new"):
        done = machine.run(["tarr-steps", "join", "qemu", "--tap", name], user="alice", check=False)
        assert (done.returncode, done.stderr.splitlines()) == (1, [
            "tarr-steps: cannot join: the segment vdenet0 is down", "hint: tarr-steps start vdenet0"])
    assert tarr(machine, "leave", "qemu", "old")["left"]
    tarr(machine, "start")
    assert not tarr(machine, "leave", "qemu", "new")["left"]
    assert not [link for link in json.loads(machine.sh("ip -j link"))
                if link["ifname"].endswith(("-old", "-new"))]


@pytest.mark.parametrize("stopped", [False, True])
def test_it_is_there_after_a_boot(machine: Machine, daemon: Daemon, stopped: bool) -> None:
    """As far as a boot can be had here: the daemon killed, its interfaces gone, /run empty, a start.

    And after a stop.
    """
    told = tarr(machine, "join", "qemu", "--tap", "web")
    if stopped:
        tarr(machine, "stop")
        assert machine.run(["ip", "link", "show", told["port"]], check=False).returncode != 0
        tarr(machine, "start")
    else:
        daemon.kill()
        machine.sh("pkill -KILL vde_switch; pkill -KILL dnsmasq; nft flush ruleset; rm -rf /run/vdenet/*; "
                   f"for link in {BRIDGE} {BRIDGE}-vde {told['port']}; do ip link del $link; done")
        daemon.__init__(machine)  # type: ignore[misc]
    link = port(machine, told["port"])
    assert link["master"] == BRIDGE
    assert tarr(machine, "join", "qemu", "--tap", "web") == {**told, "changed": False}
    with machine.popen(["python3", "-c", OPEN, told["port"]], user="alice", stdin=-1) as holder:
        wait_for(lambda: "LOWER_UP" in port(machine, told["port"])["flags"], 20, "a holder")
        holder.communicate(timeout=20)
    tarr(machine, "leave", "qemu", "web")


def test_a_stop_leaves_it_to_its_holder_and_a_removal_does_not(machine: Machine, daemon: Daemon) -> None:
    names = [tarr(machine, "join", "qemu", "--tap", name)["port"] for name in ("held", "free")]

    def there() -> list[str]:
        return [name for name in names if machine.run(["ip", "link", "show", name], check=False).returncode == 0]

    with machine.popen(["python3", "-c", OPEN, names[0]], user="alice", stdin=-1) as holder:
        wait_for(lambda: "LOWER_UP" in port(machine, names[0])["flags"], 20, "a holder")
        assert "held" in tarr(machine, "stop")["guests"]
        assert there() == names[:1]
        tarr(machine, "start")
        assert [port(machine, name)["master"] for name in names] == [BRIDGE, BRIDGE]
        daemon.stop()
        machine.run(["vdenetd", "--down"])  # as prerm does
        assert there() == []
        holder.communicate(timeout=20)
    daemon.__init__(machine)  # type: ignore[misc]
    assert there() == names
    for name in ("held", "free"):
        assert tarr(machine, "leave", "qemu", name)["left"]
    assert there() == []

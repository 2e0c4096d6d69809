"""The tap of a guest that left while its program runs: off the segment at once, gone with its holder, and no guest."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer
from vdenet.daemon.quota import MAX_OPERATIONS, MAX_TAPS
from vdenet.errors import QuotaExceeded
from vdenet.wire.channel import close_all

# linux/if_tun.h, linux/sockios.h
TUNSETPERSIST, TUNSETOWNER, TUNSETVNETHDRSZ = 0x400454CB, 0x400454CC, 0x400454D8
TUNSETLINK, SIOCSIFHWADDR = 0x400454CD, 0x8924
LOOK = 20
"""Seconds until the daemon has looked, told or not."""
OPEN = "import fcntl, struct, sys; tun = open('/dev/net/tun', 'rb+', buffering=0); " \
    "fcntl.ioctl(tun, 0x400454CA, struct.pack('16sH22x', sys.argv[1].encode(), 0x5002)); sys.stdin.read()"


@pytest.fixture
def alice(machine: Machine, daemon: Daemon) -> Iterator[Peer]:
    with Peer(machine, "alice") as peer:
        yield peer
    wait_for(lambda: not left(machine) and not guests(machine), LOOK, "no port of this test's")


def links(machine: Machine) -> dict[str, dict[str, Any]]:
    return {link["ifname"]: link for link in json.loads(machine.sh("ip -j -d link"))}


def left(machine: Machine) -> list[dict[str, Any]]:
    return [link for link in links(machine).values() if ":left:" in link.get("ifalias", "")]


def guests(machine: Machine) -> list[str]:
    return [name for name, link in links(machine).items() if link.get("ifalias", "").endswith(":guest")]


def listed(peer: Peer) -> list[str]:
    return [guest["name"] for guest in peer.call("List")["segments"][0]["guests"]]


def joined(peer: Peer, name: str = "web", segment: str = "vdenet0") -> int:
    """The descriptor of a tap that this guest has."""
    patiently(peer, "OpenTap", name=name, segment=segment)
    tap, *more = peer.take()
    close_all(more)
    return tap


def patiently(peer: Peer, method: str, **parameters: Any) -> dict[str, Any]:
    while True:
        try:
            return peer.call(method, **parameters)
        except QuotaExceeded as error:
            if error.data["limit"] != MAX_OPERATIONS:
                raise
            time.sleep(0.1)


def test_its_program_keeps_a_tap_that_goes_nowhere(machine: Machine, daemon: Daemon, alice: Peer) -> None:
    tap = joined(alice)
    assert alice.call("Leave", name="web")["left"]
    one, = left(machine)
    mark = f"vdenet:vdenet0:left:{machine.account('alice')[0]}"
    assert (one["ifname"], one["ifalias"]) == (f"vdl-{one['ifindex']}", mark)
    assert "master" not in one and "UP" not in one["flags"]
    fcntl.ioctl(tap, TUNSETVNETHDRSZ, struct.pack("i", 12))  # what QEMU ends itself over
    assert listed(alice) == [] and alice.call("Plan")["steps"] == [] and not alice.call("Leave", name="web")["left"]
    with Peer(machine, "bob") as bob:
        others = joined(bob)
        assert guests(machine) == ["vd0-web"], "the name of the port is free at once"
        assert alice.call("Plan")["steps"] == []
        bob.call("Leave", name="web")
        os.close(others)
    for again in ("repaired", "started anew"):
        if again == "repaired":
            machine.sh("ip link del vdenet0")  # who was on it comes back
            wait_for(lambda: "vdenet0" in links(machine) and alice.call("Plan")["steps"] == [], LOOK, "a repair")
        else:
            daemon.kill()
            daemon.__init__(machine)  # type: ignore[misc]
        there = links(machine)[one["ifname"]]
        assert "master" not in there and "UP" not in there["flags"], again
    os.close(tap)
    assert one["ifname"] not in links(machine)


@pytest.mark.parametrize("held", [True, False])
def test_one_that_is_kept_goes_when_its_holder_does(machine: Machine, alice: Peer, held: bool) -> None:
    name = alice.call("KeepTap", name="web")["port"]
    with machine.popen(["python3", "-c", OPEN, name] if held else ["true"], user="alice", stdin=-1) as holder:
        if held:
            wait_for(lambda: "LOWER_UP" in links(machine)[name]["flags"], 20, "a holder")
        else:
            holder.wait(20)
        assert alice.call("Leave", name="web")["left"]
        assert name not in links(machine)
        assert len(left(machine)) == held
        assert alice.call("KeepTap", name="web")["port"] == name
        assert alice.call("Leave", name="web")["left"]
        assert len(left(machine)) == held
        time.sleep(2)
        assert len(left(machine)) == held, "as long as it is held"
        holder.communicate(timeout=20)
    wait_for(lambda: not left(machine), LOOK, "the end of the tap")


def test_no_trick_of_its_holder_brings_it_back(machine: Machine, alice: Peer) -> None:
    """Its MAC, owner and permanence are its holder's; its place, state, name and mark are not."""
    tap = joined(alice)
    alice.call("Leave", name="web")
    before, = left(machine)
    for request, value in ((TUNSETOWNER, machine.account("bob")[0]), (TUNSETPERSIST, 1), (TUNSETLINK, 1)):
        fcntl.ioctl(tap, request, value)
    fcntl.ioctl(tap, SIOCSIFHWADDR, struct.pack("16sH6s8x", b"", 1, bytes.fromhex("525400000001")))
    for change in ("up", "master vdenet0", "alias vdenet:vdenet0:guest", "name vd0-web"):
        done = machine.run(["ip", "link", "set", before["ifname"], *change.split()], user="alice", check=False)
        assert done.returncode and "Operation not permitted" in done.stderr, change
    time.sleep(1)
    after, = left(machine)
    assert all(after[key] == before[key] for key in ("ifname", "ifalias", "ifindex"))
    assert "master" not in after and "UP" not in after["flags"]
    assert (after["address"], after["linkinfo"]["info_data"]["user"]) == ("52:54:00:00:00:01", "bob")
    os.close(tap)
    wait_for(lambda: not left(machine), LOOK, "the end of a tap that was made permanent")


def test_they_count_against_their_owner_whoever_that_is_made(machine: Machine, alice: Peer) -> None:
    taps = []
    for number in range(MAX_TAPS):
        taps.append(joined(alice, f"many-{number}"))
        patiently(alice, "Leave", name=f"many-{number}")
        fcntl.ioctl(taps[-1], TUNSETOWNER, machine.account("bob")[0])
    time.sleep(0.2)
    assert len(left(machine)) == MAX_TAPS
    with pytest.raises(QuotaExceeded) as caught:
        alice.call("OpenTap", name="one-too-many")
    assert caught.value.data["limit"] == MAX_TAPS
    with Peer(machine, "bob") as bob:
        os.close(joined(bob))
    close_all(taps)
    os.close(joined(alice, "one-again"))


def test_removal_takes_them_from_their_holders(machine: Machine, daemon: Daemon, alice: Peer) -> None:
    taps = [joined(alice)]
    alice.call("Leave", name="web")
    alice.call("CreateSegment", segment="lab")
    taps.append(joined(alice, segment="lab"))
    alice.call("Leave", name="web", segment="lab")
    assert len(left(machine)) == 2
    alice.call("DeleteSegment", segment="lab")
    assert [link["ifalias"].split(":")[1] for link in left(machine)] == ["vdenet0"]
    alice.call("Stop")
    assert len(left(machine)) == 1, "as do the taps of guests that are there: QEMU would end"
    alice.call("Start")
    taps.append(joined(alice))
    alice.call("Stop")
    assert alice.call("Leave", name="web")["left"], "its tap stayed with it"
    assert len(left(machine)) == 2
    alice.call("Start")
    assert len(left(machine)) == 2
    daemon.stop()
    machine.run(["vdenetd", "--down"])  # as prerm does
    assert left(machine) == []
    daemon.__init__(machine)  # type: ignore[misc]
    close_all(taps)


def test_a_crash_in_the_middle_is_finished(machine: Machine, daemon: Daemon, alice: Peer) -> None:
    """Marked and down, still on the bridge; and of a segment that nobody has heard of."""
    taps = [joined(alice, name) for name in ("web", "shop")]
    uid = machine.account("alice")[0]
    daemon.kill()
    machine.sh(f"ip link set vd0-web down alias vdenet:vdenet0:left:{uid}; "
               f"ip link set vd0-shop down nomaster alias vdenet:gone:left:{uid}")
    daemon.__init__(machine)  # type: ignore[misc]
    wait_for(lambda: [(one["ifname"], "master" in one) for one in left(machine)] == [("vd0-web", False)],
             LOOK, "an end")
    close_all(taps)


@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_a_port_of_another_segments_is_left_alone(machine: Machine, kind: str) -> None:
    """The names of two segments' ports may be the same; by its mark each is known."""
    with Peer(machine, "alice") as alice:
        assert alice.call("KeepTap", name="web")["port"] == "vd0-web"
        alice.call("Stop")
        machine.sh("ip tuntap add vd0-web mode tap" if kind == "tap"
                   else "ip link add vd0-web type veth peer name other0")
        machine.sh("ip link set vd0-web alias vdenet:lab:guest up")
        before = links(machine)["vd0-web"]["ifindex"]
        alice.call("Start")
        there = links(machine)["vd0-web"]
        assert (there["ifindex"], there.get("master")) == (before, None)
        assert alice.call("Leave", name="web")["left"]
        assert links(machine)["vd0-web"]["ifindex"] == before
    machine.sh("ip link del vd0-web")

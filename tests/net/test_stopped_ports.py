"""Ports of guests that outlive a stop of their segment: what they send then, nobody hears, the host neither."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any

import pytest
from lab import frames
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer

GUEST = "52:54:00:00:00:01"
ADVERT = bytes(10) + frames.ethernet("33:33:00:00:00:01", GUEST, 0x86DD, frames.ipv6(
    "fe80::1", "ff02::1", 58, frames.router_advertisement(GUEST, "fd99::")))
"""Behind the header of a tap with vnet_hdr (linux/virtio_net.h)."""
# Opens a tap by its name, as a hypervisor does, and sends what it reads.
HOLDER = "import fcntl, struct, sys; tun = open('/dev/net/tun', 'rb+', buffering=0); " \
    "fcntl.ioctl(tun, 0x400454CA, struct.pack('16sH22x', b'vd0-web', 0x5002)); print(flush=True); sys.stdin.read()"


def port(machine: Machine) -> dict[str, Any]:
    """The guest's, by `ip`; empty where there is none."""
    links = json.loads(machine.sh("ip -j link"))
    return next((link for link in links if link["ifname"] == "vd0-web"), {})


def is_on(machine: Machine) -> bool:
    there = port(machine)
    return there.get("master") == "vdenet0" and "UP" in there["flags"]


def test_the_host_takes_no_router_from_one(machine: Machine, daemon: Daemon) -> None:
    with Peer(machine, "alice") as alice:
        alice.call("OpenTap", name="web")
        tap, *more = alice.take()
        assert is_on(machine)
        alice.call("Stop")
        assert "UP" not in port(machine)["flags"]
        before = machine.sh("ip -6 route; ip -6 address")
        for _each in range(3):
            with suppress(OSError):  # EIO: it is down
                os.write(tap, ADVERT)
            time.sleep(0.3)
        assert machine.sh("ip -6 route; ip -6 address") == before
        alice.call("Start")
        assert is_on(machine)
        assert [guest["name"] for guest in alice.call("List")["segments"][0]["guests"]] == ["web"]
        for fd in (tap, *more):
            os.close(fd)
    wait_for(lambda: not port(machine), 20, "the end of its port")


@pytest.mark.parametrize("held", [True, False])
def test_a_kept_tap_outlives_two_stops_with_its_holder_only(machine: Machine, daemon: Daemon, held: bool) -> None:
    """Of one that is down, its carrier does not say whether it is held."""
    with Peer(machine, "alice") as alice:
        alice.call("KeepTap", name="web")
        with machine.popen(["python3", "-c", HOLDER] if held else ["true"], user="alice", stdin=-1) as holder:
            if held:
                assert holder.stdout is not None and holder.stdout.readline() == "\n"
            else:
                holder.wait(20)
            for _each in range(2):
                alice.call("Stop")
                assert bool(port(machine)) is held
                assert "UP" not in port(machine).get("flags", ())
            alice.call("Start")
            assert is_on(machine)
            holder.communicate(timeout=20)
        alice.call("Leave", name="web")
    wait_for(lambda: not port(machine), 20, "the end of its port")

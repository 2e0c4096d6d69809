"""The package on Debian's own kernel: systemd, udev, kernel modules, all as on a user's machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import roots
from lab.emulated import KERNEL, Emulated


@pytest.fixture(scope="module")
def machine(deb: Path) -> Iterator[Emulated]:
    root = roots.root("trixie", "depends", extra=("systemd", "systemd-sysv", "dbus", *KERNEL))
    with Emulated(root, files=[deb], memory=1536) as emulated:
        emulated.run(f"apt-get install --yes --quiet /srv/{deb.name}", timeout=900)
        yield emulated


def test_it_is_up_after_installation(machine: Emulated) -> None:
    machine.run("tarr-steps check", timeout=120)


def test_the_guard_goes_by_the_bridge(machine: Emulated) -> None:
    """So that a port is guarded from its first frame, whoever put it there."""
    table = machine.run("nft list table bridge vdenet_vdenet0", timeout=60)
    assert 'meta ibrname "vdenet0" jump from_guests' in table


def test_a_guest_cannot_serve_dhcp(machine: Emulated) -> None:
    """A port that nobody told the daemon of: a veth put on the bridge by hand."""
    machine.run("ip netns add bad && ip link add bad0 type veth peer name eth0 netns bad && "
                "ip link set bad0 master vdenet0 up && ip -n bad link set eth0 up", timeout=60)
    counted = "nft list chain bridge count c | grep -o 'packets [0-9]*'"
    machine.run("nft add table bridge count && nft 'add chain bridge count c "
                "{ type filter hook forward priority 10; }' && "
                "nft add rule bridge count c iifname bad0 udp dport 68 counter", timeout=60)
    send = ("ip netns exec bad python3 -c \"import socket\n"
            "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))\n"
            "udp = bytes.fromhex('0043004400080000')\n"
            "ip = bytes.fromhex('4500001c00000000401100000a4242420a424243')\n"
            "for _ in range(5): s.send(b'\\xff' * 6 + b'\\x02\\0\\0\\0\\0\\x01' + b'\\x08\\0' + ip + udp)\"")
    machine.run(send, timeout=120)
    assert machine.run(counted, timeout=60).strip() == "packets 0"


def test_a_command_joins(machine: Emulated) -> None:
    said = machine.run("tarr-steps join run --name web -- ping -c 1 -W 5 gateway.vdenet.internal", timeout=240)
    assert "1 received" in said

"""A step that fails undoes those before it, with the reason; and nothing that is another's is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer
from lab.traces import Traces
from vdenet.errors import VdenetError

CONFIG = "/etc/vdenet/vdenet0.toml"
# Binds as nobody else can bind beside it.
OCCUPY = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
sock.bind((sys.argv[1], int(sys.argv[2])))
print("bound", flush=True)
time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def whole(machine: Machine, daemon: Daemon) -> Iterator[None]:
    """Before and after each test the segment is up and as it should be."""
    yield
    assert daemon.alive
    machine.run(["tarr-steps", "start"])
    traces.settle(machine)


def steps_left(machine: Machine) -> list[str]:
    with Peer(machine) as peer:
        steps: list[str] = peer.call("Plan")["steps"]
        return steps


def same(before: Traces, machine: Machine) -> None:
    """The kernel is as before; of files, records of attempts may have come."""
    wrong = [line for line in traces.difference(before, traces.everything(machine))
             if not line.startswith(("file /run/vdenet/state/", "file /var/lib/vdenet/vdenet0/dns"))]
    assert not wrong, "\n".join(wrong)


@contextlib.contextmanager
def occupied(machine: Machine, address: str, port: int) -> Iterator[None]:
    process = machine.popen(["python3", "-c", OCCUPY, address, str(port)])
    assert process.stdout is not None
    assert process.stdout.readline() == "bound\n"
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def broken(machine: Machine, program: str) -> Iterator[None]:
    """The program fails, and says why."""
    machine.sh(f"mv {program} {program}.good; printf '#!/bin/sh\\necho out of order >&2; exit 1\\n' >{program};"
               f" chmod +x {program}")
    try:
        yield
    finally:
        machine.sh(f"mv {program}.good {program}")


def test_start_with_a_dhcp_server_in_the_way(machine: Machine, daemon: Daemon) -> None:
    machine.run(["tarr-steps", "stop"])
    before = traces.everything(machine)
    with occupied(machine, "0.0.0.0", 67):
        done = machine.run(["tarr-steps", "start"], user="alice", check=False)
        assert done.returncode == 5
        assert "dnsmasq" in done.stderr and "in use" in done.stderr
        same(before, machine)
        assert not traces.services(machine)


@pytest.mark.parametrize("program", ["/usr/sbin/nft", "/usr/bin/vde_switch"])
def test_start_with_a_broken_program(machine: Machine, daemon: Daemon, program: str) -> None:
    machine.run(["tarr-steps", "stop"])
    before = traces.everything(machine)
    with broken(machine, program):
        done = machine.run(["tarr-steps", "start"], user="alice", check=False)
        assert done.returncode == 5
        assert "out of order" in done.stderr
    same(before, machine)
    assert not traces.services(machine)


def test_address_with_nft_broken(machine: Machine, daemon: Daemon) -> None:
    before = machine.path(CONFIG).read_bytes()
    with broken(machine, "/usr/sbin/nft"):
        done = machine.run(["tarr-steps", "ip", "10.9.8.1/24"], user="alice", check=False)
        assert done.returncode == 5
        assert "out of order" in done.stderr
        assert machine.path(CONFIG).read_bytes() == before
    assert "10.9.8.1" not in machine.sh("ip -o addr")
    wait_for(lambda: not steps_left(machine), 40, "repair")


def test_address_with_the_configuration_read_only(machine: Machine, daemon: Daemon) -> None:
    before = traces.everything(machine)
    machine.sh("mount --bind /etc/vdenet /etc/vdenet; mount -o remount,bind,ro /etc/vdenet")
    try:
        done = machine.run(["tarr-steps", "ip", "10.9.8.1/24"], user="alice", check=False)
        assert done.returncode == 1
        assert "Read-only file system" in done.stderr
        assert not traces.difference(before, traces.everything(machine))
    finally:
        machine.sh("umount /etc/vdenet")


def test_no_space_for_the_state(machine: Machine, daemon: Daemon) -> None:
    machine.sh("mkdir /tmp/small; mount -t tmpfs -o size=64k,mode=755 small /tmp/small;"
               " cp -a /var/lib/vdenet/vdenet0 /tmp/small; mount --move /tmp/small /var/lib/vdenet; rmdir /tmp/small;"
               " dd if=/dev/zero of=/var/lib/vdenet/filler bs=1k count=64 2>/dev/null || :")
    try:
        before = traces.everything(machine)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("SetAddress", {"address": "10.9.8.1/24"}), ("OpenTap", {"name": "full"}),
            ("Reserve", {"name": "full"}), ("KeepTap", {"name": "full"})]
        with Peer(machine, "alice") as alice:
            for method, parameters in calls:
                with pytest.raises(VdenetError) as caught:
                    alice.call(method, **parameters)
                assert caught.value.code == "refused"
                assert "No space left" in str(caught.value)
        assert not traces.difference(before, traces.everything(machine))
    finally:
        machine.sh("umount /var/lib/vdenet")


@pytest.mark.parametrize("kind", ["bridge", "veth peer name other-end", "ifb"])
@pytest.mark.parametrize("name", ["vdenet0", "vdenet0-vde"])
def test_name_taken(machine: Machine, daemon: Daemon, name: str, kind: str) -> None:
    machine.run(["tarr-steps", "stop"])
    done = machine.run(["sh", "-c", f"ip link add {name} type {kind}"], check=False)
    if "Unknown device type" in done.stderr:
        machine.run(["ip", "tuntap", "add", name, "mode", "tap"])  # one that is not ours
    try:
        before = traces.everything(machine)
        refusal = machine.run(["tarr-steps", "start"], user="alice", check=False)
        assert refusal.returncode == 1
        assert name in refusal.stderr and "not vdenet's" in refusal.stderr
        assert not traces.difference(before, traces.everything(machine))
        machine.run(["tarr-steps", "stop"])
        same(before, machine)
    finally:
        machine.run(["ip", "link", "del", name])


def test_another_programs_rules_stay(machine: Machine, daemon: Daemon) -> None:
    table = "table inet other { chain c { type filter hook forward priority 0; policy accept; counter; }; }"
    machine.run(["nft", "-f", "-"], input=table)
    shown = machine.run(["nft", "--stateless", "list", "table", "inet", "other"]).stdout
    for verb in ("stop", "start", "reload"):
        machine.run(["tarr-steps", verb])
        assert machine.run(["nft", "--stateless", "list", "table", "inet", "other"]).stdout == shown
    machine.run(["nft", "delete", "table", "inet", "other"])


def test_another_programs_bridge_keeps_forwarding_on(machine: Machine, daemon: Daemon) -> None:
    machine.sh("ip link add theirs type bridge; ip addr add 10.200.0.1/24 dev theirs; ip link set theirs up")
    machine.run(["tarr-steps", "stop"])
    assert machine.path("/proc/sys/net/ipv4/ip_forward").exists()
    assert machine.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
    machine.sh("ip link del theirs; echo 0 >/proc/sys/net/ipv4/ip_forward")

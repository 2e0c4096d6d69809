"""VLANs where the kernel has none, reserved ports of the VDE switch, and what is refused before anything is changed.

Who hears whom takes a kernel that keeps VLANs apart: tests/vlans.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer
from lab.vlans import vlans_possible
from vdenet.errors import MacTaken

FILE = "/etc/vdenet/vdenet0.toml"
SWITCH = "/run/vdenet/vdenet0/switch"
PORTS = """
[[port]]
number = 2

[[port]]
number = 5
"""
VLANS = '\n[[vlan]]\nid = 33\naddress = "10.33.0.1/24"\n'


def tarr(machine: Machine, *argv: str, user: str = "alice") -> Any:
    return json.loads(machine.run(["tarr-steps", "--json", *argv], user=user, check=False).stdout)


def apply(machine: Machine, text: str, user: str = "alice") -> Any:
    wished = machine.path("/tmp/wished.toml")
    wished.write_text(text)
    wished.chmod(0o644)
    return tarr(machine, "apply", "/tmp/wished.toml", user=user)


@pytest.fixture
def plain(machine: Machine, daemon: Daemon) -> str:
    return machine.path(FILE).read_text()


def test_vlans_where_the_kernel_has_none_are_refused_beforehand(machine: Machine, plain: str) -> None:
    before = machine.sh("ip -o link; nft list ruleset")
    said = apply(machine, plain + VLANS)
    if vlans_possible(machine):
        assert "error" not in said
        assert "error" not in apply(machine, plain)
    else:
        assert said["error"]["code"] == "refused"
        assert "this host's kernel cannot keep VLANs apart" in said["error"]["message"]
        assert tarr(machine, "plan", "/tmp/wished.toml")["error"] == said["error"]
        assert machine.path(FILE).read_text() == plain
        assert machine.sh("ip -o link; nft list ruleset") == before
    assert tarr(machine, "plan")["steps"] == []


def test_a_file_of_the_admins_with_vlans_does_not_start(machine: Machine, plain: str) -> None:
    """And what runs, runs on."""
    machine.path(FILE).write_text(plain + VLANS)
    try:
        said = machine.run(["tarr-steps", "reload"], user="alice", check=False)
        if not vlans_possible(machine):
            assert said.returncode == 1 and "cannot keep VLANs apart on a bridge" in said.stderr
            assert len(said.stderr.strip().splitlines()) <= 2
            assert machine.run(["tarr-steps", "check"], user="alice", check=False).returncode == 1
            for how in (["--print", "--name", "half"], ["--tap", "half"]):
                said = machine.run(["tarr-steps", "join", "qemu", *how, "--vlan", "33"], user="alice", check=False)
                assert said.returncode == 1 and "cannot keep VLANs apart on a bridge" in said.stderr
    finally:
        machine.path(FILE).write_text(plain)
    machine.run(["tarr-steps", "reload"], user="alice")
    assert tarr(machine, "list")["segments"][0]["state"] == "up"
    machine.run(["tarr-steps", "join", "run", "--name", "half", "--", "true"], user="bob")


def test_the_port_of_anothers_guest_is_not_to_be_moved(machine: Machine, plain: str) -> None:
    """libvirt's tap shows the guest's MAC but for the first octet, so what differs there alone is the same."""
    exact, near = "52:54:00:aa:bb:cc", "56:54:00:aa:bb:cc"
    machine.sh("ip tuntap add vnet0 mode tap && ip link set vnet0 address fe:54:00:aa:bb:cc master vdenet0 up")
    try:
        with Peer(machine, "alice") as alice, Peer(machine, "bob") as bob:
            alice.call("Reserve", name="web", mac=exact, kind="libvirt")
            for mac in (exact, near):
                for method in ("Reserve", "OpenTap", "KeepTap"):
                    with pytest.raises(MacTaken, match="another user's guest has it"):
                        bob.call(method, name="zzz", mac=mac)
                said = apply(machine, f'{plain}{VLANS}\n[[host]]\nmac = "{mac}"\nvlan = 33\n', "bob")
                assert said["error"]["code"] == "not-permitted", said
                assert "web is a guest of another user" in said["error"]["message"]
            assert machine.path(FILE).read_text() == plain
            alice.call("Leave", name="web", kind="libvirt")
            bob.call("Reserve", name="zzz", mac=near)
            bob.call("Leave", name="zzz")
    finally:
        machine.sh("ip link del vnet0")


def test_a_vlan_that_there_is_not(machine: Machine, daemon: Daemon) -> None:
    for argv in (["run", "--vlan", "33", "--", "true"], ["qemu", "--tap", "x", "--vlan", "33"],
                 ["qemu", "--print", "--vlan", "33"]):
        said = machine.run(["tarr-steps", "join", *argv], user="alice", check=False)
        assert said.returncode == 2 and "vdenet0 has no VLANs" in said.stderr, said.stderr
    assert machine.run(["tarr-steps", "join", "run", "--vlan", "1", "--", "true"], user="alice",
                       check=False).returncode == 2


def test_a_reserved_port_is_for_who_asks_for_it(machine: Machine, plain: str) -> None:
    """And the switch is told without a start: who is plugged in stays so."""
    before = machine.sh("pgrep -x vde_switch").strip()
    assert "error" not in apply(machine, plain + PORTS)
    assert machine.sh("pgrep -x vde_switch").strip() == before
    assert tarr(machine, "apply", "--check", "/tmp/wished.toml")["steps"] == []
    try:
        with machine.popen(["vde_plug", f"vde://{SWITCH}", "cmd://sleep 60"], user="alice") as some, \
                machine.popen(["vde_plug", f"vde://{SWITCH}[5]", "cmd://sleep 60"], user="alice") as five:
            wait_for(lambda: _plugged(machine) == {3, 5}, 20, "both plugged in, none on the port 2")
            for each in (some, five):
                each.kill()
    finally:
        assert "error" not in apply(machine, plain)


def _plugged(machine: Machine) -> set[int]:
    """The ports that somebody is on, beside the bridge's."""
    said = machine.run(["python3", "-c", f"""
import socket
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('{SWITCH.replace('switch', 'console/socket')}')
def read():
    raw = b''
    while not raw.endswith(b'\\nvde$ '): raw += s.recv(65536)
    return raw.decode()
read(); s.sendall(b'port/allprint\\n'); print(read())
"""], check=False).stdout
    return {int(line.split()[1]) for line in said.splitlines()
            if line.startswith("Port ") and " ACTIVE" in line and line.split()[1] != "0001"}

"""UDP tunnels: frames flow for the guest's own account, and nobody else on the host gets in or listens."""

from __future__ import annotations

import functools
import ipaddress
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Inside, Machine, wait_for
from lab.peer import Peer
from vdenet.model.tunnel import address

MAC = "52:54:00:0b:0c:0d"
OTHER_MAC = "52:54:00:0a:0c:0d"  # whose tunnel would be the same

# As VirtualBox's driver does: a port on every address, shared with whoever wants it. Asks for the gateway's
# MAC again and again, and says which frames come: `reply` for an answer, else the sender's MAC.
GUEST = r"""
import socket, struct, sys, time
listen, port, peer, peer_port, mac, gateway, share = sys.argv[1:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if share == "port":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
if share == "lo":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
sock.bind((listen, int(port)))
sock.settimeout(0.1)
mac = bytes.fromhex(mac.replace(":", ""))
ask = b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac + bytes(10) + socket.inet_aton(gateway)
print("bound", flush=True)
while True:
    try:
        sock.sendto(ask, (peer, int(peer_port)))
    except PermissionError:
        pass  # the packet filter says so
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            frame = sock.recv(65536)
        except (TimeoutError, ConnectionRefusedError):
            continue
        is_reply = frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(gateway)
        print("reply" if is_reply else frame[6:12].hex(":"), flush=True)
"""


class Player:
    """Somebody at the guest's end of a tunnel."""

    def __init__(self, machine: Machine, user: str, ends: dict[str, Any], gateway: str, *, listen: str = "0.0.0.0",
                 port: int | None = None, peer: tuple[str, int] | None = None, share: str = "address") -> None:
        to, to_port = peer or (ends["address"], ends["segment_port"])
        self.log = machine.path(f"/tmp/heard-{user}-{time.monotonic_ns()}")
        inside = "/" + str(self.log.relative_to(machine.path("/")))
        argv = ["sh", "-c", f'exec python3 -c "$0" "$@" >{inside} 2>&1', GUEST, listen,
                str(ends["guest_port"] if port is None else port), to, str(to_port), MAC, gateway, share]
        self.process: Inside = machine.popen(argv, user=user, cwd="/")
        wait_for(lambda: self.process.poll() is not None or (self.log.exists() and "bound" in self.log.read_text()),
                 20, f"{user} listens or is refused")

    def heard(self) -> list[str]:
        return self.log.read_text().splitlines()[1:]

    def answered(self) -> bool:
        return "reply" in self.heard()

    @property
    def refused(self) -> bool:
        return "Address already in use" in self.log.read_text()

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def ends(machine: Machine, daemon: Daemon) -> Iterator[dict[str, Any]]:
    with Peer(machine, "alice") as alice:
        yield alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox")
        alice.call("Leave", name="box")


@pytest.fixture
def gateway(machine: Machine, daemon: Daemon) -> str:
    with Peer(machine) as root:
        return str(ipaddress.ip_interface(root.call("GetAddress")["address"]).ip)


@pytest.fixture
def play(machine: Machine, ends: dict[str, Any], gateway: str) -> Iterator[Callable[..., Player]]:
    """Makes players, which end with the test."""
    players: list[Player] = []

    def make(user: str, **how: Any) -> Player:
        players.append(Player(machine, user, ends, gateway, **how))
        return players[-1]
    yield make
    for player in players:
        player.close()


def noise(machine: Machine, gateway: str) -> None:
    """The host looks for somebody on the segment, which every port hears."""
    somebody = ipaddress.IPv4Address(gateway) + 7
    machine.run(["ping", "-c", "3", "-i", "0.3", "-W", "1", str(somebody)], check=False)


def relays(machine: Machine) -> list[Path]:
    found = []
    for status in machine.path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"vdenet.relay.main" in status.read_bytes():
                found.append(status.parent)
        except OSError:
            continue
    return found


def test_frames_flow(machine: Machine, ends: dict[str, Any], play: Callable[..., Player]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer from the segment")
    with Peer(machine, "alice") as alice:
        listed = {one["name"]: one for one in alice.call("List")["segments"][0]["guests"]}
    assert (listed["box"]["kind"], listed["box"]["owner"], listed["box"]["via"], listed["box"]["mac"]) == (
        "virtualbox", "alice", "tap", MAC)


def test_the_relay_has_no_rights_to_speak_of(machine: Machine, ends: dict[str, Any]) -> None:
    wait_for(lambda: len(relays(machine)) == 1, 10, "a relay")
    status = dict(line.split(":\t", 1) for line in (relays(machine)[0] / "status").read_text().splitlines()
                  if ":\t" in line)
    uid = machine.account("vdenet-switch")[0]
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Groups"].split() == []
    assert int(status["CapPrm"], 16) == 1 << 10  # NET_BIND_SERVICE
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("user", ["bob", "nora"])
def test_nobody_else_sends_into_the_segment(play: Callable[..., Player], user: str) -> None:
    """Neither from the guest's port, while the guest is away, nor from another."""
    ways: list[dict[str, Any]] = [{}, {"listen": "127.0.0.1"}, {"port": 0}]
    for how in ways:
        player = play(user, **how)
        time.sleep(1.5)
        assert player.heard() == []
        player.close()


def test_nobody_else_hears_the_segment(machine: Machine, play: Callable[..., Player], gateway: str) -> None:
    """Who took the guest's port first keeps the guest off, which is all that he gets."""
    thief = play("nora", listen="127.0.0.1")
    guest = play("alice")
    for _time in range(3):
        noise(machine, gateway)
    assert thief.heard() == guest.heard() == []
    thief.close()
    wait_for(guest.answered, 20, "an answer when the thief is gone")


@pytest.mark.parametrize("how", [
    {}, {"listen": "127.0.0.1"}, {"listen": "127.0.0.1", "share": "port"}, {"listen": "127.0.0.1", "share": "lo"}],
    ids=["all", "loopback", "reuseport", "device"])
def test_nobody_takes_the_guests_port(machine: Machine, play: Callable[..., Player], gateway: str,
                                      how: dict[str, str]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    thief = play("nora", **how)
    assert thief.refused, thief.log.read_text()
    guest.close()
    time.sleep(0.5)  # quicker than any hypervisor
    again = play("alice")
    wait_for(again.answered, 20, "an answer after it came back")


def test_nobody_else_sends_to_the_guest(machine: Machine, ends: dict[str, Any], play: Callable[..., Player]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    before = [line for line in guest.heard() if line == MAC]
    play("nora", port=0, peer=("127.0.0.1", ends["guest_port"]))
    time.sleep(1.5)
    assert [line for line in guest.heard() if line == MAC] == before == []


def test_nothing_comes_from_outside(machine: Machine, ends: dict[str, Any], play: Callable[..., Player]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    machine.sh("ip netns add out; ip link add out0 type veth peer name eth0 netns out; "
               "ip address add 192.0.2.1/24 dev out0; ip link set out0 up; "
               "ip -n out address add 192.0.2.2/24 dev eth0; ip -n out link set eth0 up")
    try:
        send = ("import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                "[s.sendto(b'\\2' * 60, ('192.0.2.1', int(sys.argv[1]))) for _ in range(20)]")
        for port in ("guest_port", "segment_port"):
            machine.run(["ip", "netns", "exec", "out", "python3", "-c", send, str(ends[port])])
        time.sleep(1)
        assert "02:02:02:02:02:02" not in guest.heard()
    finally:
        machine.sh("ip link delete out0; ip netns delete out")


def test_a_guest_keeps_its_tunnel(machine: Machine, daemon: Daemon, ends: dict[str, Any],
                                  play: Callable[..., Player]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    with Peer(machine, "alice") as alice:
        assert alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox") == ends
        renamed = alice.call("KeepTunnel", name="shop", mac=MAC, kind="virtualbox")
        assert {**renamed, "name": "box", "fqdn": ends["fqdn"]} == ends
        alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox")
        alice.call("Stop")
        wait_for(lambda: relays(machine) == [], 10, "the end of the relay")
        alice.call("Start")
        assert alice.call("Plan")["steps"] == []
    since = len(guest.heard())
    wait_for(lambda: "reply" in guest.heard()[since:], 20, "an answer after the segment came back")


def test_a_relay_that_dies_comes_back(machine: Machine, ends: dict[str, Any], play: Callable[..., Player]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    old, = relays(machine)
    machine.sh("pkill -KILL -u vdenet-switch -f vdenet.relay.main")
    wait_for(lambda: relays(machine) not in ([], [old]), 20, "another relay")
    since = len(guest.heard())
    wait_for(lambda: "reply" in guest.heard()[since:], 20, "an answer by the other relay")


def test_another_way_ends_it(machine: Machine, ends: dict[str, Any]) -> None:
    with Peer(machine, "alice") as alice:
        alice.call("Reserve", name="box", mac=MAC, kind="virtualbox")
        assert_nothing_left(machine, ends)
        assert alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox") == ends


def test_leave_ends_it(machine: Machine, ends: dict[str, Any]) -> None:
    with Peer(machine, "alice") as alice:
        alice.call("Leave", name="box")
        assert_nothing_left(machine, ends)
        assert alice.call("Plan")["steps"] == []


def assert_nothing_left(machine: Machine, ends: dict[str, Any]) -> None:
    assert relays(machine) == []
    assert machine.run(["ip", "link", "show", ends["port"]], check=False).returncode != 0
    assert "tunnels" not in machine.sh("nft list table inet vdenet_vdenet0")
    assert list(machine.path("/run/vdenet/state/vdenet0").glob("relay-*.json")) == []


def test_who_leaves_the_group_loses_it(machine: Machine, daemon: Daemon) -> None:
    machine.user("mallory", member=True)
    with Peer(machine, "mallory") as mallory:
        ends = mallory.call("KeepTunnel", name="hers", kind="virtualbox")
    machine.run(["gpasswd", "--delete", "mallory", "vdenet"])
    wait_for(lambda: machine.run(["ip", "link", "show", ends["port"]], check=False).returncode != 0, 20, "the tap's end")
    wait_for(lambda: relays(machine) == [], 20, "the relay's end")
    wait_for(lambda: "tunnels" not in machine.sh("nft list table inet vdenet_vdenet0"), 20, "the rules' end")


def test_a_port_in_use_is_passed_over(machine: Machine, ends: dict[str, Any], gateway: str) -> None:
    with Peer(machine, "alice") as alice:
        alice.call("Leave", name="box")
        other = machine.popen(["python3", "-c", "import socket, sys, time; s = socket.socket(socket.AF_INET, "
                               "socket.SOCK_DGRAM); s.bind(('', int(sys.argv[1]))); print('x', flush=True); time.sleep(99)",
                               str(ends["guest_port"])])
        try:
            assert other.stdout is not None and other.stdout.readline() == "x\n"
            assert alice.call("KeepTunnel", name="box", mac=MAC)["guest_port"] == ends["guest_port"] + 1
            alice.call("Leave", name="box")
        finally:
            other.kill()
            other.wait(10)


def test_a_port_that_virtualbox_has_lost_is_passed_over(machine: Machine, ends: dict[str, Any],
                                                        play: Callable[..., Player], gateway: str) -> None:
    """It may listen there still, and a frame would be the machine's end. Who did not leave gets it back, who says so
    and is another does not."""
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    with Peer(machine, "alice") as alice, Peer(machine, "bob") as bob:
        alice.call("Reserve", name="box", mac=MAC, kind="virtualbox")
        heard = len(guest.heard())
        theft = bob.call("KeepTunnel", name="his", mac=OTHER_MAC, back=True)
        assert theft["guest_port"] != ends["guest_port"]
        again = alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox")
        assert again["guest_port"] not in (ends["guest_port"], theft["guest_port"])
        for _time in range(3):
            noise(machine, gateway)
        assert len(guest.heard()) == heard
        bob.call("Leave", name="his")
        alice.call("Leave", name="box")
        # That is the last one now, though nobody listens there.
        assert alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox", back=True) == again


def test_who_did_not_leave_after_all_gets_the_tunnel_back(machine: Machine, ends: dict[str, Any],
                                                          play: Callable[..., Player]) -> None:
    guest = play("alice")
    wait_for(guest.answered, 20, "an answer")
    with Peer(machine, "alice") as alice:
        for way in ("another", "off"):
            if way == "another":
                alice.call("Reserve", name="box", mac=MAC, kind="virtualbox")
            else:
                alice.call("Leave", name="box")
            heard = len(guest.heard())
            assert alice.call("KeepTunnel", name="box", mac=MAC, kind="virtualbox", back=True) == ends
            wait_for(functools.partial(answered_since, guest, heard), 20, "frames again")


def answered_since(guest: Player, lines: int) -> bool:
    return "reply" in guest.heard()[lines:]


def test_each_segment_has_an_address_of_its_own(ends: dict[str, Any]) -> None:
    assert ends["address"] == address("vdenet0") != address("vdenet1")

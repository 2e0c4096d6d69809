"""join lxc, on real containers of ordinary users: started without root, on the bridge by lxc-user-nic.

LXC is started by lxc-start and not by lxc-unpriv-start, which only asks a systemd of the user's for a control
group first: there is none here, and the container has no limits to keep.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import frames
from lab.machine import wait_for
from lab.sniffer import Sniffer, process_in

from .conftest import DOMAIN, SEGMENT, Host, started

MARK = b"vdenet-test-mark"


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def host(request: pytest.FixtureRequest, deb: Path) -> Iterator[Host]:
    for ready in started(request.param, deb, "lxc", "busybox-static", "uidmap", cgroup=True):
        # A user namespace may mount /proc only where one is to be seen whole, and the machine's has parts of
        # it covered. This one is for root's eyes.
        ready.machine.sh("mkdir -m 700 /run/proc; mount -t proc proc /run/proc")
        for user in ("alice", "bob", "carol"):
            ready.machine.user(user)
            ready.machine.sh(
                "chmod 711 .; mkdir -p .config/lxc .local/share/lxc; "
                "first=$(sed -n \"s/^$USER:\\([0-9]*\\):.*/\\1/p\" /etc/subuid); "
                "printf 'lxc.idmap = u 0 %s 65536\\nlxc.idmap = g 0 %s 65536\\n' $first $first "
                ">.config/lxc/default.conf", user=user)
        yield ready


class Own:
    """A member's container, of busybox, without a network."""

    def __init__(self, host: Host, user: str, name: str) -> None:
        self.host, self.user, self.name = host, user, name
        host.machine.run(["lxc-create", "-n", name, "-t", "busybox"], user=user, timeout=120)
        self.file = host.machine.path(f"/home/{user}/.local/share/lxc/{name}/config")

    def start(self) -> None:
        self.host.machine.run(["lxc-start", "-n", self.name, "-o", f"/tmp/{self.name}.log", "-l", "info"],
                              user=self.user)
        self.host.machine.run(["lxc-wait", "-n", self.name, "-s", "RUNNING", "-t", "30"], user=self.user)

    def run(self, script: str) -> str:
        return self.host.machine.run(["lxc-attach", "-n", self.name, "--clear-env", "--", "/bin/sh", "-c", script],
                                     user=self.user).stdout

    def stop(self) -> None:
        self.host.machine.run(["lxc-stop", "-k", "-n", self.name], user=self.user, check=False)

    def destroy(self) -> None:
        self.stop()
        self.host.tarr("leave", "lxc", self.name, user=self.user, check=False)
        self.host.machine.run(["lxc-destroy", "-n", self.name], user=self.user)

    def wait_address(self) -> str:
        """Its address, once it has it and `list` says so."""
        def both() -> str | None:
            listed = self.host.listed(self.name)
            address: str | None = None if listed is None else listed["address"]
            return address if address and f"inet {address}/" in self.run("ip -4 addr show dev eth0") else None
        address = wait_for(both, 60, f"{self.name}'s address")
        assert address is not None
        return address

    def namespace(self) -> int:
        """A process in its network namespace, as this machine numbers it."""
        return process_in(self.run("readlink /proc/self/ns/net").strip())


@pytest.fixture
def mine(host: Host) -> Iterator[Own]:
    made = Own(host, "alice", "mine")
    yield made
    made.destroy()


@pytest.fixture
def his(host: Host) -> Iterator[Own]:
    made = Own(host, "bob", "his")
    yield made
    made.destroy()


def test_two_members_containers_talk_and_come_back(host: Host, mine: Own, his: Own) -> None:
    before = mine.file.read_bytes()
    macs = {own.name: host.told("join", "lxc", own.name, user=own.user)["mac"] for own in (mine, his)}
    for own in (mine, his):
        own.start()
    addresses = {own.name: own.wait_address() for own in (mine, his)}
    network = ipaddress.IPv4Interface(host.segment()["address"]).network
    for own in (mine, his):
        guest = host.listed(own.name)
        assert guest is not None
        assert ipaddress.IPv4Address(addresses[own.name]) in network
        assert (guest["kind"], guest["via"], guest["owner"], guest["mac"], guest["fqdn"]) == (
            "lxc", "veth", own.user, macs[own.name], f"{own.name}.{DOMAIN}")
    for asker, asked in ((mine, his), (his, mine)):
        said = asker.run(f"ping -4 -c 3 {asked.name}")
        assert f"({addresses[asked.name]})" in said and " 0% packet loss" in said
    # Root in there is nobody out here.
    assert mine.run("id -u").strip() == "0"
    assert host.machine.run(["ps", "-o", "uid=", "-p", str(host.machine.run(
        ["lxc-info", "-n", "mine", "-p", "-H"], user="alice").stdout.strip())]).stdout.strip() not in ("0", "1000")

    # The port is lxc's, not ours: it is left alone by repairs and by a daemon that starts anew.
    port = host.listed("mine")
    assert port is not None
    index = host.machine.path(f"/sys/class/net/{port['port']}/ifindex").read_text()
    host.tarr("reload")
    host.machine.run(["service", "vdenetd", "restart"])
    wait_for(lambda: host.segment()["state"] == "up", 20, f"{SEGMENT} up")
    assert host.machine.path(f"/sys/class/net/{port['port']}/ifindex").read_text() == index
    assert " 0% packet loss" in mine.run("ping -c 3 his")

    # A start anew makes another port; name, MAC and address are the same.
    mine.stop()
    mine.start()
    assert mine.wait_address() == addresses["mine"]
    assert f"({addresses['mine']})" in his.run("ping -4 -c 1 mine")

    assert "it is running" in host.tarr("leave", "lxc", "mine").stdout
    assert mine.file.read_bytes() == before
    mine.stop()
    wait_for(lambda: host.listed("mine") is None, 20, "mine gone")
    assert host.listed("his") is not None


def test_put_there_by_hand(host: Host, mine: Own) -> None:
    """By the three lines that the README has."""
    text = mine.file.read_text()
    mine.file.write_text(f"{text}lxc.net.0.type = veth\nlxc.net.0.link = {SEGMENT}\nlxc.net.0.flags = up\n")
    mine.start()

    def found() -> dict[str, Any] | None:
        return next((one for one in host.segment()["guests"] if one["guest"] == "mine" and one["address"]), None)
    guest = wait_for(found, 60, "the container with its address")
    assert guest is not None
    assert tuple(guest[key] for key in ("kind", "owner", "via", "joined")) == ("lxc", "alice", "veth", False)
    assert f"inet {guest['address']}/" in mine.run("ip -4 addr show dev eth0")
    assert "veth (lxc)" in host.tarr("list").stdout


def test_one_that_runs_joins_at_its_next_start(host: Host, mine: Own) -> None:
    mine.start()
    assert "it is running: its next start brings it onto the segment" in host.tarr("join", "lxc", "mine").stdout
    assert (host.listed("mine") or {}).get("port") is None
    assert "already" in host.tarr("join", "lxc", "mine").stdout
    mine.stop()
    mine.start()
    mine.wait_address()


def test_what_is_hostile_in_it_gets_nowhere(host: Host, mine: Own, his: Own) -> None:
    for own in (mine, his):
        host.tarr("join", "lxc", own.name, user=own.user)
        own.start()
    for own in (mine, his):
        own.wait_address()
    guest, prey = host.listed("mine"), host.listed("his")
    assert guest is not None and prey is not None
    gateway = str(ipaddress.IPv4Interface(host.segment()["address"]).ip)
    offer = frames.dhcp_offer(prey["mac"], prey["address"], "10.66.66.1")
    bad = [
        frames.ethernet(frames.BROADCAST, guest["mac"], frames.ARP, frames.arp(
            2, (guest["mac"], gateway), (frames.BROADCAST, gateway))),
        frames.ethernet(prey["mac"], guest["mac"], frames.IPV4, frames.ipv4(
            "10.66.66.1", "255.255.255.255", frames.UDP, frames.udp(67, 68, offer))),
        frames.ethernet(prey["mac"], guest["mac"], frames.IPV4, frames.ipv4(
            gateway, prey["address"], frames.UDP, frames.udp(9, 9, MARK)))]
    good = frames.ethernet(prey["mac"], guest["mac"], frames.IPV4, frames.ipv4(
        guest["address"], prey["address"], frames.UDP, frames.udp(9, 9, MARK)))
    with Sniffer(his.namespace(), "eth0") as seen:
        frames.send(mine.namespace(), "eth0", [*bad, good])
        seen.wait(lambda frame: frame.data.rstrip(b"\0") == good.rstrip(b"\0"))
        came = {frame.data.rstrip(b"\0") for frame in seen.look()}
    assert not came & {frame.rstrip(b"\0") for frame in bad}


def test_on_a_segment_of_ones_own(host: Host, mine: Own) -> None:
    """Who creates a segment can put containers on it, without root."""
    usernet = host.machine.path("/etc/lxc/lxc-usernet")
    before = usernet.read_text()
    host.tarr("segment", "create", "lab")
    try:
        assert usernet.read_text() == f"{before}@vdenet veth lab 10\n"
        host.tarr("join", "lxc", "mine", "--segment", "lab")
        mine.start()

        def address() -> str | None:
            lab = next(one for one in host.told("list")["segments"] if one["name"] == "lab")
            return next((guest["address"] for guest in lab["guests"] if (guest["name"], guest["kind"], guest["owner"]) == (
                "mine", "lxc", "alice") and guest["port"]), None)
        found = wait_for(address, 60, "mine on lab")
        wait_for(lambda: f"inet {found}/" in mine.run("ip -4 addr show dev eth0"), 20, "its address in the container")
        host.tarr("leave", "lxc", "mine", "--segment", "lab")
    finally:
        mine.stop()
        host.tarr("segment", "delete", "--force", "lab")
    assert usernet.read_text() == before


def test_what_is_included_counts(host: Host, mine: Own) -> None:
    text = mine.file.read_text()
    more = mine.file.parent / "more.conf"
    more.write_text("lxc.net.0.type = empty\n")
    mine.file.write_text(f"{text}lxc.include = /home/alice/.local/share/lxc/mine/more.conf\n")
    before = mine.file.read_bytes()
    assert host.told("join", "lxc", "mine")["nic"] == "0"
    mine.start()
    mine.wait_address()
    mine.stop()
    host.tarr("leave", "lxc", "mine")
    assert mine.file.read_bytes() == before


def test_a_container_behind_a_door_that_is_shut(host: Host, mine: Own) -> None:
    """Debian 13 gives each user a home that nobody else may enter, and the container's root is another user."""
    host.machine.run(["chmod", "700", "/home/alice"])
    try:
        said = host.tarr("join", "lxc", "mine")
        assert "/home/alice" in said.stderr and "chmod o+x /home/alice" in said.stderr
        assert host.machine.run(["lxc-start", "-n", "mine"], user="alice", check=False).returncode
    finally:
        host.machine.run(["chmod", "711", "/home/alice"])
    assert "chmod" not in host.tarr("join", "lxc", "mine").stderr
    mine.start()
    mine.wait_address()


@pytest.fixture
def hers(host: Host) -> Iterator[Own]:
    made = Own(host, "carol", "hers")
    yield made
    made.stop()
    host.machine.run(["lxc-destroy", "-n", "hers"], user="carol")


def test_a_stranger_gets_no_port(host: Host, hers: Own) -> None:
    """Who is no member is turned away, by tarr-steps and by lxc-user-nic; without a NIC there the container runs."""
    assert host.tarr("join", "lxc", "hers", user="carol", check=False).returncode == 4
    before = hers.file.read_text()
    hers.file.write_text(f"{before}lxc.net.0.type = veth\nlxc.net.0.link = {SEGMENT}\n")
    assert host.machine.run(["lxc-start", "-n", "hers", "-o", "/tmp/hers.log", "-l", "info"], user="carol",
                            check=False).returncode
    assert "lxc-user-nic failed" in host.machine.path("/tmp/hers.log").read_text()
    hers.file.write_text(before)
    hers.start()

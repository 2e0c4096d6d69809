"""The lease of a port: it ends with its holder, with `leave`, with the membership, and not by a trick."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest
from lab.daemon import Daemon
from lab.machine import Inside, Machine, wait_for
from lab.peer import Peer
from vdenet.errors import BadValue, NotPermitted, VdenetError
from vdenet.wire.channel import close_all

TUNSETPERSIST, TUNSETOWNER, SIOCSIFHWADDR = 0x400454CB, 0x400454CC, 0x8924
BRIDGE = "vdenet0"


@pytest.fixture
def alice(machine: Machine, daemon: Daemon) -> Iterator[Peer]:
    with Peer(machine, "alice") as peer:
        yield peer


def ports(machine: Machine) -> list[str]:
    return [name for name in os.listdir(machine.path(f"/sys/class/net/{BRIDGE}/brif")) if name.startswith("vd0-")]


def listed(peer: Peer) -> list[str]:
    return [guest["name"] for guest in peer.call("List")["segments"][0]["guests"]]


def test_ends_with_the_last_descriptor(machine: Machine, alice: Peer) -> None:
    alice.call("OpenTap", name="web")
    fds = alice.take()
    assert ports(machine) == ["vd0-web"]
    assert listed(alice) == ["web"]
    holder = subprocess.Popen(["sleep", "infinity"], pass_fds=[fds[0]])
    for fd in fds:
        os.close(fd)
    assert ports(machine) == ["vd0-web"]
    holder.kill()
    holder.wait()
    wait_for(lambda: ports(machine) == [], 10, "end of the port")
    wait_for(lambda: listed(alice) == [], 10, "end of the guest in the list")


def test_the_name_of_one_that_ended_is_free_at_once(machine: Machine, alice: Peer) -> None:
    """Also before the watch has looked, for whoever asks, and whichever way he joins."""
    with Peer(machine, "bob") as bob:
        for method, mac in (("OpenTap", None), ("KeepTap", None), ("Reserve", None), ("OpenTap", "52:54:00:00:00:07")):
            alice.call("OpenTap", name="web", mac=mac)
            close_all(alice.take())
            until = time.monotonic() + 10
            while ports(machine):  # the daemon closes its own copy when it has sent it
                assert time.monotonic() < until
            assert bob.call(method, name="web", mac=mac)["name"] == "web"
            close_all(bob.take() if method == "OpenTap" else [])
            bob.call("Leave", name="web")


@pytest.mark.parametrize("trick", ["persistent", "owner", "MAC of the host"])
def test_no_trick_keeps_it(machine: Machine, alice: Peer, trick: str) -> None:
    port = alice.call("OpenTap", name="web")["port"]
    fds = alice.take()
    if trick == "persistent":
        fcntl.ioctl(fds[0], TUNSETPERSIST, 1)
    elif trick == "owner":
        fcntl.ioctl(fds[0], TUNSETOWNER, machine.account("bob")[0])
        fcntl.ioctl(fds[0], TUNSETPERSIST, 1)
    else:
        mac = machine.path(f"/sys/class/net/{BRIDGE}/address").read_text().strip()
        request = struct.pack("16sH6s8x", port.encode(), 1, bytes.fromhex(mac.replace(":", "")))
        fcntl.ioctl(fds[0], SIOCSIFHWADDR, request)
        fcntl.ioctl(fds[0], TUNSETPERSIST, 1)
    for fd in fds:
        os.close(fd)
    wait_for(lambda: not machine.path(f"/sys/class/net/{port}").exists(), 10, "end of the port")
    assert listed(alice) == []


def test_a_tap_with_the_mac_of_a_guest_ends(machine: Machine, alice: Peer) -> None:
    """The bridge takes what is for an address of its own ports: the guest would hear nothing any more."""
    port = alice.call("OpenTap", name="web")["port"]
    fds = alice.take()
    with Peer(machine, "bob") as bob:
        victim = bob.call("Reserve", name="prey")["mac"]
        request = struct.pack("16sH6s8x", port.encode(), 1, bytes.fromhex(victim.replace(":", "")))
        fcntl.ioctl(fds[0], SIOCSIFHWADDR, request)
        wait_for(lambda: not machine.path(f"/sys/class/net/{port}").exists(), 5, "end of the port")
        bob.call("Leave", name="prey")
    for fd in fds:
        os.close(fd)


def test_leave_takes_it_from_its_holder(machine: Machine, alice: Peer) -> None:
    alice.call("OpenTap", name="web")
    fds = alice.take()
    with Peer(machine, "bob") as bob:
        with pytest.raises(NotPermitted):
            bob.call("Leave", name="web")
    assert ports(machine) == ["vd0-web"]
    assert alice.call("Leave", name="web")["left"] is True
    assert ports(machine) == []
    for fd in fds:
        os.close(fd)
    assert alice.call("Leave", name="web")["left"] is False


def test_another_members_name_is_taken(machine: Machine, alice: Peer) -> None:
    alice.call("OpenTap", name="web")
    with Peer(machine, "bob") as bob:
        for method in ("OpenTap", "Reserve"):
            with pytest.raises(VdenetError) as caught:
                bob.call(method, name="web")
            assert caught.value.code == "name-taken"
    alice.call("Leave", name="web")


def test_ends_with_the_membership(machine: Machine, daemon: Daemon) -> None:
    machine.user("mallory", member=True)
    with Peer(machine, "mallory") as mallory:
        mallory.call("OpenTap", name="gone")
        fds = mallory.take()
        machine.run(["gpasswd", "--delete", "mallory", "vdenet"])
        with pytest.raises(NotPermitted):
            mallory.call("List")
        wait_for(lambda: "vd0-gone" not in ports(machine), 10, "end of the port")
        for fd in fds:
            os.close(fd)


def refused(peer: Peer, *send: int) -> str:
    with pytest.raises(VdenetError) as caught:
        peer.call("OpenVeth", name="box", send=send)
    return caught.value.code


def test_only_a_namespace_of_ones_own(machine: Machine, alice: Peer) -> None:
    own = machine.popen(["unshare", "--user", "--map-root-user", "--net", "sleep", "infinity"], user="alice")
    others = machine.popen(["unshare", "--user", "--map-root-user", "--net", "sleep", "infinity"], user="bob")
    try:
        fds = [os.open(f"/proc/{machine.pid}/ns/net", os.O_RDONLY),
               os.open(f"/proc/{machine.pid}/ns/uts", os.O_RDONLY),
               os.open(unshared(machine, others), os.O_RDONLY)]
        with tempfile.TemporaryFile() as file:
            for fd in (*fds, file.fileno()):
                assert refused(alice, fd) == "not-permitted"
            one, other = socket.socketpair()
            assert refused(alice, one.fileno()) == "not-permitted"
            one.close()
            other.close()
        assert refused(alice) == BadValue.code
        assert refused(alice, fds[0], fds[0]) == BadValue.code
        assert ports(machine) == []
        mine = os.open(unshared(machine, own), os.O_RDONLY)
        assert alice.call("OpenVeth", name="box", send=[mine])["interface"] == "eth0"
        assert ports(machine) == ["vd0-box"]
        for fd in (*fds, mine):
            os.close(fd)
    finally:
        for process in (own, others):
            process.kill()
            process.wait()
    wait_for(lambda: ports(machine) == [], 10, "end of the port")
    alice.call("Leave", name="box")


def unshared(machine: Machine, process: Inside) -> str:
    """The network namespace of a process, once that has made one."""
    host = os.readlink(f"/proc/{machine.pid}/ns/net")

    def own() -> str | None:
        path = f"/proc/{process.inner}/ns/net"
        return path if os.path.exists(path) and os.readlink(path) != host else None

    found = wait_for(own, 10, "a namespace")
    assert found is not None
    return found

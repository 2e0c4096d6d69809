"""What one user may take, and that it hurts nobody else; whatever bytes come, the daemon lives."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer, connect
from vdenet.daemon.quota import MAX_CONNECTIONS, MAX_OPERATIONS, MAX_TAPS
from vdenet.errors import ProtocolError, QuotaExceeded, VdenetError
from vdenet.wire.channel import Channel, Closed, close_all

PATIENCE = 2.0
"""Seconds in which somebody else has to be served on a machine that does other things too."""

SERVICES = 3
"""The switch, the gate before it, and dnsmasq."""


@pytest.fixture(autouse=True)
def unharmed(machine: Machine, daemon: Daemon) -> Iterator[None]:
    """Each test leaves the daemon alive, with as many descriptors as before, and quiet."""
    before, lines = daemon.fds(), len(daemon.lines)
    yield
    assert daemon.alive
    wait_for(lambda: daemon.fds() <= before, 15, "end of the descriptors")
    assert daemon.pidfds() <= SERVICES
    assert not [line for line in daemon.lines[lines:] if "Traceback" in line]


def served(machine: Machine, user: str = "bob") -> None:
    begun = time.monotonic()
    with Peer(machine, user) as peer:
        assert peer.call("GetAddress")["segment"] == "vdenet0"
    assert time.monotonic() - begun < PATIENCE


def patiently(peer: Peer, method: str, **parameters: Any) -> None:
    """A call under the rate of operations."""
    while True:
        try:
            peer.call(method, **parameters)
            return
        except QuotaExceeded as error:
            if error.data["limit"] != MAX_OPERATIONS:
                raise
            time.sleep(0.1)


def test_taps(machine: Machine, daemon: Daemon) -> None:
    fds: list[int] = []
    with Peer(machine, "alice") as alice:
        for number in range(MAX_TAPS):
            patiently(alice, "OpenTap", name=f"many-{number}")
            fds += alice.take()
        time.sleep(0.2)
        with pytest.raises(QuotaExceeded) as caught:
            alice.call("OpenTap", name="one-too-many")
        assert caught.value.data["limit"] == MAX_TAPS
        with Peer(machine, "bob") as bob:
            bob.call("OpenTap", name="of-bob")
            bob.call("Leave", name="of-bob")
        close_all(fds)
        wait_for(lambda: not list(machine.path("/sys/class/net").glob("vd0-*")), 15, "end of the taps")
        patiently(alice, "OpenTap", name="one-again")
        patiently(alice, "Leave", name="one-again")


def test_connections(machine: Machine, daemon: Daemon) -> None:
    held = [connect(machine, "alice") for _number in range(MAX_CONNECTIONS)]
    with Peer(machine, "alice") as alice:
        with pytest.raises(QuotaExceeded) as caught:
            alice.call("List")
    assert caught.value.data["limit"] == MAX_CONNECTIONS
    served(machine)
    for sock in held:
        sock.close()
    wait_for(lambda: asked(machine, "alice"), 10, "a connection again")


def asked(machine: Machine, user: str) -> bool:
    try:
        served(machine, user)
    except QuotaExceeded:
        return False
    return True


def test_four_hundred_idle_connections(machine: Machine, daemon: Daemon) -> None:
    held = [connect(machine, "alice") for _number in range(400)]
    for _again in range(5):
        served(machine)
    open_ones = sum(1 for sock in held if still_open(sock))
    assert open_ones == MAX_CONNECTIONS
    for sock in held:
        sock.close()


def still_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def test_operations_a_second(machine: Machine, daemon: Daemon) -> None:
    time.sleep(1.1)
    results = []
    with Peer(machine, "alice") as alice:
        begun = time.monotonic()
        for _number in range(10 * MAX_OPERATIONS):
            try:
                alice.call("GetAddress")
                results.append(True)
            except QuotaExceeded as error:
                assert error.data["limit"] == MAX_OPERATIONS
                results.append(False)
        seconds = time.monotonic() - begun
        served(machine)
    assert sum(results) <= MAX_OPERATIONS * (seconds + 1) + 1
    assert False in results


def rubbish(dice: random.Random) -> bytes:
    """A request that is none, or nearly one."""
    strings = ["", "x", "vdenet0", "../../etc/passwd", "a\nb", "\x00", "é" * 50, "A" * 600, "-", "10.0.0.0/99", "'"]
    values: list[object] = [None, True, -1, 1e300, [], {}, [[1]], {"a": {}}, *strings]
    kind = dice.randrange(8)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 300)) + b"\0"
    if kind == 1:
        return b"[" * dice.randrange(1, 5000) + b"\0"
    if kind == 2:
        return b'{"method":' + b'{"a":' * 50 + b"1" + b"}" * 51 + b"\0"
    if kind == 3:
        return json.dumps(dice.choice(values)).encode() + b"\0"
    if kind == 4:
        return json.dumps({"method": dice.choice(values), "parameters": dice.choice(values)}).encode() + b"\0"
    if kind == 5:
        return b'{"method":"org.vdenet.Control.List","parameters":{"segment":"' + b"\xff\xfe" + b'"}}\0'
    method = dice.choice(["List", "Check", "Plan", "GetAddress", "SetAddress", "OpenTap", "OpenVeth", "KeepTap",
                          "KeepTunnel", "Reserve", "Leave", "Version", "Nothing"])
    names = ["segment", "address", "name", "mac", "kind", "other", "__class__"]
    # Always with a wrong value, so that nothing comes of it.
    parameters = {dice.choice(names): dice.choice(values), "wrong": dice.choice(values)}
    return json.dumps({"method": f"org.vdenet.Control.{method}", "parameters": parameters}).encode() + b"\0"


@pytest.mark.parametrize("user", ["alice", "root"])
def test_malformed_requests(machine: Machine, daemon: Daemon, user: str) -> None:
    """Root's are not held back by the rate, so they get deeper; nothing is changed by any."""
    number = 2000 if user == "alice" else 8000
    dice = random.Random(number)
    config = machine.path("/etc/vdenet/vdenet0.toml")
    text, links = config.read_text(), os.listdir(machine.path("/sys/class/net"))
    sock = connect(machine, user)
    memory: list[int] = []
    for count in range(number):
        if count == number // 10 or count == number - 1:
            memory.append(daemon.memory())
        try:
            sock.sendall(rubbish(dice))
            reply, fds = Channel(sock).receive()
            close_all(fds)
            assert "error" in reply
        except (OSError, Closed, ProtocolError):
            sock.close()
            sock = connect(machine, user)
    sock.close()
    assert memory[1] < memory[0] + 16 * 2**20
    assert config.read_text() == text
    assert os.listdir(machine.path("/sys/class/net")) == links
    wait_for(lambda: asked(machine, "alice"), 10, "an answer")


def test_a_request_without_an_end(machine: Machine, daemon: Daemon) -> None:
    before = daemon.memory()
    sock = connect(machine, "alice")
    with pytest.raises(OSError):
        for _number in range(1000):
            sock.sendall(b"x" * 65536)
    sock.close()
    assert daemon.memory() < before + 8 * 2**20
    served(machine)


def test_too_many_descriptors(machine: Machine, daemon: Daemon) -> None:
    message = b'{"method":"org.vdenet.Control.Version"}\0'
    with open("/dev/null") as null:
        for _number in range(20):
            sock = connect(machine, "alice")
            try:
                socket.send_fds(sock, [message], [null.fileno()] * 200)
                reply, _fds = Channel(sock).receive()
                assert "error" in reply
            except (OSError, Closed):
                pass
            finally:
                sock.close()
    wait_for(lambda: asked(machine, "alice"), 10, "an answer")


def test_errors_of_others_are_theirs(machine: Machine, daemon: Daemon) -> None:
    with Peer(machine, "alice") as alice, Peer(machine, "bob") as bob:
        alice.socket.sendall(b"no JSON\0")
        with pytest.raises(VdenetError):
            alice.call("List")
        assert bob.call("GetAddress")["segment"] == "vdenet0"

"""Who may do what: each operation of the table, for each kind of caller; and what a stranger can see."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Inside, Machine, wait_for
from lab.peer import Peer, connect
from vdenet.daemon.operations import TABLE, Role
from vdenet.errors import NotPermitted, VdenetError
from vdenet.wire.channel import Channel

CALLERS = ("nora", "alice", "bob", "root", "vdenet-switch", "vdenet-dns", "vdenet-plug")
MAY = {"alice", "bob", "root"}

PARAMETERS: dict[str, dict[str, str]] = {
    "CreateSegment": {"segment": "thing"}, "DeleteSegment": {"segment": "thing"},
    "SetAddress": {"address": "10.9.8.1/24"},
    "OpenTap": {"name": "thing"}, "OpenVeth": {"name": "thing"}, "KeepTap": {"name": "thing"},
    "KeepTunnel": {"name": "thing"},
    "Reserve": {"name": "thing"}, "Leave": {"name": "thing"},
}


def outcome(machine: Machine, user: str, method: str, *fds: int, **parameters: str) -> str:
    """`done`, or the code of the refusal; `closed` when the socket cannot even be connected to."""
    try:
        peer = Peer(machine, user)
    except PermissionError:
        return "closed"
    with peer:
        try:
            peer.call(method, send=fds, **parameters)
        except VdenetError as error:
            return error.code
        return "done"


@pytest.fixture(scope="module")
def namespaces(machine: Machine) -> Any:
    """A network namespace of each caller's own."""
    made: dict[str, Inside] = {}
    for user in CALLERS:
        words = ["unshare", "--net"] if user == "root" else ["unshare", "--user", "--map-root-user", "--net"]
        made[user] = machine.popen([*words, "sleep", "infinity"], user=user, cwd="/")
    host = os.readlink(f"/proc/{machine.pid}/ns/net")
    for process in made.values():
        wait_for(lambda: os.path.exists(f"/proc/{process.inner}/ns/net")
                 and os.readlink(f"/proc/{process.inner}/ns/net") != host, 10, "a namespace")
    yield made
    for process in made.values():
        process.kill()
        process.wait()


@pytest.fixture
def veth(namespaces: dict[str, Inside]) -> Callable[[str], list[int]]:
    return lambda user: [os.open(f"/proc/{namespaces[user].inner}/ns/net", os.O_RDONLY)]


@pytest.mark.parametrize("user", CALLERS)
@pytest.mark.parametrize("operation", TABLE)
def test_table(machine: Machine, daemon: Daemon, veth: Callable[[str], list[int]], operation: str,
               user: str) -> None:
    entry = TABLE[operation]
    fds = veth(user) if entry.fds else []
    given = dict(PARAMETERS.get(operation, {}))
    if "text" in entry.parameters and operation != "CreateSegment":
        given["text"] = machine.path("/etc/vdenet/vdenet0.toml").read_text()
    if operation == "DeleteSegment" and user in MAY:
        outcome(machine, user, "CreateSegment", **given)
    got = outcome(machine, user, operation, *fds, **given)
    for fd in fds:
        os.close(fd)
    outcome(machine, "root", "Leave", name="thing")
    outcome(machine, "root", "DeleteSegment", segment="thing")
    if operation == "Stop":
        outcome(machine, "root", "Start")
    if user not in MAY:
        assert got in ("closed", "not-permitted")
    elif entry.role is Role.ROOT and user != "root":
        assert got == "not-permitted"
    elif operation in ("Confirm", "RollBack"):
        assert got == "refused", "nothing waits for it"
    else:
        assert got == "done"


@pytest.mark.parametrize("owner", ["alice", "root"])
@pytest.mark.parametrize("way", ["OpenTap", "KeepTap", "KeepTunnel", "Reserve"])
def test_nobody_touches_anothers(machine: Machine, daemon: Daemon, owner: str, way: str) -> None:
    with Peer(machine, owner) as peer:
        peer.call(way, name="thing")
        for user in ("nora", "bob", "vdenet-switch"):
            assert outcome(machine, user, "Leave", name="thing") in ("not-permitted", "closed")
            for method in ("OpenTap", "KeepTap", "KeepTunnel", "Reserve"):
                assert outcome(machine, user, method, name="thing") in ("not-permitted", "closed", "name-taken")
                assert outcome(machine, user, method, name="THING") in ("not-permitted", "closed", "name-taken")
        peer.call("Leave", name="thing")
    with Peer(machine, owner) as peer:
        peer.call(way, name="thing")
        assert outcome(machine, "root", "Leave", name="thing") == "done"


def test_a_stranger_sees_the_socket_only(machine: Machine, daemon: Daemon) -> None:
    with pytest.raises(PermissionError):
        connect(machine, "nora")
    for path in ("/run/vdenet/vdenet0/switch/ctl", "/run/vdenet/vdenet0/console/socket"):
        with pytest.raises(PermissionError):
            connect(machine, "nora", path)
    for what in ("-readable", "-writable"):
        shown = machine.run(["find", "/run/vdenet", "/etc/vdenet", "/var/lib/vdenet", "-not", "-type", "d", what],
                            user="nora", check=False).stdout
        assert shown == ""


def test_a_member_enters_no_console(machine: Machine, daemon: Daemon) -> None:
    assert machine.run(["ls", "/run/vdenet/vdenet0/console"], user="alice", check=False).returncode != 0
    with pytest.raises(PermissionError):
        connect(machine, "alice", "/run/vdenet/vdenet0/console/socket")
    # To the switch itself, yes.
    connect(machine, "alice", "/run/vdenet/vdenet0/switch/ctl").close()


def test_a_member_cannot_take_the_switchs_place(machine: Machine, daemon: Daemon) -> None:
    done = machine.run(["rm", "/run/vdenet/vdenet0/switch/ctl"], user="alice", check=False)
    assert done.returncode != 0
    assert machine.path("/run/vdenet/vdenet0/switch/ctl").is_socket()


def test_membership_ends_at_the_next_call(machine: Machine, daemon: Daemon) -> None:
    machine.user("mallory", member=True)
    with Peer(machine, "mallory") as mallory:
        mallory.call("List")
        machine.run(["gpasswd", "--delete", "mallory", "vdenet"])
        with pytest.raises(NotPermitted):
            mallory.call("List")


def test_who_calls_is_asked_before_anything_is_read(machine: Machine, daemon: Daemon) -> None:
    """A refused caller gets the refusal without having sent a byte."""
    machine.sh("chmod o+rw /run/vdenet/control")
    try:
        sock = connect(machine, "nora")
        message, _fds = Channel(sock).receive()
        assert message["parameters"]["code"] == "not-permitted"
        assert sock.recv(1) == b""
        sock.close()
    finally:
        machine.sh("chmod o-rw /run/vdenet/control")

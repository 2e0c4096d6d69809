"""A connection to a machine's control socket, made by any of the machine's accounts."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from lab.machine import Entered
from vdenet.wire.channel import MAX_REPLY, Channel, close_all
from vdenet.wire.message import call, parse_reply


@contextmanager
def account(uid: int, gid: int, groups: Sequence[int]) -> Iterator[None]:
    """For a moment this process is somebody else: what it connects is theirs (SO_PEERCRED)."""
    own = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(own)


def connect(machine: Entered, user: str = "root", path: str = "/run/vdenet/control",
            timeout: float = 20) -> socket.socket:
    """A connected socket. Raises OSError as the account would see it.

    The directory is entered first, as only root may go by /proc into the machine. As somebody else than root
    not beside other threads that start processes: an account is the whole process's.
    """
    if user == "root":
        return _connect(str(machine.path(path)), timeout)
    uid, gid, _home, _shell = machine.account(user)
    directory, _, name = path.rpartition("/")
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(machine.path(directory))
        with account(uid, gid, groups_of(machine, user)):
            return _connect(name, timeout)
    finally:
        os.fchdir(before)
        os.close(before)


def _connect(path: str, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # With a timeout of Python's it would not wait for a place in the queue (EAGAIN, connect(2)).
        sock.connect(path)
        sock.settimeout(timeout)
    except BaseException:
        sock.close()
        raise
    return sock


def groups_of(machine: Entered, user: str) -> list[int]:
    """The supplementary groups of an account, as a login would give them."""
    found = []
    for line in machine.path("/etc/group").read_text().splitlines():
        _name, _password, gid, members = line.split(":")
        if user in members.split(","):
            found.append(int(gid))
    return found


class Peer:
    """A context; calls raise the error that comes back."""

    def __init__(self, machine: Entered, user: str = "root", timeout: float = 20) -> None:
        self.socket = connect(machine, user, timeout=timeout)
        self.channel = Channel(self.socket, MAX_REPLY)
        self.fds: list[int] = []
        """Descriptors that came with the last reply; closed with the next one unless `take`n."""

    def call(self, method: str, *, send: Sequence[int] = (), **parameters: object) -> dict[str, Any]:
        close_all(self.take())
        # Who is not let in is told so and cut off before he has said anything.
        with suppress(BrokenPipeError):
            self.channel.send(call(method, parameters), send)
        reply, self.fds = self.channel.receive()
        return parse_reply(reply)

    def take(self) -> list[int]:
        """The descriptors, which are the caller's from now on."""
        taken, self.fds = self.fds, []
        return taken

    def close(self) -> None:
        close_all(self.take())
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

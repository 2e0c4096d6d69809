"""The caller's side of the control socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from vdenet.cli import access
from vdenet.errors import DaemonUnreachable, VdenetError
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.wire import message
from vdenet.wire.channel import MAX_REPLY, Channel, Closed, close_all

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 60.0
"""A start waits for vde_switch and dnsmasq, a stop for their end: seconds, not minutes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the daemon answered; `fds` belong to the caller."""

    parameters: dict[str, Any]
    fds: list[int] = field(default_factory=list)


class Client:
    """A connection to the daemon; a context manager."""

    def __init__(self, sock: socket.socket, where: str) -> None:
        self._channel = Channel(sock, MAX_REPLY)
        self._where = where

    def call(self, method: str, *, fds: Sequence[int] = (), **parameters: object) -> Reply:
        """Call `method`; parameters that are None are left to the daemon.

        Raises the error that the daemon answers with, `DaemonUnreachable` when it does not answer.
        """
        given = {key: value for key, value in parameters.items() if value is not None}
        try:
            with contextlib.suppress(BrokenPipeError):  # a refusal may be there before the call is
                self._channel.send(message.call(method, given), fds)
            answer, received = self._channel.receive()
        except Closed:
            raise self._lost(_("it closed the connection")) from None
        except TimeoutError:
            raise self._lost(_("no answer within {seconds} s").format(
                seconds=round(REPLY_SECONDS))) from None
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from None
        try:
            return Reply(message.parse_reply(answer), received)
        except VdenetError:
            close_all(received)
            raise

    def _lost(self, why: str) -> DaemonUnreachable:
        return DaemonUnreachable(socket=self._where, why=why, start=_("{check} tells more").format(
            check="tarr-steps check"))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._channel.socket.close()


def connect(places: Places | None = None) -> Client:
    """Connect to the daemon. Raises `NotPermitted`, `DaemonUnreachable`."""
    where = str((places or Places()).control)
    try:
        sock = _connected(where)
    except OSError as error:
        raise _unreachable(where, error) from None
    sock.settimeout(REPLY_SECONDS)
    return Client(sock, where)


def ask(method: str, **parameters: Any) -> dict[str, Any]:
    """One call on a connection of its own, and what it answers; for calls that bring no descriptors.

    An account has few connections, and one on which nothing is said for a minute is closed: so none is kept
    while another `join` is waited for, or a hypervisor's tool. Raises as `connect` and `Client.call`.
    """
    with connect() as daemon:
        reply = daemon.call(method, **parameters)
    close_all(reply.fds)
    return reply.parameters


def require_access() -> None:
    """Raises as `connect`: for who may not use the segments nothing is looked up, and nothing of his is touched."""
    with connect():
        pass


def _connected(where: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_SECONDS)
    try:
        sock.connect(where)
    except PermissionError:
        sock.close()
        return access.connect(where)
    except OSError:
        sock.close()
        raise
    return sock


def _unreachable(where: str, error: OSError) -> DaemonUnreachable:
    if error.errno == errno.ENOENT:
        why = _("it is not running")
    elif error.errno == errno.ECONNREFUSED:
        why = _("it has ended")
    elif isinstance(error, (TimeoutError, BlockingIOError)):
        why = _("it does not accept the connection")
    else:
        why = error.strerror or str(error)
    return DaemonUnreachable(socket=where, why=why, start=starting())


def starting() -> str:
    """The command that starts the daemon on this machine, or installs it."""
    if not os.path.exists("/usr/sbin/vdenetd"):
        return _as_root("apt install ./vdenet_*.deb")
    if os.path.isdir("/run/systemd/system"):
        return _as_root("systemctl start vdenetd")
    return _as_root("service vdenetd start")


def _as_root(command: str) -> str:
    return command if os.geteuid() == 0 else f"sudo {command}"

"""Messages on a connected stream socket: one JSON object, a NUL byte, and file descriptors beside it.

The framing is Varlink's (varlink.org, "Method Call"): NUL-terminated JSON objects. Descriptors travel
in SCM_RIGHTS (unix(7)) with the first byte of the message that speaks of them.
"""

from __future__ import annotations

import array
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from vdenet.errors import ProtocolError
from vdenet.i18n import _

MAX_MESSAGE = 640 * 1024
"""Bytes of one request: a whole configuration file, with what JSON makes of its quotes. Replies of the daemon may
be longer (a list of many guests)."""
MAX_REPLY = 16 * 1024 * 1024
MAX_DEPTH = 8
MAX_FDS = 4
_CHUNK = 64 * 1024


class Closed(Exception):
    """The peer closed the connection between two messages."""


class Channel:
    """Sends and receives whole messages on `sock`; `limit` bounds what it will receive, in bytes."""

    def __init__(self, sock: socket.socket, limit: int = MAX_MESSAGE) -> None:
        self.socket = sock
        self._limit = limit
        self._pending = bytearray()

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message and copies of `fds`. Raises OSError when the peer is gone."""
        data = json.dumps(message, separators=(",", ":")).encode() + b"\0"
        if fds:
            sent = socket.send_fds(self.socket, [data], list(fds))
            data = data[sent:]
        if data:  # a peer that has all may be gone by now: not even nothing can be sent to it
            self.socket.sendall(data)

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next message and the descriptors that came with it, which then belong to the caller.

        Raises `Closed` at an orderly end, `ProtocolError` for anything that is no message, OSError
        (TimeoutError among them) from the socket.
        """
        fds: list[int] = []
        try:
            while (end := self._pending.find(b"\0")) < 0:
                if len(self._pending) > self._limit:
                    raise ProtocolError(why=_("the message is too long"))
                self._fill(fds)
            raw = bytes(self._pending[:end])
            if len(raw) > self._limit:
                raise ProtocolError(why=_("the message is too long"))
            del self._pending[: end + 1]
            return parse(raw), fds
        except BaseException:
            close_all(fds)
            raise

    def _fill(self, fds: list[int]) -> None:
        space = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
        data, ancillary, flags, _address = self.socket.recvmsg(
            _CHUNK, space, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = len(payload) - len(payload) % array.array("i").itemsize
                fds.extend(array.array("i", payload[:whole]))
        if flags & socket.MSG_CTRUNC or len(fds) > MAX_FDS:
            raise ProtocolError(why=_("too many file descriptors"))
        if not data:
            if self._pending:
                raise ProtocolError(why=_("the connection ended in the middle of a message"))
            raise Closed
        self._pending += data


def parse(raw: bytes) -> dict[str, Any]:
    """One JSON object of at most `MAX_DEPTH` levels. Raises `ProtocolError`."""
    if _depth(raw) > MAX_DEPTH:
        raise ProtocolError(why=_("the message is nested too deeply"))
    try:
        message = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise ProtocolError(why=_("not JSON")) from None
    if not isinstance(message, dict):
        raise ProtocolError(why=_("not a JSON object"))
    return message


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _depth(raw: bytes) -> int:
    """The nesting of what is JSON, and of what is not as far as a parser would come (RFC 8259)."""
    depth = deepest = 0
    for byte in _STRING.sub(b"", raw):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that nobody will use."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:  # already closed by the one who used it
            continue

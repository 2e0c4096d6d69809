"""A conversation with a switch's management console.

What comes back is another account's text: bounded in size and time, and parsed without trust.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from vdenet.errors import ToolFailed
from vdenet.i18n import _
from vdenet.text import vde

PROMPT = b"\nvde$ "
MAX_ANSWER = 4 * 1024 * 1024
SECONDS = 2.0
"""For a whole answer: whoever asks holds up every other change."""


class Console:
    """One connection; a context manager. Raises OSError when the switch is not there."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(SECONDS)
            self._socket.connect(str(path))
            self._read()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def ask(self, command: str) -> str:
        """The data of the answer. Raises `ToolFailed` when the switch refuses, OSError when it is silent."""
        code, data = vde.answer(self.ask_text(command))
        if code != 0:
            raise ToolFailed(what=_("ask the switch {command}").format(command=command), tool="vde_switch",
                             why=str(code))
        return data

    def ask_text(self, command: str) -> str:
        """The answer as it came. Raises OSError when the switch is silent."""
        self._socket.sendall(command.encode() + b"\n")
        return self._read()

    def _read(self) -> str:
        raw = b""
        until = time.monotonic() + SECONDS
        while not raw.endswith(PROMPT):
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            chunk = self._socket.recv(65536)
            if not chunk or len(raw) > MAX_ANSWER:
                raise ConnectionError("the switch's console ended")
            raw += chunk
        return raw.decode(errors="replace")

"""A unit test touches nothing: no process, no network, no file outside its temporary directory.

An audit hook (PEP 578) sees what the interpreter is about to do, by whatever name it was called.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.examples import TABLES

_FORBIDDEN = frozenset({
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
    "os.kill", "os.killpg", "signal.pthread_kill", "fcntl.ioctl",
    "socket.bind", "socket.connect", "socket.sendto", "socket.getaddrinfo"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_may_write: Path | None = None


class Touched(BaseException):
    """A unit test reached for the machine. Not an Exception: nothing catches it on its way."""


def _watch(event: str, given: tuple[Any, ...]) -> None:
    if _may_write is None:
        return
    if event in _FORBIDDEN or (event == "socket.__new__" and given[1] != socket.AF_UNIX):
        raise Touched(f"{event} {given!r}")
    if event == "open" and isinstance(given[0], (str, bytes)) and given[2] & _WRITES:
        path = Path(os.path.abspath(os.fsdecode(given[0])))
        allowed = (_may_write, TABLES, Path(os.devnull))
        if not any(path.is_relative_to(place) for place in allowed) \
                and path.parent.name != "__pycache__":
            raise Touched(f"{event} {given!r}")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def untouchable(tmp_path: Path) -> Iterator[None]:
    """Tests of the command line have a fixture of the same name, in place of this."""
    global _may_write
    _may_write = tmp_path
    yield
    _may_write = None

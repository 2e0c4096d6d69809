"""A DHCP client on one interface: busybox's udhcpc, whose script only passes on what it was told."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from vdenet.cli import tools
from vdenet.text import lease as leases

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the tools are; a user's PATH has no sbin."""
_RELEASE = 1.0
"""Seconds."""
_SCRIPT = """#!/bin/sh
{ printf 'event=%s\\0' "$1"; env -0; printf '\\0'; } >"${0%/*}/events"
"""


class Dhcp:
    """The client; `directory` is private and empty but for what is made here."""

    def __init__(self, directory: Path) -> None:
        self._script = directory / "script"
        self._script.write_text(_SCRIPT)
        self._script.chmod(0o700)
        events = directory / "events"
        os.mkfifo(events, 0o600)
        # Open for writing too: never at its end, and no writer ever waits for a reader.
        self.fifo = os.open(events, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._heard = bytearray()
        self._client: subprocess.Popen[bytes] | None = None

    def start(self, interface: str, name: str) -> None:
        """Ask for a lease, as the guest of that name. Raises `ToolMissing`, `ToolFailed`."""
        # A session of its own: ^C is for the command. A clean environment: it is the script's, and the
        # user's variables must not look like answers of the server.
        self._client = tools.spawn(
            [tools.find("udhcpc", PATH, package="udhcpc"), "-f", "-R",
             "-i", interface,
             "-s", str(self._script),
             "-x", f"hostname:{name}",
             "-O", "search",
             "-O", "staticroutes",
             "-t", "5", "-T", "1", "-A", "2"],
            quiet=True, session=True, environment={"PATH": PATH})

    def events(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """What has happened since: `bound`, `renew`, `deconfig`…, with the script's environment."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.fifo, 65536):
                self._heard += data
        while (end := self._heard.find(b"\0\0")) >= 0:
            block = bytes(self._heard[:end])
            del self._heard[: end + 2]
            yield leases.event(block)

    def release(self) -> None:
        """Give the lease back (udhcpc's -R), so that the name ends with the guest."""
        if self._client is not None:
            self._client.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._client.wait(_RELEASE)


def ip(*arguments: str) -> str:
    """What ip(8) prints. Raises `ToolMissing`, `ToolFailed`."""
    return tools.ask([tools.find("ip", PATH), *arguments])

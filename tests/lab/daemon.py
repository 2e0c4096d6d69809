"""vdenetd in the foreground of a machine: started, listened to, killed, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from lab.machine import Machine, MachineError

VDENETD = ("/usr/sbin/vdenetd",)
SERVES = " serves "
"""What the daemon says when the segments are up and the control socket is answered."""


class Daemon:
    """One run of the daemon; a context that ends it. What it logs is kept in `lines`."""

    def __init__(self, machine: Machine, argv: Sequence[str] = VDENETD, *, wait: bool = True) -> None:
        self.machine = machine
        self.lines: list[str] = []
        self._process = machine.popen(argv)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self.said(SERVES, timeout=30)

    @property
    def pid(self) -> int:
        """As the test sees it."""
        inner = self._process.inner
        if inner is None:
            raise MachineError("vdenetd has ended:\n" + "\n".join(self.lines))
        return inner

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self, text: str, *, since: int = 0, timeout: float = 10) -> str:
        """The first line with this text after the first `since` ones, waited for."""
        end = time.monotonic() + timeout
        while True:
            ended = self._process.poll() is not None and not self._reader.is_alive()
            for line in self.lines[since:]:
                if text in line:
                    return line
            if ended or time.monotonic() > end:
                raise MachineError(f"vdenetd {'ended' if ended else 'goes on'} without {text!r}:\n"
                                   + "\n".join(self.lines))
            time.sleep(0.02)

    def wait(self, timeout: float = 30) -> int:
        """Its exit status; negative for a signal."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError("vdenetd goes on:\n" + "\n".join(self.lines)) from None
        self._reader.join(timeout)
        return status

    def kill(self) -> None:
        """As a crash would end it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """As an upgrade would end it: the segments stay."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        self.wait()

    def fds(self) -> int:
        """How many descriptors it has open, but for `pidfds`."""
        return sum(1 for what in self._open() if "pidfd" not in what)

    def pidfds(self) -> int:
        """How many pidfds it has open: the watch has one of each service, closed and opened with each look."""
        return sum(1 for what in self._open() if "pidfd" in what)

    def _open(self) -> list[str]:
        found = []
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in between
                # "anon_inode:[pidfd]", and "pidfd:[1234]" since Linux 6.9.
                found.append(os.readlink(path))
        return found

    def memory(self) -> int:
        """Resident, in bytes."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
        self._process.stdout.close()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self.stop()

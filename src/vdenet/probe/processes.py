"""Processes, told apart by more than their number (proc(5), pidfd_open(2))."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, not whoever got its number later: the start time is in clock ticks since boot."""

    pid: int
    started: int
    boot: str


def boot_id() -> str:
    """Changes with each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identity(pid: int) -> Identity | None:
    """Who has this number now; None when nobody (a zombie is nobody)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The command is in parentheses and may contain anything: what counts comes after the last one.
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return Identity(pid, int(fields[19]), boot_id())


def exists(pid: int) -> bool:
    """Whether anybody has this number, also one whom /proc hides from us (proc(5), hidepid)."""
    try:
        os.close(os.pidfd_open(pid))
    except (OSError, ValueError, OverflowError):
        return False
    return True


def real_uid(pid: int) -> int | None:
    """The account that the process runs as; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return None


def command_line(pid: int) -> tuple[str, ...]:
    """The argument list; empty when the process is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0")[:-1])


def of_account(uid: int) -> tuple[tuple[str, ...], ...]:
    """The argument lists of the processes that run as the account."""
    found = (command_line(int(entry)) for entry in os.listdir("/proc")
             if entry.isdigit() and real_uid(int(entry)) == uid)
    return tuple(argv for argv in found if argv)


def hold(who: Identity) -> int | None:
    """A pidfd of exactly this process, or None when it is gone.

    The descriptor is opened first and the identity checked after: from then on it cannot be another's.
    """
    try:
        fd = os.pidfd_open(who.pid)
    except OSError:
        return None
    if identity(who.pid) != who:
        os.close(fd)
        return None
    return fd

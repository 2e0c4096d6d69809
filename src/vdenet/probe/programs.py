"""Processes of this host that run guests: who they are, and in which network namespaces their children are.

Everything here is open to every account (proc(5)), unless /proc is mounted with hidepid: then nobody is seen.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from vdenet.probe import namespaces
from vdenet.text.programs import Runs, runs
from vdenet.text.recognition import Program

PROC = "/proc"
_LONGEST = 256 * 1024
"""Bytes of a command line that are read."""


def running() -> list[Program]:
    """Those of this namespace of processes: what is said inside a guest's own is not heard."""
    depth = len(_status("self").get("NSpid", ()))
    found = []
    for entry in os.listdir(PROC):
        if entry.isdigit() and (said := _said(entry)) is not None:
            status = _status(entry)
            if "Uid" in status and len(status.get("NSpid", ())) == depth:
                found.append((int(entry), int(status["Uid"][0]), said))
    inside = namespaces.of({pid: _children(pid) for pid, _uid, said in found if said.contains})
    return [Program(pid, uid, said, inside.get(pid, frozenset())) for pid, uid, said in found]


def _said(process: str) -> Runs | None:
    # Every process of the host is asked, at every look: a tenth of what pathlib and file objects take.
    try:
        fd = os.open(f"{PROC}/{process}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(fd, _LONGEST).rstrip(b"\0")
    except OSError:
        return None
    finally:
        os.close(fd)
    return runs([part.decode(errors="replace") for part in raw.split(b"\0")]) if raw else None


def _status(process: str) -> dict[str, list[str]]:
    try:
        with open(f"{PROC}/{process}/status", errors="replace") as file:
            lines = file.readlines()
    except OSError:
        return {}
    return {key: rest.split() for key, _colon, rest in (line.partition(":") for line in lines)}


def _children(pid: int) -> list[int]:
    """Whatever thread they belong to; none on a kernel without CONFIG_PROC_CHILDREN, which Debian's have."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"{PROC}/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found

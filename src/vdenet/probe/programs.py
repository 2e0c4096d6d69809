"""Processes of this host that run guests: who they are, and in which network namespaces their children are.

Everything here is open to every account (proc(5)), unless /proc is mounted with hidepid: then nobody is seen.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from contextlib import suppress
from itertools import islice

from vdenet.probe import namespaces
from vdenet.text.programs import WORDS, Runs, is_known, runs
from vdenet.text.recognition import Program

PROC = "/proc"
_HEAD = 4096
"""Bytes of a command line that are read of every process: its first word decides whether that was all (PATH_MAX)."""
_LONGEST = 32 * 1024
"""Bytes that are read of a program that runs guests; libvirt's have some 10 KiB."""
_EACH, _ALL = 256, 1024
"""Programs that are heard of an account other than root, and of all. One may have many accounts (subuid(5))."""
_THREADS, _CHILDREN = 64, 8
"""Of a program that are looked at; whichever children a container has, they are in its namespace."""
_SECONDS = 1.0
"""Of a processor, that a look takes at most: to read the status of one with 65,536 groups took 25 ms."""
_UID = re.compile(rb"^Uid:\t([0-9]+)", re.MULTILINE)
_DEPTH = re.compile(rb"^NSpid:((?:\t[0-9]+)+)$", re.MULTILINE)


def running() -> list[Program]:
    """Those of this namespace of processes: what is said inside a guest's own is not heard.

    Anybody can call his processes what he likes and have thousands of them, so everything here is bounded.
    """
    end = time.thread_time() + _SECONDS
    if (me := _who("self")) is None:
        return []
    heard: Counter[int] = Counter()
    found: list[tuple[int, int, Runs]] = []
    children: dict[int, list[int]] = {}
    for entry in os.listdir(PROC):
        if time.thread_time() > end:
            break
        if entry.isdigit() and (told := _told(entry, me[1], heard)) is not None:
            uid, said = told
            found.append((int(entry), uid, said))
            if said.contains:
                children[int(entry)] = _children(entry)
    inside = namespaces.of(children)
    return [Program(pid, uid, said, inside.get(pid, frozenset())) for pid, uid, said in found]


def _told(process: str, depth: int, heard: Counter[int]) -> tuple[int, Runs] | None:
    """Whose the process is, and the guest that it runs; it is counted in `heard`."""
    # Every process of the host is asked, at every look: a tenth of what pathlib and file objects take.
    try:
        fd = os.open(f"{PROC}/{process}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(fd, _HEAD)
        if not is_known(raw.partition(b"\0")[0].decode(errors="replace")):
            return None
        who = _who(process)
        if who is None or who[1] != depth or heard.total() >= _ALL or (who[0] != 0 and heard[who[0]] >= _EACH):
            return None
        heard[who[0]] += 1
        raw += os.read(fd, _LONGEST - len(raw))
    except OSError:
        return None
    finally:
        os.close(fd)
    words = raw.rstrip(b"\0").split(b"\0", WORDS)
    if len(raw) == _LONGEST:
        del words[-1]  # it may have been cut
    said = runs([word.decode(errors="replace") for word in words])
    return None if said is None else (who[0], said)


def _who(process: str) -> tuple[int, int] | None:
    """The account that a process runs as, and how deep its namespace of processes is."""
    try:
        fd = os.open(f"{PROC}/{process}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(fd, _LONGEST)
    except OSError:
        return None
    finally:
        os.close(fd)
    uid, depth = _UID.search(raw), _DEPTH.search(raw)
    return (int(uid[1]), depth[1].count(b"\t") if depth else 0) if uid else None


def _children(process: str) -> list[int]:
    """Whatever thread they belong to; none on a kernel without CONFIG_PROC_CHILDREN, which Debian's have."""
    found: list[int] = []
    with suppress(OSError), os.scandir(f"{PROC}/{process}/task") as threads:
        for thread in islice(threads, _THREADS):
            with open(f"{thread.path}/children", "rb") as file:
                found += map(int, file.read(_HEAD).split()[:_CHILDREN])
            if len(found) >= _CHILDREN:
                break
    return found[:_CHILDREN]

"""Who the guests are that were not joined through us: evidence of this host, put beside what `list` has."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vdenet.daemon.members import account_name
from vdenet.model.report import GuestReport
from vdenet.probe import namespaces, programs
from vdenet.text.recognition import Program, Sighting, identify


@dataclass(frozen=True, slots=True)
class Row:
    """A guest as far as the segment itself knows it; `ifindex` is its port's."""

    report: GuestReport
    seen: Sighting
    ifindex: int | None


class Look:
    """The programs of the host that run guests. However many ask, a fifth of the time goes into looking, at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._found: Sequence[Program] = ()

    def __call__(self) -> Sequence[Program]:
        with self._lock:
            begun = time.monotonic()
            if begun >= self._until:
                self._found = programs.running()
                # From its end: one that took long would be out of date at once.
                end = time.monotonic()
                self._until = end + min(_SECONDS, _TIMES * (end - begun))
            return self._found


_TIMES, _SECONDS = 4, 1.0
"""How long a look is good for: so many times what it took, and at most that."""
_LONGEST = 64
"""Characters of a guest's name that are shown: its program may call it what it likes."""
_look = Look()


def recognise(rows: Sequence[Row]) -> tuple[GuestReport, ...]:
    """The reports with kind, name and account of each guest that is recognised; nothing known is overruled.

    Takes a look at every process of the host, so not for one who holds the engine's lock.
    """
    if not rows:
        return ()
    running = _look()
    peers = namespaces.peers({row.ifindex for row in rows if row.ifindex is not None and row.seen.via == "veth"})
    reports = []
    for row in rows:
        known = row.report
        found = identify(replace(row.seen, namespace=peers.get(row.ifindex or 0)), running)
        # What libvirt runs is a QEMU, and may be on a tap that was made for one.
        agreed = known.kind in (None, found.kind) or (known.kind, found.kind) == ("qemu", "libvirt")
        reports.append(replace(
            known, kind=known.kind or found.kind, guest=_shown(found.guest) if agreed else None,
            owner=known.owner or (None if found.uid is None else account_name(found.uid))))
    return tuple(reports)


def _shown(name: str | None) -> str | None:
    """A name that cannot swamp the list nor write over a terminal."""
    if name is None:
        return None
    return "".join(one if one.isprintable() else "?" for one in name[:_LONGEST])

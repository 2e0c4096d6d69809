"""Who has a UDP port of this host open, as the kernel shows it to everybody (/proc/net/udp, proc(5))."""

from __future__ import annotations

from pathlib import Path


def owners() -> dict[int, int]:
    """Local port to the account of a socket that is bound to it, on whichever address."""
    found: dict[int, int] = {}
    for table in ("udp6", "udp"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in (line.split() for line in lines):
            if len(row) > 7:
                found[int(row[1].rpartition(":")[2], 16)] = int(row[7])
    return found

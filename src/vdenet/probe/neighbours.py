"""The kernel's neighbour table for IPv4 (/proc/net/arp, proc(5))."""

from __future__ import annotations

from pathlib import Path

_COMPLETE = 0x2


def on(interface: str) -> dict[str, str]:
    """MAC to address, of the neighbours that answered on an interface."""
    try:
        lines = Path("/proc/net/arp").read_text().splitlines()[1:]
    except OSError:
        return {}
    rows = [line.split() for line in lines]
    return {row[3].lower(): row[0] for row in rows
            if len(row) == 6 and row[5] == interface and int(row[2], 16) & _COMPLETE}

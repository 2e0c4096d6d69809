"""dnsmasq's lease file."""

from __future__ import annotations

from pathlib import Path

from vdenet.text import dnsmasq


def read(path: Path) -> list[dnsmasq.Lease]:
    """The leases; none when the file is not there yet or may not be read."""
    try:
        return dnsmasq.leases(path.read_text(errors="replace"))
    except OSError:
        return []

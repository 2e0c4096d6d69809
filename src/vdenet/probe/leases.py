"""dnsmasq's lease file."""

from __future__ import annotations

from pathlib import Path

from vdenet.probe import regular
from vdenet.text import dnsmasq

_LIMIT = 8 * 1024 * 1024
"""Bytes; as many leases as there may be (`dnsmasq.MAX_LEASES`) take less."""


def read(path: Path) -> list[dnsmasq.Lease]:
    """The leases; none when the file is not there yet, may not be read, or is not dnsmasq's own work."""
    return dnsmasq.leases(regular.text(path, _LIMIT, follow=False))

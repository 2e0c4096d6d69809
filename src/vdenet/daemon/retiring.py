"""Addresses that a segment had before: served until no lease can name them any more."""

from __future__ import annotations

import json
from ipaddress import IPv4Interface
from pathlib import Path

from vdenet.effect import files
from vdenet.model.places import Places
from vdenet.model.segment import Retiring, Segment

MAX_RETIRING = 4
"""At most so many earlier addresses; the oldest goes first."""


def current(segment: Segment, places: Places, now: float) -> tuple[Retiring, ...]:
    """Those whose time (seconds since the epoch) has not come.

    A time further off than a lease can last is a clock that was wrong: it counts as ended.
    """
    return tuple(one for one in _read(segment.name, places)
                 if now < one.until <= now + segment.lease_seconds + 60
                 and one.address.ip != segment.address.ip
                 and not (one.address.network.prefixlen < 32
                          and one.address.network.overlaps(segment.address.network)))


def add(segment: Segment, new: IPv4Interface, places: Places, now: float) -> None:
    """Serve the segment's present address for one more lease time after it became `new`.

    Inside the new network it is kept as a single address, without a network of its own. Raises `Refused`.
    """
    old = segment.address
    if old.network.overlaps(new.network):
        old = IPv4Interface(f"{old.ip}/32")
    kept = [one for one in current(segment, places, now) if one.address.ip not in (old.ip, new.ip)]
    kept.append(Retiring(old, now + segment.lease_seconds))
    _write(segment.name, kept[-MAX_RETIRING:], places)


def drop(segment: str, places: Places) -> None:
    """Serve no earlier address any more."""
    files.remove(places.retiring(segment))


def _read(segment: str, places: Places) -> list[Retiring]:
    try:
        data = json.loads(Path(places.retiring(segment)).read_text())
        return [Retiring(IPv4Interface(entry["address"]), float(entry["until"])) for entry in data]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return []


def _write(segment: str, retiring: list[Retiring], places: Places) -> None:
    data = [{"address": str(one.address), "until": one.until} for one in retiring]
    files.write(places.retiring(segment), json.dumps(data) + "\n", 0o600, "root")

"""Addresses that a segment had before: served until no lease can name them any more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from vdenet.model.places import Places
from vdenet.model.segment import Retiring, Segment
from vdenet.model.wanted import File
from vdenet.text.config.dhcp import MAX_LEASE

MAX_RETIRING = 4
"""At most so many earlier addresses; the oldest goes first."""


def current(segment: Segment, places: Places, now: float) -> tuple[Retiring, ...]:
    """Those whose time (seconds since the epoch) has not come."""
    return fitting(_read(segment.name, places), segment, now)


def fitting(served: Iterable[Retiring], segment: Segment, now: float) -> tuple[Retiring, ...]:
    """Those of `served` that can stand beside the segment's own addresses.

    A time further off than a lease can last is a clock that was wrong: it counts as ended.
    """
    return tuple(one for one in served
                 if now < one.until <= now + MAX_LEASE + 60
                 and segment.address is not None and one.address.ip != segment.address.ip
                 and not (one.address.network.prefixlen < 32
                          and one.address.network.overlaps(segment.address.network))
                 and not any(one.address.network.overlaps(network) for network in segment.networks[1:]))


def after(segment: Segment, new: IPv4Interface, places: Places, now: float) -> tuple[Retiring, ...]:
    """What is served beside `new` once it has taken the place of the segment's address: that one, too, for one
    more lease time.

    Inside the new network it is kept as a single address, without a network of its own.
    """
    old = segment.own
    if old.network.overlaps(new.network):
        old = IPv4Interface(f"{old.ip}/32")
    kept = [one for one in current(segment, places, now) if one.address.ip not in (old.ip, new.ip)]
    kept.append(Retiring(old, now + segment.lease_seconds))
    return tuple(kept[-MAX_RETIRING:])


def record(segment: str, served: Sequence[Retiring], places: Places) -> File:
    """The file that says so."""
    data = [{"address": str(one.address), "until": one.until} for one in served]
    return File(places.retiring(segment), json.dumps(data) + "\n", 0o600, "root")


def _read(segment: str, places: Places) -> list[Retiring]:
    try:
        data = json.loads(Path(places.retiring(segment)).read_text())
        return [Retiring(IPv4Interface(entry["address"]), float(entry["until"])) for entry in data]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return []

"""Segments that are configured and do not appear in a list, because their file cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vdenet.cli.client import Client
from vdenet.errors import BadConfig, BadValue, UnknownSegment
from vdenet.model.places import Places
from vdenet.model.report import SegmentReport


def unreadable(daemon: Client, listed: Sequence[SegmentReport],
               places: Places) -> dict[str, BadConfig]:
    """What the daemon says about each file for which it listed no segment, by the segment's name."""
    names = {segment.name for segment in listed}
    found: dict[str, BadConfig] = {}
    for path in sorted(Path(places.etc).glob("*.toml")):
        if path.stem in names:
            continue
        try:
            daemon.call("GetAddress", segment=path.stem)
        except BadConfig as error:
            found[path.stem] = error
        except (BadValue, UnknownSegment):
            continue  # no segment's name (a policy, a copy), or it went away meanwhile
    return found

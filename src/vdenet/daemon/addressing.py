"""A new address for a segment, live and kept.

The file is written first: it is the intent, and whatever comes after a crash completes it. The old address
is served beside the new one for one lease time, so that guests that have not renewed lose nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from vdenet.daemon import retiring
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import logger
from vdenet.errors import Overlap
from vdenet.model.names import segment_address
from vdenet.model.segment import Segment
from vdenet.probe import links, routes
from vdenet.text import config


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of it; `retiring` is the address that is still served."""

    segment: str
    address: IPv4Interface
    changed: bool
    steps: tuple[str, ...] = ()
    retiring: IPv4Interface | None = None


def set_address(engine: Engine, segment: Segment, text: str) -> Moved:
    """Give the segment another address. Raises `BadValue`, `Overlap`, `Refused`, `ToolFailed`; then
    everything is as it was before."""
    address = segment_address(text)
    with engine.lock:
        if address == segment.address:
            return Moved(segment.name, address, changed=False)
        refuse_overlap(engine, segment, address.network)
        before = engine.configuration.text(segment.name)
        after = config.with_address(before, segment, address)
        config.parse(after, segment.name, str(engine.places.config(segment.name)))
        up = links.link(segment.bridge) is not None
        record = Path(engine.places.retiring(segment.name))
        served = record.read_bytes() if record.exists() else None
        if up:
            retiring.add(segment, address, engine.places, time.time())
        try:
            engine.configuration.write(segment.name, after)
            steps = engine.bring_up(engine.configuration.segment(segment.name)).steps if up else ()
        except BaseException:
            logger.error("the address of %s stays %s", segment.name, segment.address)
            if served is None:
                retiring.drop(segment.name, engine.places)
            else:
                record.write_bytes(served)
            if engine.configuration.text(segment.name) != before:
                engine.configuration.write(segment.name, before)
            raise
        return Moved(segment.name, address, True, steps, segment.address if up else None)


def refuse_overlap(engine: Engine, segment: Segment, network: IPv4Network) -> None:
    """Raises `Overlap` when a route, an interface or another segment uses part of the network."""
    used = routes.networks(without=segment.bridge)
    for other in engine.configuration.all():
        if other.name != segment.name:
            used.setdefault(f"segment {other.name}", []).append(other.address.network)
    clash = routes.first_overlap(network, used)
    if clash is not None:
        raise Overlap(network=str(network), other=clash)

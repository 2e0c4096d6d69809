"""A new address for a segment, live and kept.

A change of the configuration like any other, made in the file so that its comments stay. The old address is
served beside the new one for one lease time, so that guests that have not renewed lose nothing.
"""

from __future__ import annotations

from vdenet.daemon import applying, confirming
from vdenet.daemon.applying import Applied
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.names import segment_address
from vdenet.model.segment import Segment
from vdenet.text import config


def set_address(engine: Engine, caller: Caller, segment: Segment, text: str) -> Applied:
    """Give the segment another address. Raises as `applying.wish` and `applying.carry_out`; then everything is
    as it was before."""
    address = segment_address(text)
    with engine.lock:
        if segment.address is None:
            raise Refused(what=_("change the address"), why=_("a bridged segment has none of its own"))
        if address == segment.address:
            return Applied(segment.name, ())
        confirming.refuse_pending(engine, segment.name)
        applying.refuse_overlap(engine, segment, address.network)
        after = config.with_address(engine.configuration.text(segment.name), segment, address)
        return applying.carry_out(engine, applying.wish(engine, caller, segment.name, after))

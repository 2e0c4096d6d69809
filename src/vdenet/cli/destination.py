"""The segment that a guest is to join, as the daemon lists it."""

from __future__ import annotations

from vdenet.cli import answers
from vdenet.cli.client import ask
from vdenet.errors import SegmentDown
from vdenet.i18n import _
from vdenet.model.report import SegmentReport, State
from vdenet.model.vlans import undeclared


def destination(segment: str, vlan: int | None) -> SegmentReport:
    """The segment, where a guest can join it, in that VLAN.

    Raises `SegmentDown`, `BadValue` for a VLAN that it does not have, and what the daemon raises.
    """
    where = answers.segment(ask("List", segment=segment))
    if where.state is State.DOWN:
        raise SegmentDown(what=_("join"), segment=segment)
    if vlan is not None and vlan not in where.vlans:
        raise undeclared(segment, vlan, where.vlans)
    return where

"""Which segments are beside one another, and which of them are routed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

from unit.samples import PLAIN
from vdenet.model.neighbours import neighbours
from vdenet.model.segment import Mode, Segment

LAB = Segment("lab", IPv4Interface("10.99.0.1/24"), reach=("vdenet0",), domain="lab.internal")
BRIDGED = Segment("lan", None, mode=Mode.BRIDGED, uplink="eth0")


def test_reachable_where_both_say_so() -> None:
    for mine, reachable in (((), False), (("lab",), True), (("other",), False)):
        here = replace(PLAIN, reach=mine)
        there, = neighbours(here, (LAB, here))
        assert (there.bridge, there.domain, str(there.server), there.reachable) == \
            ("lab", "lab.internal", "10.99.0.1", reachable)
        back, = neighbours(LAB, (here, LAB))
        assert back.reachable is reachable and back.network6 == PLAIN.address6.network  # type: ignore[union-attr]


def test_a_bridged_segment_is_the_outside() -> None:
    assert neighbours(BRIDGED, (PLAIN, LAB)) == ()
    assert [one.bridge for one in neighbours(PLAIN, (LAB, BRIDGED))] == ["lab"]

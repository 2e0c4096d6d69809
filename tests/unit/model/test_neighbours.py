"""Which segments are beside one another, and which of them are routed."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

from unit.samples import PLAIN
from vdenet.model.neighbours import asked, neighbours
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


def test_a_host_without_a_resolver_of_its_own_asks_two() -> None:
    """And those first that know the names of the outside."""
    alone = [Segment(name, IPv4Interface(f"10.9{number}.0.1/24"), mode=Mode.ISOLATED, domain=f"{name}.internal")
             for number, name in enumerate("abc")]
    everyone = [*alone, BRIDGED, PLAIN]
    assert [one.name for one in everyone if asked(one, [other for other in everyone if other is not one])] == ["a", "vdenet0"]
    assert all(asked(one, ()) for one in (*alone, PLAIN)) and not asked(alone[2], alone[:2])

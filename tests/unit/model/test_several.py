"""From any segments of a host to any others, on a simulated machine, as the daemon goes about it.

One segment after the other is made, changed or deleted, and those beside it follow: they guard against it or are
routed with it, and share the host's settings.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from ipaddress import IPv4Interface

from hypothesis import assume, given, settings

from unit.examples import st
from unit.model.simulated import Machine
from unit.samples import HOST, PLACES, bridged_segments, segments
from vdenet.model import plan
from vdenet.model.change import Plan
from vdenet.model.neighbours import neighbours
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.model.wanted import Wanted, guest_alias
from vdenet.text import blueprint, plugs
from vdenet.text.blueprint import Guests
from vdenet.text.bridged import Outside

NAMES = ("vdenet0", "lab2", "lab3")
Configuration = dict[str, Segment]


@st.composite
def segment(draw: st.DrawFn, name: str) -> Segment:
    """Of any mode with an address, with hosts and all, and routed with any others."""
    others = [other for other in NAMES if other != name]
    return replace(draw(segments(name)), reach=tuple(draw(st.lists(st.sampled_from(others), unique=True))))


@st.composite
def bridged(draw: st.DrawFn, name: str) -> Segment:
    """With what is outside for itself alone."""
    number, found = NAMES.index(name), draw(bridged_segments(name))
    return replace(found, uplink=found.uplink and f"eth{number}", adopt=found.adopt and f"br{number}",
                   openvswitch=found.openvswitch and f"ovs{number}")


configurations = st.fixed_dictionaries(
    {"vdenet0": segment("vdenet0")}, optional={name: segment(name) for name in NAMES[1:]})
mixed = st.fixed_dictionaries({"vdenet0": segment("vdenet0") | bridged("vdenet0")}, optional={
    name: segment(name) | bridged(name) for name in NAMES[1:]})
"""Bridged ones too. Of a former mode with an address their bridge keeps kernel settings that do nothing there, so
they lead to where they should, but not to the same as from nothing."""


class Host:
    """A machine with segments: what is configured, and what is there."""

    def __init__(self) -> None:
        links, addresses = {}, {}
        for number, name in enumerate(NAMES):
            links |= {f"eth{number}": Link(f"eth{number}", 2, f"02:00:00:00:00:9{number}", 1500, True, True, "other",
                                           plain=True),
                      f"br{number}": Link(f"br{number}", 1, f"02:00:00:00:00:7{number}", 1500, True, True, "bridge"),
                      # Down, as it is before its segment is there, and after.
                      f"vd{number}-a": Link(f"vd{number}-a", 3, f"52:54:00:00:00:0{number}", 1500, False, True, "tap",
                                            alias=guest_alias(name))}
            addresses |= {f"eth{number}": {IPv4Interface(f"192.0.2.{number + 2}/24")},
                          f"br{number}": {IPv4Interface(f"198.51.100.{number + 1}/24")}}
        first = Machine(links=links, addresses=addresses)
        self.machines = {name: first if name == first.segment else first.beside(name) for name in NAMES}
        self.configuration: Configuration = {}
        self.plugs: set[tuple[str, ...]] = set()
        """What may run from earlier; whether it does, is looked for."""

    def wanted(self, segment: Segment) -> Wanted:
        """As the engine makes it."""
        others = [other for other in self.configuration.values() if other.name != segment.name]
        needed = [blueprint.shared_sysctls(other, replace(HOST, neighbours=neighbours(other, (segment, *others))))
                  for other in others]
        number = NAMES.index(segment.name)
        mac = f"02:00:00:00:00:9{number}" if segment.uplink else f"02:00:00:00:00:7{number}"
        facts = replace(HOST, shared_elsewhere=frozenset().union(*needed), neighbours=neighbours(segment, others),
                        outside=Outside(mac if segment.uplink or segment.adopt else None))
        self.plugs |= {one.argv for each in (segment, *others) for one in plugs.services(each, PLACES)}
        return blueprint.wanted(segment, facts, Guests(ports=(f"vd{number}-a",), plugs=tuple(sorted(self.plugs))), PLACES)

    def steps(self, segment: Segment) -> Plan:
        """What `apply` does to this segment; what was before is known."""
        former = self.configuration.get(segment.name)
        wanted = self.wanted(segment)
        return plan.up(wanted, self.machines[segment.name].observe(wanted), former and self.wanted(former))

    def drift(self) -> list[str]:
        """What `apply --check` would tell of each segment."""
        return [words for one in self.configuration.values() for words in plan.sentences(
            plan.up(self.wanted(one), self.machines[one.name].observe(self.wanted(one))))]

    def become(self, wanted: Configuration) -> Host:
        for name in [name for name in self.configuration if name not in wanted]:
            self.delete(name)
        for segment in wanted.values():
            self.apply(segment)
        return self

    def apply(self, segment: Segment) -> None:
        self.machines[segment.name].perform(change.step for change in self.steps(segment))
        self.configuration[segment.name] = segment
        self.follow(segment.name)

    def delete(self, name: str) -> None:
        machine, segment = self.machines[name], self.wanted(self.configuration.pop(name))
        machine.perform(change.step for change in plan.down(
            segment, machine.observe(segment), last=not self.configuration, good=True))
        for kept in segment.directories:
            machine.directories.pop(kept.path, None)
        self.follow(name)

    def follow(self, name: str) -> None:
        """The others, which know nothing of what was wanted before."""
        for other in self.configuration.values():
            if other.name != name:
                wanted = self.wanted(other)
                machine = self.machines[other.name]
                machine.perform(change.step for change in plan.up(wanted, machine.observe(wanted)))

    def copy(self) -> Host:
        return copy.deepcopy(self)

    def state(self) -> dict[str, object]:
        return {name: machine.state() for name, machine in self.machines.items()}


def side_by_side(*several: Configuration) -> bool:
    """No address is on two segments: the daemon refuses those."""
    held = {(address.ip, one.name) for each in several for one in each.values()
            for address in (*one.addresses, *(vlan.address6 for vlan in one.vlans)) if address is not None}
    return len({address for address, _name in held}) == len(held)


@settings(max_examples=20)
@given(configurations, configurations)
def test_it_does_not_matter_what_was_before(first: Configuration, second: Configuration) -> None:
    assume(side_by_side(first, second))
    host = Host().become(first).become(second)
    state = host.state()
    assert state == Host().become(second).state()
    assert host.drift() == [], "a second time there is nothing to do"
    assert host.become(second).state() == state


@settings(max_examples=20)
@given(mixed, mixed)
def test_once_is_enough_from_any_mode_to_any_and_nothing_is_left(first: Configuration, second: Configuration) -> None:
    assume(side_by_side(first, second))
    host = Host().become(first).become(second)
    assert host.drift() == []
    for name in second:
        host.delete(name)
    assert host.state() == Host().state()


@settings(max_examples=15)
@given(configurations, st.sampled_from(NAMES), st.data())
def test_every_part_of_a_change_can_be_taken_back(first: Configuration, name: str, data: st.DataObject) -> None:
    changed = data.draw(segment(name))
    assume(side_by_side(first, {name: changed}))
    start = Host().become(first)
    before, steps = start.state(), start.steps(changed)
    forward = start.copy()
    for length in range(len(steps) + 1):
        host = forward.copy()
        host.machines[name].perform(plan.undo_of(steps[:length]))
        assert host.state() == before, plan.sentences(steps[:length])
        forward.machines[name].perform(change.step for change in steps[length:length + 1])

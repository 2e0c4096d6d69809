"""From any configuration to any other, on a simulated machine: where it leads, and the way back from each step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings

from unit.examples import st
from unit.model.simulated import Machine
from unit.samples import PLACES, segments, surroundings
from vdenet.model import plan
from vdenet.model.change import Plan
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.model.wanted import Wanted, guest_alias
from vdenet.text import blueprint, plugs
from vdenet.text.blueprint import Guests, HostFacts


@dataclass(frozen=True)
class Pair:
    """Two configurations of one segment, on one host with the same guests."""

    first: Segment
    second: Segment
    around: tuple[HostFacts, Guests]

    def wanted(self) -> tuple[Wanted, Wanted]:
        host, guests = self.around
        # The plugs of either may run when the other is looked at.
        running = [one.argv for segment in (self.first, self.second) for one in plugs.services(segment, PLACES)]
        guests = replace(guests, plugs=tuple(running))
        return (blueprint.wanted(self.first, host, guests, PLACES), blueprint.wanted(self.second, host, guests, PLACES))


GUEST = {name: Link(name, 3, "52:54:00:00:00:01", 1500, True, True, "tap", alias=guest_alias("vdenet0"))
         for name in ("vd0-a", "vd0-b")}
STRANGER = Link("vnet7", 4, "fe:54:00:00:00:02", 1500, True, True, "tap")

pairs = st.builds(Pair, segments(), segments(), surroundings())


def change(machine: Machine, wanted: Wanted, former: Wanted | None = None) -> Plan:
    """What turns the machine into what is wanted."""
    return plan.up(wanted, machine.observe(wanted), former)


def made(*wishes: Wanted) -> Machine:
    """A machine after one configuration after the other."""
    machine, former = Machine(links={name: GUEST.get(name, STRANGER) for name in ("vd0-a", "vd0-b", "vnet7")}), None
    for wanted in wishes:
        machine.perform(one.step for one in change(machine, wanted, former))
        former = wanted
    return machine


@settings(max_examples=100)
@given(pairs)
def test_it_does_not_matter_what_was_before(pair: Pair) -> None:
    before, after = pair.wanted()
    machine = made(before, after)
    assert machine.state() == made(after).state()
    assert plan.sentences(change(machine, after)) == [], "a second time there is nothing to do"


@settings(max_examples=100)
@given(pairs)
def test_every_part_of_a_change_can_be_taken_back(pair: Pair) -> None:
    before, after = pair.wanted()
    start = made(before)
    steps = change(start, after, before)
    for length in range(len(steps) + 1):
        machine = start.copy()
        machine.perform(one.step for one in steps[:length])
        machine.perform(plan.undo_of(steps[:length]))
        assert machine.state() == start.state(), plan.sentences(steps[:length])


@settings(max_examples=50)
@given(pairs)
def test_every_part_of_a_change_is_finished_by_the_next_plan(pair: Pair) -> None:
    """After a crash nobody knows what was wanted before."""
    before, after = pair.wanted()
    start = made(before)
    steps = change(start, after, before)
    for length in range(len(steps) + 1):
        machine = start.copy()
        machine.perform(one.step for one in steps[:length])
        machine.perform(one.step for one in change(machine, after))
        assert machine.state() == made(after).state(), plan.sentences(steps[:length])

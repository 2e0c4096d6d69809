"""What the VDE switch is told: any two tables, one after the other, on a switch in the mind."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from unit.model.vdeswitch import VdeSwitch
from unit.samples import PLAIN
from vdenet.model.segment import Port, Vlan
from vdenet.model.vlans import UNTAGGED, SwitchPort, SwitchTable
from vdenet.text import vde, vdeports

VLANS = (33, 44, 55)
some = st.frozensets(st.sampled_from(VLANS))


@st.composite
def tables(draw: st.DrawFn) -> SwitchTable:
    """What any segment of 12 ports wants."""
    vlans = draw(some)
    one = st.sampled_from(sorted(vlans)) if vlans else st.just(UNTAGGED)
    ports = []
    for number in draw(st.lists(st.integers(2, 11), max_size=4, unique=True)):
        trunk = draw(st.frozensets(one)) - {UNTAGGED}
        ports.append(Port(number, None, tuple(trunk)) if trunk else
                     Port(number, draw(one) if vlans and draw(st.booleans()) else None))
    guests = [SwitchPort(number, draw(st.sampled_from(VLANS)), user=draw(st.none() | st.just(1000)))
              for number in draw(st.lists(st.integers(2, 11), max_size=2, unique=True))]
    segment = replace(PLAIN, switch_ports=12, vlans=tuple(map(Vlan, sorted(vlans))), ports=tuple(ports))
    return vdeports.table(segment, guests, trunk=bool(vlans or guests))


@given(tables())
def test_a_switch_that_starts_is_as_wanted(wanted: SwitchTable) -> None:
    switch = VdeSwitch()
    script = vdeports.script(wanted, 12)
    switch.load(script)
    assert switch.table(set(wanted.ports)) == wanted
    assert vdeports.told_apart(script) == {1, *wanted.ports}
    assert not any(0 in (port.untagged, *port.tagged) for port in switch.ports.values()), "VLAN 0 lets two tags by"


@given(tables(), tables())
def test_a_switch_that_runs_becomes_as_wanted(before: SwitchTable, after: SwitchTable) -> None:
    switch = VdeSwitch()
    switch.load(vdeports.script(before, 12))
    switch.load(vdeports.change(before, after))
    assert switch.table({*before.ports, *after.ports}) == after
    assert vdeports.change(after, after) == ""
    fresh = VdeSwitch()
    fresh.load(vdeports.script(after, 12))
    assert switch == fresh, "and nothing of what was before is left"


@given(tables())
def test_no_port_has_a_way_under_its_own_tag(wanted: SwitchTable) -> None:
    """A VLAN without a tag beside others with one: two tags, and the switch takes off the first."""
    assert all(port.untagged is None for port in wanted.ports.values() if port.tagged)


def test_a_guest_whose_vlan_is_gone_hears_nobody() -> None:
    guest = SwitchPort(9, 33, user=1000)
    assert vdeports.table(PLAIN, [guest], trunk=True).ports[9] == SwitchPort(9, None, user=1000)


def test_what_the_file_says_of_a_port_comes_before_a_guest() -> None:
    segment = replace(PLAIN, vlans=(Vlan(33),), ports=(Port(9),))
    assert vdeports.table(segment, [SwitchPort(9, 33, user=1000)], True).ports[9] == SwitchPort(9)
    assert 64 not in vdeports.table(segment, [SwitchPort(64, 33)], True).ports, "the switch has no such port"


# As printed by vde_switch of Debian 12.
ALLPRINT = """\
VLAN 0000
VLAN 0001
 -- Port 0001 tagged=1 active=1 status=Forwarding
 -- Port 0002 tagged=0 active=0 status=Learning
VLAN 0033
 -- Port 0001 tagged=1 active=1 status=Forwarding
 -- Port 0005 tagged=0 active=1 status=Forwarding
"""
PORT = """\
Port 0005 untagged_vlan=0033 ACTIVE - NOT Unnamed Allocatable
 Current User: alice Access Control: (User: alice - Group: NONE)
 IN:  pkts          0          bytes                    0
 OUT: pkts          0          bytes                    0
  -- endpoint ID 0009 module unix prog   : x
Port 0005 untagged_vlan=0033 ACTIVE - Unnamed Allocatable
 Current User: mallory Access Control: (User: mallory - Group: NONE)
"""


def test_it_is_read_back() -> None:
    table = vdeports.memberships(ALLPRINT)
    assert table.vlans == {33}
    assert table.ports == {1: SwitchPort(1, None, frozenset({1, 33})), 2: SwitchPort(2), 5: SwitchPort(5, 33)}
    assert vdeports.active(ALLPRINT) == {1, 5}


def test_who_may_plug_in_is_the_switchs_own_word() -> None:
    assert vdeports.access(PORT) == (True, "alice")
    assert vdeports.access(PORT.replace("User: alice -", "User: NONE -", 1)) == (True, None)
    assert vdeports.access(PORT.replace("NOT Unnamed", "Unnamed")) == (False, "alice")
    assert vdeports.access("") is None
    assert vdeports.access("x\n" + PORT) is None


@given(st.text())
def test_whatever_the_switch_says(text: str) -> None:
    vdeports.memberships(text)
    vdeports.access(text)
    assert vde.refused(text) or "1000 " in text


def test_what_a_script_came_to() -> None:
    good = "vde[/run/c]: vlan/create 33\n1000 Success\nvde[/run/c]: port/setvlan 5 33\n1000 Success\n1000 Success\n\nvde$ "
    assert vde.refused(good) == ""
    assert vde.refused(good.replace("1000 Success", "1017 File exists", 1)) == "vlan/create 33: File exists"
    assert vde.refused("1002 No such file or directory\n\nvde$ ") == "load: No such file or directory"
    assert vde.refused("") == "no answer"


def test_ports_that_are_given_back() -> None:
    """Those that an account had for itself: not one that every member may have, and not the bridge's."""
    mine = SwitchPort(9, 33, user=1000)
    before = SwitchTable(frozenset({33}), {1: SwitchPort(1, None, frozenset({33}), user=-1), 5: SwitchPort(5, 33), 9: mine})
    assert vdeports.given_back(before, SwitchTable()) == [9]
    assert vdeports.given_back(before, SwitchTable(frozenset(), {9: SwitchPort(9, 44, user=1000)})) == []
    assert vdeports.given_back(before, SwitchTable(frozenset(), {9: SwitchPort(9, 33, user=1001)})) == [9]
    assert vdeports.given_back(before, SwitchTable(frozenset(), {9: SwitchPort(9, 33)})) == [9]

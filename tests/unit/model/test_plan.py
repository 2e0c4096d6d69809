"""Plans, carried out on a simulated machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.model.simulated import FORGETFUL, Machine
from unit.samples import HOST, PLACES, PLAIN, WANTED
from vdenet.errors import Collision
from vdenet.model import plan, steps
from vdenet.model.change import Plan
from vdenet.model.observed import Link, RunningService
from vdenet.model.segment import Mode, Port, Retiring, Segment, Vlan
from vdenet.model.vlans import SwitchPort, of_guest
from vdenet.model.wanted import Tap, Wanted, alias, guest_alias
from vdenet.text import blueprint
from vdenet.text.blueprint import Guests, HostFacts
from vdenet.text.bridged import Outside
from vdenet.text.dnsmasq import Reservation

TEXTS = {"dnsmasq.conf": WANTED.files[0].path, "hosts": WANTED.files[1].path}


def up(machine: Machine, wanted: Wanted = WANTED) -> Plan:
    """Bring it up, and return what that took."""
    made = plan.up(wanted, machine.observe(wanted))
    machine.perform(change.step for change in made)
    return made


def down(machine: Machine, wanted: Wanted = WANTED, last: bool = True, good: bool = False) -> Plan:
    made = plan.down(wanted, machine.observe(wanted), last, good)
    machine.perform(change.step for change in made)
    return made


def running(wanted: Wanted = WANTED) -> Machine:
    machine = Machine()
    up(machine, wanted)
    return machine


def guest(name: str, index: int, ours: bool = True, **more: Any) -> Link:
    link = Link(name, index, "52:54:00:00:00:01", 1500, True, True, "tap", alias=guest_alias("vdenet0") if ours else "")
    return replace(link, **more)


# --- up, up, down -------------------------------------------------------------------------------

def test_up_from_nothing_and_up_again() -> None:
    machine = Machine()
    first = plan.sentences(up(machine))
    assert first[0].startswith("+ directory") and first[-1].startswith("+ host resolver")
    assert first.index("~ firewall and NAT of vdenet0") < first.index("~ interface vdenet0: up"), \
        "nothing is reachable that is not guarded"
    assert plan.up(WANTED, machine.observe(WANTED)) == ()
    assert machine.addresses["vdenet0"] == {IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:8a01:22c4:1::1/64")}
    assert machine.links["vdenet0-vde"].master == "vdenet0"
    assert machine.shared["net/ipv4/ip_forward"] == "1"


def test_the_systems_dnsmasq_is_kept_off_before_there_is_an_address() -> None:
    machine, wanted = Machine(), replace(WANTED, keeps_dnsmasq_off=True)
    told, = (step for step in plan.sentences(up(machine, wanted)) if "dnsmasq keeps" in step)
    assert not any("dnsmasq keeps" in step for step in plan.sentences((*down(machine, wanted), *up(machine, wanted)))), \
        "each restart is a gap in the host's DNS"
    made, = (step for step in plan.sentences(down(machine, wanted, good=True)) if "dnsmasq keeps" in step)
    assert (told, made) == ("+ the system's dnsmasq keeps off vdenet0; if it runs, it is restarted",
                            "- the system's dnsmasq keeps off vdenet0")
    first = plan.sentences(up(machine, wanted))
    assert first.index(told) < first.index("+ address 10.83.14.1/24 on vdenet0")
    assert plan.up(wanted, machine.observe(wanted)) == ()
    last = plan.sentences(down(machine, wanted, good=True))
    assert last.index("- interface vdenet0") < last.index(made) and machine.dnsmasq_kept_off is None
    up(machine, wanted)
    assert plan.sentences(up(machine, WANTED)) == [made], "where it is wanted no more"
    machine.dnsmasq_kept_off = False
    assert plan.sentences(up(machine, wanted)) == [told], "where somebody edited it"


def test_ra_routes_are_kept_before_forwarding_goes_on() -> None:
    keys = [sysctl.key for sysctl in WANTED.sysctls if sysctl.shared]
    assert keys.index("net/ipv6/conf/eth0/accept_ra") < keys.index("net/ipv6/conf/all/forwarding")


def test_down_leaves_the_machine_as_it_was() -> None:
    machine = running()
    down(machine)
    left = Machine(next_index=machine.next_index,
                   directories={d.path: (d.mode, d.group) for d in WANTED.directories if d.kept})
    assert machine == left
    assert plan.down(WANTED, machine.observe(WANTED), last=True) == ()


def test_kernel_settings_stay_while_another_segment_is_up() -> None:
    machine = running()
    down(machine, last=False)
    assert machine.shared["net/ipv4/ip_forward"] == "1"


def test_down_leaves_the_guests_their_ports() -> None:
    machine = running()
    machine.links |= {"vd0-a": guest("vd0-a", 7, master="vdenet0"), "vnet7": guest("vnet7", 8, False, master="vdenet0")}
    down(machine)
    assert {name: link.master for name, link in machine.links.items()} == {"vd0-a": None, "vnet7": None}


@pytest.mark.parametrize(("held", "good", "left"), [
    (False, False, set()), (True, False, {"vd0-a"}), (False, True, set()), (True, True, set())])
def test_down_leaves_a_tap_that_is_kept_only_to_a_guest_that_holds_it(held: bool, good: bool, left: set[str]) -> None:
    wanted = replace(WANTED, guest_taps=(Tap("vd0-a", 1000, 1500), Tap("vd0-b", 1000, 1500)), ports=("vd0-a", "vd0-b"))
    machine = running(wanted)
    machine.links["vd0-a"] = replace(machine.links["vd0-a"], carrier=held)
    machine.links["vd0-b"] = guest("vd0-b", 9, ours=False, carrier=False)
    made = plan.down(wanted, machine.observe(wanted), last=False, good=good)
    machine.perform(change.step for change in made)
    assert machine.links.keys() == {"vd0-b", *left}, "what only has the name is not ours"
    machine.perform(plan.undo_of(made))
    assert machine.links["vd0-a"].master == "vdenet0"


def test_down_undone_is_up_again() -> None:
    machine = running()
    machine.links["vd0-a"] = guest("vd0-a", 7, master="vdenet0")
    done = down(machine, last=False)
    machine.perform(plan.undo_of(done))
    assert machine.links["vd0-a"].master == "vdenet0"
    assert plan.sentences(plan.up(WANTED, machine.observe(WANTED))) == []


# --- one thing is not as it should be -------------------------------------------------------------

def _services(machine: Machine, name: str, **digests: str) -> None:
    machine.services[name] = replace(machine.services[name], **digests)


def _kill_switch(machine: Machine) -> None:
    del machine.services["switch"], machine.held["switch"]
    machine.breaks_loops = None
    machine.switch = None
    machine.change("vdenet0-vde", carrier=False)


def _flush(machine: Machine) -> None:
    machine.firewall, machine.firewall_present = None, False


DRIFTS: dict[str, tuple[Callable[[Machine], object], list[str]]] = {
    "bridge down": (lambda m: m.change("vdenet0", up=False), ["~ interface vdenet0: up"]),
    "tap down": (lambda m: m.change("vdenet0-vde", up=False), ["~ interface vdenet0-vde: up"]),
    "bridge MTU": (lambda m: m.change("vdenet0", mtu=9000),
                   [f"~ interface vdenet0: {WANTED.bridge.mac}, MTU 1500"]),
    "tap MTU": (lambda m: m.change("vdenet0-vde", mtu=9000), ["~ interface vdenet0-vde: MTU 1500"]),
    "bridge MAC": (lambda m: m.change("vdenet0", mac="02:00:00:00:00:01"),
                   [f"~ interface vdenet0: {WANTED.bridge.mac}, MTU 1500"]),
    "mark lost": (lambda m: m.change("vdenet0", alias=""), ["~ interface vdenet0: vdenet:vdenet0"]),
    "tap off the bridge": (lambda m: m.detach("vdenet0-vde"), ["+ port vdenet0-vde on vdenet0"]),
    "tap deleted": (lambda m: m.delete("vdenet0-vde"), [
        "- service switch", "+ tap vdenet0-vde", "+ port vdenet0-vde on vdenet0",
        "~ sysctl net/ipv6/conf/vdenet0-vde/disable_ipv6 = 1", "~ interface vdenet0-vde: up", "+ service switch"]),
    "tap of another owner": (lambda m: m.change("vdenet0-vde", owner=12345), [
        "- service switch", "- interface vdenet0-vde", "+ tap vdenet0-vde", "+ port vdenet0-vde on vdenet0",
        "~ sysctl net/ipv6/conf/vdenet0-vde/disable_ipv6 = 1", "~ interface vdenet0-vde: up", "+ service switch"]),
    "address gone": (lambda m: m.addresses["vdenet0"].remove(IPv4Interface("10.83.14.1/24")),
                     ["+ address 10.83.14.1/24 on vdenet0"]),
    "address too many": (lambda m: m.addresses["vdenet0"].add(IPv4Interface("10.9.9.9/24")),
                         ["- address 10.9.9.9/24 on vdenet0"]),
    "link-local address": (lambda m: m.addresses["vdenet0"].add(IPv6Interface("fe80::1/64")), []),
    "offload on": (lambda m: m.offload.update(vdenet0=True), ["~ checksum offload of vdenet0: off"]),
    "forwarding off": (lambda m: m.shared.update({"net/ipv4/ip_forward": "0"}), ["~ sysctl net/ipv4/ip_forward = 1"]),
    "router advertisements taken": (lambda m: m.own.update({"net/ipv6/conf/vdenet0/accept_ra": "1"}),
                                    ["~ sysctl net/ipv6/conf/vdenet0/accept_ra = 0"]),
    "firewall altered": (lambda m: setattr(m, "firewall", None), ["~ firewall and NAT of vdenet0"]),
    "another firewall": (lambda m: setattr(m, "firewall", "f" * 32), ["~ firewall and NAT of vdenet0"]),
    "firewall flushed": (_flush,
                         ["~ firewall and NAT of vdenet0"]),
    "switch without its tap": (lambda m: m.change("vdenet0-vde", carrier=False), ["- service switch", "+ service switch"]),
    "switch dead": (_kill_switch, ["+ service switch"]),
    "dnsmasq dead": (lambda m: m.services.pop("dnsmasq"), ["+ service dnsmasq"]),
    "dnsmasq with another configuration": (lambda m: _services(m, "dnsmasq", restart_digest=""),
                                           ["- service dnsmasq", "+ service dnsmasq"]),
    "dnsmasq with other hosts": (lambda m: _services(m, "dnsmasq", reload_digest=""),
                                 ["~ service dnsmasq reads its files again"]),
    "configuration edited": (lambda m: m.files.update({TEXTS["dnsmasq.conf"]: "server=6.6.6.6\n"}),
                             [f"~ file {TEXTS['dnsmasq.conf']}"]),
    "hosts removed": (lambda m: m.files.pop(TEXTS["hosts"]), [f"~ file {TEXTS['hosts']}"]),
    "directory open to all": (lambda m: m.directories.update({PLACES.dns("vdenet0"): (0o777, "root")}),
                              [f"+ directory {PLACES.dns('vdenet0')}"]),
    "resolver forgot": (lambda m: m.resolvers.clear(),
                        ["+ host resolver (systemd-resolved): vdenet.internal at 10.83.14.1"]),
    "resolver asks elsewhere": (lambda m: m.resolvers.update({FORGETFUL: "systemd-resolved 10.9.9.9 vdenet.internal"}),
                                ["+ host resolver (systemd-resolved): vdenet.internal at 10.83.14.1"]),
    "an earlier resolver knows": (lambda m: m.resolvers.update({"dnsmasq": "dnsmasq 10.83.14.1 vdenet.internal"}),
                                  ["- host resolver (dnsmasq): vdenet.internal"]),
}
# What the plan for it cannot take back, were a later step to fail: the next plan does.
NO_WAY_BACK = {"mark lost", "tap deleted", "tap of another owner", "switch without its tap", "firewall altered", "another firewall",
               "dnsmasq with another configuration", "dnsmasq with other hosts", "directory open to all",
               "resolver asks elsewhere"}


@pytest.mark.parametrize("drift", DRIFTS)
def test_each_drift_is_mended_and_nothing_else_is_touched(drift: str) -> None:
    spoil, mending = DRIFTS[drift]
    machine = running()
    spoil(machine)
    assert plan.sentences(up(machine)) == mending
    assert plan.up(WANTED, machine.observe(WANTED)) == ()


@pytest.mark.parametrize("drift", [drift for drift in DRIFTS if drift not in NO_WAY_BACK])
def test_the_mending_can_be_taken_back(drift: str) -> None:
    spoil, _mending = DRIFTS[drift]
    machine = running()
    machine.record = {key: machine.shared[key] for key in machine.record}
    spoil(machine)
    before = machine.copy()
    machine.perform(plan.undo_of(up(machine)))
    assert machine == before


def test_the_switch_holds_the_tap_that_is_there() -> None:
    machine = running()
    machine.delete("vdenet0-vde")
    up(machine)
    assert machine.held["switch"] == machine.links["vdenet0-vde"].ifindex


def test_a_guest_port_comes_back_on_the_bridge() -> None:
    wanted = blueprint.wanted(PLAIN, HOST, Guests(ports=("vd0-a", "vd0-gone", "vnet7")), PLACES)
    machine = running(wanted)
    machine.links |= {"vd0-a": guest("vd0-a", 7, up=False), "vnet7": guest("vnet7", 8, False, up=False)}
    assert plan.sentences(up(machine, wanted)) == [
        "+ port vd0-a on vdenet0", "~ interface vd0-a: up", "+ port vnet7 on vdenet0"], \
        "a foreign port is put back, and else left to its owner"


VLAN = replace(PLAIN, vlans=(Vlan(33),))


@pytest.mark.parametrize("up_already", [False, True])
def test_a_port_that_a_hypervisor_made_for_us_is_up_when_it_is_in_its_vlan(up_already: bool) -> None:
    """A bridge takes it into the usual VLAN first, where it must not be heard."""
    wanted = blueprint.wanted(VLAN, HOST, Guests(handed=("vd0-web",), memberships={"vd0-web": of_guest(33)}), PLACES)
    machine = running(wanted)
    machine.links["vd0-web"] = guest("vd0-web", 7, False, up=up_already, kind="veth")
    before = machine.copy()
    made = up(machine, wanted)
    assert [type(change.step).__name__ for change in made] == ["SetLink", "AttachPort", "SetVlans", "SetLink"]
    assert machine.memberships["vd0-web"] == of_guest(33) and machine.links["vd0-web"].up
    assert plan.up(wanted, machine.observe(wanted)) == ()
    undone = machine.copy()
    undone.perform(plan.undo_of(made))
    assert undone.state() == before.state()
    machine.change("vd0-web", up=False)  # as a crash leaves it
    assert plan.sentences(up(machine, wanted)) == ["~ interface vd0-web: up"]


def test_a_guest_in_a_vlan_comes_back_into_it() -> None:
    """Its bridge was deleted under it: it runs, and must not be heard in the usual VLAN meanwhile."""
    wanted = blueprint.wanted(VLAN, HOST, Guests(ports=("vd0-a",), memberships={"vd0-a": of_guest(33)}), PLACES)
    machine = running(wanted)
    machine.links["vd0-a"] = guest("vd0-a", 7)
    assert [type(change.step).__name__ for change in up(machine, wanted)] == ["SetLink", "AttachPort", "SetVlans", "SetLink"]
    assert machine.memberships["vd0-a"] == of_guest(33)


@pytest.mark.parametrize("after", [VLAN, PLAIN], ids=["its VLAN is there still", "the last one is gone"])
def test_a_port_that_the_file_no_longer_puts_into_a_vlan_goes_back(after: Segment) -> None:
    """It is another program's, so the book of guests does not know it."""
    former = blueprint.wanted(VLAN, HOST, Guests(memberships={"vnet7": of_guest(33)}), PLACES)
    machine = running(former)
    machine.links["vnet7"] = replace(guest("vnet7", 7), master=former.bridge.name)
    machine.memberships["vnet7"] = of_guest(33)
    before = machine.copy()
    wanted = blueprint.wanted(after, HOST, Guests(), PLACES)
    made = plan.up(wanted, machine.observe(wanted), former)
    machine.perform([change.step for change in made])
    assert machine.memberships["vnet7"] == of_guest(None)
    machine.perform(plan.undo_of(made))
    assert machine.state() == before.state()
    # What somebody else has done with it since is left alone.
    machine.memberships["vnet7"] = of_guest(44)
    assert not [change for change in plan.up(wanted, machine.observe(wanted), former)
                if isinstance(change.step, steps.SetVlans) and change.step.port == "vnet7"]


HELD = blueprint.wanted(PLAIN, HOST, Guests(taps=(Tap("vd0-vm", 1000, 1500),)), PLACES)


def test_a_tap_that_a_guest_holds_by_name_comes_back() -> None:
    machine = running(HELD)
    assert machine.links["vd0-vm"].alias == guest_alias("vdenet0") and machine.links["vd0-vm"].owner == 1000
    machine.delete("vd0-vm")
    assert plan.sentences(up(machine, HELD)) == ["+ tap vd0-vm", "+ port vd0-vm on vdenet0", "~ interface vd0-vm: up"]
    assert plan.up(HELD, machine.observe(HELD)) == ()


def test_a_foreign_interface_with_the_name_of_a_held_tap_is_left_alone() -> None:
    machine = Machine(links={"vd0-vm": Link("vd0-vm", 5, "02:00:00:00:00:01", 1500, False, False, "veth")})
    up(machine, HELD)
    assert machine.links["vd0-vm"] == Link("vd0-vm", 5, "02:00:00:00:00:01", 1500, False, False, "veth")
    assert plan.up(HELD, machine.observe(HELD)) == ()


@pytest.mark.parametrize("kind", ["kept", "handed over"])
def test_what_is_another_segments_is_left_alone_whatever_its_name(kind: str) -> None:
    """Two segments may name their ports alike."""
    there = replace(guest("vd0-vm", 5), alias=guest_alias("lab"), up=False)
    machine = Machine(links={"vd0-vm": there})
    wanted = HELD if kind == "kept" else blueprint.wanted(
        VLAN, HOST, Guests(handed=("vd0-vm",), memberships={"vd0-vm": of_guest(33)}), PLACES)
    up(machine, wanted)
    assert plan.up(wanted, machine.observe(wanted)) == ()
    down(machine, wanted, good=True)
    assert machine.links["vd0-vm"] == there


@pytest.mark.parametrize("up_already", [False, True])
@pytest.mark.parametrize("guests, ours", [
    (Guests(ports=("vd0-a",)), True), (Guests(ports=("vd0-a",)), False),
    (Guests(handed=("vd0-a",), memberships={"vd0-a": of_guest(33)}), False)], ids=["ours", "another's", "handed over"])
def test_a_guest_port_on_another_bridge_stays_there(guests: Guests, ours: bool, up_already: bool) -> None:
    wanted = blueprint.wanted(VLAN, HOST, guests, PLACES)
    machine = running(wanted)
    machine.links["vd0-a"] = guest("vd0-a", 8, ours, master="virbr0", up=up_already)
    assert up(machine, wanted) == ()


def test_a_change_of_hosts_tells_dnsmasq_and_stops_nothing() -> None:
    machine = running()
    wanted = blueprint.wanted(replace(PLAIN, hosts=()), HOST, Guests(
        joined=(Reservation("52:54:00:00:00:01", "web"),)), PLACES)
    assert plan.sentences(up(machine, wanted)) == [
        f"~ file {TEXTS['hosts']}", "~ service dnsmasq reads its files again"]


def test_a_new_address_is_there_before_the_old_one_goes() -> None:
    machine = running()
    moved = replace(PLAIN, address=IPv4Interface("10.99.0.1/24"))
    sentences = plan.sentences(up(machine, blueprint.wanted(moved, HOST, Guests(), PLACES)))
    assert sentences.index("+ address 10.99.0.1/24 on vdenet0") \
        < sentences.index("- address 10.83.14.1/24 on vdenet0")
    assert "- service switch" not in sentences


def test_an_old_address_is_served_while_it_retires() -> None:
    machine = running()
    moved = replace(PLAIN, address=IPv4Interface("10.99.0.1/24"))
    old = Guests(retiring=(Retiring(PLAIN.address, 1e10),))
    up(machine, blueprint.wanted(moved, HOST, old, PLACES))
    assert PLAIN.address in machine.addresses["vdenet0"]


# --- what is not ours -----------------------------------------------------------------------------

FOREIGN = {
    "bridge": Link("vdenet0", 5, "02:00:00:00:00:01", 1500, True, True, "bridge"),
    "dummy": Link("vdenet0", 5, WANTED.bridge.mac, 1500, True, True, "other"),
    "marked, but no bridge": Link("vdenet0", 5, WANTED.bridge.mac, 1500, True, True, "veth", alias=alias("vdenet0")),
    "tap": Link("vdenet0-vde", 5, "02:00:00:00:00:01", 1500, True, True, "tap", owner=990),
    "another segment's tap": Link("vdenet0-vde", 5, "02:00:00:00:00:01", 1500, True, True, "tap", owner=1000,
                                  alias=guest_alias("lab")),
    "marked, but no tap": Link("vdenet0-vde", 5, "02:00:00:00:00:01", 1500, True, True, "veth", alias=alias("vdenet0")),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_ours_is_refused_before_anything_is_planned(what: str) -> None:
    link = FOREIGN[what]
    machine = Machine(links={link.name: link})
    with pytest.raises(Collision, match=link.name):
        plan.up(WANTED, machine.observe(WANTED))


@pytest.mark.parametrize("what", ("bridge", "dummy", "tap", "another segment's tap"))
def test_what_is_not_ours_survives_down(what: str) -> None:
    link = FOREIGN[what]
    machine = Machine(links={link.name: link})
    down(machine)
    assert machine.links == {link.name: link}


def test_a_bridge_that_a_crash_left_unmarked_is_known_by_its_mac() -> None:
    machine = Machine()
    first = plan.up(WANTED, machine.observe(WANTED))
    machine.perform(change.step for change in first[:8])
    machine.change("vdenet0", alias="")
    other = machine.copy()
    up(machine)
    assert machine.links["vdenet0"].alias == alias("vdenet0")
    down(other)
    assert not other.links, "and is taken away as well"


# --- any two, in any state --------------------------------------------------------------------------

VLANS = (
    (), (Vlan(33),), (Vlan(33, "students", IPv4Interface("10.33.0.1/24")), Vlan(44)),
    (Vlan(44, None, IPv4Interface("10.44.0.1/24"), IPv6Interface("fd44::1/64"), reach=(33,)),
     Vlan(33, None, IPv4Interface("10.33.0.9/24"))),
)
PORTS = ((), (Port(5),), (Port(5, 33), Port(7, None, (33,))), (Port(5, None, (33,)),))


@cache
def _wanted(address: str, six: bool, mode: Mode, guard: bool, host: HostFacts, guests: int, vlans: int,
            ports: int) -> Wanted:
    segment = replace(PLAIN, address=IPv4Interface(address), address6=PLAIN.address6 if six else None,
                      mode=mode, guard=guard, switch_ports=64 if six else 32, vlans=VLANS[vlans],
                      ports=PORTS[ports] if VLANS[vlans] else PORTS[ports % 2])
    return replace(blueprint.wanted(segment, host, GUESTS[guests], PLACES), keeps_dnsmasq_off=host.dnsmasq)


@cache
def _bridged(key: str, guard: bool, host: HostFacts, guests: int) -> Wanted:
    outside = Outside("02:00:00:00:00:99" if key == "uplink" else "02:00:00:00:00:77",
                      advertised=guard, addresses=(IPv4Interface("192.0.2.2/24"),))
    name = {"uplink": "eth0", "adopt": "br9", "openvswitch": "ovs0"}[key]
    segment = replace(Segment("vdenet0", None, mode=Mode.BRIDGED, guard=guard), **{key: name})
    return blueprint.wanted(segment, replace(host, outside=outside), GUESTS[guests], PLACES)


ADDRESSED = [mode for mode in Mode if mode is not Mode.BRIDGED]
WEB = Reservation("52:54:00:00:00:01", "web")
HOSTS = (HOST, replace(HOST, switch_uid=991), replace(HOST, ipv6=False), replace(HOST, uplinks_ra=("eth0", "wlan0")),
         replace(HOST, hostname="other", matches_bridge=False), replace(HOST, resolver="resolvconf"),
         replace(HOST, resolver="dnsmasq", dnsmasq=True), replace(HOST, resolver="none"))
GUESTS = (Guests(), Guests(joined=(WEB,)), Guests(pinned=(WEB,), ports=("vd0-a",)),
          Guests(ports=("vd0-a", "vd0-b", "vnet7"), present=("vd0-a",)),
          Guests(taps=(Tap("vd0-a", 1000, 1500), Tap("vd0-vm", 1000, 1500))),
          Guests(retiring=(Retiring(IPv4Interface("10.83.14.1/24"), 1e10),)),
          Guests(retiring=(Retiring(IPv4Interface("10.83.14.9/32"), 1e10),)),
          Guests(ports=("vd0-a",), memberships={"vd0-a": of_guest(33)}, plugged=(SwitchPort(9, 33, user=1000),)),
          Guests(ports=("vd0-a", "vnet7"), memberships={"vd0-a": of_guest(None, (33, 44)), "vnet7": of_guest(44)},
                 plugged=(SwitchPort(9, None, frozenset({33}), user=1001),)),
          Guests(ports=("vd0-a",), handed=("vnet7",), memberships={"vnet7": of_guest(33)}))
wishes = st.builds(
    _wanted, st.sampled_from(("10.83.14.1/24", "10.83.14.1/16", "10.83.14.9/24", "192.168.7.1/28")), st.booleans(),
    st.sampled_from(ADDRESSED), st.booleans(), st.sampled_from(HOSTS), st.integers(0, len(GUESTS) - 1),
    st.integers(0, len(VLANS) - 1), st.integers(0, len(PORTS) - 1)) | st.builds(
    _bridged, st.sampled_from(("uplink", "adopt", "openvswitch")), st.booleans(), st.sampled_from(HOSTS),
    st.integers(0, len(GUESTS) - 1))


def _forget_service(machine: Machine, name: str) -> None:
    if name in machine.services:
        machine.services[name] = RunningService(1, "", "")


def _gone(machine: Machine, name: str) -> None:
    if name in machine.links:
        machine.delete(name)


def _changed(machine: Machine, name: str, **what: Any) -> None:
    if name in machine.links:
        machine.change(name, **what)


def _kill_all(machine: Machine) -> None:
    machine.services.clear()
    machine.held.clear()
    machine.switch = None


DAMAGES: tuple[Callable[[Machine], object], ...] = (
    lambda m: _gone(m, "vdenet0"),
    lambda m: _gone(m, "vdenet0-vde"),
    lambda m: _changed(m, "vdenet0", up=False, mtu=1280),
    lambda m: _changed(m, "vdenet0-vde", up=False, master=None, owner=None),
    lambda m: _changed(m, "vd0-a", up=False, master=None),
    # Of a bridge with an uplink they are the host's: who takes those away means it.
    lambda m: m.uplink or m.addresses.get("vdenet0", set()).clear(),
    lambda m: m.addresses.get("vdenet0", set()).add(IPv4Interface("10.1.1.1/24")),
    lambda m: m.own.clear(),
    lambda m: m.shared.update({"net/ipv4/ip_forward": "0"}),
    lambda m: m.files.clear(),
    lambda m: m.directories.clear(),
    _kill_all,
    lambda m: _forget_service(m, "switch"),
    lambda m: _forget_service(m, "dnsmasq"),
    lambda m: setattr(m, "firewall", None),
    lambda m: m.resolvers.clear(),
    lambda m: setattr(m, "dnsmasq_kept_off", None),
    lambda m: _gone(m, "vd0-vm"),
    lambda m: m.record.clear(),
    lambda m: m.memberships.update({name: of_guest(44, (1, 33)) for name in m.memberships}),
    lambda m: setattr(m, "filtering", "vdenet0" in m.links),
    lambda m: setattr(m, "filtering", False),
    lambda m: _gone(m, "vdenet0.33"),
    lambda m: _changed(m, "vdenet0.44", up=False),
    lambda m: m.switch and m.switch.load("port/allocatable 5 1\nport/setuser 9 NONE\nport/setvlan 8 4095\n"),
)


def _host() -> Machine:
    """With an uplink that has the host's address, and another program's bridge."""
    return Machine(links={
        "eth0": Link("eth0", 2, "02:00:00:00:00:99", 1500, True, True, "other", plain=True),
        "br9": Link("br9", 1, "02:00:00:00:00:77", 1500, True, True, "bridge")},
        addresses={"eth0": {OUTSIDE}, "br9": {IPv4Interface("10.0.3.1/24")}})


OUTSIDE = IPv4Interface("192.0.2.2/24")
"""The host's own address, which must never be lost."""


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """A machine in whatever state an earlier plan, a crash in the middle of it, and others left it."""
    machine = _host()
    for index, name in enumerate(draw(st.sets(st.sampled_from(("vd0-a", "vd0-b", "vnet7")))), 3):
        machine.links[name] = guest(name, index, name != "vnet7")
    before = draw(wishes)
    made = plan.up(before, machine.observe(before))
    machine.perform(change.step for change in made[:draw(st.integers(0, len(made)) | st.just(len(made)))])
    for damage in draw(st.lists(st.sampled_from(DAMAGES), max_size=4)):
        damage(machine)
    return machine


@settings(max_examples=300)
@given(machines(), wishes)
def test_one_plan_is_enough_from_anywhere(machine: Machine, wanted: Wanted) -> None:
    up(machine, wanted)
    assert plan.sentences(plan.up(wanted, machine.observe(wanted))) == []
    for service, index in machine.held.items():
        assert machine.links["vdenet0-vde"].ifindex == index, service
    down(machine, wanted)
    assert plan.sentences(plan.down(wanted, machine.observe(wanted), last=True)) == []
    assert not {"vdenet0", "vdenet0-vde"} & machine.links.keys()
    assert not machine.services and not machine.firewall_present and not machine.files and not machine.record
    assert not machine.resolvers
    assert not machine.plugged and machine.patched is machine.uplink is machine.adopted is None
    assert OUTSIDE in machine.addresses["eth0"] and machine.addresses["br9"] == {IPv4Interface("10.0.3.1/24")}


@settings(max_examples=300)
@given(machines(), wishes, st.data())
def test_a_plan_cut_anywhere_is_finished_by_the_next(machine: Machine, wanted: Wanted, data: st.DataObject) -> None:
    other = machine.copy()
    made = plan.up(wanted, machine.observe(wanted))
    machine.perform(change.step for change in made[:data.draw(st.integers(0, len(made)))])
    up(machine, wanted)
    up(other, wanted)
    assert machine.observe(wanted).addresses == other.observe(wanted).addresses
    assert plan.sentences(plan.up(wanted, machine.observe(wanted))) == []


@given(wishes, st.data())
def test_undo_of_any_part_of_the_first_start_leaves_nothing(wanted: Wanted, data: st.DataObject) -> None:
    machine = _host()
    made = plan.up(wanted, machine.observe(wanted))
    done = made[:data.draw(st.integers(0, len(made)))]
    machine.perform(change.step for change in done)
    machine.perform(plan.undo_of(done))
    # The record of values from before may stay: it says no more than what is true again.
    assert machine == replace(_host(), next_index=machine.next_index, record=machine.record)
    assert machine.record.items() <= machine.shared.items()


@settings(max_examples=300)
@given(wishes, wishes, st.data())
def test_undo_of_any_part_of_a_change_loses_nothing(before: Wanted, after: Wanted, data: st.DataObject) -> None:
    machine = _host()
    up(machine, before)
    start = machine.copy()
    made = plan.up(after, machine.observe(after))
    done = made[:data.draw(st.integers(0, len(made)))]
    machine.perform(change.step for change in done)
    machine.perform(plan.undo_of(done))
    assert machine.addresses.get("vdenet0") == start.addresses.get("vdenet0")
    assert OUTSIDE in machine.addresses["eth0"] | machine.addresses.get("vdenet0", set())
    assert machine.files == start.files
    assert machine.shared == start.shared
    # What cannot be taken back (a firewall replaced, a service started anew) the next plan puts right.
    up(machine, before)
    assert plan.sentences(plan.up(before, machine.observe(before))) == []
    assert machine.addresses.get("vdenet0") == start.addresses.get("vdenet0")

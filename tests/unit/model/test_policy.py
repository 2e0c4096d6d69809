"""What members may turn a segment into."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network

import pytest
from hypothesis import given

from unit.examples import st
from unit.samples import PLAIN, segments
from vdenet.model.netboot import Netboot
from vdenet.model.policy import DEFAULT, Policy, may_change, refusals
from vdenet.model.segment import Host, Mode, OpenPort, Port, Segment, Vlan

MINE = replace(PLAIN, name="lab", domain="lab.internal", owner="alice")
NARROW = Policy(pools=(IPv4Network("10.84.0.0/16"),), modes=(Mode.ISOLATED,), domains=("lab.example",),
                open=(OpenPort("tcp", 80),))


def refused(before: Segment | None, after: Segment, policy: Policy = NARROW, who: str = "alice") -> list[str]:
    return [why.partition(":")[0] for why in refusals(policy, who, before, after)]


@given(segments("lab"))
def test_what_stays_as_it_was_is_never_refused(segment: Segment) -> None:
    who = segment.owner or "alice"
    assert refusals(NARROW, who, segment, segment) == []


def test_each_key_is_named_with_what_is_allowed() -> None:
    after = replace(MINE, address=IPv4Interface("10.9.8.1/24"), mode=Mode.ROUTED, domain="debian.org",
                    open_ports=(OpenPort("tcp", 22), OpenPort("tcp", 80)), owner="bob")
    told = refusals(NARROW, "alice", MINE, after)
    assert told == [
        'owner: only root may change it; here it has to be owner = "alice"',
        "address: 10.9.8.0/24 is in none of the pools 10.84.0.0/16",
        "mode: routed is not allowed; allowed: isolated",
        "domain: debian.org is not allowed; allowed is what ends in: lab.example",
        "open: tcp/22 is not allowed; allowed: tcp/80",
    ]


@pytest.mark.parametrize("name", ("docker0", "br0", "wg1", "tun0", "enlab", "eth7", "wlan0", "vmnet8", "veth3"))
def test_names_of_others_are_not_members(name: str) -> None:
    after = replace(MINE, name=name, address=IPv4Interface("10.84.7.1/24"), mode=Mode.ISOLATED, domain="a.lab.example")
    assert refused(None, after) == ["name"]
    assert refused(after, replace(after, guard=False)) == []


def test_within_the_policy() -> None:
    after = replace(MINE, address=IPv4Interface("10.84.7.1/24"), mode=Mode.ISOLATED, domain="a.lab.example",
                    open_ports=(OpenPort("tcp", 80),), guard=False)
    assert refused(MINE, after) == []
    assert refused(None, after) == []


def test_a_new_segment_may_not_have_forbidden_defaults() -> None:
    assert refused(None, MINE) == ["address", "mode", "domain"]


def test_a_domain_that_only_looks_alike() -> None:
    assert refused(MINE, replace(MINE, domain="xlab.example")) == ["domain"]
    assert refused(MINE, replace(MINE, domain="lab.example")) == []


def test_what_was_open_before_may_stay_open_and_be_closed() -> None:
    open_ = replace(MINE, open_ports=(OpenPort("tcp", 22), OpenPort("udp", 514)))
    assert refused(open_, replace(open_, open_ports=(OpenPort("tcp", 22),))) == []
    assert refused(open_, replace(open_, open_ports=(OpenPort("tcp", 23),))) == ["open"]


def test_the_guard_of_the_admins_segment() -> None:
    assert refused(PLAIN, replace(PLAIN, guard=False), DEFAULT) == ["guard"]
    off = replace(PLAIN, guard=False)
    assert refused(off, replace(off, mode=Mode.ISOLATED), DEFAULT) == []


@pytest.mark.parametrize(("owner", "change", "may"), (
    (None, True, True), (None, False, False), ("alice", True, True), ("alice", False, True), ("bob", True, False),
    ("bob", False, False)))
def test_whose_it_is(owner: str | None, change: bool, may: bool) -> None:
    policy, segment = replace(DEFAULT, change=change), replace(PLAIN, owner=owner)
    assert may_change(policy, "alice", segment) is may
    assert (refusals(policy, "alice", segment, replace(segment, mode=Mode.ISOLATED)) == []) is may


@given(segments("lab"), segments("lab"), st.sampled_from(("alice", "bob")))
def test_nobody_becomes_or_makes_another_the_owner(before: Segment, after: Segment, who: str) -> None:
    if not refusals(DEFAULT, who, before, after):
        assert after.owner == before.owner
    if not refusals(DEFAULT, who, None, after):
        assert after.owner == who


def test_netboot_serves_only_what_the_admin_lets_members_serve() -> None:
    policy = Policy(netboot=("/srv/tftp",))
    for root, why in (("/srv/tftp", []), ("/srv/tftp/alice", []), ("/srv/tftp-secret", ["netboot.root"]),
                      ("/srv", ["netboot.root"]), ("/etc", ["netboot.root"])):
        boots = replace(MINE, netboot=Netboot(root))
        assert refused(MINE, boots, policy) == why
        assert refused(MINE, boots, DEFAULT) == ["netboot.root"], "nothing, unless the admin says so"
        assert refused(boots, replace(boots, netboot=Netboot(root, "pxelinux.0")), DEFAULT) == [], "as it was"
    assert refused(MINE, replace(MINE, netboot=Netboot(http="http://10.9.9.9/boot.efi")), DEFAULT) == []


def test_who_serves_dhcp_on_the_segment_of_the_admin_is_the_admins_affair() -> None:
    served = {"dhcp": False, "guest_dhcp": True, "hosts": (Host(None, "pxe", dhcp_server=True),)}
    assert refused(PLAIN, replace(PLAIN, **served), DEFAULT) == ["dhcp"]  # type: ignore[arg-type]
    other = replace(PLAIN, dhcp=False, guest_dhcp=True, hosts=(Host(None, "mine", dhcp_server=True),))
    assert refused(replace(PLAIN, **served), other, DEFAULT) == ["dhcp"]  # type: ignore[arg-type]
    assert refused(MINE, replace(MINE, **served), DEFAULT) == []  # type: ignore[arg-type]


def test_vlans() -> None:
    lan = replace(MINE, address=IPv4Interface("10.84.7.1/24"), vlans=(Vlan(33, None, IPv4Interface("10.84.8.1/24")),))
    before = replace(lan, vlans=())
    assert refused(before, lan) == []
    assert refused(before, replace(lan, vlans=(Vlan(33, None, IPv4Interface("10.9.8.1/24")),))) == ["vlan.address"]
    closed = replace(NARROW, vlans=False)
    assert refused(before, lan, closed) == refused(lan, before, closed) == ["vlan"]
    for moved in (replace(lan, ports=(Port(5, 33),)), replace(lan, ports=(Port(6, trunk=(33,)),)),
                  replace(lan, hosts=(Host(name="web", vlan=33),)), replace(lan, hosts=(Host(name="web", trunk=(33,)),))):
        assert refused(lan, moved, closed) == refused(moved, lan, closed) == ["vlan"]
        assert refused(lan, moved) == []
    assert refused(lan, replace(lan, ports=(Port(5),), hosts=(Host(name="web"),)), closed) == []
    assert refused(lan, lan, closed) == []

"""The rule set: what each mode lets through, and that no name leaves its quotes."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.samples import ADDRESSED, NOT_WORDS, PLAIN, addresses, segments
from vdenet.errors import BadValue
from vdenet.model.names import bridge_mac
from vdenet.model.segment import Mode, OpenPort, Segment, Vlan
from vdenet.model.wanted import DhcpServer
from vdenet.text import guard, nftables

MAC = bridge_mac("0" * 32, "vdenet0")


def text(segment: Segment = PLAIN, retiring: tuple[str, ...] = (), ports: list[str] | None = None) -> str:
    return nftables.firewall(segment, [IPv4Interface(a) for a in retiring], MAC, ports).text


def chain(name: str, rules: str) -> list[str]:
    """The rules of one chain."""
    found = re.search(rf"\tchain {name} \{{\n(.*?)\n\t\}}", rules, re.DOTALL)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


@given(segments(), st.lists(addresses(), max_size=4, unique=True), st.none() | st.lists(
    st.from_regex(r"[a-z][a-z0-9@._:-]{0,14}", fullmatch=True), max_size=3, unique=True))
def test_any_rule_set(segment: Segment, retiring: list[IPv4Interface], ports: list[str] | None) -> None:
    wall = nftables.firewall(segment, retiring, MAC, ports)
    assert wall.tables == (("inet", "vdenet_vdenet0"), ("bridge", "vdenet_vdenet0"))
    assert wall.text.count("{") == wall.text.count("}")
    assert re.fullmatch(r"[\w\s{}\",.:;/=!&<>@-]*", wall.text, re.ASCII)
    # One transaction that works whether the tables are there or not, and touches no other.
    assert wall.text.startswith(nftables.unload(wall))
    assert set(re.findall(r"table \w+ (\w+)", wall.text)) == {"vdenet_vdenet0"}
    assert "flush" not in wall.text and "owner" not in wall.text
    for name in ("guests_to_host", "leave", "enter"):
        assert chain(name, wall.text)[-1] in ("drop", "accept" if segment.mode is Mode.ROUTED else "drop")
    assert "policy drop" not in wall.text, "what is not on the segment is left alone"


def test_the_modes() -> None:
    nat, routed, isolated = (text(replace(PLAIN, mode=mode)) for mode in ADDRESSED)
    assert chain("enter", nat) == ["ct state established,related accept", "drop"]
    assert chain("leave", nat)[0] == "ip saddr { 10.83.14.0/24 } accept"
    assert any("masquerade" in rule for rule in chain("postrouting", nat))
    assert chain("enter", routed)[0] == "accept"
    assert "masquerade" not in routed
    assert chain("enter", isolated) == chain("leave", isolated) == ["drop"]
    assert "masquerade" not in isolated


def test_open_ports() -> None:
    opened = chain("guests_to_host", text(replace(PLAIN, open_ports=(OpenPort("tcp", 22), OpenPort("udp", 514)))))
    assert opened[-3:] == ["tcp dport 22 accept", "udp dport 514 accept", "drop"]


def test_the_guard_can_be_off_and_then_addresses_are_guarded_still() -> None:
    on, off = (chain("from_guests", text(replace(PLAIN, guard=guard))) for guard in (True, False))
    assert set(on) - set(off) == {"udp sport { 67, 547 } drop", "udp dport { 68, 546 } drop",
                                  "icmpv6 type { nd-router-advert, nd-redirect } drop", "icmp type redirect drop"}
    assert f"ether saddr {MAC} drop" in off and "ip saddr { 10.83.14.1 } drop" in off


def test_retiring_addresses_are_guarded_and_served() -> None:
    rules = text(retiring=("10.99.0.1/24", "10.83.14.9/32"))
    assert "ip saddr { 10.83.14.1, 10.99.0.1, 10.83.14.9 } drop" in chain("from_guests", rules)
    assert "ip saddr { 10.83.14.0/24, 10.99.0.0/24 } accept" in chain("leave", rules), "one inside another is one"


@pytest.mark.parametrize(("retiring", "networks"), (
    (("10.83.14.9/32",), "{ 10.83.14.0/24 }"),
    (("10.83.15.1/24",), "{ 10.83.14.0/23 }"),
    (("10.83.0.1/16", "10.83.14.1/30"), "{ 10.83.0.0/16 }"),
    (("192.168.1.1/24",), "{ 10.83.14.0/24, 192.168.1.0/24 }"),
))
def test_networks_never_overlap(retiring: tuple[str, ...], networks: str) -> None:
    assert f"ip saddr {networks} accept" in chain("leave", text(retiring=retiring))


def test_without_ipv6() -> None:
    assert "fd5e" not in text(replace(PLAIN, address6=None))


def test_where_the_kernel_cannot_match_the_bridge() -> None:
    assert 'iifname { "vd0-a", "vnet7" } jump from_guests' in chain("prerouting", text(ports=["vnet7", "vd0-a"]))
    assert len(chain("prerouting", text(ports=[]))) == 2
    assert 'meta ibrname "vdenet0" jump from_guests' in chain("prerouting", text())


@pytest.mark.parametrize("word", [word for word in NOT_WORDS if not re.fullmatch(r"[\w.-]{1,15}", word, re.ASCII)],
                         ids=ascii)
def test_injection(word: str) -> None:
    with pytest.raises(BadValue):
        text(ports=[word])
    with pytest.raises(BadValue):
        text(replace(PLAIN, name=word))


def test_link_local() -> None:
    assert guard.link_local("52:54:00:12:34:56") == IPv6Address("fe80::5054:ff:fe12:3456")


def test_a_server_behind_the_switch_serves_the_segments_own_network_only() -> None:
    server = DhcpServer("52:54:00:00:00:01", PLAIN.tap)
    lan = replace(PLAIN, vlans=(Vlan(33),), dhcp=False, guest_dhcp=True)
    text = nftables.firewall(lan, (), MAC, server=server, tagged={PLAIN.tap: (1, 33)}).text
    accepted = [line for line in text.splitlines() if "sport { 67, 4011 }" in line]
    assert len(accepted) == 1 and "vlan id 1 " in accepted[0] and f'iifname "{PLAIN.tap}"' in accepted[0]

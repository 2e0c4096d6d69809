"""What gets in a segment's way, from texts of other programs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

import pytest

from vdenet.model.report import Severity
from vdenet.model.segment import Mode, Segment, Vlan
from vdenet.text import conflicts

NAT = Segment("vdenet0", IPv4Interface("10.83.14.1/24"))
DUAL = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:1::1/64"))
ISOLATED = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), mode=Mode.ISOLATED)
LAN = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), vlans=(Vlan(33, None, IPv4Interface("10.33.0.1/24")), Vlan(44)))

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
wg0\t0000530A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
vdenet0\t000E530A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t400E530A\t00000000\t0001\t0\t0\t0\tC0FFFFFF\t0\t0\t0
bad line
"""


def test_routes() -> None:
    assert conflicts.routes(ROUTES) == [
        ("eth0", IPv4Network("192.168.1.0/24")), ("wg0", IPv4Network("10.83.0.0/16")),
        ("vdenet0", IPv4Network("10.83.14.0/24")), ("tun0", IPv4Network("10.83.14.64/26"))]
    assert conflicts.uplink(ROUTES) == "eth0"
    assert conflicts.uplink("") is None


def test_overlaps() -> None:
    others = [each for each in conflicts.routes(ROUTES) if each[0] != "vdenet0"]
    found = conflicts.overlaps(NAT, others, "10.77.5.1/24")
    assert [(each.code, each.severity.value) for each in found] == [("overlap", "error"), ("overlap", "warning")]
    assert "tun0" in found[0].message and "wg0" in found[1].message
    assert found[0].hint == "tarr-steps ip 10.77.5.1/24 --segment vdenet0"
    same = IPv4Network("10.83.14.0/24")
    found = conflicts.overlaps(LAN, [("wg0", IPv4Network("10.33.0.0/16"))], "10.77.5.1/24")
    assert [each.hint for each in found] == [
        "another address for VLAN 33, such as 10.77.5.1/24, in /etc/vdenet/vdenet0.toml"]
    assert len(conflicts.overlaps(NAT, [("route dev wg0 table 254", same), ("interface wg0", same)], "x")) == 1


def test_configured_overlaps_count_only_when_they_would_win() -> None:
    found = conflicts.overlaps_configured(NAT, {
        "/etc/wireguard/wg0.conf": [IPv4Network("10.0.0.0/8"), IPv4Network("10.83.14.0/25")],
        "/etc/netplan/x.yaml": [IPv4Network("10.83.15.0/24")]}, "10.77.5.1/24")
    assert [each.code for each in found] == ["overlap-configured"]
    assert "10.83.14.0/25" in found[0].message


def test_listeners() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    lines = ["   0: 00000000:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   113        0 1",
             "   1: 010E530A:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   114        0 2",
             "   2: 00000000:0035 00000000:0000 01 00000000:00000000 00:00000000 00000000   115        0 3",
             "   3: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4",
             f"   4: {'0' * 32}:0035 {'0' * 32}:0000 0A 00000000:00000000 00:00000000 00000000   116        0 5"]
    assert conflicts.listeners(head + "\n".join(lines), 53) == [113, 116]
    assert conflicts.listeners(head + "\n".join(lines), 53, IPv4Address("10.83.14.1")) == [114]
    assert conflicts.listeners(head + "\n".join(lines), 53, IPv4Address("0.0.0.22")) == []


def test_dns_wildcard() -> None:
    found = conflicts.dns_wildcard(NAT, ["dnsmasq"])
    assert (found.code, found.severity) == ("dns-wildcard", Severity.ERROR)
    assert found.hint is not None and "/etc/dnsmasq.d/vdenet0.conf" in found.hint
    assert "dnsmasq" not in (conflicts.dns_wildcard(NAT, ["bind"]).hint or "")


def test_dns_taken() -> None:
    found = conflicts.dns_taken(NAT, ["dnsmasq"])
    assert (found.code, found.severity) == ("dns-taken", Severity.ERROR)
    assert found.hint is not None and "vdenet0 'vdenet0.*' | sudo tee" in found.hint
    assert "dnsmasq" not in (conflicts.dns_taken(NAT, ["bind"]).hint or "")


@pytest.mark.parametrize("state, managed", [
    ("ADMIN_STATE=unmanaged\n", False), ("ADMIN_STATE=configured\n", True), ("ADMIN_STATE=configuring\n", True),
    ("ADMIN_STATE=pending\n", False), ("", False)])
def test_networkd(state: str, managed: bool) -> None:
    assert conflicts.networkd_manages("# private data\n" + state) is managed


@pytest.mark.parametrize("state, managed", [
    ("[device]\nmanaged=true\nconnection-uuid=x\n", True), ("[device]\nmanaged=false\n", False),
    ("[device]\nmanaged=true\nnm-owned=false\nconnection-uuid=x\n", False), ("", False)])
def test_networkmanager(state: str, managed: bool) -> None:
    assert conflicts.networkmanager_manages(state) is managed


def test_sysctls() -> None:
    assert conflicts.sysctls("# c\nnet.ipv4.ip_forward = 0\n-net/ipv6/conf/all/forwarding=1\n"
                             "net/ipv4/conf/eth0.1/x=2\nnet.ipv4.conf.eth0/1.x=2\n;net.a=1\nbad\n") == {
        "net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "1", "net/ipv4/conf/eth0.1/x": "2"}


def test_sysctl_findings() -> None:
    off, on = {"net/ipv4/ip_forward": "0"}, {"net/ipv4/ip_forward": "1"}
    found, = conflicts.sysctl_findings(NAT, {"/etc/sysctl.d/10-a.conf": on, "/etc/sysctl.d/90-b.conf": off})
    assert found.code == "sysctl-forwarding" and "/etc/sysctl.d/90-b.conf" in found.message
    assert conflicts.sysctl_findings(NAT, {"a": off, "b": on}) == []
    assert conflicts.sysctl_findings(ISOLATED, {"a": off}) == []
    six = {"net/ipv6/conf/all/forwarding": "0"}
    assert conflicts.sysctl_findings(NAT, {"a": six}) == []
    assert [each.code for each in conflicts.sysctl_findings(DUAL, {"a": six})] == ["sysctl-forwarding"]

"""Conflicts of a made-up host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from vdenet.model.names import segment_address
from vdenet.model.segment import Mode, Segment
from vdenet.probe import conflicts, resolvers

SEGMENT = Segment("vdenet0", IPv4Interface("10.83.14.1/24"))
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
QUIET = {
    "proc/net/route": HEAD + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
                             "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
                             "vdenet0\t000E530A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
    "proc/net/tcp": "  sl\n   0: 010E530A:0035 00000000:0000 0A 0:0 00:0 0   112        0 1\n",
    "etc/resolv.conf": "nameserver 127.0.0.53\n",
    "run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n",
    "sys/class/net/vdenet0/ifindex": "7\n",
    "run/systemd/netif/links/7": "ADMIN_STATE=unmanaged\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
}


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the made-up host: the segment's dnsmasq has the account 112."""
    monkeypatch.setattr(conflicts, "_account", lambda uid: "vdenet-dns" if uid == 112 else str(uid))


def host(root: Path, **changes: str) -> Path:
    for name, text in {**QUIET, **{name.replace("__", "/"): text for name, text in changes.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def codes(root: Path) -> list[str]:
    return [finding.code for finding in conflicts.conflicts(SEGMENT, root)]


def test_a_host_without_conflicts(tmp_path: Path) -> None:
    assert codes(host(tmp_path)) == []
    assert conflicts.uplink(tmp_path) == "eth0"
    assert not conflicts.bridged(tmp_path)


def test_a_host_of_which_nothing_is_known(tmp_path: Path) -> None:
    assert codes(tmp_path) == ["resolver-none"]


@pytest.mark.parametrize("name, text, code", [
    ("proc/net/route", HEAD + "tun0\t000E530A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", "overlap"),
    ("etc/wireguard/wg0.conf", "[Peer]\nAllowedIPs = 10.83.14.0/24\n", "overlap-configured"),
    ("proc/net/tcp", "  sl\n   0: 00000000:0035 00000000:0000 0A 0:0 00:0 0   4294967294        0 1\n",
     "dns-wildcard"),
    ("proc/net/tcp6", f"  sl\n   0: {'0' * 32}:0035 {'0' * 32}:0000 0A 0:0 00:0 0   0        0 1\n", "dns-wildcard"),
    ("proc/net/tcp", "  sl\n   0: 010E530A:0035 00000000:0000 0A 0:0 00:0 0   4294967294        0 1\n", "dns-taken"),
    ("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n", "br-netfilter"),
    ("proc/sys/net/bridge/bridge-nf-call-ip6tables", "1\n", "br-netfilter"),
    ("proc/net/ip_tables_names", "nat\nfilter\n", "iptables-legacy"),
    ("run/systemd/netif/links/7", "ADMIN_STATE=configured\n", "networkd-manages"),
    ("run/NetworkManager/devices/7", "[device]\nmanaged=true\nconnection-uuid=u\n", "networkmanager-manages"),
    ("etc/sysctl.d/99-x.conf", "net.ipv4.ip_forward=0\n", "sysctl-forwarding"),
    ("etc/sysctl.conf", "net.ipv4.ip_forward=0\n", "sysctl-forwarding"),
    ("etc/resolv.conf", "nameserver 192.0.2.1\n", "resolver-none"),
], ids=lambda value: value if "\n" not in value else "")
def test_each_conflict(tmp_path: Path, name: str, text: str, code: str) -> None:
    host(tmp_path)
    put(tmp_path, name, text)
    found = conflicts.conflicts(SEGMENT, tmp_path)
    assert [finding.code for finding in found] == [code]
    assert found[0].segment == "vdenet0" and found[0].message


def test_an_adopted_bridge_is_its_program_s_to_manage(tmp_path: Path) -> None:
    host(tmp_path)
    put(tmp_path, "run/systemd/netif/links/7", "ADMIN_STATE=configured\n")
    put(tmp_path, "sys/class/net/br0/ifindex", "7\n")
    assert "networkd-manages" in codes(tmp_path)
    adopted = replace(SEGMENT, name="lan", mode=Mode.BRIDGED, adopt="br0", address=None)
    assert "networkd-manages" not in [finding.code for finding in conflicts.conflicts(adopted, tmp_path)]


def test_only_the_filter_table_of_iptables_matters(tmp_path: Path) -> None:
    put(host(tmp_path), "proc/net/ip_tables_names", "nat\n")
    assert codes(tmp_path) == []


def test_the_network_of_the_hint_is_free(tmp_path: Path) -> None:
    host(tmp_path, proc__net__route=HEAD + "tun0\t000E530A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
                                           "tun0\t0000400A\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0\n")
    found = conflicts.conflicts(SEGMENT, tmp_path)[0]
    assert found.hint is not None
    proposed = segment_address(found.hint.split()[2])
    assert not proposed.network.overlaps(IPv4Network("10.64.0.0/12"))


def test_networks_that_the_caller_knows_of(tmp_path: Path) -> None:
    used = [("route dev tailscale0 table 52", IPv4Network("10.83.14.128/25"))]
    found, = conflicts.conflicts(SEGMENT, host(tmp_path), used)
    assert found.code == "overlap" and "tailscale0" in found.message


def test_a_later_file_of_the_same_name_wins(tmp_path: Path) -> None:
    host(tmp_path)
    put(tmp_path, "usr/lib/sysctl.d/50-x.conf", "net.ipv4.ip_forward=0\n")
    put(tmp_path, "etc/sysctl.d/50-x.conf", "net.ipv4.ip_forward=1\n")
    assert codes(tmp_path) == []


def test_resolver(tmp_path: Path) -> None:
    assert conflicts.resolver(host(tmp_path)) == resolvers.RESOLVED
    put(tmp_path, "etc/resolv.conf", "nameserver 9.9.9.9\n")
    assert conflicts.resolver(tmp_path) == resolvers.NONE

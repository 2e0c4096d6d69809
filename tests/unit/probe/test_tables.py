"""The small readers: kernel settings, leases, routes."""

from __future__ import annotations

import os
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from vdenet.probe import leases, regular, routes, sysctls
from vdenet.text.dnsmasq import Lease


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (("all", "0"), ("default", "1"), ("lo", "1"), ("eth0", "1"), ("wlan0", "1"), ("eth1", "2")):
        path = tmp_path / "net/ipv6/conf" / name
        path.mkdir(parents=True)
        (path / "accept_ra").write_text(f"{value}\n")
    monkeypatch.setattr(sysctls, "PROC_SYS", tmp_path)
    return tmp_path


def test_settings(settings: Path) -> None:
    assert sysctls.read("net/ipv6/conf/eth1/accept_ra") == "2"
    assert sysctls.read("net/ipv6/conf/eth9/accept_ra") is None
    assert sysctls.read("net/ipv6/conf/eth1") is None
    keys = ("net/ipv6/conf/eth0/accept_ra", "net/ipv4/ip_forward")
    assert sysctls.read_all(keys) == {"net/ipv6/conf/eth0/accept_ra": "1"}
    assert sysctls.interfaces_with("ipv6", "accept_ra", "1") == ("eth0", "wlan0")
    assert sysctls.interfaces_with("ipv4", "forwarding", "1") == ()


def test_leases(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    assert leases.read(path) == []
    path.write_bytes(b"\xff\xfe\n0 52:54:00:00:00:01 10.83.14.23 web *\n")
    assert leases.read(path) == [Lease(0, "52:54:00:00:00:01", "10.83.14.23", "web")]
    assert leases.read(tmp_path) == []


def test_what_dnsmasq_never_writes_is_no_lease_file(tmp_path: Path) -> None:
    """A dnsmasq that somebody took over: nothing in its directory holds the daemon up, or is read for it."""
    secret, fifo, link = (tmp_path / name for name in ("secret", "fifo", "link"))
    secret.write_text("0 52:54:00:00:00:01 10.83.14.23 web *\n")
    os.mkfifo(fifo)
    link.symlink_to(secret)
    before = len(os.listdir("/proc/self/fd"))
    assert [leases.read(path) for path in (fifo, link, tmp_path, Path("/dev/zero"))] == [[], [], [], []]
    assert len(os.listdir("/proc/self/fd")) == before
    assert regular.text(link, 4) == "0 52"


def test_the_first_overlap() -> None:
    used = {"route dev wg0 table 254": [IPv4Network("10.0.0.0/8")], "interface eth0": [IPv4Network("192.168.1.0/24")]}
    assert routes.first_overlap(IPv4Network("10.83.14.0/24"), used) == "10.0.0.0/8 (route dev wg0 table 254)"
    assert routes.first_overlap(IPv4Network("192.168.0.0/16"), used) == "192.168.1.0/24 (interface eth0)"
    assert routes.first_overlap(IPv4Network("172.16.0.0/24"), used) is None


# /proc/net/ipv6_route: destination, its length, source, its length, next hop, metric, two counters, flags, interface
ZERO = "0" * 32
ROUTES = "\n".join(f"{destination} {length} {ZERO} 00 fe80{'0' * 27}1 00000400 00000001 00000000 {flags} {name:>8}"
                   for destination, length, flags, name in (
                       (ZERO, "00", "00450003", "eth0"), (ZERO, "00", "00000003", "byhand"),
                       (f"fd5e{'0' * 28}", "40", "00040001", "wlan0"), (ZERO, "00", "00200200", "lo")))


def test_default_routes_that_were_advertised(tmp_path: Path) -> None:
    path = tmp_path / "ipv6_route"
    assert routes.advertised(path) == set()
    path.write_text(f"{ROUTES}\nnonsense\n")
    assert routes.advertised(path) == {"eth0"}

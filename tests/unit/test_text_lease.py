"""What udhcpc tells its script, and what a guest makes of it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.errors import BadValue
from vdenet.text.lease import Lease, commands, event, lease, resolv_conf

BOUND = {"interface": "eth0", "ip": "10.83.14.23", "subnet": "255.255.255.0", "mask": "24", "router": "10.83.14.1",
         "dns": "10.83.14.1 9.9.9.9", "domain": "vdenet.internal", "lease": "3600", "serverid": "10.83.14.1"}


def test_lease() -> None:
    assert lease(BOUND) == Lease(
        IPv4Interface("10.83.14.23/24"), 3600, IPv4Address("10.83.14.1"),
        (IPv4Address("10.83.14.1"), IPv4Address("9.9.9.9")), ("vdenet.internal",))


def test_lease_of_an_isolated_segment() -> None:
    bare = lease({"ip": "10.0.0.2", "subnet": "255.255.255.252"})
    assert bare == Lease(IPv4Interface("10.0.0.2/30"))
    assert resolv_conf(bare) == ""
    assert commands(bare, "eth0") == [["address", "replace", "10.0.0.2/30", "broadcast", "+", "dev", "eth0",
                                       "valid_lft", "forever", "preferred_lft", "forever"]]


def test_lease_with_ways_to_other_segments() -> None:
    ways = "10.9.8.0/24 10.83.14.1 10.9.9.0/24 10.83.14.1 10.7.0.0/16 10.1.1.1 nonsense"
    given_lease = lease({**BOUND, "staticroutes": ways})
    assert commands(given_lease, "eth0")[1:] == [
        ["route", "replace", network, "via", "10.83.14.1", "dev", "eth0"] for network in ("10.9.8.0/24", "10.9.9.0/24")]


def test_commands() -> None:
    assert commands(lease(BOUND), "eth0")[1] == ["route", "replace", "default", "via", "10.83.14.1", "dev", "eth0"]
    assert "3600" in commands(lease(BOUND), "eth0")[0]


def test_resolv_conf() -> None:
    assert resolv_conf(lease({**BOUND, "search": "a.example b.example"})) == (
        "search a.example b.example\nnameserver 10.83.14.1\nnameserver 9.9.9.9\n")


@pytest.mark.parametrize("wrong", [{}, {"ip": "x"}, {"ip": "10.0.0.2", "subnet": "x"}, {"ip": "fd00::1"}])
def test_no_lease(wrong: dict[str, str]) -> None:
    with pytest.raises(BadValue):
        lease(wrong)


@given(st.dictionaries(st.sampled_from(["router", "dns", "domain", "search", "lease", "mtu", "staticroutes"]), st.text()))
def test_a_hostile_server_writes_no_lines(said: dict[str, str]) -> None:
    given_lease = lease({"ip": "10.0.0.2", **said})
    for line in resolv_conf(given_lease).splitlines():
        assert line.split()[0] in ("search", "nameserver")
    for words in commands(given_lease, "eth0"):
        assert all(word.isprintable() and word and not word.startswith("-") for word in words)


def test_event() -> None:
    assert event(b"event=bound\0ip=10.0.0.2\0dns=a=b") == ("bound", {"ip": "10.0.0.2", "dns": "a=b"})
    assert event(b"") == ("", {})

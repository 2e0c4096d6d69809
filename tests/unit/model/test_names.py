"""What passes the edge, and what does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.samples import NOT_WORDS, labels
from vdenet.errors import BadValue
from vdenet.model import names
from vdenet.model.segment import default_pool

Check = Callable[[str], object]

ACCEPTED: list[tuple[Check, str, object]] = [
    (names.segment_name, "vdenet0", "vdenet0"),
    (names.segment_name, "a", "a"),
    (names.segment_name, "lab12345678", "lab12345678"),
    (names.guest_name, "web", "web"),
    (names.guest_name, "WEB-01", "web-01"),
    (names.guest_name, "1st", "1st"),
    (names.guest_name, "a" * 63, "a" * 63),
    (names.guest_name, "xn--fa-hia", "xn--fa-hia"),
    (names.domain_name, "vdenet.internal", "vdenet.internal"),
    (names.domain_name, "LAB.Example.ORG.", "lab.example.org"),
    (names.domain_name, "lan", "lan"),
    (names.mac_address, "52:54:00:12:34:56", "52:54:00:12:34:56"),
    (names.mac_address, "52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"),
    (names.segment_address, "10.83.14.1/24", IPv4Interface("10.83.14.1/24")),
    (names.segment_address, "192.168.255.254/16", IPv4Interface("192.168.255.254/16")),
    (names.segment_address, "172.16.0.2/30", IPv4Interface("172.16.0.2/30")),
    (names.segment_address, "100.64.7.9/20", IPv4Interface("100.64.7.9/20")),
    (names.segment_address6, "fd5e:1::1/64", IPv6Interface("fd5e:1::1/64")),
    (names.segment_address6, "FD00:0:0:0:0:0:0:5/64", IPv6Interface("fd00::5/64")),
]

REJECTED: list[tuple[Check, tuple[str, ...]]] = [
    (names.segment_name, ("lab123456789", "0lab", "Lab", "lab-1", "lo", "all", "default", "control", "dns", "state",
                          *NOT_WORDS)),
    # The last row: dnsmasq takes these for a lease time or an order, where a name stands in its hosts file.
    (names.guest_name, ("a" * 64, "a.b", "localhost", "LocalHost", "wpad", "isatap", "gateway", "host", "ns",
                        "infinite", "ignore", "Ignore", "3600", "45m", "2H", "7d", "1w", "0", *NOT_WORDS)),
    (names.domain_name, (".internal", "a..b", "a." * 100 + "a", "-a.b", "a-.b", "a" * 64 + ".b",
                         *(word for word in NOT_WORDS))),
    (names.mac_address, ("52:54:00:12:34", "52:54:00:12:34:56:78", "5254.0012.3456", "52:54:00:12:34:5g",
                         "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "*:*:*:*:*:*", *NOT_WORDS)),
    (names.segment_address, ("10.83.14.1", "10.83.14.0/24", "10.83.14.255/24", "10.83.14.1/31", "10.83.14.1/15",
                             "10.83.14.1/255.255.255.0", "8.8.8.8/24", "127.0.0.1/24", "169.254.1.1/16",
                             "172.32.0.1/24", "100.128.0.1/24", "fd5e:1::1/64", "10.83.14.1/24/24", "10.83.14.1/",
                             "/24", "10.83.14.256/24", "10.83.14.1/24\n", " 10.83.14.1/24", "10.83.14.01/24",
                             "10.83.14.1/２４", "10.83.14.1%eth0/24", *NOT_WORDS)),
    (names.segment_address6, ("fd5e:1::1", "fd5e:1::/64", "fd5e:1::1/63", "fd5e:1::1/65", "2001:db8::1/64",
                              "fc00::1/64", "fe80::1/64", "::1/64", "10.83.14.1/24", "fd5e:1::1%eth0/64",
                              "fd5e:1::1%x\nserver=6.6.6.6/64", "fd5e:1::1/64\n", *NOT_WORDS)),
]


@pytest.mark.parametrize(("check", "text", "result"), ACCEPTED, ids=lambda value: str(value)[:40])
def test_accepted(check: Check, text: str, result: object) -> None:
    assert check(text) == result
    assert check(str(result)) == result, "the canonical spelling is accepted too"


@pytest.mark.parametrize(("check", "text"), [(check, text) for check, texts in REJECTED for text in texts],
                         ids=lambda value: getattr(value, "__name__", ascii(value)[:40]))
def test_rejected_with_a_reason(check: Check, text: str) -> None:
    with pytest.raises(BadValue) as caught:
        check(text)
    assert str(caught.value).isprintable() and caught.value.data["why"]


near_misses = st.text() | st.text("abz019-_.:/ \n,é\0AZ%", max_size=70) | st.from_regex(r"[a-z0-9:./-]{1,20}")


@given(near_misses)
def test_a_segment_name_that_passes_fits_into_every_interface_name(text: str) -> None:
    try:
        name = names.segment_name(text)
    except BadValue:
        return
    assert re.fullmatch(r"[a-z][a-z0-9]*", name, re.ASCII)
    assert len(f"{name}-vde") <= names.IFNAMSIZ


@given(near_misses)
def test_what_passes_is_a_plain_word(text: str) -> None:
    for check in (names.guest_name, names.domain_name, names.mac_address, names.segment_address,
                  names.segment_address6):
        try:
            result = str(check(text))
        except BadValue:
            continue
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.:/-]*[a-z0-9])?", result, re.ASCII) and len(result) <= 190


# --- names that are made up -------------------------------------------------------------------------

segment_names = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True).filter(
    lambda text: text not in names.RESERVED_SEGMENTS)


@given(segment_names, st.lists(labels | st.just("a" * 63), min_size=1, max_size=40))
def test_port_names_fit_and_never_repeat(segment: str, guests: list[str]) -> None:
    taken: set[str] = set()
    for guest in guests:
        name = names.port_name(segment, guest, frozenset(taken))
        assert name not in taken
        assert name.startswith(names.port_prefix(segment)) and len(name) <= names.IFNAMSIZ
        assert re.fullmatch(r"[a-z0-9-]*[a-z0-9]", name, re.ASCII)
        # systemd-networkd takes these for its own containers and machines.
        assert not name.startswith(("vt-", "ve-", "vb-", "vz-"))
        taken.add(name)


def test_port_names_are_readable_where_they_can_be() -> None:
    assert names.port_name("vdenet0", "web") == "vd0-web"
    assert names.port_name("vdenet0", "web", frozenset({"vd0-web"})) == "vd0-web-2"
    assert names.port_name("vdenet0", "a-very-long-name") == "vd0-a-very-long"
    assert names.port_name("vdenet0", "a-very-long-name", frozenset({"vd0-a-very-long"})) == "vd0-a-very-lo-2"
    assert names.port_prefix("vdenet12") == "vd12-"


def test_segments_whose_ports_may_have_the_same_names() -> None:
    assert names.port_name("lab", "web") == names.port_name("xaa81j1", "web") == "vda511-web", "upgrades keep them"
    for one, other in (("lab", "xaa81j1"), ("vdenet0", "vd0"), ("lab", "vda511"), ("vd0", "vdenet0")):
        assert names.same_ports(one, other)
    for one, other in (("lab", "lab2"), ("vdenet0", "vdenet1"), ("vdenet0", "vd1"), ("lab", "vda51"), ("vd0", "vd1")):
        assert not names.same_ports(one, other)


def test_segments_share_no_prefix_by_their_spelling() -> None:
    some = ("vdenet0", "vdenet00", "vdenet1", "vdenet10", "vdenet1000", "vdenet", "vd", "lab", "lab0", "lab1", "lab10")
    prefixes = {names.port_prefix(segment) for segment in some}
    assert len(prefixes) == len(some) and all(len(prefix) <= 7 for prefix in prefixes)


@given(st.lists(st.text(), min_size=1))
def test_macs_that_are_made_up_are_unicast_and_stay_the_same(parts: list[str]) -> None:
    parts = [part.encode(errors="replace").decode() for part in parts]
    mac = names.derived_mac(*parts)
    assert names.mac_address(mac) == mac == names.derived_mac(*parts)
    bridge = names.bridge_mac(parts[0], "vdenet0")
    tap = names.tap_mac(parts[0])
    for mac in (bridge, tap):
        assert names.mac_address(mac) == mac and int(mac[:2], 16) & 2, "locally administered"


@given(st.integers(16, 30), st.data())
def test_the_default_pool_is_in_the_network_and_not_the_host(length: int, data: st.DataObject) -> None:
    network = IPv4Interface(f"10.0.0.0/{length}").network
    offset = data.draw(st.integers(1, network.num_addresses - 2))
    address = IPv4Interface((int(network.network_address) + offset, length))
    first, last = default_pool(address)
    assert network.network_address < first <= last < network.broadcast_address
    assert not first <= address.ip <= last

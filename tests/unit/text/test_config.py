"""The configuration file: what each key means, where each mistake is shown, and how the program edits it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.samples import NOT_WORDS, addresses, segments
from vdenet.errors import BadConfig, BadValue, Refused, VdenetError
from vdenet.model.netboot import Netboot
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import Host, Mode, OpenPort, Port, Segment, Vlan
from vdenet.text import config

FULL = """\
# The lab's segment.
address = "10.83.14.1/24"   # the host
address6 = "fd5e:1::1/64"
mode = "routed"
domain = "Lab.Example."
guard = false
open = ["tcp/22", "udp/514"]
owner = "alice"
[dhcp]
enabled = true
range = ["10.83.14.100", "10.83.14.199"] # the office has the rest
lease = "2h"

[switch]
ports = 128

[[host]]
mac = "52-54-00-12-34-56"
name = "Web"                # the shop
address = "10.83.14.10"

[[host]]
mac = "52:54:00:12:34:57"
address = "10.83.14.11"
"""
SEGMENT = Segment(
    "lab", IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:1::1/64"), Mode.ROUTED, "lab.example", 7200, True,
    (IPv4Address("10.83.14.100"), IPv4Address("10.83.14.199")),
    (Host("52:54:00:12:34:56", "web", IPv4Address("10.83.14.10")),
     Host("52:54:00:12:34:57", None, IPv4Address("10.83.14.11"))),
    (OpenPort("tcp", 22), OpenPort("udp", 514)), False, 128, "alice")
MINIMAL = 'address = "10.83.14.1/24"\n'


def parse(text: str) -> Segment:
    return config.parse(text, "lab", "lab.toml")


def test_every_key() -> None:
    assert parse(FULL) == SEGMENT


def test_the_least_that_will_do() -> None:
    assert parse(MINIMAL) == Segment("lab", IPv4Interface("10.83.14.1/24"), domain="lab.internal")
    assert config.parse(MINIMAL, "vdenet0", "vdenet0.toml").domain == "vdenet.internal"


def test_other_ways_to_write_the_same() -> None:
    assert parse('address = "10.83.14.1/24"\ndhcp.lease = 7200\r\ndhcp.enabled = false') == Segment(
        "lab", IPv4Interface("10.83.14.1/24"), domain="lab.internal", lease_seconds=7200, dhcp=False)
    assert parse(MINIMAL + 'host = [{mac = "52:54:00:12:34:56", name = "web"}]').hosts == (
        Host("52:54:00:12:34:56", "web"),)


def test_the_limits_are_inside() -> None:
    assert [parse(f"{MINIMAL}switch.ports = {number}").switch_ports for number in (2, 1024)] == [2, 1024]
    assert parse(MINIMAL + 'open = ["tcp/1", "udp/65535"]').open_ports == (OpenPort("tcp", 1), OpenPort("udp", 65535))


@pytest.mark.parametrize(("text", "seconds"), (
    ("120", 120), ('"2m"', 120), ('"120s"', 120), ('"90m"', 5400), ('"1h"', 3600), ('"7d"', 604800), ("604800", 604800)))
def test_the_time_of_a_lease(text: str, seconds: int) -> None:
    assert parse(f"{MINIMAL}[dhcp]\nlease = {text}").lease_seconds == seconds


def test_a_bad_name_of_the_segment_itself() -> None:
    with pytest.raises(BadValue):
        config.parse(MINIMAL, "../lab", "lab.toml")


# Each mistake as one replacement in the full file, and the line (and column) where it has to be shown.
MISTAKES = [
    # syntax
    ('"10.83.14.1/24"', '"10.83.14.1/24', "2:38"),
    ("guard = false", "guard = no", "6:9"),
    ("[switch]", "[switch", "14:8"),
    ("ports = 128", "ports = 128 128", "15:13"),
    ('domain = "Lab.Example."', 'mode = "nat"', "5:13"),
    # keys that are not there
    ("guard = false", "guards = false", "6"),
    ("enabled = true", "enable = true", "10"),
    ("ports = 128", "port = 128", "15"),
    ('name = "Web"', 'hostname = "web"', "19"),
    ("[switch]", "[swich]", "14"),
    ('mac = "52:54:00:12:34:57"\n', 'mac = "52:54:00:12:34:57"\nenabled = true\n', "24"),
    # address
    ('address = "10.83.14.1/24"   # the host\n', "", ""),
    ('"10.83.14.1/24"', '"10.83.14.1"', "2"),
    ('"10.83.14.1/24"', "10", "2"),
    ('"fd5e:1::1/64"', '"fd5e:1::1"', "3"),
    ('"fd5e:1::1/64"', "true", "3"),
    # words
    ('"routed"', '"bridged"', "4"),
    ('"routed"', '""', "4"),
    ('"routed"', "1", "4"),
    ('"Lab.Example."', '"lab..example"', "5"),
    ('"Lab.Example."', '""', "5"),
    ("guard = false", "guard = 0", "6"),
    ('"udp/514"]', '"udp/514", "icmp/1"]', "7"),
    ('"udp/514"]', '"udp/65536"]', "7"),
    ('"udp/514"]', '"udp/0"]', "7"),
    ('"udp/514"]', "514]", "7"),
    ('["tcp/22", "udp/514"]', '"tcp/22"', "7"),
    ('"alice"', '"alice bob"', "8"),
    ('"alice"', '""', "8"),
    ('"alice"', "1000", "8"),
    ('owner = "alice"', 'reach = "lab2"', "8"),
    ('owner = "alice"', 'reach = ["lab"]', "8"),
    ('owner = "alice"', 'reach = ["lab2", "lab2"]', "8"),
    ('owner = "alice"', 'reach = ["../x"]', "8"),
    # dhcp
    ("[dhcp]", "[[dhcp]]", "9"),
    ("enabled = true", 'enabled = "yes"', "10"),
    ('["10.83.14.100", "10.83.14.199"]', '"10.83.14.100-10.83.14.199"', "11"),
    ('["10.83.14.100", "10.83.14.199"]', '["10.83.14.100"]', "11"),
    ('["10.83.14.100", "10.83.14.199"]', '["10.83.14.100", "10.83.14"]', "11"),
    ('["10.83.14.100", "10.83.14.199"]', '["10.83.14.199", "10.83.14.100"]', "11"),
    ('["10.83.14.100", "10.83.14.199"]', '["10.83.15.100", "10.83.15.199"]', "11"),
    ('["10.83.14.100", "10.83.14.199"]', '["10.83.14.100", "10.83.14.255"]', "11"),
    ('["10.83.14.100", "10.83.14.199"]', '["10.83.14.1", "10.83.14.199"]', "11"),
    ('"10.83.14.1/24"', '"10.83.14.199/24"', "11"),
    ('"2h"', '"2 hours"', "12"),
    ('"2h"', "119", "12"),
    ('"2h"', "604801", "12"),
    ('"2h"', '"0d"', "12"),
    ('"2h"', '"8d"', "12"),
    ('"2h"', "true", "12"),
    ('"2h"', "-1", "12"),
    ('"2h"', "3600.5", "12"),
    # switch
    ("ports = 128", "ports = 1", "15"),
    ("ports = 128", "ports = 1025", "15"),
    ("ports = 128", "ports = true", "15"),
    ("ports = 128", 'ports = "128"', "15"),
    # hosts
    ("[[host]]\nmac", "[host]\nmac", "22:7"),
    ('mac = "52:54:00:12:34:57"', 'mac = "52:54:00:12:34:57"\n[[host.more]]', "22"),
    ('mac = "52-54-00-12-34-56"', 'mac = "52-54-00-12-34"', "18"),
    ('mac = "52:54:00:12:34:57"\n', "", "22"),
    ('mac = "52:54:00:12:34:57"', 'mac = "01:54:00:12:34:57"', "23"),
    ('mac = "52:54:00:12:34:57"', 'mac = "52:54:00:12:34:56"', "23"),
    ('mac = "52:54:00:12:34:57"', 'mac = "52:54:00:12:34:57"\nname = "WEB"', "23"),
    ('mac = "52:54:00:12:34:57"', 'mac = "52:54:00:12:34:57"\nname = "gateway"', "24"),
    ('name = "Web"', 'name = "infinite"', "19"),
    ('"10.83.14.10"', '"10.83.14.1"', "20"),
    ('"10.83.14.11"', '"10.83.14.10"', "23"),
    ('"10.83.14.11"', '"10.83.15.11"', "24"),
    ('"10.83.14.11"', '"10.83.14.255"', "24"),
    ('"10.83.14.11"', '"10.83.14.11/24"', "24"),
]


@pytest.mark.parametrize(("old", "new", "place"), MISTAKES, ids=lambda value: ascii(value)[:30])
def test_each_mistake_is_shown_where_it_is(old: str, new: str, place: str) -> None:
    assert FULL.count(old) >= 1
    with pytest.raises(BadConfig) as caught:
        parse(FULL.replace(old, new, 1))
    at = place if ":" in place or not place else f"{place}:1"  # keys begin their lines here
    assert caught.value.data["where"] == f"lab.toml:{at}".rstrip(":")
    assert str(caught.value).startswith("cannot read lab.toml") and str(caught.value).isprintable()


def test_the_column_of_a_key_that_is_indented() -> None:
    with pytest.raises(BadConfig) as caught:
        parse(f'{MINIMAL}\n  [[ host ]]\n    mac = "52:54"\n')
    assert caught.value.data["where"] == "lab.toml:4:5"


@pytest.mark.parametrize(("text", "place"), (
    ('mode = "bridged"\n', "1:1"),
    ('mode = "bridged"\nuplink = "eth0"\nadopt = "br0"\n', "3:1"),
    ('mode = "bridged"\nuplink = "eth0"\naddress = "10.83.14.1/24"\n', "3:1"),
    ('mode = "bridged"\nuplink = "eth0"\n[dhcp]\nenabled = false\n', "3:1"),
    ('mode = "bridged"\nuplink = "eth0"\nreach = ["lab2"]\n', "3:1"),
    ('mode = "bridged"\nuplink = "eth 0"\n', "2:1"),
    ('mode = "bridged"\nuplink = "lo"\n', "2:1"),
    ('mode = "bridged"\nuplink = "interface-too-long"\n', "2:1"),
    ('mode = "bridged"\nadopt = 3\n', "2:1"),
    (f'{MINIMAL}uplink = "eth0"\n', "2:1"),
    (f'{MINIMAL}host_access = false\n', "2:1"),
))
def test_mistakes_of_modes(text: str, place: str) -> None:
    with pytest.raises(BadConfig) as caught:
        parse(text)
    assert caught.value.data["where"] == f"lab.toml:{place}"


@pytest.mark.parametrize("key", ("uplink", "adopt", "openvswitch"))
def test_a_bridged_segment(key: str) -> None:
    segment = parse(f'mode = "bridged"\n{key} = "br-lan"\n')
    assert segment == replace(Segment("lab", None, mode=Mode.BRIDGED, domain="lab.internal"), **{key: "br-lan"})
    assert segment.bridge == ("br-lan" if key == "adopt" else "lab")


@pytest.mark.parametrize("value", ("3", '["web"]', '"web"', '{mac = "52:54:00:12:34:56"}'))
def test_hosts_that_are_no_tables(value: str) -> None:
    with pytest.raises(BadConfig, match="host: expected tables") as caught:
        parse(f"{MINIMAL}host = {value}")
    assert caught.value.data["where"] == "lab.toml:2:1"


def test_an_unfinished_file_ends_at_its_end() -> None:
    with pytest.raises(BadConfig) as caught:
        parse(MINIMAL + "open = [")
    assert caught.value.data["where"] == "lab.toml:end"


@pytest.mark.parametrize("word", NOT_WORDS, ids=ascii)
@pytest.mark.parametrize("key", ("address", "address6", "mode", "domain", "open", "host.mac", "host.name",
                                 "host.address", "dhcp.lease"))
def test_nothing_but_words_comes_out_of_a_file(key: str, word: str) -> None:
    quoted = '"' + "".join(f"\\U{ord(c):08X}" for c in word) + '"'
    text = {"address": f"address = {quoted}", "open": f"{MINIMAL}open = [{quoted}]",
            "host.mac": f"{MINIMAL}[[host]]\nmac = {quoted}",
            "dhcp.lease": f"{MINIMAL}[dhcp]\nlease = {quoted}"}.get(key, f"{MINIMAL}{key} = {quoted}")
    if key.startswith("host.") and key != "host.mac":
        text = f'{MINIMAL}[[host]]\nmac = "52:54:00:12:34:56"\n{key[5:]} = {quoted}'
    with pytest.raises(BadConfig):
        parse(text)


# --- arbitrary text ---------------------------------------------------------------------------------

PIECES = st.sampled_from(sorted({
    *FULL.split(), *"[]{}=.,#'\"\n", '"""', "[[host]]", "=", "1e999", "nan", "0x10", "1979-05-27T07:32:00Z", "{}",
    "[{}]", '{mac="52:54:00:12:34:56"}', "\r\n", "\0", "é"}))


@given(st.text() | st.lists(PIECES).map(" ".join) | st.lists(PIECES).map("".join))
def test_arbitrary_text_is_a_segment_or_a_mistake(text: str) -> None:
    try:
        parse(MINIMAL + text)
    except VdenetError as error:
        assert isinstance(error, BadConfig) and str(error).isprintable()


@settings(max_examples=400)
@given(st.data())
def test_a_file_with_pieces_cut_moved_and_put_in(data: st.DataObject) -> None:
    text = FULL
    for _change in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 20))
        text = text[:at] + data.draw(PIECES | st.text(max_size=3)) + text[at + length:]
    try:
        parse(text)
    except VdenetError as error:
        assert isinstance(error, BadConfig)


HURTS = ("a = " + "[" * 100_000, "a = " + "{a=" * 100_000, "a = " + "1" * 10_000,
         "a." * 3_000 + "a = 1", "[" * 100_000, "a = 1979-99-99", "#" * 1_000_000, " " * 200_000, "a" + " " * 200_000)


@pytest.mark.parametrize("text", HURTS, ids=range(len(HURTS)))
def test_a_file_made_to_hurt(text: str) -> None:
    with pytest.raises(BadConfig):
        parse(text)


# --- the program's own edits -------------------------------------------------------------------------

def test_the_initial_file() -> None:
    text = config.initial(IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:1::1/64"))
    assert parse(text) == Segment("lab", IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:1::1/64"))
    assert text.startswith("#") and set(tomllib.loads(text)) == {"address", "address6", "mode", "domain"}


def test_a_new_address_changes_addresses_and_nothing_else() -> None:
    after = config.with_address(FULL, parse(FULL), IPv4Interface("192.168.7.9/24"))
    assert after == FULL.replace('"10.83.14.1/24"', '"192.168.7.9/24"').replace("10.83.14.", "192.168.7.")
    assert parse(after) == replace(
        SEGMENT, address=IPv4Interface("192.168.7.9/24"),
        dhcp_range=(IPv4Address("192.168.7.100"), IPv4Address("192.168.7.199")),
        hosts=(replace(SEGMENT.hosts[0], address=IPv4Address("192.168.7.10")),
               replace(SEGMENT.hosts[1], address=IPv4Address("192.168.7.11"))))


@pytest.mark.parametrize("address", (
    "192.168.7.1/25",    # the end of the range has no place
    "192.168.7.1/29",    # nor have the hosts
    "192.168.7.10/24",   # a host's
    "192.168.7.150/24",  # in the range
    "192.168.7.100/24",
    "192.168.7.199/24",
))
def test_a_new_address_is_refused_where_something_has_no_place(address: str) -> None:
    with pytest.raises(Refused, match=address):
        config.with_address(FULL, parse(FULL), IPv4Interface(address))


@pytest.mark.parametrize(("host", "place"), ((2, True), (126, True), (127, False), (128, False), (254, False)))
def test_a_host_moves_into_a_smaller_network_where_it_fits(host: int, place: bool) -> None:
    text = f'{MINIMAL}[[host]]\nmac = "52:54:00:12:34:56"\naddress = "10.83.14.{host}"\n'
    if place:
        after = config.with_address(text, parse(text), IPv4Interface("192.168.7.1/25"))
        assert parse(after).hosts[0].address == IPv4Address(f"192.168.7.{host}")
    else:
        with pytest.raises(Refused, match=f"10.83.14.{host} has no place in 192.168.7.0/25"):
            config.with_address(text, parse(text), IPv4Interface("192.168.7.1/25"))


def said(key: str, value: object) -> str:
    return f"{key} = {value}" if isinstance(value, list) else f'{key} = "{value}"'


def as_file(segment: Segment, style: int) -> str:
    """The segment as somebody would write it, in one of several ways."""
    lines = ["# top", f'address="{segment.address}" # this', f'domain = "{segment.domain}"', ""]
    if segment.dhcp_range is not None:
        first, last = segment.dhcp_range
        lines += [f'dhcp.range = ["{first}", "{last}"]' if style & 1 else
                  f"[dhcp] # here\nrange = [\n  '{first}', # first\n  '{last}',\n]"]
    hosts = [{"mac": host.mac, "name": host.name, "address": host.address, "aliases": list(host.aliases)}
             for host in segment.hosts]
    if style & 2 and style & 1 and hosts:
        inner = ",\n".join("  {" + ", ".join(said(k, v) for k, v in host.items() if v) + "}" for host in hosts)
        lines += [f"host = [\n{inner}\n]"]
    else:
        for host in hosts:
            lines += ["", "[[host]] # a host", *(f"{said(k, v)}  # its {k}" for k, v in host.items() if v)]
    return ("\r\n" if style & 4 else "\n").join("\n".join(lines).split("\n"))


@given(segments(), addresses(), st.integers(0, 7))
def test_any_file_with_any_address(segment: Segment, address: IPv4Interface, style: int) -> None:
    segment = replace(segment, hosts=tuple(replace(host, dhcp_server=False, vlan=None, trunk=())
                                           for host in segment.hosts))
    text = as_file(segment, style)
    before = config.parse(text, segment.name, "lab.toml")
    assert (before.address, before.dhcp_range, before.hosts) == (segment.address, segment.dhcp_range, segment.hosts)
    try:
        after = config.with_address(text, before, address)
    except Refused:
        return
    moved = config.parse(after, segment.name, "lab.toml")
    assert moved.address == address and moved.domain == segment.domain
    assert [(host.mac, host.name) for host in moved.hosts] == [(host.mac, host.name) for host in segment.hosts]
    assert after.count("#") == text.count("#"), "every comment is there"
    assert config.with_address(after, moved, address) == after


# --- hosts and records -----------------------------------------------------------------------------------

def test_a_host_by_name() -> None:
    text = f'{MINIMAL}[[host]]\nname = "Db"\naddress = "10.83.14.11"\naliases = ["SQL", "store"]\n'
    assert parse(text).hosts == (Host(None, "db", IPv4Address("10.83.14.11"), ("sql", "store")),)


@pytest.mark.parametrize(("text", "place", "why"), (
    ('address = "10.83.14.11"', "2:1", "needs a mac or a name"),
    ('mac = "52:54:00:12:34:56"\naliases = ["www"]', "4:1", "a name or an address to stand for"),
    ('name = "web"\naliases = "www"', "4:1", "a list of names"),
    ('name = "web"\naliases = [7]', "4:1", "a list of names"),
    ('name = "web"\naliases = ["wpad"]', "4:1", "reserved"),
    ('name = "web"\naliases = ["a.b"]', "4:1", "no hyphen"),
    ('name = "web"\naliases = ["Web"]', "4:1", "is its name"),
    ('name = "web"\naliases = ["lab"]', "4:1", "the host's own"),
    ('name = "web"\naliases = ["www", "www"]', "4:1", "twice"),
    ('name = "web"\n[[host]]\nname = "db"\naliases = ["web"]', "5:1", "another host already"),
    ('name = "web"\naddress = "10.83.14.11"\n[[host]]\nname = "db"\naddress = "10.83.14.11"', "6:1", "another host"),
))
def test_what_a_host_cannot_have(text: str, place: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        parse(f"{MINIMAL}[[host]]\n{text}\n")
    assert caught.value.data["where"] == f"lab.toml:{place}"


def record(text: str) -> Record:
    found, = parse(f'{MINIMAL}address6 = "fd5e:1::1/64"\n[[record]]\n{text}\n').records
    return found


def test_records() -> None:
    a = RecordType.A
    assert record('name = "Printer"\ntype = "A"\nvalue = "6.6.6.6"') == Record(a, "printer.lab.internal", "6.6.6.6")
    # As in a zone file: what has no final dot is relative, and the domain itself is not taken twice.
    assert record('name = "debian.org"\ntype = "A"\nvalue = "6.6.6.6"').name == "debian.org.lab.internal"
    for name in ("@", "lab.internal", "lab.internal.", "LAB.internal"):
        assert record(f'name = "{name}"\ntype = "A"\nvalue = "6.6.6.6"').name == "lab.internal"
    for name in ("www", "www.lab.internal", "www.lab.internal."):
        assert record(f'name = "{name}"\ntype = "CNAME"\nvalue = "web"') == Record(
            RecordType.CNAME, "www.lab.internal", "web.lab.internal")
    assert record('name = "x"\ntype = "AAAA"\nvalue = "FD5E:1:0::7"').value == "fd5e:1::7"
    assert record('name = "x"\ntype = "TXT"\nvalue = ["a, b"]').value == "a, b"
    assert record('name = "x"\ntype = "TXT"\nvalue = ["a", "b"]').values == ("a", "b")
    assert record('name = "_http._tcp"\ntype = "SRV"\nvalue = "web"\nport = 80') == Record(
        RecordType.SRV, "_http._tcp.lab.internal", "web.lab.internal", 0, 0, 80)
    assert record('name = "@"\ntype = "MX"\nvalue = "mail.example.org."\npriority = 5') == Record(
        RecordType.MX, "lab.internal", "mail.example.org.", 5)
    assert record('name = "10.83.14.7"\ntype = "PTR"\nvalue = "web"').name == "10.83.14.7"
    assert record('name = "fd5e:1::07"\ntype = "PTR"\nvalue = "web"').name == "fd5e:1::7"


A = 'type = "A"\nvalue = "6.6.6.6"'


@pytest.mark.parametrize(("text", "place", "why"), (
    (f'name = "debian.org."\n{A}', "4:1", "expected a name within lab.internal"),
    (f'name = "evillab.internal."\n{A}', "4:1", "expected a name within"),
    (f'name = "."\n{A}', "4:1", "expected a name"),
    (f'name = ""\n{A}', "4:1", "expected a name"),
    (f'name = "*"\n{A}', "4:1", "expected a name"),
    (f'name = "a b"\n{A}', "4:1", "expected a name"),
    (f'name = "a\\nserver=6.6.6.6"\n{A}', "4:1", "expected a name"),
    (f'name = "a,b"\n{A}', "4:1", "expected a name"),
    (f'name = "gateway"\n{A}', "4:1", "reserved"),
    (f'name = "wpad.lab.internal."\n{A}', "4:1", "reserved"),
    (f'name = "lab"\n{A}', "4:1", "reserved"),
    (f'{A}', "3:1", "needs a name"),
    ('name = "x"\nvalue = "6.6.6.6"', "3:1", "expected one of A, AAAA"),
    ('name = "x"\ntype = "NS"\nvalue = "y"', "5:1", "expected one of A, AAAA"),
    ('name = "x"\ntype = "A"', "3:1", "needs a value"),
    ('name = "x"\ntype = "A"\nvalue = "fd5e::1"', "6:1", "an address such as"),
    ('name = "x"\ntype = "A"\nvalue = "127.0.0.1"', "6:1", "an address such as"),
    ('name = "x"\ntype = "AAAA"\nvalue = "6.6.6.6"', "6:1", "an address such as"),
    ('name = "x"\ntype = "AAAA"\nvalue = "fe80::1%eth0"', "6:1", "an address such as"),
    ('name = "x"\ntype = "CNAME"\nvalue = "debian.org."', "6:1", "a name within"),
    ('name = "x"\ntype = "CNAME"\nvalue = "x"', "6:1", "own name"),
    ('name = "x"\ntype = "TXT"\nvalue = "a\\nb"', "6:1", "printable"),
    ("name = 'x'\ntype = 'TXT'\nvalue = 'a\"b'", "6:1", "printable"),
    ('name = "x"\ntype = "TXT"\nvalue = []', "6:1", "printable"),
    ('name = "x"\ntype = "TXT"\nvalue = ["a", 1]', "6:1", "printable"),
    ('name = "x"\ntype = "SRV"\nvalue = "y"', "3:1", "SRV needs one"),
    ('name = "x"\ntype = "SRV"\nvalue = "y"\nport = 0', "7:1", "from 1 to 65535"),
    ('name = "x"\ntype = "MX"\nvalue = "y"\npriority = 65536', "7:1", "from 0 to 65535"),
    ('name = "x"\ntype = "MX"\nvalue = "y"\nport = 25', "7:1", "type MX has none"),
    ('name = "10.83.15.7"\ntype = "PTR"\nvalue = "y"', "4:1", "an address of"),
    ('name = "10.83.14.1"\ntype = "PTR"\nvalue = "y"', "4:1", "not the host's own"),
    ('name = "web"\ntype = "PTR"\nvalue = "y"', "4:1", "an address of"),
    (f'name = "x"\n{A}\n[[record]]\nname = "x"\n{A}', "8:1", "stands there already"),
    (f'name = "x"\n{A}\n[[record]]\nname = "x"\ntype = "CNAME"\nvalue = "y"', "8:1", "no other records"),
    (f'name = "x"\n{A}\n[[host]]\nname = "x"', "4:1", "has this name already"),
    (f'name = "x"\n{A}\nttl = 7', "7:1", "no such key"),
))
def test_what_a_record_cannot_be(text: str, place: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        record(text)
    assert caught.value.data["where"] == f"lab.toml:{place}"


def test_records_move_with_the_network() -> None:
    text = (f'{MINIMAL}[[record]]\nname = "x"\ntype = "A"\nvalue = "10.83.14.7"\n[[record]]\nname = "y"\ntype = "A"\n'
            'value = "6.6.6.6"\n[[record]]\nname = "10.83.14.8"\ntype = "PTR"\nvalue = "x"\n')
    after = config.with_address(text, parse(text), IPv4Interface("192.168.7.1/24"))
    assert after == text.replace("10.83.14.", "192.168.7.")


# --- boot from the network, a guest that serves DHCP ---------------------------------------------------------

def test_netboot() -> None:
    assert parse(MINIMAL).netboot is None
    assert parse(f'{MINIMAL}[netboot]\nroot = "/srv/tftp"\nbios = "pxelinux.0"\nuefi = "efi/grubx64.efi"\n'
                 'http = "http://10.9.9.9:8080/boot.efi"\nipxe = "https://boot.example/menu.ipxe?a=b"\n').netboot == Netboot(
        "/srv/tftp", "pxelinux.0", "efi/grubx64.efi", http="http://10.9.9.9:8080/boot.efi",
        ipxe="https://boot.example/menu.ipxe?a=b")


@pytest.mark.parametrize(("text", "place", "why"), (
    ("", "2:1", "it says nothing"),
    ('bios = "pxelinux.0"', "3:1", "needs root"),
    ('ipxe = "boot.ipxe"', "3:1", "needs root"),
    *((f'root = "{root}"', "3:1", "an absolute path") for root in (
        "", "/", "srv/tftp", "/srv/../etc", "/srv/tftp/", "/srv//tftp", "/srv/./tftp", "/srv/.ssh", "/srv/t,p", "/srv/a b",
        "/srv/t\\n", "/srv/é")),
    *((f'root = "/srv/tftp"\nbios = "{name}"', "4:1", "a file below root") for name in (
        "", "/etc/passwd", "../passwd", "a/../b", "a//b", "a,10.6.6.6", "a b", "-x", "x" * 128, "http://10.9.9.9/x")),
    *((f'http = "{url}"', "3:1", "expected a URL") for url in (
        "boot.efi", "ftp://10.9.9.9/x", "http://10.9.9.9", "http://10.9.9.9/a,b", "http://10.9.9.9/a b",
        "http://10.9.9.9/a#b", "http://" + "x" * 120 + "/y", "http://u:p@10.9.9.9/x")),
    ('root = "/srv/tftp"\nmenu = "x"', "4:1", "no such key"),
))
def test_what_netboot_cannot_be(text: str, place: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        parse(f"{MINIMAL}[netboot]\n{text}\n")
    assert caught.value.data["where"] == f"lab.toml:{place}"


def test_a_guest_that_serves_dhcp() -> None:
    segment = parse(f'{MINIMAL}dhcp = "guest"\n[[host]]\nname = "pxe"\ndhcp_server = true\n')
    assert segment.guest_dhcp and not segment.dhcp and segment.hosts == (Host(None, "pxe", dhcp_server=True),)


@pytest.mark.parametrize(("text", "place", "why"), (
    ('dhcp = "guest"\n', "2:1", r"needs a \[\[host\]\]"),
    ('dhcp = "off"\n', "2:1", "expected a table"),
    ("dhcp = true\n", "2:1", "expected a table"),
    ('[[host]]\nname = "pxe"\ndhcp_server = true\n', "4:1", "needs dhcp ="),
    ('dhcp = "guest"\n[[host]]\nname = "a"\ndhcp_server = true\n[[host]]\nname = "b"\ndhcp_server = true\n', "8:1",
     "another host"),
    ('dhcp = "guest"\n[[host]]\nname = "a"\ndhcp_server = 1\n', "5:1", "true or false"),
    ('dhcp = "guest"\n[[vlan]]\nid = 33\n[[host]]\nname = "a"\nvlan = 33\ndhcp_server = true\n', "7:1",
     "the segment's own network"),
))
def test_what_such_a_guest_cannot_be(text: str, place: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        parse(MINIMAL + text)
    assert caught.value.data["where"] == f"lab.toml:{place}"


# --- VLANs ----------------------------------------------------------------------------------------------

LAN = """\
address = "10.83.14.1/24"
address6 = "fd5e:1::1/64"
[[vlan]]
id = 33
name = "students"
address = "10.33.0.1/24"
address6 = "fd33::1/64"
dhcp = true
range = ["10.33.0.100", "10.33.0.200"]
lease = "2h"
reach = [1, 44]
[[vlan]]
id = 44
address = "10.44.0.1/24"
[[vlan]]
id = 55
[[port]]
number = 5
vlan = 33
[[port]]
number = 6
trunk = [44, 55]
[[host]]
mac = "52:54:00:12:34:56"
name = "web"
address = "10.33.0.10"
vlan = 33
trunk = [55]
"""


def test_vlans() -> None:
    segment = config.parse(LAN, "lab", "lab.toml")
    assert segment.vlans == (
        Vlan(33, "students", IPv4Interface("10.33.0.1/24"), IPv6Interface("fd33::1/64"), True,
             (IPv4Address("10.33.0.100"), IPv4Address("10.33.0.200")), 7200, (1, 44)),
        Vlan(44, None, IPv4Interface("10.44.0.1/24")), Vlan(55))
    assert segment.ports == (Port(5, 33), Port(6, None, (44, 55)))
    assert segment.hosts == (Host("52:54:00:12:34:56", "web", IPv4Address("10.33.0.10"), (), False, 33, (55,)),)
    assert segment.links == ("lab", "lab.33", "lab.44")


@pytest.mark.parametrize(("old", "new", "why"), [
    ("id = 33", "id = 1", "4:1: vlan.id: expected a number from 2 to 4093"),
    ("id = 33", "id = 4094", "4:1: vlan.id: expected a number from 2 to 4093"),
    ("id = 33", 'id = "33"', "4:1: vlan.id: expected a number"),
    ("id = 33\n", "", "3:1: vlan: every"),
    ("id = 44", "id = 33", "13:1: vlan.id: VLAN 33 is declared already"),
    ("id = 44", 'id = 44\nname = "students"', "14:1: vlan.name: VLAN 33 has this name"),
    ('name = "students"', 'name = "a b"', "5:1: vlan.name: "),
    ('name = "students"', 'name = "gateway"', "5:1: vlan.name: "),
    ('name = "students"', 'name = "lab"', "5:1: vlan.name: it is the segment's own"),
    ('"10.44.0.1/24"', '"10.33.0.200/25"', "14:1: vlan.address: .*VLAN 33"),
    ('"10.44.0.1/24"', '"10.83.0.1/16"', "14:1: vlan.address: .*the segment's own network"),
    ('"fd33::1/64"', '"fd5e:1::2/64"', "7:1: vlan.address6: .*the segment's own network"),
    ('"10.33.0.1/24"', '"8.8.8.8/24"', "6:1: vlan.address: .*private"),
    ("dhcp = true", "dhcp = 1", "8:1: vlan.dhcp: expected true or false"),
    ("10.33.0.100", "10.34.0.100", "9:1: vlan.range: expected addresses of 10.33.0.0/24"),
    ('"2h"', '"1s"', "10:1: vlan.lease: expected a time"),
    ("[1, 44]", "[1, 55]", "11:1: vlan.reach: 55: expected other VLANs"),
    ("[1, 44]", "[33]", "11:1: vlan.reach: 33: expected other VLANs"),
    ("[1, 44]", "44", "11:1: vlan.reach: expected a list"),
    ("id = 55", "id = 55\ndhcp = true", "17:1: vlan.dhcp: it needs an address"),
    ("number = 5", "number = 1", "18:1: port.number: expected a number from 2 to 63"),
    ("number = 5", "number = 64", "18:1: port.number: expected a number from 2 to 63"),
    ("number = 6", "number = 5", "21:1: port.number: port 5 is declared already"),
    ("number = 6\n", "", "20:1: port: every"),
    ("number = 5\nvlan = 33", "number = 5\nvlan = 34", "19:1: port.vlan: VLAN 34 has no"),
    ("[44, 55]", "[44, 34]", "22:1: port.trunk: VLAN 34 has no"),
    ("[44, 55]", "[44, 44]", "22:1: port.trunk: the same VLAN twice"),
    ("[44, 55]", "44", "22:1: port.trunk: expected a list"),
    ("[44, 55]", "[44]\nvlan = 55", "22:1: port.trunk: a port .* not both"),
    ("trunk = [55]", "trunk = [33]", "28:1: host.trunk: the same VLAN twice"),
    ('vlan = 33\ntrunk = [55]', "vlan = 55", "26:1: host.address: its VLAN has no address"),
    ('"10.33.0.10"', '"10.83.14.10"', "26:1: host.address: .*10.33.0.0/24"),
    ('name = "web"', 'name = "students"', "25:1: host.name: students: a .*vlan.* has this name"),
])
def test_a_mistake_in_vlans_has_its_place(old: str, new: str, why: str) -> None:
    assert old in LAN
    with pytest.raises(BadConfig, match=rf"lab\.toml:{why}"):
        config.parse(LAN.replace(old, new, 1), "lab", "lab.toml")


def test_the_hosts_interface_needs_a_name_that_the_kernel_takes() -> None:
    with pytest.raises(BadConfig, match=r"abcdefghijk\.4000 would have a name longer than 15"):
        config.parse(LAN.replace("44", "4000").replace("10.4000.", "10.44."), "abcdefghijk", "x.toml")
    assert config.parse(LAN, "abcdefghijk", "x.toml").links[1] == "abcdefghijk.33"


def test_each_key_that_could_be_meant_is_named_once() -> None:
    with pytest.raises(BadConfig) as caught:
        config.parse('address = "10.83.14.1/24"\nfoo = 1\n', "vdenet0", "f")
    named = str(caught.value).partition("expected one of ")[2].split(", ")
    assert len(set(named)) == len(named)
    assert {"dhcp", "host", "plug"} <= set(named)

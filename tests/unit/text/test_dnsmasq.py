"""dnsmasq's files: nothing but what is meant goes in, nothing but leases comes out."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.samples import NOT_WORDS, PLACES, PLAIN, segments, surroundings
from vdenet.errors import BadValue
from vdenet.model.names import RESERVED_LABELS
from vdenet.model.netboot import Netboot
from vdenet.model.places import Places
from vdenet.model.segment import Host, Mode, Segment, Vlan
from vdenet.text import blueprint, dnsmasq
from vdenet.text.dnsmasq import Lease, Reservation

WEB = "52:54:00:00:00:01"
DB = "52:54:00:00:00:02"
LINE = re.compile(r"(#.*|[a-z0-9-]+(=[A-Za-z0-9._:/\[\],*!~%+@&?=-]*)?"
                  r'|txt-record=[a-z0-9_.-]+(,"[^"\\\n]+")+)', re.ASCII)


def lines(segment: Segment, *host_names: str) -> list[str]:
    return dnsmasq.config(segment, host_names, PLACES).splitlines()


# --- the configuration --------------------------------------------------------------------------------

@given(segments(), surroundings())
def test_every_line_is_one_plain_directive(
        segment: Segment, around: tuple[blueprint.HostFacts, blueprint.Guests]) -> None:
    wanted = blueprint.wanted(segment, *around, PLACES)
    text = wanted.files[0].text
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    keys = {line.partition("=")[0] for line in text.splitlines()}
    asked = {line for line in text.splitlines() if line.startswith("server=")}
    assert asked == {f"server=/{other.domain}/{other.server}" for other in around[0].neighbours if other.reachable}
    assert not keys & {"conf-file", "conf-dir", "dhcp-script", "user",
                       "port", "log-facility"}
    assert ("enable-tftp" in keys) == (segment.netboot is not None and segment.netboot.root is not None)
    assert "bind-dynamic" in keys and f"interface={segment.bridge}" in text.splitlines()


def test_dhcp_off_serves_names_only() -> None:
    keys = {line.partition("=")[0] for line in lines(replace(PLAIN, dhcp=False, address6=None))}
    assert not {key for key in keys if key.startswith("dhcp")} and "host-record" in keys


def test_isolated_guests_get_no_way_out() -> None:
    isolated = lines(replace(PLAIN, mode=Mode.ISOLATED))
    assert "dhcp-option=option:router" in isolated
    assert "ra-param=*,0,0" in isolated
    assert "no-resolv" in isolated


def test_isolated_guests_get_the_ways_between_vlans_only() -> None:
    def ways(*vlans: Vlan) -> list[str]:
        return [line for line in lines(replace(PLAIN, mode=Mode.ISOLATED, vlans=vlans)) if "static-route" in line]

    one, other = Vlan(33, address=IPv4Interface("10.33.0.1/24")), Vlan(44, address=IPv4Interface("10.44.0.1/24"))
    assert ways(one, other) == []
    assert ways(replace(one, reach=(44,)), other) == [
        f"dhcp-option=tag:{PLAIN.bridge}.33,option:classless-static-route,10.44.0.0/24,10.33.0.1",
        f"dhcp-option=tag:{PLAIN.bridge}.44,option:classless-static-route,10.33.0.0/24,10.44.0.1"]
    assert ways(replace(one, reach=(1,)))[0] == \
        f"dhcp-option=tag:{PLAIN.bridge},option:classless-static-route,10.33.0.0/24,{PLAIN.own.ip}"


def test_no_guest_gets_a_reserved_name() -> None:
    text = lines(PLAIN, "tower")
    for name in {*RESERVED_LABELS, "tower", "vdenet0"}:
        assert f"dhcp-name-match=set:reserved,{name}" in text
    assert "dhcp-ignore-names=tag:reserved" in text


@pytest.mark.parametrize("word", NOT_WORDS, ids=ascii)
def test_injection_into_the_configuration(word: str) -> None:
    for spoilt in (replace(PLAIN, name=word), replace(PLAIN, domain=word)):
        with pytest.raises(BadValue):
            dnsmasq.config(spoilt, [], PLACES)
    with pytest.raises(BadValue):
        dnsmasq.config(PLAIN, [word], PLACES)
    if not re.fullmatch(r"[\w./-]*", word, re.ASCII):
        with pytest.raises(BadValue):
            dnsmasq.config(PLAIN, [], Places(etc=PurePosixPath(f"/etc/{word}")))


# --- boot from the network ----------------------------------------------------------------------------

def boots(**keys: str) -> list[str]:
    before = set(lines(PLAIN))
    return [line for line in lines(replace(PLAIN, netboot=Netboot(**keys))) if line not in before]


def test_netboot_is_off() -> None:
    assert not [line for line in lines(PLAIN) if "tftp" in line or "dhcp-boot" in line]


def test_each_kind_of_client_gets_its_own() -> None:
    assert boots(root="/srv/tftp", bios="pxelinux.0", uefi="grubx64.efi") == [
        "enable-tftp", "tftp-no-fail", "tftp-root=/srv/tftp",
        "dhcp-match=set:bios,option:client-arch,0", "dhcp-boot=tag:bios,pxelinux.0",
        "dhcp-match=set:uefi,option:client-arch,7", "dhcp-match=set:uefi,option:client-arch,9",
        "dhcp-boot=tag:uefi,grubx64.efi"]
    assert boots(http="http://10.9.9.9/boot.efi") == [
        "dhcp-match=set:http,option:client-arch,16", "dhcp-option-force=tag:http,60,HTTPClient",
        "dhcp-boot=tag:http,http://10.9.9.9/boot.efi"]


def test_ipxe_is_not_given_itself() -> None:
    assert boots(root="/srv/tftp", bios="undionly.kpxe", ipxe="boot.ipxe")[3:] == [
        "dhcp-match=set:ipxe,175", "dhcp-boot=tag:ipxe,boot.ipxe",
        "dhcp-match=set:bios,option:client-arch,0", "dhcp-boot=tag:bios,tag:!ipxe,undionly.kpxe"]


def test_where_a_guest_serves_dhcp_only_tftp_is_ours() -> None:
    segment = replace(PLAIN, dhcp=False, guest_dhcp=True, netboot=Netboot("/srv/tftp", "pxelinux.0"))
    text = lines(segment)
    assert text[-3:] == ["enable-tftp", "tftp-no-fail", "tftp-root=/srv/tftp"]
    assert not any(line.startswith(("dhcp-boot", "dhcp-match")) for line in text)


@pytest.mark.parametrize("word", NOT_WORDS, ids=ascii)
def test_injection_into_netboot(word: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._~/%+@=&?:-]+", word, re.ASCII):
        return  # a plain word, whatever it means: config refuses it where it is no path
    for key in ("root", "bios", "http", "ipxe"):
        with pytest.raises(BadValue):
            boots(**{"root": "/srv/tftp", key: word})


# --- the hosts file -----------------------------------------------------------------------------------

def test_hosts() -> None:
    assert dnsmasq.hosts([Reservation(DB, "db", IPv4Address("10.83.14.9")), Reservation(WEB, "web"),
                          Reservation("52:54:00:00:00:00", None, IPv4Address("10.83.14.8"))]) == (
        "52:54:00:00:00:00,10.83.14.8\n52:54:00:00:00:01,web\n52:54:00:00:00:02,10.83.14.9,db\n"
        "set:reserved,db\nset:reserved,web\n")
    assert dnsmasq.hosts([Reservation(None, "db", IPv4Address("10.83.14.9")), Reservation(None, "shop")], ["www"]) == (
        "10.83.14.9,db\nset:reserved,www\n")
    assert dnsmasq.hosts([]) == ""


ORDERS = ("infinite", "ignore", "60", "2m", "set:x", "id:*", "localhost")
"""What dnsmasq reads as something else than a name in this place."""


@pytest.mark.parametrize("word", [*NOT_WORDS, *ORDERS], ids=ascii)
def test_injection_into_the_hosts_file(word: str) -> None:
    with pytest.raises(BadValue):
        dnsmasq.hosts([Reservation(WEB, word)])
    with pytest.raises(BadValue):
        dnsmasq.hosts([Reservation(word, "web")])


@given(st.lists(st.builds(Reservation, st.text(), st.none() | st.text())))
def test_whatever_gets_into_the_hosts_file_is_a_mac_and_a_name(wanted: list[Reservation]) -> None:
    try:
        text = dnsmasq.hosts(wanted)
    except BadValue:
        return
    lines = text.splitlines()
    assert all(re.fullmatch(r"([0-9a-f:]{17}|set:reserved)(,[a-z0-9-]+)?", line, re.ASCII) for line in lines)
    assert len([line for line in lines if not line.startswith("set:")]) == len(wanted)


# --- who has a name -------------------------------------------------------------------------------------

def test_a_host_by_name_is_the_guest_that_joined_or_claimed_it() -> None:
    fixed = Host(None, "web", IPv4Address("10.83.14.9"))
    assert dnsmasq.reservations([fixed], [], []) == [Reservation(None, "web", fixed.address)]
    assert dnsmasq.reservations([fixed], [Reservation(DB, "web")], [Reservation(WEB, "web")]) == [
        Reservation(DB, "web", fixed.address)]
    assert dnsmasq.reservations([fixed], [], [Reservation(WEB, "web")]) == [Reservation(WEB, "web", fixed.address)]
    # What a MAC says is more: one guest has one address.
    both = [Host(WEB, None, IPv4Address("10.83.14.8")), fixed]
    assert dnsmasq.reservations(both, [Reservation(WEB, "web")], []) == [
        Reservation(WEB, None, IPv4Address("10.83.14.8")), Reservation(None, "web", fixed.address)]


def test_a_host_without_a_name_keeps_the_one_it_joined_with() -> None:
    fixed = Host(WEB, None, IPv4Address("10.83.14.9"))
    assert dnsmasq.reservations([fixed], [Reservation(WEB, "web")], []) == [Reservation(WEB, "web", fixed.address)]
    assert dnsmasq.reservations([fixed], [], [Reservation(WEB, "web")]) == [Reservation(WEB, "web", fixed.address)]


def test_the_admin_wins_over_join_and_join_over_a_claim() -> None:
    static = [Host(WEB, "web", IPv4Address("10.83.14.9"))]
    assert dnsmasq.reservations(static, [Reservation(DB, "web")], []) == [
        Reservation(WEB, "web", IPv4Address("10.83.14.9"))]
    assert dnsmasq.reservations(static, [Reservation(WEB, "shop")], []) == [
        Reservation(WEB, "web", IPv4Address("10.83.14.9"))]
    assert dnsmasq.reservations([], [Reservation(WEB, "web")], [Reservation(DB, "web")]) == [Reservation(WEB, "web")]
    assert dnsmasq.reservations([], [Reservation(WEB, "web")], [Reservation(WEB, "shop"), Reservation(DB, "db")]) == [
        Reservation(WEB, "web"), Reservation(DB, "db")]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from((WEB, DB, "52:54:00:00:00:03")),
                          st.sampled_from((None, "web", "db", "shop")))))
def test_no_name_and_no_mac_is_given_twice(sources: list[tuple[int, str, str | None]]) -> None:
    static = [Host(mac, name) for source, mac, name in sources if source == 0]
    joined, pinned = ([Reservation(mac, name) for source, mac, name in sources if source == which] for which in (1, 2))
    given_out = dnsmasq.reservations(static, joined, pinned)
    macs = [one.mac for one in given_out]
    names = [one.name for one in given_out if one.name is not None]
    assert len(set(macs)) == len(macs) and len(set(names)) == len(names)
    assert set(macs) >= {host.mac for host in static if host.name is None}


# --- the lease file ---------------------------------------------------------------------------------------

def test_leases() -> None:
    assert dnsmasq.leases(
        "1700000000 52:54:00:AA:00:01 10.83.14.23 web 01:52:54:00:aa:00:01\n"
        "0 52:54:00:00:00:02 10.83.14.24 * *\n"
        "duid 00:01:00:01:2c:6b\n"
        "1700000000 52:54:00:00:00:03 10.83.14.25 after-the-duid *\n") == [
        Lease(1700000000, "52:54:00:aa:00:01", "10.83.14.23", "web"),
        Lease(0, "52:54:00:00:00:02", "10.83.14.24", None)]


@pytest.mark.parametrize("line", (
    "", " ", "1700000000", "1700000000 52:54:00:00:00:01 10.83.14.23", "-1 52:54:00:00:00:01 10.83.14.23 web *",
    "² 52:54:00:00:00:01 10.83.14.23 web *", "٣ 52:54:00:00:00:01 10.83.14.23 web *",
    "9" * 5000 + " 52:54:00:00:00:01 10.83.14.23 web *", "soon 52:54:00:00:00:01 10.83.14.23 web *",
    "1700000000 52:54:00:00:00:01,set:x 10.83.14.23 web *", "1700000000 06-52:54:00:00:00:01 10.83.14.23 web *",
    "1700000000 ff:ff:ff:ff:ff:ff 10.83.14.23 web *", "1700000000 52:54:00:00:00:01 10.83.14 web *",
    "1700000000 52:54:00:00:00:01 fd5e:1::23 web *", "\0" * 100, "1700000000 00- 10.83.14.23 web *",
), ids=lambda line: ascii(line)[:40])
def test_a_line_that_is_no_lease_is_passed_over(line: str) -> None:
    good = "1700000000 52:54:00:00:00:09 10.83.14.23 web *"
    assert [lease.mac for lease in dnsmasq.leases(f"{line}\n{good}\n{line}")] == ["52:54:00:00:00:09"]


WORDS = ("1700000000", "0", "²", WEB, "10.83.14.23", "web", "*", "duid", "\n", "\r", "\x85", "\0")


@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_lease_file(text: str) -> None:
    for lease in dnsmasq.leases(text):
        assert dnsmasq.hosts([Reservation(lease.mac, None)])
        IPv4Address(lease.address)


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=20))
def test_a_lease_file_cut_anywhere(tail: str) -> None:
    whole = "1700000000 52:54:00:00:00:01 10.83.14.23 web 01:52\n0 52:54:00:00:00:02 10.83.14.24 * *\n"
    for end in range(len(whole)):
        assert len(dnsmasq.leases(whole[:end] + tail)) <= 3

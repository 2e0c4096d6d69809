"""Five kinds of guests on one segment find and reach one another, the host and the outside."""

from __future__ import annotations

import hashlib
import ipaddress
import json

import pytest
from lab.ground import DOMAIN, TAP, VDE, VETH, Ground
from lab.outside import SIZE
from lab.sniffer import Sniffer

GUESTS = ("qa", "qb", "ca", "va", "ra")
VIA = {"qa": {TAP}, "qb": {VDE}, "ca": {VETH}, "va": {VDE}, "ra": {TAP, VETH}}


def test_each_has_a_lease(ground: Ground) -> None:
    addresses = {name: ground.guests[name].wait_address() for name in GUESTS}
    assert len(set(addresses.values())) == len(GUESTS)
    for address in addresses.values():
        assert address in ground.network
        assert str(address) != ground.gateway


@pytest.mark.parametrize("name", GUESTS)
def test_each_reaches_all_by_address_and_by_name(ground: Ground, name: str) -> None:
    guest = ground.guests[name]
    commands = []
    for other in GUESTS:
        address = ground.guests[other].wait_address()
        commands.append(f"ping -c 1 -W 5 {address}")
        # The name must be the right machine, not just some that answers.
        commands.append(f"ping -4 -c 1 -W 5 {other}.{DOMAIN} | grep -F '({address})'")
        commands.append(f"ping -4 -c 1 -W 5 {other} | grep -F '({address})'")
    commands.append(f"ping -c 1 -W 5 {ground.gateway}")
    guest.run("set -e; " + "; ".join(f"{each} >/dev/null" for each in commands), timeout=120)


@pytest.mark.parametrize("name", GUESTS)
def test_host_resolves_and_reaches_each(ground: Ground, name: str) -> None:
    address = str(ground.guests[name].wait_address())
    told = ground.machine.run(["getent", "ahostsv4", f"{name}.{DOMAIN}"]).stdout
    assert told.split()[0] == address
    ground.machine.run(["ping", "-4", "-c", "1", "-W", "5", f"{name}.{DOMAIN}"])


@pytest.mark.parametrize("name", GUESTS)
def test_list_shows_each(ground: Ground, name: str) -> None:
    guest = ground.guests[name]
    # One that said nothing for minutes may be anywhere.
    guest.run(f"ping -c 1 -W 5 {ground.gateway}")
    listed = ground.listed()
    assert name in listed, f"only {sorted(listed)}"
    shown = listed[name]
    assert shown["mac"] == guest.mac()
    assert shown["address"] == str(guest.wait_address())
    assert shown["fqdn"] == f"{name}.{DOMAIN}"
    assert shown["via"] in VIA[name]
    assert shown["vlan"] is None
    # Nobody joined the container: it is recognised, with who runs it.
    assert shown["owner"] == ("root" if name == "ca" else "alice")
    if shown["via"] != VDE:
        assert ground.links()[shown["port"]]["master"] == "vdenet0"


def test_list_shows_no_others_and_people_see_the_same(ground: Ground) -> None:
    for guest in ground.guests.values():
        guest.run(f"ping -c 1 -W 5 {ground.gateway}")
    # A lease alone says that a guest may be about: what other tests left has no port.
    there = {guest["name"] for guest in ground.segment()["guests"] if guest["port"]}
    assert there == set(GUESTS)
    text = ground.tarr("list").stdout
    for name in GUESTS:
        assert name in text and str(ground.guests[name].wait_address()) in text


def test_reverse_names(ground: Ground) -> None:
    for name in GUESTS:
        address = ground.guests[name].wait_address()
        told = ground.guests["qa"].run(f"nslookup {address}")
        assert f"{name}.{DOMAIN}" in told


def test_ipv6_between_kinds(ground: Ground) -> None:
    """The ULA prefix is advertised, and guests of each kind reach one another by it."""
    found: dict[str, ipaddress.IPv6Address] = {}
    for name in GUESTS:
        guest = ground.guests[name]
        told = guest.until(f"ip -6 -o addr show dev {guest.interface} scope global | grep -v "
                           "tentative | grep 'inet6 fd'", timeout=30)
        found[name] = ipaddress.IPv6Interface(told.split("inet6 ")[1].split()[0]).ip
    for name in GUESTS:
        for other in GUESTS:
            ground.guests[name].run(f"ping -6 -c 1 -W 5 {found[other]}")


@pytest.mark.parametrize(("source", "target"), [("qb", "qa"), ("qa", "qb")])
def test_ssh_by_name(ground: Ground, source: str, target: str) -> None:
    told = ground.guests[source].run(
        f"dbclient -y -i /root/.ssh/id_dropbear root@{target}.{DOMAIN} 'hostname; id -u' "
        "2>/tmp/ssh.log || { cat /tmp/ssh.log; false; }", timeout=60)
    assert told.split() == [target, "0"]


@pytest.mark.parametrize("name", GUESTS)
def test_download_from_outside_through_nat(ground: Ground, name: str) -> None:
    guest = ground.guests[name]
    outside = ground.outside
    with Sniffer(outside.pid, "out0") as seen:
        body = guest.run(f"busybox wget -qO- http://{outside.name}/file | sha256sum", timeout=60)
        whoami = guest.run(f"busybox wget -qO- http://{outside.name}/whoami")
        sent = guest.run(f"busybox wget -qO- http://{outside.name}/sum")
    assert body.split()[0] == sent.strip() == hashlib.sha256(
        (b"0123456789abcdef" * (SIZE // 16 + 1))[:SIZE]).hexdigest()
    assert whoami == outside.uplink
    known = {outside.address, outside.uplink}
    strangers = {address for frame in seen.frames for address in frame.ipv4 or ()
                 if not ipaddress.IPv4Address(address).is_multicast} - known
    assert not strangers, "guests' addresses leave through the uplink"


def test_outside_does_not_reach_in(ground: Ground) -> None:
    """There is no way in, even for a neighbour that knows the way."""
    outside, guest = ground.outside, ground.guests["qa"]
    outside.run("ip", "route", "replace", str(ground.network), "via", outside.uplink)
    try:
        with ground.sniff(guest) as seen:
            guest.run("ping -c 1 -W 5 " + ground.gateway)
            for port in ("22", "80"):
                with pytest.raises(Exception, match="returned non-zero"):
                    outside.run("busybox", "timeout", "2", "busybox", "nc", "-w", "1",
                                str(guest.wait_address()), port)
        assert not [frame for frame in seen.frames if outside.address in (frame.ipv4 or ())]
    finally:
        outside.run("ip", "route", "del", str(ground.network))


def test_second_uplink(ground: Ground) -> None:
    """NAT is through every uplink, also one that came later and is not the default route."""
    from lab.outside import Outside

    with Outside(ground.machine.pid, "wlan0", "198.18.2.0/24", default=False) as other:
        for name in ("qa", "va"):
            told = ground.guests[name].run(f"busybox wget -qO- http://{other.address}/whoami")
            assert told == other.uplink


def test_check_finds_nothing_wrong(ground: Ground) -> None:
    done = ground.tarr("check", "--json", check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True), found

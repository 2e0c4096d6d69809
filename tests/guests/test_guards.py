"""A hostile guest with raw layer 2: 0 of it reaches another guest, and the host stays as it is.

The attackers sit on each kind of port whose network namespace we can enter: a tap or veth of
`join run`, a VDE port, the veth of a container.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import frames
from lab.frames import ARP, BROADCAST, ICMPV6, IPV4, IPV6, UDP
from lab.ground import SEGMENT, Ground
from lab.guest import Guest, GuestError
from lab.machine import wait_for

ATTACKERS = ("ra", "va", "ca")
STRANGER = "02:00:5e:00:66:66"
PREFIX = "2001:db8:bad::"
MARK = b"vdenet-test-mark"


class Attack:
    """What one hostile guest sends, built from what it can know."""

    def __init__(self, ground: Ground, guest: Guest, victim: Guest) -> None:
        self.own = guest.mac()
        self.own6 = str(link_local(self.own))
        self.victim = victim.mac()
        self.victim4 = str(victim.wait_address())
        self.host = ground.gateway
        self.bridge = ground.links()[SEGMENT]["address"]
        self.host6 = [str(link_local(self.bridge)), *(
            each["local"] for each in addresses(ground) if each["scope"] == "global")]

    def to_each(self, kind: int, payload: bytes, vlan: int | None = None) -> list[bytes]:
        """To all, to the victim, to the host."""
        return [frames.ethernet(target, self.own, kind, payload, vlan)
                for target in (BROADCAST, self.victim, self.bridge)]

    def dhcp(self) -> list[bytes]:
        """From the port of a server, and from another: clients take either."""
        offer = frames.dhcp_offer(self.victim, self.victim4, "10.66.66.1")
        return [frame for port, port6 in ((67, 547), (6767, 5470)) for frame in (
            *self.to_each(IPV4, frames.ipv4("10.66.66.1", "255.255.255.255", UDP, frames.udp(port, 68, offer))),
            *self.to_each(IPV6, frames.ipv6(self.own6, "ff02::1", UDP, frames.udp(port6, 546, b"\x02vdn"))))]

    def router_advertisement(self) -> list[bytes]:
        advert = frames.router_advertisement(self.own, PREFIX)
        plain = frames.ipv6(self.own6, "ff02::1", ICMPV6, advert)
        # Behind headers that a careless filter does not look past (RFC 7113).
        summed = plain[40:]
        options = bytes([ICMPV6, 0, 1, 4, 0, 0, 0, 0]) + summed
        fragment = bytes([ICMPV6, 0, 0, 0, 0, 0, 0, 9]) + summed
        both = bytes([44, 0, 1, 4, 0, 0, 0, 0]) + fragment
        # A first fragment that ends before its headers do (RFC 7112): what it is stands in the next.
        cut = bytes([60, 0, 0, 1, 0, 0, 0, 9]) + bytes([ICMPV6, 1, 1, 12, 0, 0, 0, 0])
        hidden = [plain[:4] + len(body).to_bytes(2, "big") + bytes([kind, 255]) + plain[8:40] + body
                  for kind, body in ((60, options), (44, fragment), (60, both), (0, options), (44, cut))]
        return [frame for packet in (plain, *hidden) for frame in (
            *self.to_each(IPV6, packet),
            frames.ethernet("33:33:00:00:00:01", self.own, IPV6, packet))]

    def arp(self) -> list[bytes]:
        mine, all_ = (self.own, self.host), (BROADCAST, self.host)
        claims = [frames.arp(2, mine, all_), frames.arp(1, mine, all_),
                  frames.arp(2, mine, (self.victim, self.victim4)),
                  frames.arp(1, mine, (self.victim, self.victim4)),
                  frames.arp(2, (self.bridge, self.host), (self.victim, self.victim4))]
        # Windows unpacks what stands behind an LLC/SNAP header (RFC 1042).
        packed = [b"\xaa\xaa\x03\0\0\0\x08\x06" + claim for claim in claims]
        return [*(frame for claim in claims for frame in self.to_each(ARP, claim)),
                *(frame for body in packed for frame in self.to_each(len(body), body))]

    def neighbour(self) -> list[bytes]:
        return [frame for address in self.host6 for frame in self.to_each(
            IPV6, frames.ipv6(address, "ff02::1", ICMPV6,
                              frames.neighbour_advertisement(self.own, address)))
                ] + [frame for address in self.host6 for frame in self.to_each(
                    IPV6, frames.ipv6(self.own6, "ff02::1", ICMPV6,
                                      frames.neighbour_advertisement(self.own, address)))]

    def host_mac(self) -> list[bytes]:
        packet = frames.ipv4("10.66.66.2", self.victim4, UDP, frames.udp(9, 9, MARK))
        return [frames.ethernet(target, self.bridge, IPV4, packet)
                for target in (BROADCAST, self.victim, STRANGER)]

    def host_address(self) -> list[bytes]:
        packet = frames.ipv4(self.host, self.victim4, UDP, frames.udp(9, 9, MARK))
        return self.to_each(IPV4, packet)

    def spanning_tree(self) -> list[bytes]:
        return [frames.bpdu(self.own)]

    def vlan(self) -> list[bytes]:
        """What is filtered otherwise, behind tags; vde_switch takes the tag 0 off."""
        packet = frames.ipv4("10.66.66.1", "255.255.255.255", UDP, frames.udp(
            67, 68, frames.dhcp_offer(self.victim, self.victim4, "10.66.66.1")))
        twice = b"\0\7" + frames.VLAN.to_bytes(2, "big") + b"\0\5" + b"\x08\0" + packet
        return [*self.to_each(IPV4, packet, vlan=5), *self.to_each(IPV4, packet, vlan=0),
                *self.to_each(0x88A8, twice), *self.to_each(frames.VLAN, twice)]

    def redirect(self) -> list[bytes]:
        inner = frames.ipv4(self.victim4, "192.0.2.1", UDP, frames.udp(9, 9, MARK))[:28]
        body = bytes([5, 1, 0, 0]) + ipaddress.IPv4Address("10.66.66.1").packed + inner
        body = body[:2] + frames.checksum(body).to_bytes(2, "big") + body[4:]
        # As from the host it is dropped for its source; as from itself for what it is.
        return self.to_each(IPV4, frames.ipv4("10.66.66.1", self.victim4, 1, body))


KINDS: dict[str, Callable[[Attack], list[bytes]]] = {
    "dhcp": Attack.dhcp, "ra": Attack.router_advertisement, "arp": Attack.arp,
    "nd": Attack.neighbour, "host-mac": Attack.host_mac, "host-address": Attack.host_address,
    "stp": Attack.spanning_tree, "8021q": Attack.vlan, "redirect": Attack.redirect}


def link_local(mac: str) -> ipaddress.IPv6Address:
    octets = bytearray(frames.mac(mac))
    octets[0] ^= 2
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:])


def addresses(ground: Ground) -> list[dict[str, str]]:
    told = json.loads(ground.machine.run(["ip", "-6", "-j", "addr", "show", "dev", SEGMENT]).stdout)
    return list(told[0]["addr_info"])


STATE = f"""
ip route; ip -6 route | sed 's/ expires [^ ]*//'
ip -o addr show dev {SEGMENT} | sed 's/valid_lft.*//'
cd /proc/sys/net && grep -r . ipv4/conf ipv6/conf ipv4/ip_forward 2>/dev/null |
    grep -v stable_secret | sort
bridge fdb show br {SEGMENT} | grep permanent | sort
"""


@contextlib.contextmanager
def host_unaffected(ground: Ground) -> Iterator[None]:
    """Routes, addresses, sysctls, the own entries of the bridge, who is behind an address."""
    # Ports of one VDE switch share it: nothing stands between them, so `qb` is prey to `va`.
    ground.guests["qb"].run("ip neigh flush dev eth0")
    guests = " ".join(str(guest.wait_address()) for guest in ground.guests.values())
    # Each is pinged first, so that every neighbour is known.
    begin = ground.machine.sh(
        f"for each in {guests}; do ping -c 1 -W 5 $each >/dev/null & done; wait; {STATE}")
    before = neighbours(ground)
    yield
    after = neighbours(ground)
    taken = {address for address, mac in after.items() if before.get(address, mac) != mac}
    assert not taken, "a neighbour of the host was taken over"
    assert ground.machine.sh(STATE) == begin


def neighbours(ground: Ground) -> dict[str, str]:
    told = ground.machine.run(["ip", "-j", "neigh", "show", "dev", SEGMENT]).stdout
    return {each["dst"]: each["lladdr"] for each in json.loads(told) if "lladdr" in each}


@pytest.mark.parametrize("name", ATTACKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_it_arrives(ground: Ground, name: str, kind: str) -> None:
    attacker = ground.guests[name]
    victims = [guest for guest in ground.guests.values() if guest.name in ("qa", "va", "ca")
               and guest is not attacker]
    namespace = ground.namespace(attacker)
    attacks = {victim.name: Attack(ground, attacker, victim) for victim in victims}
    sent = [frame for attack in attacks.values() for frame in KINDS[kind](attack)]
    # What may pass, sent last: when it has come, the watcher has seen all that came before.
    allowed = {name: frames.ethernet(attack.victim, attack.own, IPV4, frames.ipv4(
        str(attacker.wait_address()), attack.victim4, UDP, frames.udp(9, 9, MARK)))
        for name, attack in attacks.items()}
    with host_unaffected(ground), contextlib.ExitStack() as watchers:
        seen = {victim.name: watchers.enter_context(ground.sniff(victim)) for victim in victims}
        frames.send(namespace, attacker.interface, [*sent, *allowed.values()])
        for victim in victims:
            wanted = content(allowed[victim.name])
            seen[victim.name].wait(lambda frame, wanted=wanted:  # type: ignore[misc]
                                   content(frame.data) == wanted)
        bad = {content(frame) for frame in sent}
        for victim in victims:
            came = [frame for frame in seen[victim.name].look(0.1)
                    if frame.vlan is not None or content(frame.data) in bad]
            assert not came, f"{victim.name} got {came[0].data.hex()}"
    # And the host is still the host to each.
    for victim in victims:
        victim.run(f"ping -c 2 -i 0.2 -W 5 {ground.gateway}")


def content(frame: bytes) -> bytes:
    """What a frame carries, without its tag and its padding, which may be lost on the way."""
    body = frame[12:]
    while body[:2] in (b"\x81\0", b"\x88\xa8"):
        body = body[4:]
    return body.rstrip(b"\0")


@pytest.mark.parametrize(("name", "prey"), [("va", "qa"), ("ca", "va"), ("qb", "ca")])
def test_a_real_dhcp_server_serves_nobody(ground: Ground, name: str, prey: str) -> None:
    attacker, victim = ground.guests[name], ground.guests[prey]
    conf = f"/tmp/udhcpd.{name}"
    attacker.run(f"printf 'start 10.66.66.10\\nend 10.66.66.20\\ninterface {attacker.interface}\\n"
                 f"opt router 10.66.66.1\\nopt subnet 255.255.255.0\\nlease_file {conf}.leases\\n"
                 f"pidfile {conf}.pid\\n' >{conf}; : >{conf}.leases; "
                 f"busybox udhcpd -f {conf} >{conf}.log 2>&1 & sleep 0.5; "
                 f"test -s {conf}.pid")
    script = "/tmp/who-serves"
    try:
        victim.run(f"printf '#!/bin/sh\\n[ -z \"$serverid\" ] || echo $serverid >>{script}.out\\n' "
                   f">{script}; chmod 755 {script}; rm -f {script}.out")
        for _ in range(4):
            victim.run(f"udhcpc -i {victim.interface} -q -n -t 10 -T 1 -s {script}")
        told = set(victim.run(f"cat {script}.out").split())
        assert told == {ground.gateway}
    finally:
        attacker.run(f"kill $(cat {conf}.pid)")


def reach(guest: Guest, port: int, *addresses: str) -> list[str]:
    """The addresses at which a guest reaches a TCP port of the host."""
    tries = " ".join(f"(busybox nc -w 2 {address} {port} </dev/null && echo {address}) 2>&1 &"
                     for address in addresses)
    return [line for line in guest.run(f"{tries} wait").split() if line in addresses]


def test_only_dns_dhcp_and_echo_of_the_host(ground: Ground) -> None:
    """A server of the host that listens everywhere is out of reach by each of its addresses."""
    machine = ground.machine
    server = machine.popen(["python3", "-c", """
import socket, select
ears = []
for family in (socket.AF_INET, socket.AF_INET6):
    ear = socket.socket(family)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    ear.bind(('', 2222)); ear.listen(); ears.append(ear)
    wave = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6: wave.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    wave.bind(('', 2222)); ears.append(wave)
print('ready', flush=True)
while True:
    for ear in select.select(ears, [], [])[0]:
        if ear.type == socket.SOCK_STREAM: ear.accept()[0].close()
        else: ear.sendto(b'heard', ear.recvfrom(99)[1])
"""])
    assert server.stdout is not None and server.stdout.readline() == "ready\n"
    host6 = [each["local"] for each in addresses(ground) if each["scope"] == "global"]
    try:
        machine.run(["busybox", "nc", "-w", "2", ground.gateway, "2222"])
        ground.outside.run("busybox", "nc", "-w", "2", ground.outside.uplink, "2222")
        with ThreadPoolExecutor() as pool:
            for name, found in zip(ground.guests, pool.map(lambda guest: reach(
                    guest, 2222, ground.gateway, ground.outside.uplink, *host6[:1]),
                    ground.guests.values()), strict=True):
                assert not found, f"{name} reaches {found}"
        said = ground.guests["va"].run(
            f"echo x | busybox nc -u -w 2 {ground.gateway} 2222 || true")
        assert "heard" not in said
        for name in ("qa", "va", "ca", "ra"):
            guest = ground.guests[name]
            guest.run(f"ping -c 1 -W 5 {ground.gateway}")
            assert reach(guest, 53, ground.gateway), f"{name}: DNS over TCP"
            guest.run(f"busybox nslookup -type=a {ground.outside.name} {ground.gateway}")
    finally:
        server.kill()
        server.communicate()


def test_the_switch_console_is_out_of_reach(ground: Ground) -> None:
    """vde_switch's console runs code: no member gets to it."""
    told = ground.machine.run(
        ["find", "/run/vdenet", "-type", "s", "-writable"], user="alice", check=False).stdout
    for path in told.split():
        assert path == "/run/vdenet/control" or path.startswith("/run/vdenet/vdenet0/switch/"), path
        answer = ground.machine.run(
            ["python3", "-c", f"""
import socket
s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect({path!r}); s.send(b'help\\n')
try: print(s.recv(1000))
except TimeoutError: pass
"""], user="alice", check=False).stdout
        assert "vde$" not in answer, path


# Names.

@contextlib.contextmanager
def claimer(ground: Ground, hostname: str, user: str = "bob") -> Iterator[Guest]:
    """Another guest that calls itself what it likes."""
    guest = ground.plugged(f"z{len(hostname)}{hostname[:3].strip('-.')}", hostname, user)
    try:
        guest.wait_address()
        yield guest
    finally:
        guest.close()


@pytest.mark.parametrize("owned", ["qa", "qb", "ca", "va", "ra"])
def test_a_name_stays_with_its_guest(ground: Ground, owned: str) -> None:
    address = str(ground.guests[owned].wait_address())
    with claimer(ground, owned) as other:
        assert other.mac() != ground.guests[owned].mac()
        assert ground.lookup(owned) == address
        assert ground.listed()[owned]["address"] == address
        # Nor when the owner renews.
        ground.guests["qa"].run(
            f"ping -4 -c 1 -W 5 {owned}.vdenet.internal | grep -F '({address})'")
    assert ground.lookup(owned) == address


@pytest.mark.parametrize("name", ["localhost", "wpad", "isatap", "gateway", "lab", "vdenet0"])
def test_reserved_names_are_nobodys(ground: Ground, name: str) -> None:
    before = ground.lookup(name)
    with claimer(ground, name) as other:
        mine = str(other.wait_address())
        assert ground.lookup(name) == before != mine
        assert name not in ground.listed()
        # The guest is there all the same, only not under that name.
        assert any(guest["address"] == mine for guest in ground.segment()["guests"])


def test_a_free_name_is_the_claimers(ground: Ground) -> None:
    with claimer(ground, "fresh") as guest:
        address = str(guest.wait_address())
        wait_for(lambda: ground.lookup("fresh") == address, 5, "the name")
        assert ground.listed()["fresh"]["address"] == address


@pytest.mark.parametrize("hostname", ["a.b.c", "-x", "x" * 63, "UPPER", "with_underscore"])
def test_odd_names_do_no_harm(ground: Ground, hostname: str) -> None:
    with contextlib.suppress(GuestError), claimer(ground, hostname) as guest:
        guest.wait_address()
    ground.wait_up()
    for shown in ground.segment()["guests"]:
        assert shown["name"] is None or shown["name"] == shown["name"].lower().split(".")[0]

"""Segments and what surrounds them, fixed ones and arbitrary ones, for several tests."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Any

from unit.examples import st
from vdenet.model import names
from vdenet.model.neighbours import Neighbour
from vdenet.model.netboot import Netboot
from vdenet.model.places import Places
from vdenet.model.plug import Plug
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import Host, Mode, OpenPort, Port, Retiring, Segment, Vlan
from vdenet.model.vlans import SwitchPort, of_guest
from vdenet.text import blueprint
from vdenet.text.blueprint import Guests, HostFacts
from vdenet.text.dnsmasq import Reservation

PLACES = Places()
PLAIN = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:8a01:22c4:1::1/64"))
HOST = HostFacts(machine_id="0123456789abcdef0123456789abcdef", hostname="tower.example.org",
                 switch_uid=990, matches_bridge=True, resolver="systemd-resolved", ipv6=True,
                 uplinks_ra=("eth0",))
WANTED = blueprint.wanted(PLAIN, HOST, Guests(), PLACES)

ADDRESSED = tuple(mode for mode in Mode if mode is not Mode.BRIDGED)
"""Modes of segments with an address of their own."""

NOT_WORDS = (
    "", " ", "two words", "comma,comma", "a\nb", "a\r\nb", "a\tb", "a\0b", "tail\n", "\nhead", "'", '"', "#", "a=b",
    "a;b", "a}b", "${x}", "`id`", "../up", "/etc/passwd", "a\\b", "é", "漢字", "\u2028", "\u202e", "\ud800", "a\x85b",
    "x" * 300, "-head", "tail-", "under_score", "a..b", ".", "%n%s", "\x1b[2J", "１２", "²",
)
"""What somebody writes into a name in the hope that it becomes something else."""

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?", fullmatch=True).filter(
    lambda text: text not in names.RESERVED_LABELS | {"infinite", "ignore"})
macs = st.integers(0, 255).map(lambda n: f"52:54:00:00:00:{n:02x}")


@st.composite
def addresses(draw: st.DrawFn) -> IPv4Interface:
    """A host's address, anywhere in a private network that a segment may have."""
    inside: IPv4Network = draw(st.sampled_from(names.PRIVATE_NETWORKS))
    length = draw(st.integers(max(16, inside.prefixlen), 30))
    base = int(inside.network_address) + draw(st.integers(0, inside.num_addresses - 1))
    network = IPv4Network((base, length), strict=False)
    return IPv4Interface((int(network.network_address) + draw(st.integers(1, network.num_addresses - 2)), length))


TARGETS = (
    "vde:///run/vde2/lab", "vde:///run/vdenet/other/switch[7]", "vxvde://239.1.2.3", "vxvde://ff05:56de::1/vni=7",
    "vxlan://239.0.0.1/port=14789/vni=42/ttl=4/if=eth0", "udp://5000->192.0.2.7:6000",
    "udp://[fd5e::1]:5000->[fd5e::2]:5000", "ssh://alice@tower.example/run/vdenet/vdenet0/switch",
    "ssh://alice@[fd5e::7]:2222/srv/switch")
"""A URL of each kind, as it is written."""


@st.composite
def plugs(draw: st.DrawFn, ports: int) -> tuple[Plug, ...]:
    """Plugs of a segment whose switch has so many ports."""
    urls = draw(st.lists(st.sampled_from(TARGETS), max_size=3, unique=True))
    called = draw(st.lists(st.none() | labels, min_size=3, max_size=3, unique_by=lambda name: name or object()))
    numbers = draw(st.lists(st.none() | st.integers(2, max(2, ports - 1)), min_size=3, max_size=3,
                            unique_by=lambda number: number or object()))
    return tuple(Plug(url, name, number if ports > 2 else None) for url, name, number in
                 zip(urls, called, numbers, strict=False))


vlan_ids = st.sampled_from((2, 3, 33)) | st.integers(2, 4093)
"""Often those that another configuration has too."""
memberships = st.builds(of_guest, st.none() | vlan_ids, st.lists(vlan_ids, max_size=2).map(tuple))


@st.composite
def _vlans(draw: st.DrawFn, beside: IPv4Interface) -> tuple[Vlan, ...]:
    """VLANs of a segment with that address, in networks of their own."""
    found: list[Vlan] = []
    for number in draw(st.lists(vlan_ids, max_size=3, unique=True)):
        address = draw(st.none() | addresses())
        taken = [beside, *(vlan.address for vlan in found if vlan.address is not None)]
        if address is not None and any(address.network.overlaps(other.network) for other in taken):
            address = None
        name = draw(st.none() | labels)
        if name in {vlan.name for vlan in found} | {"lab", "vdenet0"}:
            name = None
        if address is None:
            found.append(Vlan(number, name))
            continue
        six = IPv6Interface(((0xFD << 120) + (0x1234 << 96) + (number << 64) + 1, 64))
        first, last = sorted(draw(st.tuples(*2 * [st.integers(1, address.network.num_addresses - 2)])))
        pool = address.network[first], address.network[last]
        found.append(Vlan(number, name, address, draw(st.none() | st.just(six)), draw(st.booleans()),
                          None if pool[0] <= address.ip <= pool[1] else pool, draw(st.integers(120, 604800)),
                          tuple(sorted(draw(st.sets(st.sampled_from(
                              [1, *(vlan.id for vlan in found if vlan.address is not None)])))))))
    return tuple(found)


@st.composite
def segments(draw: st.DrawFn, name: str = "vdenet0") -> Segment:
    """Any segment that a file can describe."""
    address = draw(addresses())
    network = address.network
    inside = st.integers(1, network.num_addresses - 2).map(lambda n: network.network_address + n)
    switch_ports = draw(st.integers(2, 24))
    vlans = draw(_vlans(address))
    numbers = [vlan.id for vlan in vlans]
    some = st.lists(st.sampled_from(numbers), max_size=2, unique=True) if numbers else st.just(list[int]())
    one = some.map(lambda ids: ids[0] if ids else None)
    hosts, seen = [], set[object]({name, *(vlan.name for vlan in vlans)})
    for mac, label, fixed, aliases in draw(st.lists(st.tuples(
            st.none() | macs, st.none() | labels, st.none() | inside, st.lists(labels, max_size=2, unique=True)),
            max_size=4)):
        parts = {mac, label, fixed, *aliases} - {None}
        if fixed != address.ip and not seen & parts and (mac or label) and label not in aliases:
            seen |= parts
            own = draw(one) if fixed is None else None
            hosts.append(Host(mac, label, fixed, tuple(aliases) if label or fixed else (), vlan=own,
                              trunk=tuple(vlan for vlan in draw(some) if vlan != own)))
    guest_dhcp = bool(hosts) and draw(st.booleans())
    if guest_dhcp:
        hosts[0] = replace(hosts[0], dhcp_server=True, vlan=None)
    ports = []
    for number in draw(st.lists(st.integers(2, switch_ports - 1), max_size=3, unique=True)) if switch_ports > 2 else []:
        trunk = draw(some)
        ports.append(Port(number, None if trunk else draw(one), tuple(trunk)))
    first, last = sorted((draw(inside), draw(inside)))
    pool: tuple[IPv4Address, IPv4Address] | None = (first, last)
    if first <= address.ip <= last or draw(st.booleans()):
        pool = None
    subnet = draw(st.integers(0, 2**56 - 1))
    six = IPv6Interface(((0xFD << 120) + (subnet << 64) + 1, 64))
    mode = draw(st.sampled_from(ADDRESSED))
    domain = f"{draw(labels)}.internal"
    return Segment(
        name, address, draw(st.none() | st.just(six)), mode, domain,
        3600 if guest_dhcp else draw(st.integers(120, 604800)), not guest_dhcp and draw(st.booleans()),
        None if guest_dhcp else pool, tuple(hosts),
        tuple(draw(st.lists(st.builds(OpenPort, st.sampled_from(("tcp", "udp")), st.integers(1, 65535)), max_size=3))),
        draw(st.booleans()), switch_ports, draw(st.none() | st.sampled_from(("alice", "b.o-b@example"))),
        plugs=draw(plugs(switch_ports)), spanning_tree=draw(st.none() | st.booleans()),
        reach=draw(st.sampled_from(((), ("lab2",), ("lab2", "lab3")))),
        records=draw(records(domain, address, seen)), host_access=mode is not Mode.ISOLATED or draw(st.booleans()),
        netboot=draw(st.none() | netboots), guest_dhcp=guest_dhcp, vlans=vlans, ports=tuple(ports))


_files = st.none() | st.sampled_from(("pxelinux.0", "efi/grubx64.efi"))
_urls = st.none() | st.sampled_from(("http://gateway.vdenet.internal:8080/a%20b.efi", "https://10.9.9.9/x?y=1&z=@"))
netboots = st.builds(Netboot, st.sampled_from(("/srv/tftp", "/var/lib/tftp-boot/a")), _files, _files, _files, _files,
                     _urls, _urls, _files | _urls)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126, blacklist_characters='"\\'), min_size=1, max_size=255)


@st.composite
def records(draw: st.DrawFn, domain: str, address: IPv4Interface, taken: set[object]) -> tuple[Record, ...]:
    """Records of a segment, none of whose names a host has."""
    free = labels.filter(lambda label: label not in taken)
    below = free.map(lambda label: f"{label}.{domain}")
    numbers = st.integers(0, 65535)
    inside = st.integers(1, address.network.num_addresses - 2).map(lambda n: address.network.network_address + n)
    kinds = st.one_of(
        st.builds(Record, st.just(RecordType.A), below, inside.map(str)),
        st.builds(Record, st.just(RecordType.AAAA), below, st.just("fd5e::7")),
        st.builds(Record, st.just(RecordType.CNAME), below, st.just(f"target.{domain}")),
        st.builds(Record, st.just(RecordType.TXT), below | st.just(domain),
                  texts | st.lists(texts, min_size=2, max_size=3).map(lambda some: tuple(some))),
        st.builds(Record, st.just(RecordType.SRV), free.map(lambda label: f"_{label}._tcp.{domain}"),
                  below | st.just("mail.example.org."), numbers, numbers, st.integers(1, 65535)),
        st.builds(Record, st.just(RecordType.MX), below | st.just(domain), st.just("mail.example.org."), numbers),
        st.builds(Record, st.just(RecordType.PTR), inside.filter(lambda a: a != address.ip).map(str), below))
    found = draw(st.lists(kinds, max_size=3, unique_by=lambda record: record.name))
    return tuple(record for record in found if record.name != f"target.{domain}")


@st.composite
def bridged_segments(draw: st.DrawFn, name: str = "vdenet0") -> Segment:
    """Any segment that has no address of its own."""
    key = draw(st.sampled_from(("uplink", "adopt", "openvswitch")))
    outside: dict[str, Any] = {key: draw(st.sampled_from(("eth0", "br-lan", "enp0s31f6.42")))}
    plain = Segment(name, None, mode=Mode.BRIDGED, domain=f"{draw(labels)}.internal", guard=draw(st.booleans()),
                    switch_ports=1024, owner=draw(st.none() | st.just("alice")), plugs=draw(plugs(1024)),
                    spanning_tree=draw(st.none() | st.booleans()))
    return replace(plain, **outside)


NEIGHBOURS = ((), *(
    tuple(Neighbour(name, IPv4Network(f"172.31.{number}.0/24"), IPv6Network(f"fd77:{number}::/64") if number else None,
                    f"{name}.example", IPv4Address(f"172.31.{number}.1"), reachable)
          for number, (name, reachable) in enumerate(which))
    for which in ((("lab2", True),), (("lab2", False),), (("lab2", True), ("lab3", False)), (("lab2", True), ("lab3", True)))))

reservations = st.builds(Reservation, macs, labels)

plugged = st.lists(st.builds(SwitchPort, st.integers(2, 23), st.none() | vlan_ids, user=st.sampled_from((1000, 1001))),
                   max_size=2, unique_by=lambda port: port.number)
"""Ports of the switch that guests were given."""


@st.composite
def surroundings(draw: st.DrawFn) -> tuple[HostFacts, Guests]:
    """What a host and its guests may add to a segment."""
    host = replace(HOST, switch_uid=draw(st.sampled_from((990, 991))), matches_bridge=draw(st.booleans()),
                   ipv6=draw(st.booleans()), uplinks_ra=draw(st.sampled_from(((), ("eth0",), ("eth0", "wlan0")))),
                   neighbours=draw(st.sampled_from(NEIGHBOURS)))
    apart = draw(st.booleans())
    guests = Guests(
        joined=tuple(draw(st.lists(reservations, max_size=3))), pinned=tuple(draw(st.lists(reservations, max_size=3))),
        ports=draw(st.sampled_from(((), ("vd0-a",), ("vd0-a", "vd0-b"), ("vd0-a", "vnet7")))),
        retiring=tuple(Retiring(a, 1e10) for a in draw(st.lists(addresses(), max_size=2, unique=True))),
        memberships=draw(st.dictionaries(st.sampled_from(("vd0-a", "vd0-b", "vnet7")), memberships)) if apart else {},
        plugged=tuple(draw(plugged)) if apart else ())
    return host, guests

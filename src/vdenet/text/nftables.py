"""The firewall and NAT of a segment as an nftables script (nft(8)).

Two tables, both named after the segment: `bridge` guards the segment against its guests (nobody but the
host serves DHCP or router advertisements, nobody takes the host's addresses), `inet` guards the host
and does NAT. Each is replaced as a whole in one transaction. Priority and policy leave everything that
is not on the segment alone. An accept here overrides no drop of another program's table: `check` looks
for those.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    collapse_addresses,
)

from vdenet.errors import BadValue
from vdenet.i18n import _
from vdenet.model.names import mac_address, segment_name
from vdenet.model.neighbours import Neighbour
from vdenet.model.segment import Mode, Segment
from vdenet.model.wanted import Address, DhcpServer, Firewall

_ICMPV6 = ("echo-request", "nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert",
           "mld-listener-report", "mld2-listener-report")
"""What guests may send to the host itself."""
_ICMPV6_OUT = ("nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert", "mld-listener-query",
               "mld2-listener-report")
"""What the host has to send to guests that it may not reach."""
_INTERFACE = re.compile(r"[A-Za-z0-9._:@-]{1,15}", re.ASCII)


def table_name(segment: str) -> str:
    """The name of both tables."""
    return f"vdenet_{segment_name(segment)}"


def firewall(segment: Segment, retiring: Sequence[IPv4Interface], bridge_mac: str,
             ports: Sequence[str] | None = None, chains: str = "",
             server: DhcpServer | None = None, neighbours: Sequence[Neighbour] = ()) -> Firewall:
    """The rule set; `retiring` are earlier addresses that are still served.

    `ports` is for kernels that cannot match the bridge a frame came in by (no nft_meta_bridge): the names
    of the ports that are there now, for the guard to list. None where the kernel can. `chains` go into the
    inet table besides. `server` is the guest that may serve DHCP. `neighbours` are the host's other segments.
    """
    name = table_name(segment.name)
    own4 = (segment.own, *retiring)
    tables = (("inet", name), ("bridge", name))
    own6 = [segment.address6.ip] if segment.address6 is not None else []
    text = _without(tables) + _inet(segment, name, own4, chains, neighbours)
    text += _bridge(segment, name, [a.ip for a in own4], own6, bridge_mac, _where(segment.bridge, ports, ()), server)
    return Firewall(segment.name, tables, text)


def bridged(segment: Segment, own: Sequence[Address], bridge_mac: str, beyond: Sequence[str],
            ports: Sequence[str] | None = None, chains: str = "") -> Firewall:
    """The rule set of a bridged segment: only the guard, for `own`, the host's addresses there.

    `beyond` are ports of the bridge that lead to the network outside: what comes in there is not a guest's.
    """
    name = table_name(segment.name)
    tables = (("inet", name), ("bridge", name))
    own4 = [a.ip for a in own if isinstance(a, IPv4Interface)]
    own6 = [a.ip for a in own if isinstance(a, IPv6Interface)]
    text = _without(tables)
    if chains:
        text += f"table inet {name} {{{chains}}}\n"
    text += _bridge(segment, name, own4, own6, bridge_mac, _where(segment.bridge, ports, beyond))
    return Firewall(segment.name, tables, text)


def _without(tables: Sequence[tuple[str, str]]) -> str:
    return "".join(f"add table {family} {name}\ndelete table {family} {name}\n" for family, name in tables)


def _where(bridge: str, ports: Sequence[str] | None, beyond: Sequence[str]) -> str:
    """The match of what guests send: by the bridge, or by a list of ports."""
    if ports is None:
        but = f"iifname != {_set([_quoted(port) for port in beyond])} " if beyond else ""
        return f'meta ibrname {_quoted(bridge)} {but}jump from_guests'
    guests = sorted(set(ports) - set(beyond))
    return f"iifname {_set([_quoted(port) for port in guests])} jump from_guests" if guests else ""


def unload(wall: Firewall) -> str:
    """The script that removes the tables, also when they are not there."""
    return _without(wall.tables)


def link_local(mac: str) -> IPv6Address:
    """The link-local address that the kernel derives from a MAC (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    interface = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return IPv6Address(b"\xfe\x80" + bytes(6) + interface)


def _set(values: Sequence[object]) -> str:
    return "{ " + ", ".join(str(value) for value in values) + " }"


def _quoted(interface: str) -> str:
    """An interface name as nft reads it; other programs name their ports as they like."""
    if not _INTERFACE.fullmatch(interface):
        raise BadValue(what=_("interface name"), value=interface,
                       why=_("it does not fit into a firewall rule"))
    return f'"{interface}"'


BRIDGE_META_PROBE = """table bridge vdenet_probe {
	chain c {
		meta ibrname "x" drop
	}
}
"""
"""A script for `nft --check` that passes where the kernel can match the bridge of a frame."""


def _inet(segment: Segment, name: str, own4: Sequence[IPv4Interface], chains: str,
          neighbours: Sequence[Neighbour]) -> str:
    bridge = f'"{segment.bridge}"'
    # Where no address is changed on the way: among the guests, and to segments that are routed with this one.
    inside = _set([_quoted(name) for name in (segment.bridge, *_bridges(neighbours, True))])
    inside = bridge if "," not in inside else inside
    addresses = _set([a.ip for a in own4])
    networks = _set(list(collapse_addresses(a.network for a in own4)))
    v6: IPv6Interface | None = segment.address6
    input6 = "" if v6 is None else f"""
		ip6 daddr {{ {v6.ip}, fe80::/10, ff02::/16 }} udp dport {{ 53, 547 }} accept
		ip6 daddr {{ {v6.ip}, fe80::/10 }} tcp dport 53 accept"""
    # Where a guest serves, no other server of this host is to answer.
    dhcp = "" if segment.guest_dhcp else "udp dport 67 accept\n\t\t"
    # The server begins from a port of its own, so the rest of a transfer is established (RFC 1350, section 4).
    tftp = f"\n\t\tip daddr {addresses} udp dport 69 accept" \
        if segment.netboot is not None and segment.netboot.root is not None else ""
    opened = "".join(f"\n\t\t{port.protocol} dport {port.port} accept" for port in segment.open_ports)
    if segment.mode is Mode.ISOLATED:
        leave, enter = "", ""
    else:
        leave = f"\n\t\tip saddr {networks} accept"
        leave += "" if v6 is None else f"\n\t\tip6 saddr {v6.network} accept"
        enter = "\n\t\taccept" if segment.mode is Mode.ROUTED else "\n\t\tct state established,related accept"
    nat = ""
    if segment.mode is Mode.NAT:
        masquerade6 = "" if v6 is None else f"""
		ip6 saddr {v6.network} ip6 daddr != {v6.network} oifname != {inside} masquerade"""
        nat = f"""
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr {networks} ip daddr != {networks} oifname != {inside} masquerade{masquerade6}
	}}
"""
    services = f"""ct state established,related accept{_away_from(neighbours)}
		{dhcp}ip daddr {addresses} udp dport 53 accept
		ip daddr {addresses} tcp dport 53 accept{tftp}{input6}
		icmp type echo-request accept
		icmpv6 type {{ {", ".join(_ICMPV6)} }} accept{opened}"""
    output = ""
    if not segment.host_access:
        # Not by connection: an established one would outlive the change that forbids it.
        services = f"""{dhcp}ip daddr {addresses} udp dport 53 accept
		ip daddr {addresses} tcp dport 53 accept{tftp}{input6}
		icmpv6 type {{ {", ".join(_ICMPV6[1:])} }} accept"""
        output = f"""
	chain output {{
		type filter hook output priority filter; policy accept;
		oifname {bridge} jump host_to_guests
	}}

	chain host_to_guests {{
		udp sport {{ 53, 67, {tftp and "69, "}547 }} accept
		tcp sport 53 accept
		icmpv6 type {{ {", ".join(_ICMPV6_OUT)} }} accept
		drop
	}}
"""
    to_neighbours = ""
    if _bridges(neighbours, True):
        own6 = "" if v6 is None else f"\n\t\tip6 saddr {v6.network} accept"
        to_neighbours = f"\n\tchain to_neighbours {{\n\t\tip saddr {networks} accept{own6}\n\t\tdrop\n\t}}\n"
    return f"""table inet {name} {{
	chain input {{
		type filter hook input priority filter; policy accept;
		iifname {bridge} jump guests_to_host
	}}

	chain guests_to_host {{
		{services}
		drop
	}}
{output}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname {bridge} oifname {bridge} accept{_among(segment, neighbours)}
		iifname {bridge} jump leave
		oifname {bridge} jump enter
	}}

	chain leave {{{leave}
		drop
	}}

	chain enter {{{enter}
		drop
	}}
{to_neighbours}{nat}{chains}}}
"""


def _bridges(neighbours: Sequence[Neighbour], reachable: bool) -> list[str]:
    return [other.bridge for other in neighbours if other.reachable is reachable]


def _away_from(neighbours: Sequence[Neighbour]) -> str:
    """The host's addresses on segments that are out of reach are so, too."""
    out = [other for other in neighbours if not other.reachable]
    rules = f"\n\t\tip daddr {_set([other.network for other in out])} drop" if out else ""
    six = [other.network6 for other in out if other.network6 is not None]
    return rules + (f"\n\t\tip6 daddr {_set(six)} drop" if six else "")


def _among(segment: Segment, neighbours: Sequence[Neighbour]) -> str:
    """Between segments. What comes from another one, that one's own table has let out."""
    bridge = _quoted(segment.bridge)
    rules = []
    for names, out, into in ((_bridges(neighbours, False), "drop", "drop"),
                             (_bridges(neighbours, True), "jump to_neighbours", "accept")):
        if names:
            there = _set([_quoted(name) for name in names])
            rules += [f"iifname {bridge} oifname {there} {out}", f"iifname {there} oifname {bridge} {into}"]
    return "".join(f"\n\t\t{rule}" for rule in rules)


def _bridge(segment: Segment, name: str, own4: Sequence[IPv4Address], others6: Sequence[IPv6Address],
            bridge_mac: str, where: str, server: DhcpServer | None = None) -> str:
    own6 = [link_local(bridge_mac), *others6]
    addresses = _set(own4)
    arp = f"\n\t\tether type arp arp saddr ip {addresses} drop" if own4 else ""
    ip = f"\n\t\tip saddr {addresses} drop" if own4 else ""
    # nft of Debian 12 has no name for the target of neighbour discovery: 128 bits, 64 bits into ICMPv6
    # (RFC 4861, section 4.3).
    targets = _set([f"0x{int(a):032x}" for a in own6])
    # What the rules cannot look into does not pass: IP behind an LLC/SNAP header (RFC 1042), and a first IPv6
    # fragment that ends before its headers do (RFC 7112): of one nft tells no protocol, of another it tells a
    # protocol whose ports or type it cannot read. Later fragments are nothing without the first.
    guard, only = "", ""
    if server is not None:
        # Nobody else is heard under its address; what it says still passes the rules on addresses. 4011 is where
        # it tells a PXE client more than DHCP has room for (PXE 2.1, section 2.2.3).
        at, mac = _quoted(server.port), mac_address(server.mac)
        only = f"""
		ether saddr {mac} iifname != {at} drop"""
        guard = f"""
		ether type ip iifname {at} ether saddr {mac} udp sport {{ 67, 4011 }} udp dport 68 accept"""
    if segment.guard:
        # Clients take an answer from whatever port it comes.
        guard += """
		udp sport { 67, 547 } drop
		udp dport { 68, 546 } drop
		icmpv6 type { nd-router-advert, nd-redirect } drop
		icmp type redirect drop"""
    return f"""table bridge {name} {{
	chain prerouting {{
		type filter hook prerouting priority filter; policy accept;
		{where}
	}}

	chain from_guests {{
		ether type {{ 8021q, 8021ad }} drop
		ether saddr {bridge_mac} drop{only}
		ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 drop
		ether type < 0x0600 @ll,112,48 0xaaaa03000000 drop
		ether type ip6 jump whole{arp}
		ether type arp arp saddr ether {bridge_mac} drop{ip}
		ip6 saddr {_set(own6)} drop
		icmpv6 type {{ nd-neighbor-advert, nd-neighbor-solicit }} @th,64,128 {targets} jump neighbour{guard}
	}}

	chain whole {{
		frag frag-off != 0 return
		icmpv6 type {{ 0-255 }} return
		udp sport {{ 0-65535 }} return
		meta l4proto {{ icmpv6, udp }} drop
		meta l4proto != 255 return
		drop
	}}

	chain neighbour {{
		icmpv6 type nd-neighbor-advert drop
		ip6 saddr :: drop
	}}
}}
"""

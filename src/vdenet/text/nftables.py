"""The firewall and NAT of a segment as an nftables script (nft(8)).

Two tables, both named after the segment: `bridge` guards the segment against its guests (`text.guard`), `inet`
guards the host and does NAT. Each is replaced as a whole in one transaction. Priority and policy leave everything that
is not on the segment alone. An accept here overrides no drop of another program's table: `check` looks
for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, collapse_addresses

from vdenet.model.names import segment_name
from vdenet.model.neighbours import Neighbour
from vdenet.model.segment import Mode, Segment
from vdenet.model.vlans import UNTAGGED
from vdenet.model.wanted import Address, DhcpServer, Firewall
from vdenet.text import guard
from vdenet.text.nftwords import quoted, set_of

_ICMPV6 = ("echo-request", "nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert",
           "mld-listener-report", "mld2-listener-report")
"""What guests may send to the host itself."""
_ICMPV6_OUT = ("nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert", "mld-listener-query",
               "mld2-listener-report")
"""What the host has to send to guests that it may not reach."""


def table_name(segment: str) -> str:
    """The name of both tables."""
    return f"vdenet_{segment_name(segment)}"


def firewall(segment: Segment, retiring: Sequence[IPv4Interface], bridge_mac: str,
             ports: Sequence[str] | None = None, chains: str = "",
             server: DhcpServer | None = None, tagged: Mapping[str, Iterable[int]] | None = None,
             neighbours: Sequence[Neighbour] = ()) -> Firewall:
    """The rule set; `retiring` are earlier addresses that are still served.

    `ports` is for kernels that cannot match the bridge a frame came in by (no nft_meta_bridge): the names
    of the ports that are there now, for the guard to list. None where the kernel can. `chains` go into the
    inet table besides. `server` is the guest that may serve DHCP. `tagged` are the VLANs whose tags a port may
    send; of others no tag passes. `neighbours` are the host's other segments.
    """
    name = table_name(segment.name)
    own4 = (segment.own, *retiring)
    tables = (("inet", name), ("bridge", name))
    networks = _networks(segment, own4)
    text = _without(tables) + _inet(segment, name, networks, chains, neighbours)
    text += guard.table(segment, name, [a.ip for network in networks for a in network.own4],
                    [network.own6.ip for network in networks if network.own6 is not None], bridge_mac,
                    guard.where(segment.bridge, ports, ()), tagged or {}, server)
    return Firewall(segment.name, tables, text)


def bridged(segment: Segment, own: Sequence[Address], bridge_mac: str, beyond: Sequence[str],
            ports: Sequence[str] | None = None, chains: str = "",
            tagged: Mapping[str, Iterable[int]] | None = None) -> Firewall:
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
    text += guard.table(segment, name, own4, own6, bridge_mac, guard.where(segment.bridge, ports, beyond), tagged or {})
    return Firewall(segment.name, tables, text)


def _without(tables: Sequence[tuple[str, str]]) -> str:
    return "".join(f"add table {family} {name}\ndelete table {family} {name}\n" for family, name in tables)


def unload(wall: Firewall) -> str:
    """The script that removes the tables, also when they are not there."""
    return _without(wall.tables)


BRIDGE_META_PROBE = """table bridge vdenet_probe {
	chain c {
		meta ibrname "x" drop
	}
}
"""
"""A script for `nft --check` that passes where the kernel can match the bridge of a frame."""


@dataclass(frozen=True, slots=True)
class _Network:
    """One of the host's networks on the segment: the segment's own, or a VLAN's."""

    link: str
    chain: str
    """What the names of its chains end in."""
    own4: Sequence[IPv4Interface]
    own6: IPv6Interface | None
    vlan: int = UNTAGGED
    reach: frozenset[int] = frozenset()


def _networks(segment: Segment, own4: Sequence[IPv4Interface]) -> list[_Network]:
    found = [_Network(segment.bridge, "", own4, segment.address6)]
    return found + [_Network(vlan.link(segment.bridge), f"_{vlan.id}", (vlan.address,), vlan.address6, vlan.id,
                             frozenset(vlan.reach))
                    for vlan in segment.vlans if vlan.address is not None]


def _inet(segment: Segment, name: str, networks: Sequence[_Network], chains: str,
          neighbours: Sequence[Neighbour]) -> str:
    links = _links([network.link for network in networks])
    near = [other.bridge for other in neighbours if other.reachable]
    # Where no address is changed on the way: among the guests, and to segments that are routed with this one.
    inside = _links([*(network.link for network in networks), *near])
    entry = "".join(f"""
		iifname "{network.link}" jump guests_to_host{network.chain}""" for network in networks)
    to_host = "".join(_to_host(segment, network, neighbours) for network in networks)
    forward = "".join(f"""
		iifname "{network.link}" oifname "{network.link}" accept""" for network in networks)
    if len(networks) > 1:
        # Between VLANs only where the file says so.
        forward += "".join(f"""
		iifname "{one.link}" oifname "{other.link}" accept""" for one in networks for other in networks
                           if one.vlan in other.reach or other.vlan in one.reach)
        forward += f"""
		iifname {links} oifname {links} drop"""
    forward += _among(networks, neighbours)
    forward += "".join(f"""
		iifname "{network.link}" jump leave{network.chain}""" for network in networks)
    enter = ""
    if segment.mode is not Mode.ISOLATED:
        enter = "\n\t\taccept" if segment.mode is Mode.ROUTED else "\n\t\tct state established,related accept"
    leave = "".join(_leave(segment, network) for network in networks)
    nat = ""
    if segment.mode is Mode.NAT:
        nat = f"""
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;{
            "".join(_masquerade(network, links if network.vlan != UNTAGGED else inside) for network in networks)}
	}}
"""
    output = ""
    if not segment.host_access:
        output = f"""
	chain output {{
		type filter hook output priority filter; policy accept;
		oifname {links} jump host_to_guests
	}}

	chain host_to_guests {{
		udp sport {{ 53, 67, {"69, " if _serves_files(segment) else ""}547 }} accept
		tcp sport 53 accept
		icmpv6 type {{ {", ".join(_ICMPV6_OUT)} }} accept
		drop
	}}
"""
    to_neighbours = ""
    if near:
        own6 = "" if networks[0].own6 is None else f"\n\t\tip6 saddr {networks[0].own6.network} accept"
        to_neighbours = f"\n\tchain to_neighbours {{\n\t\tip saddr {_networks4(networks[0])} accept{own6}\n" \
            "\t\tdrop\n\t}\n"
    return f"""table inet {name} {{
	chain input {{
		type filter hook input priority filter; policy accept;{entry}
	}}
{to_host}{output}
	chain forward {{
		type filter hook forward priority filter; policy accept;{forward}
		oifname {links} jump enter
	}}
{leave}
	chain enter {{{enter}
		drop
	}}
{to_neighbours}{nat}{chains}}}
"""


def _away_from(network: _Network, neighbours: Sequence[Neighbour]) -> str:
    """The host's addresses on segments that are out of reach are so, too."""
    far: list[object] = []
    six: list[object] = []
    for other in neighbours:
        if not other.reachable or network.vlan != UNTAGGED:
            far.append(other.network)
            six += [other.network6] if other.network6 is not None else []
        far += [one for one in other.vlan_networks if one.version == 4]
        six += [one for one in other.vlan_networks if one.version == 6]
    return "".join(f"\n\t\t{family} daddr {set_of(networks)} drop"
                   for family, networks in (("ip", far), ("ip6", six)) if networks)


def _among(networks: Sequence[_Network], neighbours: Sequence[Neighbour]) -> str:
    """Between segments. What comes from another one, that one's own table has let out.

    VLANs, of this one and of others, are in nobody's reach.
    """
    near = [other.bridge for other in neighbours if other.reachable]
    others = [link for other in neighbours for link in (other.bridge, *other.vlan_links)]
    vlans = [network.link for network in networks[1:]]
    rules = []
    for here, names, out, into in (([networks[0].link], [link for link in others if link not in near], "drop", "drop"),
                                   ([networks[0].link], near, "jump to_neighbours", "accept"),
                                   (vlans, others, "drop", "drop")):
        if here and names:
            there = set_of([quoted(name) for name in names])
            own = _links(here)
            rules += [f"iifname {own} oifname {there} {out}", f"iifname {there} oifname {own} {into}"]
    return "".join(f"\n\t\t{rule}" for rule in rules)


def _links(names: Sequence[str]) -> str:
    return set_of([quoted(name) for name in names]) if len(names) > 1 else quoted(names[0])


def _to_host(segment: Segment, network: _Network, neighbours: Sequence[Neighbour]) -> str:
    addresses, v6 = set_of([a.ip for a in network.own4]), network.own6
    input6 = "" if v6 is None else f"""
		ip6 daddr {{ {v6.ip}, fe80::/10, ff02::/16 }} udp dport {{ 53, 547 }} accept
		ip6 daddr {{ {v6.ip}, fe80::/10 }} tcp dport 53 accept"""
    opened = "".join(f"\n\t\t{port.protocol} dport {port.port} accept" for port in segment.open_ports)
    # Where a guest serves, no other server of this host is to answer.
    dhcp = "" if segment.guest_dhcp and network.vlan == UNTAGGED else "udp dport 67 accept\n\t\t"
    # The server begins from a port of its own, so the rest of a transfer is established (RFC 1350, section 4).
    tftp = f"\n\t\tip daddr {addresses} udp dport 69 accept" if _serves_files(segment) else ""
    services = f"""ct state established,related accept{_away_from(network, neighbours)}
		{dhcp}ip daddr {addresses} udp dport 53 accept
		ip daddr {addresses} tcp dport 53 accept{tftp}{input6}
		icmp type echo-request accept
		icmpv6 type {{ {", ".join(_ICMPV6)} }} accept{opened}"""
    if not segment.host_access:
        # Not by connection: an established one would outlive the change that forbids it.
        services = f"""{dhcp}ip daddr {addresses} udp dport 53 accept
		ip daddr {addresses} tcp dport 53 accept{tftp}{input6}
		icmpv6 type {{ {", ".join(_ICMPV6[1:])} }} accept"""
    return f"""
	chain guests_to_host{network.chain} {{
		{services}
		drop
	}}
"""


def _serves_files(segment: Segment) -> bool:
    return segment.netboot is not None and segment.netboot.root is not None


def _leave(segment: Segment, network: _Network) -> str:
    rules = ""
    if segment.mode is not Mode.ISOLATED:
        rules = f"\n\t\tip saddr {_networks4(network)} accept"
        rules += "" if network.own6 is None else f"\n\t\tip6 saddr {network.own6.network} accept"
    return f"""
	chain leave{network.chain} {{{rules}
		drop
	}}
"""


def _masquerade(network: _Network, links: str) -> str:
    own4, own6 = _networks4(network), network.own6
    masquerade6 = "" if own6 is None else f"""
		ip6 saddr {own6.network} ip6 daddr != {own6.network} oifname != {links} masquerade"""
    return f"""
		ip saddr {own4} ip daddr != {own4} oifname != {links} masquerade{masquerade6}"""


def _networks4(network: _Network) -> str:
    return set_of(list(collapse_addresses(a.network for a in network.own4)))

"""The guard of a segment against its guests, as nftables' bridge table.

Nobody but the host serves DHCP or router advertisements, nobody takes the host's addresses, and of tags pass
those of the VLANs that a port may send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from vdenet.model.names import mac_address
from vdenet.model.segment import Segment
from vdenet.model.vlans import UNTAGGED
from vdenet.model.wanted import DhcpServer
from vdenet.text.nftwords import quoted, set_of


def where(bridge: str, ports: Sequence[str] | None, beyond: Sequence[str]) -> str:
    """The match of what guests send: by the bridge, or by a list of ports."""
    if ports is None:
        but = f"iifname != {set_of([quoted(port) for port in beyond])} " if beyond else ""
        return f'meta ibrname {quoted(bridge)} {but}jump from_guests'
    guests = sorted(set(ports) - set(beyond))
    return f"iifname {set_of([quoted(port) for port in guests])} jump from_guests" if guests else ""


def link_local(mac: str) -> IPv6Address:
    """The link-local address that the kernel derives from a MAC (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    interface = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return IPv6Address(b"\xfe\x80" + bytes(6) + interface)


def table(segment: Segment, name: str, own4: Sequence[IPv4Address], others6: Sequence[IPv6Address],
          bridge_mac: str, at: str, tagged: Mapping[str, Iterable[int]], server: DhcpServer | None = None) -> str:
    """The table `name`; of the host are `own4`, `others6` and what `bridge_mac` makes. `at` is what `where` says.

    `tagged` are the VLANs whose tags a port may send; `server` is the guest that may serve DHCP.
    """
    own6 = [link_local(bridge_mac), *others6]
    addresses = set_of(own4)
    # nft of Debian 12 has no name for the target of neighbour discovery: 128 bits, 64 bits into ICMPv6
    # (RFC 4861, section 4.3).
    targets = set_of([f"0x{int(a):032x}" for a in own6])
    # What the rules cannot look into does not pass: IP behind an LLC/SNAP header (RFC 1042), and a first IPv6
    # fragment that ends before its headers do (RFC 7112): of one nft tells no protocol, of another it tells a
    # protocol whose ports or type it cannot read. Later fragments are nothing without the first.
    guard, only = "", ""
    # Of a frame with a tag, nft's `ether type` is the tag's, and so is what `icmp`, `icmpv6` and `frag` look at by
    # themselves; `meta protocol` is what follows the first tag.
    four, six = ("meta protocol ip ", "meta protocol ip6 ") if tagged else ("", "")
    if server is not None:
        # Nobody else is heard under its address; what it says still passes the rules on addresses. 4011 is where
        # it tells a PXE client more than DHCP has room for (PXE 2.1, section 2.2.3).
        port, mac = quoted(server.port), mac_address(server.mac)
        only = f"""
		ether saddr {mac} iifname != {port} drop"""
        guard = f"""
		ether type ip iifname {port} ether saddr {mac} udp sport {{ 67, 4011 }} udp dport 68 accept"""
        if server.port in tagged:  # the way to the VDE switch: in the segment's own network only
            guard = f"""
		iifname {port} ether saddr {mac} vlan id {UNTAGGED} meta protocol ip udp sport {{ 67, 4011 }} udp dport 68 accept"""
    if segment.guard:
        # Clients take an answer from whatever port it comes.
        guard += f"""
		udp sport {{ 67, 547 }} drop
		udp dport {{ 68, 546 }} drop
		{six}icmpv6 type {{ nd-router-advert, nd-redirect }} drop
		{four}icmp type redirect drop"""
    tags, tagged_chain, snap = "ether type { 8021q, 8021ad } drop", "", ""
    is_arp, ip6 = "ether type arp", "ether type ip6"
    if tagged:
        tags = """ether type 8021ad drop
		ether type 8021q jump tagged"""
        is_arp, ip6 = "meta protocol arp", "meta protocol ip6"
        snap = """
		ether type 8021q vlan type < 0x0600 @ll,144,48 0xaaaa03000000 drop"""
        may = "".join(f"""
		iifname {quoted(port)} vlan id {set_of(sorted(vlans))} return""" for port, vlans in sorted(tagged.items()))
        tagged_chain = f"""
	chain tagged {{
		meta protocol {{ 8021q, 8021ad }} drop{may}
		drop
	}}
"""
    arp = f"\n\t\t{is_arp} arp saddr ip {addresses} drop" if own4 else ""
    ip = f"\n\t\tip saddr {addresses} drop" if own4 else ""
    return f"""table bridge {name} {{
	chain prerouting {{
		type filter hook prerouting priority filter; policy accept;
		{at}
	}}

	chain from_guests {{
		{tags}
		ether saddr {bridge_mac} drop{only}
		ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 drop
		ether type < 0x0600 @ll,112,48 0xaaaa03000000 drop{snap}
		{ip6} jump whole{arp}
		{is_arp} arp saddr ether {bridge_mac} drop{ip}
		ip6 saddr {set_of(own6)} drop
		{six}icmpv6 type {{ nd-neighbor-advert, nd-neighbor-solicit }} @th,64,128 {targets} jump neighbour{guard}
	}}
{tagged_chain}
	chain whole {{
		{six}frag frag-off != 0 return
		{six}icmpv6 type {{ 0-255 }} return
		udp sport {{ 0-65535 }} return
		meta l4proto {{ icmpv6, udp }} drop
		meta l4proto != 255 return
		drop
	}}

	chain neighbour {{
		{six}icmpv6 type nd-neighbor-advert drop
		ip6 saddr :: drop
	}}
}}
"""

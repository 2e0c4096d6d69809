"""Whether a packet is one of those that a match of an nftables rule names.

What cannot be told of the packet (a mark, an expression that computes) is no match.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from vdenet.text.ruleset import Chain, Json, Ruleset, fields

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipv6-icmp": 58}
_FAMILIES = {"ipv4": 2, "ipv6": 10}
_SERVICES = {"domain": 53, "bootps": 67, "dhcpv6-server": 547}


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet on its way; an interface name of None is some other interface, by an unknown name."""

    iifname: str | None
    oifname: str | None
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address | None
    protocol: str
    port: int | None = None
    state: str = "new"
    local: bool = False
    """It is for this host (addrtype LOCAL, or BROADCAST)."""

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.source.version


class Matcher:
    """One packet, and the sets of a rule set that matches may name."""

    def __init__(self, ruleset: Ruleset, packet: Packet) -> None:
        self._ruleset = ruleset
        self._packet = packet

    def matches(self, chain: Chain, match: Json) -> bool:
        """Whether the packet is one of those that an expression of a rule in `chain` is about."""
        left, right, operator = (fields(match).get(key) for key in ("left", "right", "op"))
        if isinstance(left, dict) and isinstance(left.get("concat"), list):
            return self._concatenated(chain, left["concat"], right, operator)
        known, own = self._own(left)
        # A field that the packet lacks ends the rule, whatever the operator.
        if not known or own is _Missing:
            return False
        hit = self._is(chain, own, right)
        if operator == "!=":
            return hit is False
        return hit is True

    def _concatenated(self, chain: Chain, parts: list[Json], right: Json, operator: Json) -> bool:
        owns = [self._own(part) for part in parts]
        if not all(known for known, _value in owns) or operator == "!=":
            return False
        for element in self._ruleset.elements(chain, right):
            values = fields(element).get("concat")
            if isinstance(values, list) and len(values) == len(owns) and all(self._is(chain, own, value) is True
                                                for (_known, own), value in zip(owns, values, strict=True)):
                return True
        return False

    def _own(self, left: Json) -> tuple[bool, Json]:
        """The packet's value of an expression, and whether it is known."""
        if not isinstance(left, dict) or len(left) != 1:
            return False, None
        kind, what = next(iter(left.items()))
        what = fields(what)
        key = str(what.get("key"))
        packet = self._packet
        if kind == "meta":
            values = {
                "iifname": ("interface", packet.iifname), "oifname": ("interface", packet.oifname),
                "iif": ("interface", packet.iifname), "oif": ("interface", packet.oifname),
                "l4proto": _PROTOCOLS[packet.protocol], "nfproto": _FAMILIES[f"ipv{packet.version}"],
                "protocol": "ip" if packet.version == 4 else "ip6",
                "mark": 0, "pkttype": "unicast" if packet.destination is not None else "broadcast",
            }
            return key in values, values.get(key)
        if kind == "ct":
            values = {"state": packet.state, "mark": 0, "status": "confirmed"}
            return key in values, values.get(key)
        if kind == "payload":
            return self._payload(str(what.get("protocol")), str(what.get("field")))
        return False, None

    def _payload(self, protocol: str, field: str) -> tuple[bool, Json]:
        packet = self._packet
        if protocol in ("ip", "ip6"):
            if (protocol == "ip") != (packet.version == 4):
                return True, _Missing
            values: dict[str, Json] = {"saddr": packet.source, "protocol": _PROTOCOLS[packet.protocol],
                                       "nexthdr": _PROTOCOLS[packet.protocol]}
            if packet.destination is not None:
                values["daddr"] = packet.destination
            return field in values, values.get(field)
        if protocol in ("tcp", "udp", "th", "icmp", "icmpv6", "sctp", "dccp", "udplite", "esp", "ah"):
            if protocol not in ("th", packet.protocol):
                return True, _Missing
            if field == "dport" and packet.port is not None:
                return True, packet.port
            if field == "type" and packet.protocol.startswith("icmp"):
                return True, "echo-request"
        return False, None

    def _is(self, chain: Chain, own: Json, right: Json) -> bool | None:
        """Whether the packet's value is what the rule names; None when that cannot be told."""
        if own is _Missing:
            return False
        if isinstance(right, list) or isinstance(right, str) and right.startswith("@") \
                or isinstance(right, dict) and not {"prefix", "range"} & right.keys():
            answers = [self._is(chain, own, element) for element in self._ruleset.elements(chain, right)]
            return True if True in answers else None if None in answers else False
        if isinstance(own, tuple):
            return _same_interface(own[1], right)
        if isinstance(own, (IPv4Address, IPv6Address)):
            return _covers(right, own)
        if isinstance(right, dict) and "range" in right:
            ends = [_number(end) for end in right["range"]] if isinstance(right["range"], list) else []
            if not isinstance(own, int) or len(ends) != 2 or None in ends:
                return None
            first, last = (end or 0 for end in ends)
            return first <= own <= last
        if isinstance(own, int):
            number = _number(right)
            return None if number is None else number == own
        return bool(own == right)


class _Missing:
    """The value of a field that the packet does not have."""


def _same_interface(own: str | None, right: Json) -> bool | None:
    if not isinstance(right, str):
        return None
    if own is None:
        return None
    return own.startswith(right[:-1]) if right.endswith("*") else own == right


def _covers(right: Json, own: IPv4Address | IPv6Address) -> bool | None:
    try:
        if isinstance(right, dict) and "prefix" in right:
            return own in ip_network(f"{right['prefix']['addr']}/{right['prefix']['len']}", strict=False)
        if isinstance(right, dict) and "range" in right:
            first, last = (ip_address(str(end)) for end in right["range"])
            return int(first) <= int(own) <= int(last) if first.version == own.version else False
        return ip_address(str(right)) == own
    except (ValueError, TypeError, LookupError):
        return None


def _number(word: Json) -> int | None:
    if isinstance(word, bool):
        return None
    if isinstance(word, int):
        return word
    if isinstance(word, str):
        if word.isascii() and word.isdigit():
            return int(word)
        return {**_PROTOCOLS, **_FAMILIES, **_SERVICES}.get(word)
    return None

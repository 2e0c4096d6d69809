"""What other programs' nftables rules do to a packet: `nft -j list ruleset`, read and walked.

Source: libnftables-json(5). The kernel lets a packet pass when every base chain at the hook accepts it, so
each chain is asked on its own. A match that cannot be decided here (a mark, a set that is filled at run
time, an iptables extension) counts as not matching: what such a rule accepts or drops is somebody's
exception, not the rule for the segment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from vdenet.errors import BadValue
from vdenet.i18n import _

ACCEPT, DROP = "accept", "drop"
_MAX_DEPTH = 32
"""Jumps within jumps; the kernel allows 16 (NFT_JUMP_STACK_SIZE)."""

_MAX_ELEMENTS = 4096
"""A larger set is a list of strangers, not a rule for the segment, and takes seconds to go through."""

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "ipv6-icmp": 58}
_FAMILIES = {"ipv4": 2, "ipv6": 10}
_SERVICES = {"domain": 53, "bootps": 67, "dhcpv6-server": 547}

Json = Any
"""What json.loads gives."""


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


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of a table; `hook` is None for one that is only jumped to."""

    family: str
    table: str
    name: str
    hook: str | None = None
    policy: str = ACCEPT
    rules: tuple[tuple[Json, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All tables, as chains by (family, table, name), and the elements of sets and maps likewise."""

    chains: Mapping[tuple[str, str, str], Chain]
    sets: Mapping[tuple[str, str, str], Json]

    def base_chains(self, hook: str) -> Iterator[Chain]:
        """Those that the kernel calls at `hook`."""
        return (chain for chain in self.chains.values() if chain.hook == hook)

    def chains_of(self, chain: Chain) -> frozenset[str]:
        """Names of all chains in the table of `chain`."""
        return frozenset(name for family, table, name in self.chains
                         if (family, table) == (chain.family, chain.table))

    def verdict(self, chain: Chain, packet: Packet) -> str:
        """`accept` or `drop`: what a base chain says to the packet."""
        return _Walk(self, packet).base(chain)


def parse(text: str) -> Ruleset:
    """Read what nft prints. Raises `BadValue`."""
    try:
        objects = json.loads(text)["nftables"] if text.strip() else []
        rules: dict[tuple[str, str, str], list[tuple[Json, ...]]] = {}
        heads: dict[tuple[str, str, str], dict[str, Json]] = {}
        sets: dict[tuple[str, str, str], Json] = {}
        for entry in objects:
            for kind, value in entry.items():
                if kind == "chain":
                    heads[value["family"], value["table"], value["name"]] = value
                elif kind == "rule":
                    key = value["family"], value["table"], value["chain"]
                    rules.setdefault(key, []).append(tuple(value.get("expr", ())))
                elif kind in ("set", "map"):
                    sets[value["family"], value["table"], value["name"]] = value.get("elem", [])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise BadValue(what=_("rule set"), value=text[:40], why=_("not what nft --json prints")) from None
    chains = {key: Chain(*key, hook=head.get("hook"), policy=str(head.get("policy", ACCEPT)),
                         rules=tuple(rules.get(key, ()))) for key, head in heads.items()}
    return Ruleset(chains, sets)


class _Walk:
    """One packet through one base chain."""

    def __init__(self, ruleset: Ruleset, packet: Packet) -> None:
        self._ruleset = ruleset
        self._packet = packet

    def base(self, chain: Chain) -> str:
        return self._chain(chain, 0) or chain.policy

    def _chain(self, chain: Chain, depth: int) -> str | None:
        """The verdict, or None when the end of the chain is reached or it returns."""
        for rule in chain.rules:
            verdict = self._rule(chain, rule, depth)
            if verdict == "return":
                return None
            if verdict is not None:
                return verdict
        return None

    def _rule(self, chain: Chain, rule: tuple[Json, ...], depth: int) -> str | None:
        final = _final(rule)
        for statement in rule:
            if not isinstance(statement, dict) or not statement:
                continue
            kind, value = next(iter(statement.items()))
            if kind == "match":
                if not self._matches(chain, value):
                    return None
            elif kind == "xt":
                if not self._extension(value, final):
                    return None
                if final == DROP and _is_drop(statement):
                    return DROP
            elif kind == "limit":
                return None
            elif kind == "vmap":
                return self._mapped(chain, value, depth)
            elif kind in (ACCEPT, DROP, "reject", "return", "jump", "goto"):
                return self._carry_out(chain, kind, value, depth)
        return None

    def _carry_out(self, chain: Chain, kind: str, value: Json, depth: int) -> str | None:
        if kind == "reject":
            return DROP
        if kind not in ("jump", "goto"):
            return kind
        called = self._ruleset.chains.get((chain.family, chain.table, str(_table(value).get("target"))))
        if called is None or depth >= _MAX_DEPTH:
            return None
        verdict = self._chain(called, depth + 1)
        # goto: the rest of this chain is left out; as if it returned.
        return "return" if verdict is None and kind == "goto" else verdict

    def _mapped(self, chain: Chain, value: Json, depth: int) -> str | None:
        for element in self._elements(chain, _table(value).get("data")):
            if isinstance(element, list) and len(element) == 2 and isinstance(element[1], dict) and element[1] \
                    and self._matches(chain, {"op": "==", "left": value.get("key"), "right": element[0]}):
                kind, target = next(iter(element[1].items()))
                return self._carry_out(chain, kind, target, depth)
        return None

    def _extension(self, value: Json, final: str | None) -> bool:
        """An iptables match or target that nft does not know: only its name is told."""
        told = _table(value)
        if told.get("type") == "target":
            return True
        name = told.get("name")
        if name == "comment":
            return True
        if final not in (ACCEPT, "return"):
            return False
        # The arguments are not told, but what lets packets pass by connection state means replies, by type
        # of address those for the host, by type of ICMP the harmless ones.
        return name in ("conntrack", "state") and self._packet.state == "established" \
            or name == "addrtype" and self._packet.local \
            or name in ("icmp", "icmp6") and self._packet.protocol in ("icmp", "icmpv6")

    # --- matches --------------------------------------------------------------------------------

    def _matches(self, chain: Chain, match: Json) -> bool:
        left, right, operator = (_table(match).get(key) for key in ("left", "right", "op"))
        if isinstance(left, dict) and isinstance(left.get("concat"), list):
            return self._concatenated(chain, left["concat"], right, operator)
        known, own = self._own(left)
        # A field that the packet lacks ends the rule, whatever the operator.
        if not known or own is _Nothing:
            return False
        hit = self._is(chain, own, right)
        if operator == "!=":
            return hit is False
        return hit is True

    def _concatenated(self, chain: Chain, parts: list[Json], right: Json, operator: Json) -> bool:
        owns = [self._own(part) for part in parts]
        if not all(known for known, _value in owns) or operator == "!=":
            return False
        for element in self._elements(chain, right):
            values = _table(element).get("concat")
            if isinstance(values, list) and len(values) == len(owns) and all(self._is(chain, own, value) is True
                                                for (_known, own), value in zip(owns, values, strict=True)):
                return True
        return False

    def _own(self, left: Json) -> tuple[bool, Json]:
        """The packet's value of an expression, and whether it is known."""
        if not isinstance(left, dict) or len(left) != 1:
            return False, None
        kind, what = next(iter(left.items()))
        what = _table(what)
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
                return True, _Nothing
            values: dict[str, Json] = {"saddr": packet.source, "protocol": _PROTOCOLS[packet.protocol],
                                       "nexthdr": _PROTOCOLS[packet.protocol]}
            if packet.destination is not None:
                values["daddr"] = packet.destination
            return field in values, values.get(field)
        if protocol in ("tcp", "udp", "th", "icmp", "icmpv6", "sctp", "dccp", "udplite", "esp", "ah"):
            if protocol not in ("th", packet.protocol):
                return True, _Nothing
            if field == "dport" and packet.port is not None:
                return True, packet.port
            if field == "type" and packet.protocol.startswith("icmp"):
                return True, "echo-request"
        return False, None

    def _is(self, chain: Chain, own: Json, right: Json) -> bool | None:
        """Whether the packet's value is what the rule names; None when that cannot be told."""
        if own is _Nothing:
            return False
        if isinstance(right, list) or isinstance(right, str) and right.startswith("@") \
                or isinstance(right, dict) and not {"prefix", "range"} & right.keys():
            answers = [self._is(chain, own, element) for element in self._elements(chain, right)]
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

    def _elements(self, chain: Chain, right: Json) -> list[Json]:
        """The members of a set, however it is given."""
        if isinstance(right, str) and right.startswith("@"):
            right = self._ruleset.sets.get((chain.family, chain.table, right[1:]), [])
        if isinstance(right, dict) and "set" in right:
            right = right["set"]
        found = right if isinstance(right, list) else [right]
        if len(found) > _MAX_ELEMENTS:
            return []
        # An element with a comment or a counter is wrapped.
        return [one["elem"].get("val") if isinstance(one, dict) and isinstance(one.get("elem"), dict) else one
                for one in found]


class _Nothing:
    """The value of a field that the packet does not have."""


def _table(value: Json) -> dict[str, Json]:
    """An object of the JSON, empty where it is something else."""
    return value if isinstance(value, dict) else {}


def _final(rule: tuple[Json, ...]) -> str | None:
    """`accept`, `drop` or the jump that a rule ends in."""
    for statement in reversed(rule):
        if isinstance(statement, dict):
            if _is_drop(statement):
                return DROP
            for kind in statement:
                if kind in (ACCEPT, "return", "jump", "goto"):
                    return str(kind)
    return None


def _is_drop(statement: Mapping[str, Json]) -> bool:
    target = statement.get("xt")
    return "drop" in statement or "reject" in statement or (
        isinstance(target, dict) and target.get("type") == "target" and target.get("name") in ("REJECT", "DROP"))


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

"""A packet on its way through the chains of a rule set (`vdenet.text.ruleset`).

The kernel lets a packet pass when every base chain at the hook accepts it, so each chain is asked on its own. What
cannot be decided here (`vdenet.text.matching`, an iptables extension) counts as not matching: what such a rule
accepts or drops is somebody's exception, not the rule for the segment.
"""

from __future__ import annotations

from collections.abc import Mapping

from vdenet.text.matching import Matcher, Packet
from vdenet.text.ruleset import ACCEPT, DROP, Chain, Json, Ruleset, fields

_MAX_DEPTH = 32
"""Jumps within jumps; the kernel allows 16 (NFT_JUMP_STACK_SIZE)."""


def verdict(ruleset: Ruleset, chain: Chain, packet: Packet) -> str:
    """`accept` or `drop`: what a base chain says to the packet."""
    return _Walk(ruleset, packet).base(chain)


class _Walk:
    """One packet through one base chain."""

    def __init__(self, ruleset: Ruleset, packet: Packet) -> None:
        self._ruleset = ruleset
        self._packet = packet
        self._matcher = Matcher(ruleset, packet)

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
                if not self._matcher.matches(chain, value):
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
        called = self._ruleset.chains.get((chain.family, chain.table, str(fields(value).get("target"))))
        if called is None or depth >= _MAX_DEPTH:
            return None
        verdict = self._chain(called, depth + 1)
        # goto: the rest of this chain is left out; as if it returned.
        return "return" if verdict is None and kind == "goto" else verdict

    def _mapped(self, chain: Chain, value: Json, depth: int) -> str | None:
        for element in self._ruleset.elements(chain, fields(value).get("data")):
            if isinstance(element, list) and len(element) == 2 and isinstance(element[1], dict) and element[1] \
                    and self._matcher.matches(chain, {"op": "==", "left": value.get("key"), "right": element[0]}):
                kind, target = next(iter(element[1].items()))
                return self._carry_out(chain, kind, target, depth)
        return None

    def _extension(self, value: Json, final: str | None) -> bool:
        """An iptables match or target that nft does not know: only its name is told."""
        told = fields(value)
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

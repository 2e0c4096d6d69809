"""Other programs' nftables rules: `nft -j list ruleset`, read. `vdenet.text.verdict` says what they do to a packet.

Source: libnftables-json(5).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vdenet.errors import BadValue
from vdenet.i18n import _

ACCEPT, DROP = "accept", "drop"

_MAX_ELEMENTS = 4096
"""A larger set is a list of strangers, not a rule for the segment, and takes seconds to go through."""

Json = Any
"""What json.loads gives."""


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

    def elements(self, chain: Chain, right: Json) -> list[Json]:
        """The members of a set, however it is given: by its name in the table of `chain`, or as it is."""
        if isinstance(right, str) and right.startswith("@"):
            right = self.sets.get((chain.family, chain.table, right[1:]), [])
        if isinstance(right, dict) and "set" in right:
            right = right["set"]
        found = right if isinstance(right, list) else [right]
        if len(found) > _MAX_ELEMENTS:
            return []
        # An element with a comment or a counter is wrapped.
        return [one["elem"].get("val") if isinstance(one, dict) and isinstance(one.get("elem"), dict) else one
                for one in found]


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


def fields(value: Json) -> dict[str, Json]:
    """An object of the JSON, empty where it is something else."""
    return value if isinstance(value, dict) else {}

"""nftables tables of ours: loaded whole, and known again.

What nft lists after loading is not what was loaded (it reorders sets, spells defaults), so the daemon keeps
a fingerprint of the listing beside that of the text: if either differs later, somebody changed the rules.
"""

from __future__ import annotations

import json
from pathlib import Path

from vdenet.effect import files, run
from vdenet.errors import ToolFailed
from vdenet.model.digests import digest
from vdenet.model.places import Places
from vdenet.model.wanted import Firewall
from vdenet.text import nftables


def load(wall: Firewall, places: Places) -> None:
    """Put the tables in place of their predecessors, in one transaction. Raises `ToolFailed`."""
    run.run(["nft", "-f", "-"], what=f"load the firewall of {wall.segment}", stdin=wall.text)
    record = {"text": digest(wall.text), "listing": digest(listing(wall))}
    files.write(places.records(wall.segment) / "firewall.json", json.dumps(record), 0o600, "root")


def unload(wall: Firewall, places: Places) -> None:
    """Remove the tables. Raises `ToolFailed`."""
    run.run(["nft", "-f", "-"], what=f"remove the firewall of {wall.segment}",
            stdin=nftables.unload(wall))
    files.remove(places.records(wall.segment) / "firewall.json")


def listing(wall: Firewall) -> str:
    """The tables as nft shows them, without counters; empty for one that is not there."""
    parts = []
    for family, name in wall.tables:
        try:
            parts.append(run.run(["nft", "--stateless", "list", "table", family, name],
                                 what="read the firewall"))
        except ToolFailed:
            parts.append("")
    return "\0".join(parts)


def observed(wall: Firewall, places: Places) -> tuple[str | None, bool]:
    """The digest of the text that is loaded and unaltered, else None; and whether any table is there."""
    now = listing(wall)
    present = now.strip("\0") != ""
    try:
        record = json.loads(Path(places.records(wall.segment) / "firewall.json").read_text())
        same = record["listing"] == digest(now)
        text = record["text"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, present
    return (text if present and same and isinstance(text, str) else None), present


def whole_ruleset() -> str:
    """All rules of the host as JSON, for the search for conflicts."""
    return run.run(["nft", "--json", "list", "ruleset"], what="read the host's firewall")


def matches_bridge() -> bool:
    """Whether this kernel's nft can match the bridge of a frame."""
    try:
        run.run(["nft", "--check", "-f", "-"], what="ask the kernel", stdin=nftables.BRIDGE_META_PROBE)
    except ToolFailed:
        return False
    return True

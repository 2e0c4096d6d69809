"""The record of which vmnets of VMware's are bridged to which of our bridges by us, and not by the administrator."""

from __future__ import annotations

import json
from collections.abc import Mapping


def parse(text: str) -> dict[str, int]:
    """Bridge to vmnet; nothing where the record cannot be understood."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found = data.get("vmnets") if isinstance(data, dict) else None
    return {bridge: vmnet for bridge, vmnet in found.items() if type(vmnet) is int} if isinstance(found, dict) else {}


def emit(vmnets: Mapping[str, int]) -> str:
    """The reverse."""
    return json.dumps({"vmnets": dict(vmnets)}, indent=1) + "\n"

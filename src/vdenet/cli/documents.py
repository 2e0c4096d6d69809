"""What join and leave answer by --json: the same keys for every kind of guest. Keys are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vdenet.cli import answers


def joined(kind: str, guest: str | None, given: Mapping[str, Any], *, via: str, changed: bool, live: bool,
           running: bool = False, nic: str | None = None, why: str | None = None, actions: Sequence[str] = (),
           warnings: Sequence[str] = (), notes: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """`given` is what the daemon gave it, as far as that is known; `more` is what this way of joining adds.

    Raises `ProtocolError`.
    """
    return {"segment": answers.text(given, "segment"), "kind": kind, "guest": guest,
            **{key: answers.maybe(given, key) for key in ("name", "mac", "fqdn")},
            "vlan": answers.number(given, "vlan"), "via": via, "nic": nic, "why": why, "changed": changed,
            "live": live, "running": running, "actions": list(actions), "warnings": list(warnings),
            "notes": list(notes), **more}


def left(segment: str, kind: str, guest: str, name: str | None, *, left: bool, live: bool,
         actions: Sequence[str] = (), notes: Sequence[str] = ()) -> dict[str, Any]:
    """`name` is the one that is freed, `live` whether a guest that runs is off at once."""
    return {"segment": segment, "kind": kind, "guest": guest, "name": name, "left": left, "live": live,
            "actions": list(actions), "notes": list(notes)}

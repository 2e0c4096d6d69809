"""Kernel settings, and the record of those that belong to the whole host."""

from __future__ import annotations

import json
from pathlib import Path

from vdenet.effect import files
from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.probe import links, sysctls


def write(key: str, value: str) -> None:
    """Set a kernel setting. Raises `Refused` with the kernel's reason."""
    try:
        (sysctls.PROC_SYS / key).write_text(value)
    except OSError as error:
        raise Refused(what=_("set {key}").format(key=key), why=error.strerror or str(error)) from None


def change_kept(key: str, value: str, places: Places) -> None:
    """Set a setting of the whole host, after the value from before is safely recorded."""
    record = recorded(places)
    before = sysctls.read(key)
    if before is not None and key not in record:
        record[key] = (before, value)
        _save(record, places)
    write(key, value)


def restore(places: Places, only: str | None = None) -> list[str]:
    """Put back what `change_kept` changed, or `only` one; returns the settings that were left alone and why.

    A setting that somebody changed since is theirs. Forwarding stays on while another bridge with an
    address is there: a program that came up after us relies on it without saying so.
    """
    left = []
    others = _other_routers()
    record = recorded(places)
    for key, (before, ours) in reversed(list(record.items())):
        if only not in (None, key) or sysctls.read(key) != ours:
            continue
        if others and key.endswith("forward") or others and key.endswith("forwarding"):
            left.append(f"{key} (needed by {', '.join(others)})")
            continue
        if key.endswith("/accept_ra") and sysctls.read("net/ipv6/conf/all/forwarding") == "1":
            left.append(f"{key} (needed while IPv6 is forwarded)")
            continue
        write(key, before)
    rest = {key: values for key, values in record.items() if only not in (None, key)}
    if rest:
        _save(rest, places)
    else:
        files.remove(places.sysctls)
    return left


def recorded(places: Places) -> dict[str, tuple[str, str]]:
    """Setting to (value before, value we set), in the order of the changes."""
    try:
        data = json.loads(Path(places.sysctls).read_text())
        return {str(key): (str(before), str(ours)) for key, (before, ours) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save(record: dict[str, tuple[str, str]], places: Places) -> None:
    Path(places.sysctls).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(places.sysctls, json.dumps(record), 0o600, "root")


def _other_routers() -> list[str]:
    return [link.name for link in links.links().values() if link.kind == "bridge" and not link.ours and link.up]

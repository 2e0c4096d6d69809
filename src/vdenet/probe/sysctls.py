"""Kernel settings below /proc/sys, named as `net/ipv4/ip_forward`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PROC_SYS = Path("/proc/sys")


def read(key: str) -> str | None:
    """The value of a setting, or None when there is no such setting."""
    try:
        return (PROC_SYS / key).read_text().strip()
    except OSError:
        return None


def read_all(keys: Iterable[str]) -> dict[str, str]:
    """Those of the settings that exist."""
    values = {key: read(key) for key in keys}
    return {key: value for key, value in values.items() if value is not None}


def interfaces_with(family: str, setting: str, value: str) -> tuple[str, ...]:
    """Interfaces whose `setting` has this value, as (ipv6, accept_ra, 1)."""
    base = PROC_SYS / "net" / family / "conf"
    if not base.is_dir():
        return ()
    return tuple(sorted(path.name for path in base.iterdir()
                        if path.name not in ("all", "default", "lo")
                        and read(f"net/{family}/conf/{path.name}/{setting}") == value))

"""What a segment looks like to people and to `--json`: the shapes of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """`degraded`: the bridge is there, a part is not as it should be."""

    UP = "up"
    DOWN = "down"
    DEGRADED = "degraded"


class Severity(StrEnum):
    """`error` makes `check` exit 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` saw; `code` is stable, `message` and `hint` are for people."""

    code: str
    severity: Severity
    segment: str | None
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class GuestReport:
    """One guest of a segment; what is not known is None."""

    name: str | None
    mac: str
    address: str | None = None
    fqdn: str | None = None
    via: str = "unknown"
    port: str | None = None
    vlan: int | None = None
    owner: str | None = None
    kind: str | None = None
    guest: str | None = None
    """Its name as its hypervisor has it, when its program was found."""
    joined: bool = False
    """By `join`: it has its name from the segment, and not from what it told the DHCP server."""


@dataclass(frozen=True, slots=True)
class PlugReport:
    """Another switch that is plugged in; `why` is what it said when it is not connected."""

    url: str
    name: str | None
    state: str
    """up, connecting or down."""
    port: int | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """One segment with its guests."""

    name: str
    state: State
    address: str | None
    address6: str | None
    mode: str
    domain: str
    bridge: str
    tap: str
    switch: str
    guests: tuple[GuestReport, ...] = field(default=())
    owner: str | None = None
    plugs: tuple[PlugReport, ...] = field(default=())
    vlans: tuple[int, ...] = field(default=())
    """Those that its file declares."""

    def json(self) -> dict[str, Any]:
        """As one member of `segments` of `list --json`."""
        return asdict(self)


def is_ok(findings: Iterable[Finding]) -> bool:
    """True when none of the findings is an error."""
    return all(finding.severity is not Severity.ERROR for finding in findings)

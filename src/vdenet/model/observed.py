"""What the machine says is there now, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath as Path

from vdenet.model.wanted import ALIAS, Address, Resolver


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface. `kind` is bridge, tap, veth, vxlan, or other."""

    name: str
    ifindex: int
    mac: str
    mtu: int
    up: bool
    carrier: bool
    kind: str
    master: str | None = None
    alias: str = ""
    owner: int | None = None

    @property
    def ours(self) -> bool:
        """Made by this program."""
        return self.alias.startswith(ALIAS)


@dataclass(frozen=True, slots=True)
class RunningService:
    """A child that runs, with the digests of what it was started with."""

    pid: int
    restart_digest: str
    reload_digest: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the machine, as far as one segment is concerned."""

    links: Mapping[str, Link] = field(default_factory=dict)
    addresses: Mapping[str, frozenset[Address]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[Path, tuple[int, str]] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)
    services: Mapping[str, RunningService] = field(default_factory=dict)
    firewall: str | None = None
    """Digest of the rule set that is loaded unaltered; None when there is none or it was altered."""
    firewall_present: bool = False
    offload: Mapping[str, bool] = field(default_factory=dict)
    sysctls_kept: Mapping[str, str] = field(default_factory=dict)
    """Shared kernel settings of which there is a record as they were before, in the order of the changes, with
    the values that we gave them."""
    stale_resolvers: tuple[Resolver, ...] = ()
    """Registrations with resolvers that the host has ceased to use."""
    resolver: str | None = None
    """`kind server domain` of what is registered with the host's resolver for the bridge."""

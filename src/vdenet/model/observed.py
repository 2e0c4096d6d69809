"""What the machine says is there now, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath as Path

from vdenet.model.vlans import Membership, SwitchTable
from vdenet.model.wanted import ALIAS, Address, Resolver, Wanted, alias


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface. `kind` is bridge, tap, veth, vxlan, vlan, or other."""

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
    plain: bool = False
    """Ethernet, and no radio: it can be a port of a bridge."""

    @property
    def ours(self) -> bool:
        """Made by this program."""
        return self.alias.startswith(ALIAS)

    @property
    def left(self) -> tuple[str, int] | None:
        """Of a tap whose guest has left while its program holds it: the segment, and the account that it counts for."""
        segment, left, uid = self.alias.removeprefix(ALIAS).partition(":left:")
        return (segment, int(uid)) if self.ours and left and uid.isdecimal() else None


@dataclass(frozen=True, slots=True)
class RunningService:
    """A child that runs, with the digests of what it was started with."""

    pid: int
    restart_digest: str
    reload_digest: str
    connected: bool = True
    """What it reaches has let it in."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A service that ended, and is started again in so many seconds; `why` is the last that it said."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at the machine, as far as one segment is concerned."""

    links: Mapping[str, Link] = field(default_factory=dict)
    addresses: Mapping[str, frozenset[Address]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[Path, tuple[int, str]] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)
    services: Mapping[str, RunningService] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Services that ended and are not due to be started again yet."""
    breaks_loops: bool | None = None
    """Whether the VDE switch runs its spanning tree; None when it cannot be asked."""
    firewall: str | None = None
    """Digest of the rule set that is loaded unaltered; None when there is none or it was altered."""
    firewall_present: bool = False
    offload: Mapping[str, bool] = field(default_factory=dict)
    sysctls_kept: Mapping[str, str] = field(default_factory=dict)
    """Shared kernel settings of which there is a record as they were before, in the order of the changes, with
    the values that we gave them."""
    stale_resolvers: tuple[Resolver, ...] = ()
    """Registrations with resolvers that the host has ceased to use."""
    manager: str | None = None
    """The program that gives the uplink its addresses, where one does."""
    adopted: str | None = None
    """The bridge of another program's that the segment is on, by the record of it."""
    taken_uplink: str | None = None
    """The interface that was made a port of this segment's bridge, by the record of it."""
    patched: str | None = None
    """The Open vSwitch bridge that our patch is plugged into, by the record of it."""
    patch_plugged: bool = False
    """Open vSwitch has the patch that is wanted."""
    resolver: str | None = None
    """`kind server domain` of what is registered with the host's resolver for the bridge."""
    dnsmasq_kept_off: bool | None = None
    """Whether the system's dnsmasq is told to leave the segment alone; None where no file of ours says anything."""
    vlan_filtering: bool = False
    memberships: Mapping[str, Membership] = field(default_factory=dict)
    """The VLANs of the bridge and of its ports."""
    switch: SwitchTable | None = None
    """What the VDE switch has been told; None when it was not asked or did not answer."""


LINK_SETTINGS = (
    *(f"net/ipv4/conf/{{link}}/{key}" for key in (
        "accept_redirects", "send_redirects", "accept_source_route", "promote_secondaries", "arp_ignore")),
    *(f"net/ipv6/conf/{{link}}/{key}" for key in (
        "accept_ra", "accept_redirects", "autoconf", "addr_gen_mode", "accept_dad")))
"""Kernel settings of each interface that the host has on a segment; `vdenet.text.blueprint` has the values."""


def stale_vlan_links(wanted: Wanted, links: Mapping[str, Link]) -> list[Link]:
    """The host's interfaces in VLANs that are declared no longer; they hang on the segment's own bridge."""
    kept = {link.name for link in wanted.vlan_links}
    return [link for name, link in sorted(links.items())
            if link.kind == "vlan" and link.alias == alias(wanted.segment) and name not in kept
            and name.rpartition(".")[0] == wanted.segment and name.rpartition(".")[2].isdigit()]


def stale_settings(wanted: Wanted, links: Mapping[str, Link]) -> list[str]:
    """Their kernel settings: what is deleted can be put back as it was."""
    return [key.format(link=link.name) for link in stale_vlan_links(wanted, links) for key in LINK_SETTINGS]

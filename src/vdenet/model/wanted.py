"""What should be there for a segment that is up, as data.

Built from a `Segment` by `vdenet.text.blueprint`; compared with `Observed` by `vdenet.model.plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import PurePosixPath as Path

from vdenet.i18n import _
from vdenet.model.vlans import Membership, SwitchTable

ALIAS = "vdenet:"
"""What the alias of each interface of ours begins with (ip link show: `alias vdenet:vdenet0`).

The mark by which a bridge or tap is known as ours: only marked ones are ever changed or deleted.
"""
GROUP = 0x76646E
"""The group (ip-link(8)) of what is made for a segment, whatever its name: there from the first instant, when the
alias is not yet, so that the package's udev rule tells the network managers to leave it alone."""

SWITCH = "switch"
"""The service that is the VDE switch."""

Address = IPv4Interface | IPv6Interface


def alias(segment: str) -> str:
    """The mark of the bridge and of the switch's tap."""
    return f"{ALIAS}{segment}"


def guest_alias(segment: str) -> str:
    """The mark of a guest's port."""
    return f"{ALIAS}{segment}:guest"


def left_alias(segment: str, uid: int) -> str:
    """The mark of a tap that its guest's program holds although the guest has left: no port of the segment any more.

    Whose it was stands in it: what the tap itself says of its owner, its holder can change.
    """
    return f"{ALIAS}{segment}:left:{uid}"


@dataclass(frozen=True, slots=True)
class Bridge:
    """A kernel bridge."""

    name: str
    mac: str
    mtu: int
    adopted: bool = False
    """Another program's: used as it is, never changed or deleted."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A pair of interfaces that makes our bridge and an Open vSwitch bridge one Ethernet.

    `outer` is the port of Open vSwitch, `inner` that of our bridge.
    """

    outer: str
    inner: str
    switch: str
    mtu: int


@dataclass(frozen=True, slots=True)
class Tap:
    """The persistent tap that the VDE switch opens by name; `owner` is a uid."""

    name: str
    owner: int
    mtu: int


@dataclass(frozen=True, slots=True)
class DhcpServer:
    """The guest that may serve DHCP, and the port of the bridge on which it is."""

    mac: str
    port: str


@dataclass(frozen=True, slots=True)
class VlanLink:
    """The host's own interface in a VLAN of the bridge."""

    name: str
    bridge: str
    vlan: int
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of ours: mode, group and account are part of what is promised about it.

    One with an `account` lies where that account may write, so it is made as that account: root
    changes nothing where somebody else could put a link in its way.
    """

    path: Path
    mode: int
    group: str
    account: str = "root"
    writer: str = "root"
    """Who else may write in it; what is removed from it is removed as that account."""
    kept: bool = False
    """Stays when the segment goes down."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that the program generates; never one that the admin edits."""

    path: Path
    text: str
    mode: int
    group: str


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs for the segment as an account of its own.

    `reload_text` is what it reads again on SIGHUP: when only that differs, it is told so and goes on
    running. `ready` is a socket that answers, or a UDP port, when the program can be used.
    """

    name: str
    argv: tuple[str, ...]
    account: str
    groups: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    restart_text: str = ""
    reload_text: str = ""
    ready_socket: Path | None = None
    ready_udp: tuple[str, int] | None = None
    clear: tuple[Path, ...] = ()
    """What a predecessor may have left behind; removed, as the account, before the start."""
    holds_stdin: bool = False
    link: str | None = None
    """The interface that it holds open: when that is made anew, so is the service."""
    title: str = ""
    """What people know a plug by."""
    patient: bool = False
    """It may end at any time, as what it reaches may be away. It is tried again, ever less often, and no change fails
    because of it."""
    ready_line: str = ""
    """What it says once it is connected."""
    useless_line: str = ""
    """What it says when it runs on and is of no use."""
    claim: str | None = None
    """An argument that only one process of the account may have: who else has it is a predecessor."""

    @property
    def words(self) -> str:
        """What it is called in a step of a plan."""
        return _("plug {title}").format(title=self.title) if self.title \
            else _("service {name}").format(name=self.name)


@dataclass(frozen=True, slots=True)
class Firewall:
    """nftables tables of ours, replaced as one transaction."""

    segment: str
    tables: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting. `shared` ones belong to the host as a whole: the value from before is kept
    and put back when the last segment goes, unless someone else has come to need it."""

    key: str
    value: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Resolver:
    """How the host itself looks up guests: `kind` names the resolver that the host has."""

    kind: str
    link: str
    server: str
    domain: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that makes one segment, in the order of dependence."""

    segment: str
    bridge: Bridge
    tap: Tap
    addresses: tuple[Address, ...]
    sysctls: tuple[Sysctl, ...]
    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    services: tuple[Service, ...]
    firewall: Firewall
    server: str
    """The address at which the segment's names are looked up; empty where it has none of its own."""
    domain: str
    resolver: Resolver | None = None
    keeps_dnsmasq_off: bool = False
    """The system's dnsmasq is told to leave the bridge alone, and the host's interfaces in its VLANs."""
    ports: tuple[str, ...] = field(default=())
    """Ports that belong on the bridge and are there already."""
    handed: tuple[str, ...] = field(default=())
    """Those of them that hypervisors made, to be put on the bridge and up when they are in their VLAN."""
    shared_elsewhere: frozenset[str] = frozenset()
    """Kernel settings of the whole host that other segments need."""
    unwanted: tuple[Service, ...] = field(default=())
    """Services that a segment of this mode does not have; a former mode may have left them."""
    unwanted_files: tuple[File, ...] = field(default=())
    """The same of files, whatever their text."""
    uplink: str | None = None
    """The host's interface that is a port of the bridge; its addresses and routes are the bridge's then."""
    patch: Patch | None = None
    breaks_loops: bool = False
    """The VDE switch runs its spanning tree."""
    guest_taps: tuple[Tap, ...] = field(default=())
    """Persistent taps that members hold by name, for hypervisors that open a tap themselves."""
    vlan_filtering: bool = False
    vlan_links: tuple[VlanLink, ...] = field(default=())
    memberships: Mapping[str, Membership] = field(default_factory=dict)
    """The VLANs of the bridge itself and of its ports, as far as they are ours to say."""
    switch: SwitchTable = field(default_factory=SwitchTable)

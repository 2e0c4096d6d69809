"""The segment as it is wanted: what one TOML file says, parsed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from vdenet.model.names import DEFAULT_SEGMENT
from vdenet.model.netboot import Netboot
from vdenet.model.plug import Plug
from vdenet.model.record import Record, RecordType

DEFAULT_DOMAIN = "vdenet.internal"
"""Of the first segment; any other has one of its own, see `default_domain`."""
DEFAULT_LEASE_SECONDS = 3600
DEFAULT_SWITCH_PORTS = 64
MTU = 1500
"""Bytes. vde_switch cuts frames at 1518 bytes, so no segment with a VDE port can carry more."""


class Mode(StrEnum):
    """How the segment meets the world beyond it."""

    NAT = "nat"
    ROUTED = "routed"
    ISOLATED = "isolated"
    BRIDGED = "bridged"


@dataclass(frozen=True, slots=True)
class Host:
    """A guest known beforehand, by its MAC, or by the name under which it joins or asks for an address."""

    mac: str | None = None
    name: str | None = None
    address: IPv4Address | None = None
    aliases: tuple[str, ...] = ()
    """Further labels for it in the segment's domain."""
    dhcp_server: bool = False
    """It serves DHCP on the segment, in place of the host."""
    vlan: int | None = None
    """None is the segment's own network."""
    trunk: tuple[int, ...] = ()
    """VLANs that it gets with their tags."""


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN of the segment. Without an address the host has no part in it."""

    id: int
    name: str | None = None
    address: IPv4Interface | None = None
    address6: IPv6Interface | None = None
    dhcp: bool = True
    dhcp_range: tuple[IPv4Address, IPv4Address] | None = None
    lease_seconds: int = DEFAULT_LEASE_SECONDS
    reach: tuple[int, ...] = ()
    """VLANs with which the host exchanges packets for it; 1 is the segment's own network."""

    def link(self, bridge: str) -> str:
        """The host's interface in it."""
        return f"{bridge}.{self.id}"

    @property
    def pool(self) -> tuple[IPv4Address, IPv4Address]:
        """As `Segment.pool`; only of a VLAN with an address."""
        assert self.address is not None
        return self.dhcp_range if self.dhcp_range is not None else default_pool(self.address)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the VDE switch with a number that somebody counts on."""

    number: int
    vlan: int | None = None
    trunk: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenPort:
    """A service of the host that guests may reach, beside DHCP, DNS and echo."""

    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One Ethernet segment: a bridge, a VDE switch on a tap, DHCP, DNS, and the way out."""

    name: str
    address: IPv4Interface | None
    """The host's own; None for a bridged segment, whose addresses come from the network that it joins."""
    address6: IPv6Interface | None = None
    mode: Mode = Mode.NAT
    domain: str = DEFAULT_DOMAIN
    lease_seconds: int = DEFAULT_LEASE_SECONDS
    dhcp: bool = True
    dhcp_range: tuple[IPv4Address, IPv4Address] | None = None
    hosts: tuple[Host, ...] = field(default=())
    open_ports: tuple[OpenPort, ...] = field(default=())
    guard: bool = True
    switch_ports: int = DEFAULT_SWITCH_PORTS
    owner: str | None = None
    """The account that may change it beside root; None where it is the admin's."""
    reach: tuple[str, ...] = field(default=())
    """Segments with which this one is routed, where they say the same of it."""
    records: tuple[Record, ...] = field(default=())
    host_access: bool = True
    """False: guests only. Of the host they reach DHCP and DNS, and the host reaches none of them."""
    uplink: str | None = None
    """Bridged: the host's interface that becomes a port."""
    adopt: str | None = None
    """Bridged: another program's bridge that is the segment."""
    openvswitch: str | None = None
    """Bridged: an Open vSwitch bridge that the segment is one Ethernet with."""
    netboot: Netboot | None = None
    guest_dhcp: bool = False
    """A guest serves DHCP, the host that has `dhcp_server`; `dhcp` is off then."""
    plugs: tuple[Plug, ...] = field(default=())
    """Other switches, plugged into the segment's own."""
    spanning_tree: bool | None = None
    """Of the VDE switch; None is on where plugs can make a loop."""
    vlans: tuple[Vlan, ...] = ()
    ports: tuple[Port, ...] = ()

    @property
    def breaks_loops(self) -> bool:
        """Whether the VDE switch runs its spanning tree.

        There may be a loop where two plugs lead to the same place, or where another switch, which need not know of
        the plug, is plugged into this one from its own side. UDP has one plug at each end of a cable.
        """
        if self.spanning_tree is not None:
            return self.spanning_tree
        return len(self.plugs) > 1 or any(plug.scheme in ("vde", "ssh") for plug in self.plugs)

    @property
    def served_vlans(self) -> tuple[Vlan, ...]:
        """The VLANs in which the host has an address."""
        return tuple(vlan for vlan in self.vlans if vlan.address is not None)

    @property
    def addresses(self) -> tuple[IPv4Interface, ...]:
        """Every IPv4 address that the file gives the host here, the segment's own first."""
        return tuple(address for address in (self.address, *(vlan.address for vlan in self.vlans))
                     if address is not None)

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """The networks of these."""
        return tuple(address.network for address in self.addresses)

    @property
    def networks6(self) -> tuple[IPv6Network, ...]:
        """Every IPv6 network of the segment."""
        return tuple(address.network for address in (self.address6, *(vlan.address6 for vlan in self.vlans))
                     if address is not None)

    @property
    def links(self) -> tuple[str, ...]:
        """The host's own interfaces on the segment: the bridge, and one for each VLAN with an address."""
        return (self.bridge, *(vlan.link(self.bridge) for vlan in self.served_vlans))

    def host_of(self, mac: str, name: str | None) -> Host | None:
        """What the file says of a guest with this MAC or this name."""
        return next((host for host in self.hosts
                     if host.mac == mac or (name is not None and host.name == name)), None)

    @property
    def bridge(self) -> str:
        """Name of the kernel bridge."""
        return self.adopt or self.name

    @property
    def own(self) -> IPv4Interface:
        """The host's address, for what only a segment that has one comes to."""
        assert self.address is not None
        return self.address

    @property
    def sign(self) -> str:
        """The interface that is there while the segment is up: an adopted bridge is there anyway."""
        return self.tap if self.adopt else self.bridge

    @property
    def tap(self) -> str:
        """Name of the tap between the bridge and the VDE switch."""
        return f"{self.name}-vde"

    @property
    def labels(self) -> frozenset[str]:
        """Labels in the domain that the file gives to addresses or aliases, and so to no other guest."""
        found = {alias for host in self.hosts for alias in host.aliases}
        for record in self.records:
            if record.type in (RecordType.A, RecordType.AAAA, RecordType.CNAME):
                label, dot, rest = record.name.partition(".")
                if rest == self.domain:
                    found.add(label)
        return frozenset(found)

    @property
    def pool(self) -> tuple[IPv4Address, IPv4Address]:
        """First and last address that DHCP gives out, on a segment that has an address.

        By default the upper nine tenths of the network, so that a few addresses stay free for guests
        with an address of their own; on a network under 32 addresses, all but the host's.
        """
        if self.dhcp_range is not None:
            return self.dhcp_range
        return default_pool(self.own)


def default_domain(segment: str) -> str:
    """The DNS domain of a segment whose file names none: `lab.internal` for `lab`.

    Not below another's: a guest of vdenet0 may be called `lab`. The top-level domain is set aside for private
    use (ICANN's board, resolution 2024.07.29.06).
    """
    return DEFAULT_DOMAIN if segment == DEFAULT_SEGMENT else f"{segment}.internal"


def default_pool(address: IPv4Interface) -> tuple[IPv4Address, IPv4Address]:
    """The DHCP range of a network whose host address is `address`; the host's own stays outside."""
    net = address.network
    first = net.network_address + 1
    last = net.broadcast_address - 1
    if net.num_addresses >= 32:
        first = net.network_address + net.num_addresses // 10
    # The host sits at one end or in between: keep the longer side.
    if first <= address.ip <= last:
        below, above = int(address.ip) - int(first), int(last) - int(address.ip)
        if above >= below:
            first = address.ip + 1
        else:
            last = address.ip - 1
    return first, last


@dataclass(frozen=True, slots=True)
class Retiring:
    """An address that the segment had before; served until `until`, in seconds since the epoch."""

    address: IPv4Interface
    until: float

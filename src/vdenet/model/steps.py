"""The changes that a plan can be made of: a closed set, each a plain value with a sentence.

`vdenet.effect.perform` carries them out. Symmetric steps stand side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath as Path

from vdenet.i18n import _
from vdenet.model.vlans import Membership, SwitchPort, SwitchTable
from vdenet.model.wanted import (
    Address,
    Bridge,
    Directory,
    File,
    Firewall,
    Patch,
    Resolver,
    Service,
    Tap,
    VlanLink,
)


@dataclass(frozen=True, slots=True)
class CreateBridge:
    bridge: Bridge
    alias: str

    def __str__(self) -> str:
        return _("+ bridge {name}").format(name=self.bridge.name)


@dataclass(frozen=True, slots=True)
class CreateTap:
    tap: Tap
    alias: str

    def __str__(self) -> str:
        return _("+ tap {name}").format(name=self.tap.name)


@dataclass(frozen=True, slots=True)
class CreateVlanLink:
    link: VlanLink
    alias: str

    def __str__(self) -> str:
        return _("+ interface {name} in VLAN {vlan}").format(name=self.link.name, vlan=self.link.vlan)


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """By index: a name may meanwhile belong to another interface."""

    name: str
    ifindex: int
    alias: str

    def __str__(self) -> str:
        return _("- interface {name}").format(name=self.name)


@dataclass(frozen=True, slots=True)
class SetLink:
    """Change what is given of an interface's state; None leaves it."""

    name: str
    up: bool | None = None
    mac: str | None = None
    mtu: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        words = []
        if self.alias is not None:
            words.append(self.alias)
        if self.mac is not None:
            words.append(self.mac)
        if self.mtu is not None:
            words.append(_("MTU {mtu}").format(mtu=self.mtu))
        if self.up is not None:
            words.append(_("up") if self.up else _("down"))
        return _("~ interface {name}: {state}").format(name=self.name, state=", ".join(words))


@dataclass(frozen=True, slots=True)
class AttachPort:
    name: str
    bridge: str

    def __str__(self) -> str:
        return _("+ port {name} on {bridge}").format(name=self.name, bridge=self.bridge)


@dataclass(frozen=True, slots=True)
class DetachPort:
    name: str
    bridge: str

    def __str__(self) -> str:
        return _("- port {name} on {bridge}").format(name=self.name, bridge=self.bridge)


@dataclass(frozen=True, slots=True)
class AdoptBridge:
    """Note that another program's bridge is the segment; it is not changed."""

    bridge: str
    segment: str

    def __str__(self) -> str:
        return _("+ segment {segment} on the bridge {bridge}").format(segment=self.segment, bridge=self.bridge)


@dataclass(frozen=True, slots=True)
class ReleaseBridge:
    bridge: str
    segment: str

    def __str__(self) -> str:
        return _("- segment {segment} on the bridge {bridge}").format(segment=self.segment, bridge=self.bridge)


@dataclass(frozen=True, slots=True)
class TakeUplink:
    """The host's interface becomes a port, and the bridge gets the host's addresses and routes on it."""

    uplink: str
    bridge: str
    segment: str

    def __str__(self) -> str:
        return _("~ the host's {uplink} becomes a port of {bridge}, its addresses and routes move to {bridge}"
                 ).format(uplink=self.uplink, bridge=self.bridge)


@dataclass(frozen=True, slots=True)
class ReturnUplink:
    """The other way round; `keep` are addresses of the bridge that are the segment's own."""

    uplink: str
    bridge: str
    segment: str
    keep: tuple[Address, ...] = ()

    def __str__(self) -> str:
        return _("~ the host's {uplink} leaves {bridge}, and gets its addresses and routes back").format(
            uplink=self.uplink, bridge=self.bridge)


@dataclass(frozen=True, slots=True)
class CreatePatch:
    patch: Patch
    alias: str

    def __str__(self) -> str:
        return _("+ patch {outer}, {inner}").format(outer=self.patch.outer, inner=self.patch.inner)


@dataclass(frozen=True, slots=True)
class PlugPatch:
    port: str
    switch: str
    segment: str

    def __str__(self) -> str:
        return _("+ port {port} on the Open vSwitch bridge {switch}").format(port=self.port, switch=self.switch)


@dataclass(frozen=True, slots=True)
class UnplugPatch:
    port: str
    switch: str
    segment: str

    def __str__(self) -> str:
        return _("- port {port} on the Open vSwitch bridge {switch}").format(port=self.port, switch=self.switch)


@dataclass(frozen=True, slots=True)
class SetVlans:
    """Put a port, or the bridge itself, into these VLANs and no others."""

    port: str
    membership: Membership
    bridge: bool = False

    def __str__(self) -> str:
        return _("~ {port}: {vlans}").format(port=self.port, vlans=in_words(
            self.membership.untagged, self.membership.tagged))


def in_words(untagged: frozenset[int], tagged: frozenset[int]) -> str:
    """VLANs of a port, for people."""
    words = [_("VLAN {vlans}").format(vlans=", ".join(map(str, sorted(untagged))))] if untagged else []
    if tagged:
        words.append(_("with tags {vlans}").format(vlans=", ".join(map(str, sorted(tagged)))))
    return "; ".join(words) or _("no VLAN")


@dataclass(frozen=True, slots=True)
class SetVlanFiltering:
    bridge: str
    on: bool

    def __str__(self) -> str:
        state = _("on") if self.on else _("off")
        return _("~ VLANs on {bridge}: {state}").format(bridge=self.bridge, state=state)


@dataclass(frozen=True, slots=True)
class SetSwitch:
    """Tell the VDE switch, which runs, of VLANs and ports: all between two frames."""

    segment: str
    before: SwitchTable
    after: SwitchTable

    def __str__(self) -> str:
        added, removed = (", ".join(map(str, sorted(some))) for some in (
            self.after.vlans - self.before.vlans, self.before.vlans - self.after.vlans))
        words = [_("VLAN {vlans} added").format(vlans=added)] if added else []
        words += [_("VLAN {vlans} removed").format(vlans=removed)] if removed else []
        for number in sorted({*self.before.ports, *self.after.ports}):
            port = self.after.ports.get(number)
            if port != self.before.ports.get(number):
                words.append(_("port {number}: {state}").format(number=number, state=_port_in_words(port)))
        return _("~ VDE switch: {changes}").format(changes=" | ".join(words))


def _port_in_words(port: SwitchPort | None) -> str:
    if port is None:
        return _("as any other")
    words = in_words(frozenset() if port.untagged is None else frozenset({port.untagged}), port.tagged)
    return _("{vlans}, reserved").format(vlans=words) if port.reserved else words


@dataclass(frozen=True, slots=True)
class AddAddress:
    link: str
    address: Address

    def __str__(self) -> str:
        return _("+ address {address} on {link}").format(address=self.address, link=self.link)


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    link: str
    address: Address

    def __str__(self) -> str:
        return _("- address {address} on {link}").format(address=self.address, link=self.link)


@dataclass(frozen=True, slots=True)
class SetOffload:
    """Transmit checksum offload of an interface.

    Off on the bridge: with it on, DHCP answers reach veth ports with a checksum that is only half
    computed, and raw-socket DHCP clients drop them.
    """

    link: str
    on: bool

    def __str__(self) -> str:
        state = _("on") if self.on else _("off")
        return _("~ checksum offload of {link}: {state}").format(link=self.link, state=state)


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """`keep` writes the value from before into the undo record, so that stop can put it back."""

    key: str
    value: str
    keep: bool = False

    def __str__(self) -> str:
        return _("~ sysctl {key} = {value}").format(key=self.key, value=self.value)


@dataclass(frozen=True, slots=True)
class RestoreSysctl:
    """As `RestoreSysctls`, for one that no segment needs any more."""

    key: str

    def __str__(self) -> str:
        return _("~ sysctl {key} as it was before").format(key=self.key)


@dataclass(frozen=True, slots=True)
class RestoreSysctls:
    """Put back what `SetSysctl(keep=True)` changed, where nobody changed it since."""

    def __str__(self) -> str:
        return _("~ kernel settings as they were before")


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    directory: Directory

    def __str__(self) -> str:
        return _("+ directory {path}").format(path=self.directory.path)


@dataclass(frozen=True, slots=True)
class RemoveTree:
    directory: Directory

    def __str__(self) -> str:
        return _("- directory {path}").format(path=self.directory.path)


@dataclass(frozen=True, slots=True)
class WriteFile:
    file: File

    def __str__(self) -> str:
        return _("~ file {path}").format(path=self.file.path)


@dataclass(frozen=True, slots=True)
class ServeLonger:
    """Writes the record of addresses that the segment had before."""

    address: Address
    file: File

    def __str__(self) -> str:
        return _("~ {address} is served until the guests have renewed").format(address=self.address)


@dataclass(frozen=True, slots=True)
class RemoveFile:
    path: Path

    def __str__(self) -> str:
        return _("- file {path}").format(path=self.path)


@dataclass(frozen=True, slots=True)
class LoadFirewall:
    firewall: Firewall

    def __str__(self) -> str:
        return _("~ firewall and NAT of {segment}").format(segment=self.firewall.segment)


@dataclass(frozen=True, slots=True)
class UnloadFirewall:
    firewall: Firewall

    def __str__(self) -> str:
        return _("- firewall and NAT of {segment}").format(segment=self.firewall.segment)


@dataclass(frozen=True, slots=True)
class SetSpanningTree:
    """Of the VDE switch, which runs."""

    segment: str
    on: bool

    def __str__(self) -> str:
        state = _("on") if self.on else _("off")
        return _("~ spanning tree of the VDE switch: {state}").format(state=state)


@dataclass(frozen=True, slots=True)
class StartService:
    segment: str
    service: Service

    def __str__(self) -> str:
        return f"+ {self.service.words}"


@dataclass(frozen=True, slots=True)
class ReloadService:
    segment: str
    service: Service

    def __str__(self) -> str:
        return _("~ service {name} reads its files again").format(name=self.service.name)


@dataclass(frozen=True, slots=True)
class StopService:
    segment: str
    service: Service

    def __str__(self) -> str:
        return f"- {self.service.words}"


@dataclass(frozen=True, slots=True)
class RegisterResolver:
    resolver: Resolver

    def __str__(self) -> str:
        return _("+ host resolver ({kind}): {domain} at {server}").format(
            kind=self.resolver.kind, domain=self.resolver.domain, server=self.resolver.server)


@dataclass(frozen=True, slots=True)
class UnregisterResolver:
    resolver: Resolver

    def __str__(self) -> str:
        return _("- host resolver ({kind}): {domain}").format(
            kind=self.resolver.kind, domain=self.resolver.domain)


@dataclass(frozen=True, slots=True)
class KeepDnsmasqOff:
    segment: str

    def __str__(self) -> str:
        return _("+ the system's dnsmasq keeps off {segment}; if it runs, it is restarted").format(segment=self.segment)


@dataclass(frozen=True, slots=True)
class LetDnsmasqOn:
    segment: str

    def __str__(self) -> str:
        return _("- the system's dnsmasq keeps off {segment}").format(segment=self.segment)


Step = (
    CreateBridge | CreateTap | CreateVlanLink | DeleteLink | SetLink | AttachPort | DetachPort
    | AdoptBridge | ReleaseBridge | TakeUplink | ReturnUplink | CreatePatch | PlugPatch | UnplugPatch
    | SetVlans | SetVlanFiltering | SetSwitch
    | AddAddress | RemoveAddress | SetOffload | SetSysctl | RestoreSysctl | RestoreSysctls
    | MakeDirectory | RemoveTree | WriteFile | ServeLonger | RemoveFile
    | LoadFirewall | UnloadFirewall
    | SetSpanningTree
    | StartService | ReloadService | StopService
    | RegisterResolver | UnregisterResolver | KeepDnsmasqOff | LetDnsmasqOn
)

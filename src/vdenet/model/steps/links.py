"""Interfaces: made and deleted, their state, their places on the bridge, the host's addresses on them."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.i18n import _
from vdenet.model.wanted import Address, Bridge, Tap, VlanLink


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

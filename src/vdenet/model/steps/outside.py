"""What a bridged segment is joined to, and taken off again: a bridge, an uplink, an Open vSwitch."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.i18n import _
from vdenet.model.wanted import Address, Patch


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

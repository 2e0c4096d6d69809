"""The rule set, and the services: started, told, stopped."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.i18n import _
from vdenet.model.wanted import Firewall, Service


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

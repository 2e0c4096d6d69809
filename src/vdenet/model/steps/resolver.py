"""How the host itself looks up the segment's names, and that its own dnsmasq keeps off the segment."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.i18n import _
from vdenet.model.wanted import Resolver


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

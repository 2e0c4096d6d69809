"""How the host itself looks up the segment's names, and that its own DNS server leaves the segment alone."""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.model.change import Change
from vdenet.model.digests import resolver_mark
from vdenet.model.observed import Observed
from vdenet.model.steps import KeepDnsmasqOff, LetDnsmasqOn, RegisterResolver, Step, UnregisterResolver
from vdenet.model.wanted import Wanted


def register(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    """The host's resolver is told; those that it has ceased to use forget."""
    yield from _stale(observed, former)
    if wanted.resolver is None:
        return
    resolver = wanted.resolver
    if observed.resolver != resolver_mark(resolver):
        undo: Step = UnregisterResolver(resolver)
        if former is not None and former.resolver is not None and observed.resolver == resolver_mark(former.resolver):
            undo = RegisterResolver(former.resolver)
        yield Change(RegisterResolver(resolver), (undo,))


def unregister(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """All that were told forget."""
    yield from _stale(observed)
    if observed.resolver is not None and wanted.resolver is not None:
        yield Change(UnregisterResolver(wanted.resolver), (RegisterResolver(wanted.resolver),))


def keep_off(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """Before the segment has an address: the system's dnsmasq may take each new one at once."""
    if wanted.keeps_dnsmasq_off and not observed.dnsmasq_kept_off:
        undo: tuple[Step, ...] = () if observed.dnsmasq_kept_off is not None else (LetDnsmasqOn(wanted.segment),)
        yield Change(KeepDnsmasqOff(wanted.segment), undo)


def let_on(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """When the segment has no address any more."""
    if observed.dnsmasq_kept_off is not None:
        yield Change(LetDnsmasqOn(wanted.segment), (KeepDnsmasqOff(wanted.segment),))


def _stale(observed: Observed, former: Wanted | None = None) -> Iterable[Change]:
    for resolver in observed.stale_resolvers:
        before = former.resolver if former is not None else None
        # What is there is known by its kind only; what it was told, by what was wanted.
        known = before is not None and before.kind == resolver.kind
        yield Change(UnregisterResolver(resolver), (RegisterResolver(before if known and before else resolver),))

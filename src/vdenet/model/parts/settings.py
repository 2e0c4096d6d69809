"""Kernel settings: those of the segment's interfaces, and those of the host as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.model.change import Change
from vdenet.model.observed import Observed
from vdenet.model.steps import RestoreSysctl, SetSysctl, Step
from vdenet.model.wanted import Wanted


def set_own(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """Those of the segment's interfaces."""
    return _differing(wanted, observed, shared=False)


def set_shared(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """Those of the whole host; their values from before are kept."""
    return _differing(wanted, observed, shared=True)


def _differing(wanted: Wanted, observed: Observed, shared: bool) -> Iterable[Change]:
    for sysctl in wanted.sysctls:
        if sysctl.shared is not shared:
            continue
        before = observed.sysctls.get(sysctl.key)
        if before != sysctl.value:
            undo: tuple[Step, ...] = ()
            if shared and before is not None and sysctl.key not in observed.sysctls_kept:
                undo = (RestoreSysctl(sysctl.key),)
            elif before is not None:
                undo = (SetSysctl(sysctl.key, before),)
            yield Change(SetSysctl(sysctl.key, sysctl.value, keep=shared), undo)


def give_back(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """What this segment changed on the host as a whole and needs no longer, last first."""
    needed = {sysctl.key for sysctl in wanted.sysctls if sysctl.shared} | wanted.shared_elsewhere
    for key in reversed(list(observed.sysctls_kept)):
        if key not in needed:
            yield Change(RestoreSysctl(key), (SetSysctl(key, observed.sysctls_kept[key], keep=True),))


def of_link(link: str, wanted: Wanted) -> list[SetSysctl]:
    """The kernel settings of one interface; they are gone with it."""
    return [SetSysctl(sysctl.key, sysctl.value) for sysctl in wanted.sysctls
            if not sysctl.shared and f"/{link}/" in sysctl.key]

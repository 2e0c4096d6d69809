"""Kernel settings: set, and put back as they were before."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.i18n import _


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

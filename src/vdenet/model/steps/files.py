"""Directories and files: made, written and removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath as Path

from vdenet.i18n import _
from vdenet.model.wanted import Address, Directory, File


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

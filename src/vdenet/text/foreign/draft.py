"""What an import has found so far: the segment, and what could not be carried over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from typing import Any, TypeVar

from vdenet.errors import BadConfig, BadImport, BadValue
from vdenet.i18n import _
from vdenet.model.names import segment_address
from vdenet.model.segment import Segment
from vdenet.text import config

_T = TypeVar("_T")
_WHERE = "import"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that a segment cannot have, or not in this form. `line` counts from 1."""

    line: int
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The segment that a file describes, and what is missing of it."""

    segment: Segment
    left_out: tuple[LeftOut, ...]
    title: str | None = None
    """What the file calls the network."""


@dataclass
class Draft:
    """`where` is the file, for messages; `base` as in `vdenet.text.foreign.read`."""

    where: str
    base: Segment
    given: IPv4Interface | None = None
    title: str | None = None
    left_out: list[LeftOut] = field(default_factory=list)

    def bad(self, line: int, why: str, hint: str | None = None) -> BadImport:
        """The error for what makes no sense."""
        return BadImport(where=f"{self.where}:{line}", why=why, hint=hint)

    def leave_out(self, line: int, what: str, why: str) -> None:
        """Note what is not carried over."""
        self.left_out.append(LeftOut(line, what, why))

    def checked(self, line: int, what: str, value: str, check: Callable[[str], _T]) -> _T:
        """What `check` makes of a value that has to be right. Raises `BadImport`."""
        try:
            return check(value)
        except BadValue as error:
            raise self.bad(line, f"{what} {value!r}: {error.data['why']}") from None

    def usable(self, line: int, what: str, value: str, check: Callable[[str], _T]) -> _T | None:
        """What `check` makes of a value; None, and a note, where it refuses."""
        try:
            return check(value)
        except BadValue as error:
            self.leave_out(line, f"{what} {value!r}", str(error.data["why"]))
            return None

    def address(self, line: int, found: str | None) -> IPv4Interface:
        """The host's address: the file's, else the one given. Raises `BadImport`."""
        if found is not None:
            if self.given is not None:
                raise self.bad(line, _("it names an address, {address}, so --address has no place").format(
                    address=found))
            return self.checked(line, _("address"), found, segment_address)
        if self.given is None:
            raise self.bad(line, _("it names no address"), hint=_("--address ADDR/LEN gives the segment one"))
        return self.given

    def with_entries(self, segment: Segment, key: str, entries: Sequence[tuple[int, str, Any]]) -> Segment:
        """The segment with more of `key` (hosts, records …), as far as the reader of configurations takes them.

        An entry has its line, what to call it, and its value.
        """
        changes: dict[str, Any] = {key: (*getattr(segment, key), *(value for _line, _what, value in entries))}
        more = replace(segment, **changes)
        if len(entries) <= 1:
            return self.with_change(segment, more, *(entries[0][:2] if entries else (1, key)))
        if self._why_not(more) is None:
            return more
        half = len(entries) // 2
        return self.with_entries(self.with_entries(segment, key, entries[:half]), key, entries[half:])

    def with_change(self, before: Segment, after: Segment, line: int, what: str) -> Segment:
        """The segment afterwards, or that before and a note where the reader of configurations refuses it."""
        why = self._why_not(after)
        if why is None:
            return after
        self.leave_out(line, what, why)
        return before

    def _why_not(self, segment: Segment) -> str | None:
        try:
            config.parse(config.emit(segment), segment.name, _WHERE)
        except BadConfig as error:
            return str(error.data["why"])
        return None

    def finished(self, segment: Segment) -> Imported:
        """The result, as it is read back. Raises `BadImport` where that is refused."""
        try:
            again = config.parse(config.emit(segment), segment.name, _WHERE)
        except BadConfig as error:
            raise BadImport(where=self.where, why=error.data["why"]) from None
        return Imported(again, tuple(sorted(self.left_out, key=lambda one: one.line)), self.title)

"""A text as lines, each with its own end, so that all that nobody changes stays byte for byte.

An end is LF, CR LF or CR. A text whose last line has none keeps it so, whatever is added behind or taken away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINES = re.compile(r"([^\r\n]*)(\r\n|\n|\r)|([^\r\n]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end, and that end; empty for the last line of a text that has none."""

    body: str
    end: str


def split(text: str) -> list[Line]:
    """The lines of a text."""
    return [Line(found[1] if found[3] is None else found[3], found[2] or "") for found in _LINES.finditer(text)]


def joined(lines: Sequence[Line]) -> str:
    """The text of lines: the reverse of `split`."""
    return "".join(line.body + line.end for line in lines)


def append(lines: list[Line], body: str) -> None:
    """Add a last line, with the end that the others have."""
    end = next((line.end for line in reversed(lines) if line.end), "\n")
    if lines and not lines[-1].end:
        lines[-1] = Line(lines[-1].body, end)
        end = ""
    lines.append(Line(body, end))


def remove(lines: list[Line], places: Sequence[int]) -> None:
    """Take lines out by their places: the reverse of `append`, wherever they stand."""
    is_open = bool(lines) and not lines[-1].end
    for place in sorted(places, reverse=True):
        del lines[place]
    if is_open and lines:
        lines[-1] = Line(lines[-1].body, "")

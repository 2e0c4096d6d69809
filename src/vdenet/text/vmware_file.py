"""VMware's files of settings (.vmx, inventory.vmls, preferences): read them, change some, put those back.

Only the values that are asked for change; every other byte stays. The text stands as Python reads UTF-8 with
surrogates for all else, so that any file comes back as it was, whatever its encoding.

The grammar is that of VMware's own reader: open-vm-tools lib/dict/dictll.c (lines), lib/misc/vmstdio.c (their
ends), lib/misc/escape.c (`|22` for a quote).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vdenet.text import lines
from vdenet.text.lines import Line

# What fits is not given back (`*+`): else blanks take time as the square of their number, and a file may have millions.
_LINE = re.compile(r"""(?P<head>\ufeff?[ \t]*+(?P<name>[^\0 \t#=\ufeff][^\0 \t#=]*+)[ \t]*+=[ \t]*+)
                       (?P<value>"[^\0"]*+"|(?!")[^\0 \t#]*+)
                       (?P<tail>[ \t]*+(?:[#\0].*)?)""", re.VERBOSE | re.DOTALL)
_ESCAPED = re.compile(rb"\|([0-9A-Fa-f]{2})")
_TO_ESCAPE = re.compile(r'[\x00-\x08\x0a-\x1f"|\x7f]')


class Settings:
    """What a file says; names in any case, as VMware compares them."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[tuple[int, str]]] = {}
        for number, line in enumerate(lines.split(text), 1):
            if found := _LINE.fullmatch(line.body):
                self._values.setdefault(found["name"].lower(), []).append((number, _plain(found["value"])))

    def get(self, name: str) -> str | None:
        """The value, the last one where the name stands more than once."""
        found = self._values.get(name.lower())
        return found[-1][1] if found else None

    def items(self) -> Iterator[tuple[str, str]]:
        """Each name once, in lower case, with its value."""
        return ((name, found[-1][1]) for name, found in self._values.items())

    def contradicted(self, prefix: str) -> tuple[str, list[int]] | None:
        """The first name that begins so and has several values, with the numbers of its lines."""
        for name, found in self._values.items():
            if name.startswith(prefix.lower()) and len({value for _number, value in found}) > 1:
                return name, [number for number, _value in found]
        return None

    def text(self, name: str) -> str | None:
        """A value that is meant for people, by the file's own `.encoding`."""
        value = self.get(name)
        if value is None:
            return None
        raw = value.encode(errors="surrogateescape")
        try:
            return raw.decode(self.get(".encoding") or "utf-8", errors="replace")
        except (LookupError, ValueError):  # an encoding that Python does not know
            return raw.decode(errors="replace")


def edited(text: str, values: Mapping[str, str]) -> str:
    """The file with these settings; a name that stands there more than once gets the value each time."""
    found = lines.split(text)
    for name, value in values.items():
        places = _places(found, name)
        for place in places:
            found[place] = _holding(found[place], value)
        if not places:
            lines.append(found, f"{name} = {_quoted(value)}")
    return lines.joined(found)


def taken(text: str, names: Iterable[str]) -> dict[str, list[str]]:
    """The lines of these names, for `restored`; none for a name that the file lacks."""
    found = lines.split(text)
    return {name: [found[place].body for place in _places(found, name)] for name in names}


def restored(text: str, before: Mapping[str, Sequence[str]]) -> str:
    """The file with the lines of which `taken` told, in place of those that have their names now."""
    found = lines.split(text)
    for name, bodies in before.items():
        places = _places(found, name)
        for place, body in zip(places, bodies, strict=False):
            found[place] = Line(body, found[place].end)
        for body in bodies if not places else ():
            lines.append(found, body)
        lines.remove(found, places[len(bodies):])
    return lines.joined(found)


def without(text: str, prefix: str) -> str:
    """The file without the settings whose names begin so."""
    found = lines.split(text)
    lines.remove(found, [place for place, line in enumerate(found) if (_name(line) or "").startswith(prefix.lower())])
    return lines.joined(found)


def _name(line: Line) -> str | None:
    found = _LINE.fullmatch(line.body)
    return found["name"].lower() if found else None


def _places(found: Sequence[Line], name: str) -> list[int]:
    return [place for place, line in enumerate(found) if _name(line) == name.lower()]


def _holding(line: Line, value: str) -> Line:
    """The line with a value, untouched where it has that already."""
    found = _LINE.fullmatch(line.body)
    if found is None or _plain(found["value"]) == value:
        return line
    return Line(f"{found['head']}{_quoted(value)}{found['tail']}", line.end)


def _plain(value: str) -> str:
    """A value as it stands in a line, without its quotes and escapes."""
    inner = value[1:-1] if value.startswith('"') else value
    raw = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), inner.encode(errors="surrogateescape"))
    return raw.decode(errors="surrogateescape")


def _quoted(value: str) -> str:
    return '"' + _TO_ESCAPE.sub(lambda found: f"|{ord(found[0]):02X}", value) + '"'

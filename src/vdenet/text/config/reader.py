"""What a configuration file holds, table by table, and on which line each key stands."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from vdenet.errors import BadConfig, BadValue
from vdenet.i18n import _

_HEADER = re.compile(r"\s*\[(\[?)\s*([\w\"'-]+)\s*\]")
_KEY = re.compile(r"\s*([\w\"'-]+(\s*\.\s*[\w\"'-]+)*)\s*=")


MOST_DOTS = 16
"""In one line, outside of strings: tomllib keeps every prefix of a dotted key, the square of its length."""
MOST_TABLES = 1024
"""Of one name: all of them are read anew at every look, also those that a member wrote."""
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_COMMENT = re.compile(r"#.*")


def load(text: str, where: str) -> dict[str, Any]:
    """The table that a TOML text is; `where` names the file. Raises `BadConfig`."""
    _refuse_long_keys(text, where)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(where=_position(str(error), where), why=_message(str(error))) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in brackets
        raise BadConfig(where=where, why=_("it is too long or nested too deeply")) from None


def _refuse_long_keys(text: str, where: str) -> None:
    bare = _STRING.sub("", text)
    if '"""' not in text and "'''" not in text:  # a string of several lines may have a # of its own
        bare = _COMMENT.sub("", bare)
    for number, line in enumerate(bare.split("\n"), 1):
        if line.count(".") > MOST_DOTS:
            raise BadConfig(where=f"{where}:{number}", why=_("there is no key with so many dots"))


def _position(message: str, where: str) -> str:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    if found:
        return f"{where}:{found[1]}:{found[2]}"
    return f"{where}:end" if "end of document" in message else where


def _message(message: str) -> str:
    plain = re.sub(r" \(at .*\)$", "", message)
    return plain[:1].lower() + plain[1:]


def _places(text: str) -> dict[tuple[str, int], str]:
    """Where each key stands, as `line:column` from 1: `(host.mac, 1)` is that of the second [[host]]."""
    places: dict[tuple[str, int], str] = {}
    tables: Counter[str] = Counter()
    prefix, nth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        at = f"{number}:{len(line) - len(line.lstrip()) + 1}"
        if found := _HEADER.match(line):
            table = _plain(found[2])
            prefix, nth = f"{table}.", tables[table]
            tables[table] += 1
            places.setdefault((table, nth), at)
        elif found := _KEY.match(line):
            places.setdefault((prefix + _plain(found[1]), nth), at)
    return places


def _plain(key: str) -> str:
    return re.sub(r"[\s\"']", "", key)


class Reader:
    """Turns tables into values and says at which line and column a bad one stands.

    Every method that checks raises `BadConfig`. A key is called as in `host.mac`; `nth` counts the
    tables of one name from 0.
    """

    def __init__(self, text: str, where: str) -> None:
        self._places = _places(text)
        self._where = where

    def bad(self, key: str, why: str, nth: int = 0) -> BadConfig:
        """The error for `key`, as `host.mac`, in the `nth` table of that name."""
        parent = key.rpartition(".")[0]
        for place in ((key, nth), (parent, nth), (parent, 0)):
            if place in self._places:
                return BadConfig(where=f"{self._where}:{self._places[place]}", why=f"{key}: {why}")
        return BadConfig(where=self._where, why=f"{key}: {why}")

    def known(self, table: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "", nth: int = 0) -> None:
        """That the table has no other key than these."""
        for key in table:
            if key not in keys:
                raise self.bad(prefix + key, _("no such key; expected one of {keys}").format(
                    keys=", ".join(keys)), nth)

    def text(self, table: Mapping[str, Any], key: str, prefix: str = "", nth: int = 0) -> str | None:
        """A string, None where the key is missing."""
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.bad(prefix + key, _("expected a string in quotes"), nth)
        return value

    def boolean(self, table: Mapping[str, Any], key: str, default: bool, prefix: str = "", nth: int = 0) -> bool:
        """True or false."""
        value = table.get(key, default)
        if not isinstance(value, bool):
            raise self.bad(prefix + key, _("expected true or false"), nth)
        return value

    def table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """The table `[key]`, empty where it is missing."""
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self.bad(key, _("expected a table, [{key}]").format(key=key))
        return value

    def checked(self, key: str, value: str, check: Callable[[str], Any], nth: int = 0) -> Any:
        """What `check` makes of a value; its `BadValue` gets the place."""
        try:
            return check(value)
        except BadValue as error:
            raise self.bad(key, f"{value!r}: {error.data['why']}", nth) from None

    def tables(self, table: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        """The entries of `[[key]]`, in the order of the file."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.bad(key, _("expected tables, [[{key}]]").format(key=key))
        if len(value) > MOST_TABLES:
            raise self.bad(key, _("there are more than {most}").format(most=MOST_TABLES), MOST_TABLES)
        return value

    def number(self, value: object, key: str, least: int, most: int, nth: int = 0) -> int:
        """`value` as a whole number from `least` to `most`."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.bad(key, _("expected a number from {least} to {most}").format(least=least, most=most), nth)
        return int(value)

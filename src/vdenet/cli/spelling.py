"""The spellings of the command line, brought to one.

Pure. The tool began with options where it has verbs now (`-st`, `--liste`, `-ip ADDR/LEN`), and people
write options and values in either order. Everything becomes VERB [KIND] OPTIONS VALUES before the
parser sees it; what stands behind `--` or behind `join KIND` belongs to the guest's own command and is
not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vdenet.errors import BadValue
from vdenet.i18n import _

VERBS = ("start", "stop", "reload", "check", "list", "ip", "join", "leave", "plan", "apply",
         "segment", "export", "import")

OPTION_VERBS = {
    "--start": "start", "-st": "start",
    "--stop": "stop", "-sp": "stop",
    "--reload": "reload", "-r": "reload",
    "--check": "check", "-c": "check",
    "--list": "list", "--liste": "list", "-l": "list",
    "--ip": "ip", "-ip": "ip",
}
"""The verbs that the first tarr-steps had, as its options."""

NESTED = frozenset({"join", "leave", "segment"})
"""Verbs that are followed by a word of their own (KIND, or what to do with a segment)."""

VALUED = frozenset({"--segment", "--name", "--mac", "--model", "--tap", "--via", "--nic", "--port", "--vlan",
                    "--connect", "--address", "--mode", "--confirm", "--from", "--output"})
"""Options that take the next word as their value: that word is never a verb."""


def normalise(words: Sequence[str]) -> list[str]:
    """The same command in the parser's spelling. Raises `BadValue` for no such verb, or two of them."""
    ours, guests = _split(words)
    verb = written = None
    options: list[str] = []
    values: list[str] = []
    rest = iter(ours)
    for word in rest:
        option, equals, value = word.partition("=")
        if option in OPTION_VERBS and not (verb == "apply" and option == "--check"):
            if verb not in (None, OPTION_VERBS[option]):
                raise BadValue(what=_("option"), value=option, why=_(
                    "one verb at a time, and there is {first} already").format(first=written))
            verb, written = OPTION_VERBS[option], option
            if equals:
                values.append(value)
        elif word in VALUED:
            options += [word, *_one_of(rest)]
        elif word.startswith("-") and word != "-":
            options.append(word)
        elif verb is None and word in VERBS:
            verb = written = word
        else:
            values.append(word)
        if verb in NESTED and values:
            return [verb, *values, *options, *rest, *guests]
    if verb is None:
        if values:
            raise BadValue(what=_("verb"), value=values[0], why=_unknown(values[0]))
        return [*options, *guests]
    return [verb, *options, *values, *guests]


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at:]


def _one_of(rest: Iterable[str]) -> list[str]:
    for word in rest:
        return [word]
    return []  # the parser says that the value is missing


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, VERBS, 1)
    if near:
        return _("no such verb; did you mean {verb}?").format(verb=near[0])
    return _("no such verb; tarr-steps --help names them")

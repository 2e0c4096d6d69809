"""A container's configuration (lxc.container.conf(5)): its networks, and a block of lines that adds one.

The block stands at the end, where it outweighs what is above it, and is all that `join` writes: taking it out gives
back the file byte for byte. `leave` also takes out what somebody has put a network on the bridge with by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vdenet.model.names import DEFAULT_SEGMENT
from vdenet.model.places import GROUP
from vdenet.text.block import BEGIN, END

_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n.*?^{re.escape(END)}\n", re.MULTILINE | re.DOTALL)
# After a line that had no end: then neither has the block, and the line's end is the block's.
_OPEN_BLOCK = re.compile(rf"\n{re.escape(BEGIN)}\n.*?^{re.escape(END)}\Z", re.MULTILINE | re.DOTALL)
_NET = re.compile(r"lxc\.net\.([0-9]{1,9})(?:\.(.+))?")
_DEPTH, _FILES = 20, 200
"""Files that include one another end here, and so does one that includes itself twice."""

Files = Callable[[str], Sequence[str]]
"""The texts of what a path stands for: of a file, of the *.conf files of a directory, of nothing."""


@dataclass(frozen=True, slots=True)
class Net:
    """A network of a container; `settings` are its keys behind `lxc.net.N.`."""

    number: int
    settings: Mapping[str, str]

    @property
    def empty(self) -> bool:
        """Whether it is the loopback device and nothing else."""
        return self.settings.get("type", "empty") == "empty"

    @property
    def port(self) -> str | None:
        """The name of its end out here, where LXC leaves that to others to put it on a bridge."""
        return None if "link" in self.settings else self.settings.get("veth.pair")

    @property
    def mac(self) -> str | None:
        """Its MAC address, where it is always the same."""
        text = self.settings.get("hwaddr", "").lower()
        return text if re.fullmatch("[0-9a-f]{2}(:[0-9a-f]{2}){5}", text) else None


def nets(text: str, files: Files) -> dict[int, Net]:
    """The networks that a configuration comes to, with all that it includes."""
    found: dict[int, dict[str, str]] = {}
    for key, value in _lines(text, files, _DEPTH, []):
        if key == "lxc.net" and not value:
            found.clear()
        elif matched := _NET.fullmatch(key):
            number, name = int(matched[1]), matched[2]
            if name is None:
                if not value:
                    found.pop(number, None)
            elif value:
                found.setdefault(number, {})[name] = value
            else:
                found.get(number, {}).pop(name, None)
    return {number: Net(number, settings) for number, settings in found.items()}


def root(text: str, files: Files) -> str | None:
    """The directory that the container has for its root; None where it is an image or the like."""
    path = None
    for key, value in _lines(text, files, _DEPTH, []):
        if key == "lxc.rootfs.path":
            path = value.removeprefix("dir:") or None
    return path if path is not None and path.startswith("/") else None


def joined(before: str, number: int, old: Net | None, bridge: str | None, mac: str, name: str | None,
           port: str | None = None) -> str:
    """The configuration with network `number` on a bridge, in place of `old`; or on none, and with a `port` for us."""
    lines = [] if old is None else [f"lxc.net.{number} ="]
    settings = {"type": "veth", "link": bridge, "veth.pair": port, "flags": "up", "name": name, "hwaddr": mac}
    lines += [f"lxc.net.{number}.{key} = {value}" for key, value in settings.items() if value is not None]
    return _with_block(before, lines)


def with_mac(before: str, number: int, mac: str) -> str:
    """The configuration with a MAC address for a network that is on the bridge already."""
    return _with_block(before, [f"lxc.net.{number}.hwaddr = {mac}"])


def without_block(text: str) -> str:
    """The configuration as it was before."""
    return _OPEN_BLOCK.sub("", _BLOCK.sub("", text))


def without(text: str, number: int) -> str:
    """The configuration without its own lines of a network."""
    kept = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        matched = _NET.fullmatch(_pair(line)[0])
        if not (matched and int(matched[1]) == number):
            kept.append(line)
    return "".join(kept)


def allows(usernet: str, user: str, groups: Sequence[str], bridge: str) -> bool:
    """Whether /etc/lxc/lxc-usernet lets the user have a veth on the bridge (lxc-usernet(5))."""
    for line in usernet.splitlines():
        words = line.split()
        if len(words) == 4 and line[0] not in " \t" and words[1:3] == ["veth", bridge] \
                and words[3].isdecimal() and int(words[3]) > 0 \
                and (words[0] == user or words[0] in [f"@{group}" for group in groups]):
            return True
    return False


def let_in(usernet: str, bridge: str) -> str:
    """The list with a line for the group and one bridge more, as many NICs as on the default one.

    As it is where the group has no line for the default one, or this bridge has one already.
    """
    lines = [line.split() for line in usernet.splitlines() if line[:1] not in (" ", "\t")]
    like = [words for words in lines if words[:3] == [f"@{GROUP}", "veth", DEFAULT_SEGMENT] and len(words) == 4]
    if not like or any(words[:3] == [f"@{GROUP}", "veth", bridge] for words in lines):
        return usernet
    end = "" if usernet.endswith("\n") else "\n"
    return f"{usernet}{end}@{GROUP} veth {bridge} {like[-1][3]}\n"


def shut_out(usernet: str, bridge: str) -> str:
    """The list without the group's lines for a bridge."""
    return "".join(line for line in usernet.splitlines(keepends=True)
                   if line.split()[:3] != [f"@{GROUP}", "veth", bridge])


def _with_block(text: str, lines: Sequence[str]) -> str:
    text = without_block(text)
    block = "\n".join([BEGIN, *lines, END])
    return f"{text}\n{block}" if text and not text.endswith("\n") else f"{text}{block}\n"


def _lines(text: str, files: Files, depth: int, read: list[str]) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        key, value = _pair(line)
        if key == "lxc.include":
            for included in files(value) if depth and len(read) < _FILES else ():
                if len(read) < _FILES:
                    read.append(value)
                    yield from _lines(included, files, depth - 1, read)
        elif key:
            yield key, value


def _pair(line: str) -> tuple[str, str]:
    """The key and the value of a line; two empty strings where it has none."""
    line = line.strip()
    if line.startswith("#") or "=" not in line:
        return "", ""
    key, _equals, value = (part.strip() for part in line.partition("="))
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return key, value

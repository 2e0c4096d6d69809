"""/etc/vmware/networking: which of VMware's virtual networks is bridged to which interface of the host.

After the line `VERSION=1,0` it is a list of commands: `answer VNET_8_NAT yes`, `add_bridge_mapping eth1 2`, and
`remove_…` for what an earlier line added (the parser of Packer's VMware driver has them all). Without an `answer`
of its own a vmnet has no card in the host, no DHCP and no NAT, which is what a bridged one needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vdenet.errors import BadValue, Refused
from vdenet.i18n import _
from vdenet.text import lines

PATH = "/etc/vmware/networking"
RESERVED = frozenset({0, 1, 8})
"""vmnets that VMware itself uses: bridged, host-only, NAT."""
LAST = 254
"""VMware has 255 of them (VMware Player's manual)."""

_VERSION = re.compile(r"VERSION=1,[0-9]+\s*")
_ANSWER = re.compile(r"VNET_([0-9]{1,3})_.*")
_NUMBER = re.compile(r"[0-9]{1,9}")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
_ADD, _REMOVE = "add_bridge_mapping", "remove_bridge_mapping"


def mappings(text: str) -> dict[str, int]:
    """The vmnet that is bridged to each interface."""
    found: dict[str, int] = {}
    for words in _commands(text):
        if (made := _mapping(words)) is not None:
            found[made[0]] = made[1]
        elif words[0] == _REMOVE and len(words) > 1:
            found.pop(words[1], None)
    return found


def is_known(text: str) -> bool:
    """Whether the file is of the version that this module knows."""
    first = next((line.body for line in lines.split(text) if line.body.strip()), "")
    return _VERSION.fullmatch(first) is not None


def free(text: str) -> int:
    """The first vmnet that nothing in the file names. Raises `Refused` when there is none."""
    taken = {*RESERVED}
    for words in _commands(text):
        for word in words[1:]:
            answer = _ANSWER.fullmatch(word)
            taken |= {int(answer[1])} if answer else {int(word)} if _NUMBER.fullmatch(word) else set()
    number = next((number for number in range(LAST + 1) if number not in taken), None)
    if number is None:
        raise Refused(what=_("bridge a network of VMware's"), why=_("all of its vmnets are in use"))
    return number


def mapped(text: str, bridge: str, vmnet: int) -> str:
    """The file with a vmnet bridged to an interface. Raises `BadValue` for a name that would be more than a word."""
    if not _INTERFACE.fullmatch(bridge):
        raise BadValue(what=_("interface"), value=bridge, why=_("VMware could not read it"))
    found = lines.split(text)
    lines.append(found, f"{_ADD} {bridge} {vmnet}")
    return lines.joined(found)


def unmapped(text: str, bridge: str, vmnet: int) -> str:
    """The file without the lines that bridge that vmnet to that interface."""
    found = lines.split(text)
    lines.remove(found, [place for place, line in enumerate(found)
                         if _mapping(line.body.split()) == (bridge, vmnet)])
    return lines.joined(found)


def _commands(text: str) -> Iterator[list[str]]:
    return (words for line in lines.split(text) if (words := line.body.split()))


def _mapping(words: list[str]) -> tuple[str, int] | None:
    if len(words) == 3 and words[0] == _ADD and _NUMBER.fullmatch(words[2]) and int(words[2]) <= LAST:
        return words[1], int(words[2])
    return None

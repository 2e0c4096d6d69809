"""vde_switch: its command line, and the text of its management console.

Facts: vde_switch(1) and src/vde_switch of vde-2 r586, the version of Debian 12 and 13.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vdenet.model.places import GROUP, SWITCH_ACCOUNT, Places
from vdenet.model.segment import Segment
from vdenet.model.wanted import SWITCH, Service

DIRECTORY_MODE = 0o3770
"""Members may put their reply sockets into the control directory, where the switch surely sees them, but
the sticky bit keeps them from removing the switch's own socket or each other's."""


def service(segment: Segment, places: Places) -> Service:
    """The program, as the supervisor runs it.

    In the foreground, without a pid file: a stale one makes the next start fail. It ends at the end of
    its standard input, so it gets a pipe that it holds both ends of (`holds_stdin`).
    """
    control, console = places.switch(segment.name), places.console(segment.name)
    return Service(
        name=SWITCH,
        argv=("vde_switch",
              "--numports", str(segment.switch_ports),
              "--sock", str(control), "--mode", "0660", "--dirmode", f"{DIRECTORY_MODE:o}", "--group", GROUP,
              "--mgmt", str(console), "--mgmtmode", "0666",
              # Read before anybody can plug in; without one the switch would read somebody else's.
              "--rcfile", str(places.switch_start(segment.name)),
              "--tap", segment.tap),
        account=SWITCH_ACCOUNT,
        groups=(GROUP,),
        ready_socket=control / "ctl",
        clear=(control, console),
        holds_stdin=True,
        link=segment.tap,
        claim=str(control),
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Who is connected on a port: the account, which the switch takes from the owner of the client's socket, and
    the process that the client says it is."""

    user: str
    pid: int | None


_PORT = re.compile(r"Port\s+(\d+)\s")
_USER = re.compile(r"\s*Current User:\s+(\S+)\s")
_PID = re.compile(r"  -- endpoint ID .* : .* pid=(\d{1,9})\b", re.IGNORECASE)


def clients(text: str) -> dict[int, Client]:
    """What `port/allprint` says of who is connected on each port.

    The `user=` of an endpoint is not used: that is what the client says of itself, as its `pid=` is.
    """
    said: dict[int, list[str]] = {}
    pids: dict[int, int | None] = {}
    port = 0
    for line in text.splitlines():
        if matched := _PORT.match(line):
            port = int(matched[1])
            said.setdefault(port, []).append("")
        elif matched := _USER.match(line):
            said.setdefault(port, []).append(matched[1])
        elif matched := _PID.match(line):
            pids[port] = None if port in pids else int(matched[1])
    # A client's description may have lines like these in it: who is spoken of twice is nobody.
    return {port: Client(words[1], pids.get(port)) for port, words in said.items()
            if len(words) == 2 and words[0] == "" and words[1] != "NONE"}


_TREE = re.compile(r"(?m)^FSTP=(true|false)$")


def spanning_tree(text: str) -> bool | None:
    """What `fstp/showinfo` says: whether the fast spanning tree is on."""
    matched = _TREE.search(text)
    return None if matched is None else matched[1] == "true"


_HASH = re.compile(r"Hash:\s*\d+\s+Addr:\s*([0-9a-f:]{17})\s+VLAN\s+(\d+)\s+to port:\s*(\d+)", re.IGNORECASE)


def addresses(text: str) -> dict[str, int]:
    """What `hash/print` says: which MAC was heard on which port."""
    return {matched[1].lower(): int(matched[3]) for matched in map(_HASH.search, text.splitlines()) if matched}


def answer(text: str) -> tuple[int, str]:
    """A console's reply, up to its prompt: the code (0 is success, else an errno) and the data before it."""
    data: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("0000 DATA END WITH"):
            inside = True
        elif inside and line == ".":
            inside = False
        elif inside:
            data.append(line)
        elif re.match(r"1\d{3} ", line):
            return int(line[1:4]), "\n".join(data)
    return -1, "\n".join(data)


_ECHO = re.compile(r"vde\[.*\]: (.*)")


def refused(text: str) -> str:
    """What a switch that carried out a script (`load`) refused of it: the first such command and why.

    Empty when it did all of it.
    """
    command = "load"
    done = False
    for line in text.splitlines():
        if found := _ECHO.match(line):
            command = found[1]
        elif found := re.match(r"1(\d{3}) ", line):
            done = True
            if found[1] != "000":
                return f"{command}: {line[5:]}"
    return "" if done else "no answer"

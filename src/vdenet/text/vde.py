"""vde_switch and the gate in front of it: their command lines, and the text of the switch's management console.

Facts: vde_switch(1) and src/vde_switch of vde-2 r586, the version of Debian 12 and 13.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vdenet.model.places import GROUP, PLUG_ACCOUNT, SWITCH_ACCOUNT, Places
from vdenet.model.segment import Segment
from vdenet.model.wanted import SWITCH, Service


def service(segment: Segment, places: Places) -> Service:
    """The program, as the supervisor runs it.

    In the foreground, without a pid file: a stale one makes the next start fail. It ends at the end of
    its standard input, so it gets a pipe that it holds both ends of (`holds_stdin`). Only its own account gets at
    its sockets, until the gate has seen to that nobody else may connect (`vdenet.gate.main`).
    """
    sockets, console = places.switch_sockets(segment.name), places.console(segment.name)
    return Service(
        name=SWITCH,
        argv=("vde_switch",
              "--numports", str(segment.switch_ports),
              "--sock", str(sockets), "--mode", "0660", "--dirmode", "0700", "--group", GROUP,
              "--mgmt", str(console), "--mgmtmode", "0666",
              # Read before anybody can plug in; without one the switch would read somebody else's.
              "--rcfile", str(places.switch_start(segment.name)),
              "--tap", segment.tap),
        account=SWITCH_ACCOUNT,
        groups=(GROUP,),
        ready_socket=console,
        clear=(sockets, console),
        holds_stdin=True,
        link=segment.tap,
        useless_line="ERROR OPENING tap interface",  # src/vde_switch/tuntap.c
        claim=segment.tap,
    )


def gate(segment: Segment, places: Places) -> Service:
    """The gate, as the supervisor runs it: as the switch's account, whose sockets it guards."""
    front = places.switch(segment.name)
    return Service(
        name="gate",
        argv=("python3", "-IB", "-m", "vdenet.gate.main", str(front), str(places.switch_sockets(segment.name)),
              str(segment.switch_ports), GROUP, PLUG_ACCOUNT),
        account=SWITCH_ACCOUNT,
        groups=(GROUP,),
        ready_socket=front / "ctl",
        clear=(front,),
        claim=str(front),
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Who is connected on a port, as the kernel told the gate; `pid` is None when there are several."""

    uid: int
    pid: int | None


_PORT = re.compile(r"Port\s+(\d+)\s")
_ENDPOINT = re.compile(r"  -- endpoint ID \d+ module unix prog +: pid=(\d{1,10}) uid=(\d{1,10}) ")


def clients(text: str) -> dict[int, Client]:
    """What `port/allprint` says of who is connected on each port.

    The gate has put who it is before what a client says of itself, which has no line ends. Where several accounts
    are on one port, none is.
    """
    found: dict[int, set[Client]] = {}
    port = 0
    for line in text.splitlines():
        if matched := _PORT.match(line):
            port = int(matched[1])
        elif matched := _ENDPOINT.match(line):
            found.setdefault(port, set()).add(Client(int(matched[2]), int(matched[1])))
    return {port: there.pop() if len(there) == 1 else Client(there.pop().uid, None)
            for port, there in found.items() if len({client.uid for client in there}) == 1}


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

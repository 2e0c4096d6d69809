"""What joining a guest does to its hypervisor, as data: commands and edited files, each with its undo.

A kind of guest (`vdenet.cli.kinds`) looks at the guest and answers with these; one place carries them out,
shows them for `--dry-run`, and takes them back when one fails.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RunTool:
    """A command of the hypervisor's own tool; `undo` takes it back, empty when nothing has to.

    `input` and `undo_input` are what the two read from /dev/stdin.
    """

    argv: tuple[str, ...]
    undo: tuple[str, ...] = ()
    input: str = ""
    undo_input: str = ""

    def __str__(self) -> str:
        """As a shell takes it."""
        command = shlex.join(self.argv)
        return f"{command} <<'END'\n{self.input.rstrip()}\nEND" if self.input else command


@dataclass(frozen=True, slots=True)
class EditFile:
    """A file of the guest's, as it was read and as it will be; None stands for no file."""

    path: str
    before: str | None
    after: str | None
    """Bytes that are no UTF-8 stand as surrogates."""

    def __str__(self) -> str:
        from difflib import unified_diff

        old, new = (text.splitlines(keepends=True) if text is not None else []
                    for text in (self.before, self.after))
        return "".join(unified_diff(old, new, self.path, self.path)).rstrip("\n")


@dataclass(frozen=True, slots=True)
class Plug:
    """A veth of the daemon's into the network of a container that runs, and an address by DHCP for it.

    It has no undo of its own: giving the name back takes the port away.
    """

    kind: str
    segment: str
    guest: str
    pid: int
    """A process of the container, in the host's numbers."""
    name: str
    mac: str
    resolver: str | None
    """The container's resolv.conf as it lies on the host."""
    vlan: int | None = None

    def __str__(self) -> str:
        where = "" if self.vlan is None else f", VLAN {self.vlan}"
        return f"# {self.segment}{where}: a veth into the network of process {self.pid}, as {self.name}, {self.mac}"


Action = RunTool | EditFile | Plug


@dataclass(frozen=True, slots=True)
class Found:
    """A guest as its hypervisor knows it, before it joins."""

    label: str
    """Its name as a DNS label."""
    mac: str | None
    """The MAC of the NIC that would be used, where that is settled already."""
    running: bool
    joined: bool
    """It is on the segment by the hypervisor's configuration already."""
    tap: bool = False
    """Its hypervisor opens a tap by name: the daemon keeps one for it, and not only the name."""
    tunnel: bool = False
    """It is to come by a UDP tunnel, which the daemon has to make first."""
    tunnelled: bool = False
    """It comes by one now."""
    guest_port: int | None = None
    """The UDP port at which its hypervisor listens then."""
    plugged: bool = False
    """It is on the segment by a port of the daemon's, which has its name and MAC."""
    stale: str | None = None
    """The MAC address of a port of the daemon's that it still has, and that nobody keeps any more."""
    plug: bool = False
    """It comes over VDE: in a VLAN, by a port of the switch that the daemon gives it."""
    handed: bool = False
    """Its hypervisor can make a port by a name of ours and leave it to the daemon: so it gets into a VLAN."""


@dataclass(frozen=True, slots=True)
class Where:
    """A segment, by its names and paths; an adopted bridge is called otherwise than the segment."""

    segment: str
    bridge: str
    switch: str
    """The VDE control directory."""


@dataclass(frozen=True, slots=True)
class Place(Where):
    """Where the guest is to go, with its own name and MAC there."""

    name: str
    mac: str
    port: str | None = None
    """The tap that the daemon keeps for it, where `Found.tap` asked for one; or the name of the port that its
    hypervisor is to make, where `Found.handed` said that it can and it is to be in a VLAN."""
    ports: tuple[str, str] | None = None
    """The UDP ports of the guest's tunnel where it has one: the guest's end, and the segment's."""
    vlan: int | None = None
    vde_port: str | None = None
    """The port of the VDE switch that is the guest's own."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for beside the guest; None is for the kind to choose."""

    via: str | None = None
    nic: int | None = None
    port: int | None = None
    connect: str | None = None
    """Which of several hypervisors of the kind, where there may be several."""
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Joining:
    """What has to be done. `why` says for people why this way; `live` that a running guest has it at once."""

    actions: tuple[Action, ...]
    via: str
    why: str
    live: bool
    nic: str | None = None
    group: bool = False
    """The guest's own program needs the group vdenet when it starts."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What `leave` has to know to put back what was there before; JSON."""
    notes: tuple[str, ...] = ()
    """What the user should know besides, as sentences."""
    warnings: tuple[str, ...] = ()
    """What will keep the guest from starting, as far as can be seen now; for people."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What has to be done to take the guest off; nothing when it is not on the segment."""

    actions: tuple[Action, ...]
    live: bool
    running: bool = False
    mac: str | None = None
    """The MAC that it had there."""
    guest_port: int | None = None
    """The UDP port at which its hypervisor listens, where it runs and came by a tunnel: that has to end before the
    hypervisor lets go."""
    lingers: bool = False
    """It runs, and may have its card for some time yet: until then its name and its port are its own."""
    note: str | None = None
    """What the user should know besides, as a sentence."""

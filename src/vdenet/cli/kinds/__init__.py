"""One module a kind of guest: how its hypervisor is asked, and what joining does to it.

A kind only looks and answers with data (`vdenet.model.joining`); `vdenet.cli.carrying` carries it out. Add a
kind: write the module with a class like `Guest` below, put it into `TABLE`, its text parsing into
`vdenet.text`, a row into README's table, and tests against the real tool.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

from vdenet.model.joining import Found, Joining, Leaving, Place, Where, Wish


class Guest(Protocol):
    """A guest as it was when it was looked up, which is done by making one of these from its name.

    All raise `ToolMissing`, `ToolFailed`, `NoGuest`, `Refused`, `BadValue`, and change nothing.
    """

    @property
    def id(self) -> str:
        """What is the same however the user calls the guest."""
        ...

    def found(self, wish: Wish, where: Where) -> Found:
        """How it stands, and which NIC would be used."""
        ...

    def join(self, wish: Wish, place: Place) -> Joining:
        """What puts the guest on the segment; no actions when it is there already."""
        ...

    def leave(self, where: Where, memory: object) -> Leaving:
        """What takes it off; `memory` is what `join` left, None when it was joined by hand."""
        ...


@runtime_checkable
class Abbreviable(Protocol):
    """A guest whose tool takes a word that is nobody's name for the beginning of an id."""

    @property
    def abbreviated(self) -> bool:
        """Whether it was found like that."""
        ...


TABLE: dict[str, str] = {
    "virtualbox": "virtualbox:VirtualBox",
    "lxc": "lxc:Lxc",
    "libvirt": "libvirt:Libvirt",
    "incus": "incus:Incus",
    "vmware": "vmware:VMware",
    "podman": "container:Podman",
    "docker": "container:Docker",
    "nspawn": "nspawn:Nspawn",
}
"""Kind to `module:Class` below this package; imported when it is used."""

SWITCHABLE = frozenset({"virtualbox"})
"""Kinds that can also plug into the VDE switch, and so have `--via` and `--port`."""

SINGLE = frozenset({"podman", "docker", "nspawn"})
"""Kinds whose guests have no choice of adapters, and so no `--nic`."""

IN_NO_VLAN = frozenset({"vmware"})
"""Kinds whose guests can be in no VLAN. They say so themselves, also where there is no VLAN: one would not help."""

BY_ID = frozenset({"virtualbox", "libvirt", "vmware", "podman", "docker"})
"""Kinds whose guests are also found by their `id`, so that who is not found by it has been deleted."""

REMEMBERED = frozenset({"virtualbox", "libvirt", "vmware"})
"""Kinds whose guests do not say themselves how they were before they joined: who joined them has that in memory."""

BY_PATH = frozenset({"vmware"})
"""Kinds whose `id` is where the guest lies: who is not found there may have been moved, and is as `join` left it."""

CONNECTED = frozenset({"libvirt"})
"""Kinds that there may be several of on a host, and so have `--connect`. Which one it is stands before a guest's own
word in its `id`, with a space between."""


def look_up(kind: str, guest: str, connect: str | None = None) -> Guest:
    """The guest of that kind, one of `TABLE`; `connect` says where, for the kinds in `CONNECTED`."""
    module, _colon, attribute = TABLE[kind].partition(":")
    make = cast(Callable[..., Guest], getattr(import_module(f"{__name__}.{module}"), attribute))
    return make(guest) if connect is None else make(guest, connect)


def is_abbreviated(guest: Guest) -> bool:
    """Whether the guest was found by the beginning of its id, and so may not be who was meant."""
    return isinstance(guest, Abbreviable) and guest.abbreviated

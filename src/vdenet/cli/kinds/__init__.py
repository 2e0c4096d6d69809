"""One module a kind of guest: how its hypervisor is asked, and what joining does to it.

A kind only looks and answers with data (`vdenet.model.joining`); `vdenet.cli.carrying` carries it out. How to add one
is in HACKING.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

from vdenet.model.joining import Found, Joining, Leaving, Place, Where, Wish


class Guest(Protocol):
    """A guest as it was when it was looked up, which is done by making one of these from its name.

    All raise `ToolMissing`, `ToolFailed`, `NoGuest`, `NotPermitted`, `Refused`, `BadValue`, and change nothing.
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


@dataclass(frozen=True, slots=True)
class Kind:
    """What is true of all guests of a kind; known without importing the module that knows the rest."""

    place: str
    """`module:Class` below this package; imported when it is used."""
    switchable: bool = False
    """They can also plug into the VDE switch, and so have `--via` and `--port`."""
    adapters: bool = True
    """They have a choice of adapters, and so `--nic`."""
    vlan: bool = True
    """They can be in a VLAN. Those that cannot say so themselves, also where there is no VLAN: one would not help."""
    by_id: bool = False
    """They are also found by their `id`, so that who is not found by it has been deleted."""
    by_path: bool = False
    """Their `id` is where they lie: who is not found there may have been moved, and is as `join` left it."""
    remembered: bool = False
    """They do not say themselves how they were before they joined: who joined them has that in memory."""
    connected: bool = False
    """There may be several hypervisors of the kind on a host, hence `--connect`. Which one it is stands before a
    guest's own word in its `id`, with a space between."""


TABLE: dict[str, Kind] = {
    "virtualbox": Kind("virtualbox:VirtualBox", switchable=True, by_id=True, remembered=True),
    "lxc": Kind("lxc:Lxc"),
    "libvirt": Kind("libvirt:Libvirt", by_id=True, remembered=True, connected=True),
    "incus": Kind("incus:Incus"),
    "vmware": Kind("vmware:VMware", vlan=False, by_id=True, by_path=True, remembered=True),
    "podman": Kind("container:Podman", adapters=False, by_id=True),
    "docker": Kind("container:Docker", adapters=False, by_id=True),
    "nspawn": Kind("nspawn:Nspawn", adapters=False),
}


def look_up(kind: str, guest: str, connect: str | None = None) -> Guest:
    """The guest of that kind, one of `TABLE`; `connect` says where, for kinds that are `connected`."""
    module, _colon, attribute = TABLE[kind].place.partition(":")
    make = cast(Callable[..., Guest], getattr(import_module(f"{__name__}.{module}"), attribute))
    return make(guest) if connect is None else make(guest, connect)


def is_abbreviated(guest: Guest) -> bool:
    """Whether the guest was found by the beginning of its id, and so may not be who was meant."""
    return isinstance(guest, Abbreviable) and guest.abbreviated

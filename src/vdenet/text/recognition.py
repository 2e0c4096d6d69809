"""Whose a MAC address on the segment is: evidence in, kind and name and account out.

Guests may have been put there by hand, by any hypervisor. What ties one to a process is, the surer the earlier:

    veth    the kernel says in which network namespace its other end is, and which processes live there
    VDE     the switch says which process has the port, and the kernel whose the port is
    tap     a command line names the interface, or the MAC of the NIC behind it
    none    the MAC is of VirtualBox's or VMware's own, and they run: bridged NICs have no port here. Which of
            several machines it is, the name tells under which it joined

A command line is the word of its process only, so it has to come from the account that the port belongs to, where
that is known. When two processes claim one address, it is nobody's. None of this decides who may do what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vdenet.text import qemu
from vdenet.text.programs import Runs


@dataclass(frozen=True, slots=True)
class Program:
    """A process of the host's that runs a guest; `inside` are the namespaces of its children, by the kernel's ids."""

    pid: int
    uid: int
    runs: Runs
    inside: frozenset[int] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Sighting:
    """A MAC address on the segment, and what is known of where it was seen."""

    mac: str
    port: str | None = None
    """The interface on the bridge; None when the bridge has not heard it behind one."""
    via: str = "unknown"
    """As `list` has it: tap, veth, vde."""
    uid: int | None = None
    """The account that the port belongs to, by the kernel."""
    namespace: int | None = None
    """Where the other end of a veth is."""
    client: int | None = None
    """The process that has the port of the VDE switch, by the kernel."""
    name: str | None = None
    """Under which it joined."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Kind of a guest, its name as its hypervisor has it, and its account; what is not known is None."""

    kind: str | None = None
    guest: str | None = None
    uid: int | None = None


NOBODY = Identity()

_MAKERS = {"08:00:27": "virtualbox", "00:0c:29": "vmware", "00:50:56": "vmware", "00:05:69": "vmware"}
"""First half of the MACs that a hypervisor gives (IEEE's list of makers)."""
_OF_LXC_USER_NIC = re.compile(r"veth(\d{1,10})_[A-Za-z0-9]{4}")
"""How it calls a port: with the account that it was made for. Only root gives names."""
_OF_NSPAWN = re.compile(r"vb-(.{1,11})")
"""A name that needs all 15 characters may have been cut."""


def identify(seen: Sighting, programs: Sequence[Program]) -> Identity:
    """Who it is, as far as the evidence goes."""
    if seen.via == "veth":
        return _container(seen, programs)
    mine = [one for one in programs if seen.uid in (None, one.uid)]
    tests: list[Callable[[Program], bool]] = [lambda one: seen.mac in one.runs.macs]
    if seen.client is not None and seen.uid is not None:
        tests.insert(0, lambda one: one.pid == seen.client)
    if seen.via == "tap":
        tests.insert(0, lambda one: seen.port in one.runs.taps)
        mine += [one for one in programs if one.uid == 0 and one not in mine]
    for test in tests:
        found = [one for one in mine if test(one)]
        if found:
            return _only(found)
    return NOBODY if seen.via == "tap" else _by_maker(seen, mine)


def _container(seen: Sighting, programs: Sequence[Program]) -> Identity:
    found = [one for one in programs if one.runs.contains and seen.namespace in one.inside]
    if found:
        return _only(found)
    port = seen.port or ""
    if matched := _OF_LXC_USER_NIC.fullmatch(port):
        return Identity("lxc", None, int(matched[1]))
    if matched := _OF_NSPAWN.fullmatch(port):
        return Identity("nspawn", matched[1], None)
    return NOBODY


def _by_maker(seen: Sighting, programs: Iterable[Program]) -> Identity:
    kind = _MAKERS.get(seen.mac[:8])
    running = [one for one in programs if one.runs.kind == kind]
    if not running:
        return NOBODY
    named = [one for one in running if seen.name is not None and qemu.label(one.runs.guest or "") == seen.name]
    if len(running) > 1 and len(named) == 1:
        running = named
    uids = {one.uid for one in running}
    return Identity(kind, running[0].runs.guest if len(running) == 1 else None, uids.pop() if len(uids) == 1 else None)


def _only(found: Sequence[Program]) -> Identity:
    return Identity(found[0].runs.kind, found[0].runs.guest, found[0].uid) if len(found) == 1 else NOBODY

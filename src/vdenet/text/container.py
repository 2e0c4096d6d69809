"""What `podman inspect` and `docker inspect` say of a container: the part that both have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Container:
    """A container; `pid` is that of its first process while it runs, else None."""

    id: str
    name: str
    pid: int | None
    resolver: str | None
    """Its resolv.conf, as it lies on the host."""


@dataclass(frozen=True, slots=True)
class End:
    """An interface that is one end of a veth."""

    name: str
    index: int
    far: int
    """The index of the other end, where that is."""
    mac: str
    space: int | None = None
    """In which network namespace the other end is, by its number in this one; None where it is in this one."""
    addressed: bool = False
    """It has an IPv4 address, as far as `ip address` was asked."""


def container(inspected: str) -> Container | None:
    """The one that was inspected; None when that is no container. Raises ValueError."""
    answer = json.loads(inspected)
    entry = answer[0] if isinstance(answer, list) and answer else None
    if not isinstance(entry, dict):
        return None
    id, name, state = entry.get("Id"), entry.get("Name"), entry.get("State")
    if not (isinstance(id, str) and isinstance(name, str) and isinstance(state, dict)):
        return None
    pid, resolver = state.get("Pid"), entry.get("ResolvConfPath")
    running = state.get("Running") is True and isinstance(pid, int) and pid > 0
    # Docker's names begin with a slash.
    return Container(id, name.removeprefix("/"), pid if running else None,
                     resolver if isinstance(resolver, str) and resolver.startswith("/") else None)


def has_names(resolv_conf: str) -> bool:
    """Whether the container finds others of its networks by name: Docker's server of a network that is not the
    default one is always 127.0.0.11, and Podman's gives the domain dns.podman.

    Another server before it would hide those names: what it does not know, resolv.conf(5) takes for an answer.
    """
    words = [line.split() for line in resolv_conf.splitlines()]
    return any(line[:2] == ["nameserver", "127.0.0.11"] or line[:1] == ["search"] and "dns.podman" in line
               for line in words)


def ends(links: Sequence[Mapping[str, object]]) -> list[End]:
    """Those of `ip -json link`, or `ip -json address`, that are ends of veths."""
    found = []
    for link in links:
        name, index, far, mac, space = (link.get(key) for key in (
            "ifname", "ifindex", "link_index", "address", "link_netnsid"))
        if isinstance(name, str) and isinstance(index, int) and isinstance(far, int) and isinstance(mac, str):
            given = link.get("addr_info")
            addressed = isinstance(given, list) and any(
                isinstance(one, Mapping) and one.get("family") == "inet" for one in given)
            found.append(End(name, index, far, mac, space if isinstance(space, int) else None, addressed))
    return found


def pair(inside: Sequence[End], ports: Sequence[End], space: int | None) -> tuple[End, End] | None:
    """The container's end that has its other one among the ports, and that; `space` is the number that the
    container's namespace has where the ports are.

    Their indexes alone say nothing: those of each namespace begin with 1.
    """
    if space is None:
        return None
    return next(((end, port) for end in inside for port in ports
                 if port.space == space and (port.index, port.far) == (end.far, end.index)), None)

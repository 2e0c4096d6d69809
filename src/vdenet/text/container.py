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
    """An interface in a container that is one end of a veth."""

    name: str
    index: int
    far: int
    """The index of the other end, where that is."""
    mac: str


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
    """Those of `ip -json link` that are ends of veths."""
    found = []
    for link in links:
        name, index, far, mac = (link.get(key) for key in ("ifname", "ifindex", "link_index", "address"))
        if isinstance(name, str) and isinstance(index, int) and isinstance(far, int) and isinstance(mac, str):
            found.append(End(name, index, far, mac))
    return found

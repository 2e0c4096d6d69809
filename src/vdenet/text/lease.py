"""A DHCP lease as udhcpc reports it, and what follows from it: addresses, routes, resolv.conf.

The values come from whoever answered on the segment; nothing but addresses and domain names gets out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from vdenet.errors import BadValue, VdenetError
from vdenet.i18n import _
from vdenet.model.names import domain_name

FOREVER = 0xFFFFFFFF
"""The lease time that means no end (RFC 2131, section 3.3)."""
_MAX_SERVERS = 3
"""resolv.conf(5): MAXNS."""
_MAX_SEARCH = 6
_MAX_ROUTES = 32


@dataclass(frozen=True, slots=True)
class Lease:
    """What a DHCP server gave."""

    address: IPv4Interface
    seconds: int = FOREVER
    router: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    search: tuple[str, ...] = ()
    routes: tuple[tuple[IPv4Network, IPv4Address], ...] = ()
    """Networks and the routers to them; where there are any, `router` does not count (RFC 3442)."""


def event(block: bytes) -> tuple[str, dict[str, str]]:
    """What the client's script was called with: `event=bound`, then its environment, NUL between."""
    words = [word.partition("=") for word in block.decode(errors="replace").split("\0") if "=" in word]
    variables = {name: value for name, _equals, value in words}
    return variables.pop("event", ""), variables


def lease(variables: Mapping[str, str]) -> Lease:
    """The lease in the environment of udhcpc's script. Raises `BadValue` when it names no address."""
    own = f"{variables.get('ip', '')}/{variables.get('subnet', '255.255.255.0')}"
    try:
        address = IPv4Interface(own)
    except ValueError:
        raise BadValue(what=_("DHCP lease"), value=own, why=_("it has no address")) from None
    time = variables.get("lease", "")
    search = variables.get("search", "") or variables.get("domain", "")
    return Lease(
        address=address,
        seconds=int(time) if time.isascii() and time.isdigit() and int(time) else FOREVER,
        router=next(iter(_addresses(variables.get("router", ""))), None),
        routes=_routes(variables.get("staticroutes", ""), address.network)[:_MAX_ROUTES],
        dns=_addresses(variables.get("dns", ""))[:_MAX_SERVERS],
        search=_domains(search)[:_MAX_SEARCH],
    )


def _addresses(words: str) -> tuple[IPv4Address, ...]:
    found = []
    for word in words.split():
        try:
            found.append(IPv4Address(word))
        except ValueError:  # a server may send what it likes
            continue
    return tuple(found)


def _routes(words: str, inside: IPv4Network) -> tuple[tuple[IPv4Network, IPv4Address], ...]:
    """Pairs of network and router, those whose router is on the segment."""
    found = []
    listed = words.split()
    for network, router in zip(listed[::2], listed[1::2]):
        try:
            there, via = IPv4Network(network), IPv4Address(router)
        except ValueError:
            continue
        if via in inside:
            found.append((there, via))
    return tuple(found)


def _domains(words: str) -> tuple[str, ...]:
    found = []
    for word in words.split():
        try:
            found.append(domain_name(word))
        except VdenetError:
            continue
    return tuple(found)


def resolv_conf(of: Lease) -> str:
    """resolv.conf(5) for a guest with this lease."""
    lines = [f"search {' '.join(of.search)}"] if of.search else []
    lines += [f"nameserver {server}" for server in of.dns]
    return "".join(f"{line}\n" for line in lines)


def resolv_conf_before(of: Lease, old: str) -> str:
    """resolv.conf(5) for a guest that has another network too: our servers first, then those of `old`."""
    servers, search, rest = [str(server) for server in of.dns], list(of.search), []
    for line in old.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            servers.append(words[1])
        elif words[:1] in (["search"], ["domain"]):
            search += words[1:]
        elif words:
            rest.append(line)
    lines = [f"search {' '.join(list(dict.fromkeys(search))[:_MAX_SEARCH])}"] if search else []
    lines += [f"nameserver {server}" for server in list(dict.fromkeys(servers))[:_MAX_SERVERS]]
    return "".join(f"{line}\n" for line in (*lines, *rest))


def commands(of: Lease, interface: str) -> list[list[str]]:
    """Arguments of ip(8) that put the lease onto `interface`; the address ends with the lease."""
    life = "forever" if of.seconds >= FOREVER else str(of.seconds)
    found = [[
        "address", "replace", str(of.address),
        "broadcast", "+",
        "dev", interface,
        "valid_lft", life,
        "preferred_lft", life,
    ]]
    for network, router in of.routes:
        found.append(["route", "replace", str(network), "via", str(router), "dev", interface])
    if of.router is not None and not of.routes:
        found.append(["route", "replace", "default", "via", str(of.router), "dev", interface])
    return found

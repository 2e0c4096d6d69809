"""The host's own interface as a port of the segment's bridge, and back (ip-address(8), ip-route(8)).

What the host has on the interface moves to the bridge at once: addresses with their lifetimes, routes with
their metrics. The bridge has the interface's MAC, so nobody outside notices. Whatever the host holds is in
the kernel at every moment, on one of the two; so an interrupted move is finished by the next one. It is
written down as well, for the bridge may be deleted by somebody who does not know what hangs on it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from vdenet.effect import files
from vdenet.effect.netlink import explained, index
from vdenet.errors import Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.model.wanted import Address
from vdenet.probe import links

# linux/if_addr.h, linux/rtnetlink.h
_PERMANENT, _NODAD = 0x80, 0x02
_LINK_SCOPE, _LOCAL_TABLE, _UNICAST = 253, 255, 1
_BY_ADVERTISEMENT = 9
_MULTICAST6, _LINK_LOCAL6 = "ff00::", "fe80::"
_AF_INET, _AF_INET6 = 2, 10
_ONLINK = 4
_FOREVER = 0xFFFFFFFF


def take(uplink: str, bridge: str, segment: str, places: Places) -> None:
    """Make `uplink` a port of `bridge`, and give the bridge what the host has on it.

    Raises `ToolFailed`, `Refused`; the host has then on `uplink` what it had, for nobody may be there to undo it.
    """
    try:
        _take(uplink, bridge, segment, places)
    except ToolFailed:
        with contextlib.suppress(ToolFailed):
            give_back(uplink, bridge, segment, places, ())
        raise


def _take(uplink: str, bridge: str, segment: str, places: Places) -> None:
    held = _record(segment, places)
    with explained(f"put {uplink} on {bridge}"), IPRoute() as route:
        source, target = index(uplink), index(bridge)
        known = [one for family in (_AF_INET, _AF_INET6) for one in route.get_routes(family=family)]
        if any(source in _next_hops(one) for one in known):
            raise Refused(what=_("join {name} to the network outside").format(name=segment),
                          why=_("a route of the host's goes through {uplink} and others at once").format(uplink=uplink))
        if not held:
            _write(uplink, _Held(), segment, places)
        # Frames arrive on the bridge from here on, where the addresses are not yet: Linux answers for an
        # address on whatever interface it is asked.
        route.link("set", index=source, master=target, state="up")
        _move(route, source, target, ())
        if not _here(route, target, ()).addresses:
            _give(route, held.get("held", _Held()), target)  # somebody deleted the bridge that had them
        _write(uplink, _here(route, target, ()), segment, places)


def _next_hops(message: Any) -> set[int]:
    """The interfaces of a route that has several."""
    return {hop["oif"] for hop in message.get_attr("RTA_MULTIPATH") or ()}


def give_back(uplink: str, bridge: str, segment: str, places: Places, keep: tuple[Address, ...]) -> None:
    """Take `uplink` off the bridge, with all that the host has on the bridge but `keep`. Raises `ToolFailed`."""
    with explained(f"take {uplink} off {bridge}"), IPRoute() as route:
        target = index(uplink)
        route.link("set", index=target, master=0)
        if links.link(bridge) is not None:
            _move(route, index(bridge), target, keep)
        else:
            _give(route, _record(segment, places).get("held", _Held()), target)
    files.remove(places.uplink(segment))


def taken(segment: str, places: Places) -> str | None:
    """The interface that `take` took, by its record."""
    return _record(segment, places).get("uplink")


@dataclass(frozen=True, slots=True)
class _Held:
    """What the host has on an interface, as arguments for pyroute2."""

    addresses: tuple[dict[str, Any], ...] = ()
    routes: tuple[dict[str, Any], ...] = ()


def _record(segment: str, places: Places) -> dict[str, Any]:
    try:
        data = json.loads(Path(places.uplink(segment)).read_text())
        return {"uplink": str(data["uplink"]), "held": _Held(tuple(data["addresses"]), tuple(data["routes"]))}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(uplink: str, held: _Held, segment: str, places: Places) -> None:
    data = {"uplink": uplink, "addresses": held.addresses, "routes": held.routes}
    files.write(places.uplink(segment), json.dumps(data), 0o600, "root")


def _move(route: IPRoute, source: int, target: int, keep: tuple[Address, ...]) -> None:
    held = _here(route, source, keep)
    _give(route, held, target)
    for address in held.addresses:
        with contextlib.suppress(NetlinkError):  # it ran out just now
            route.addr("del", index=source, address=address.get("local", address["address"]),
                       prefixlen=address["prefixlen"])
    for one in held.routes:
        with contextlib.suppress(NetlinkError):  # most went with their addresses, or were replaced
            route.route("del", oif=source, **one)


def _here(route: IPRoute, source: int, keep: tuple[Address, ...]) -> _Held:
    kept = {(str(address.ip), address.network.prefixlen) for address in keep}
    routes = [_route(one) for family in (_AF_INET, _AF_INET6) for one in route.get_routes(family=family)
              if _follows(one, source, kept)]
    return _Held(
        tuple(_address(one) for one in route.get_addr(index=source)
              if one["scope"] != _LINK_SCOPE and (_local(one), one["prefixlen"]) not in kept),
        # Networks before what is behind a router in them.
        tuple(sorted(routes, key=lambda one: "gateway" in one)))


def _give(route: IPRoute, held: _Held, target: int) -> None:
    for address in held.addresses:
        with _already():
            route.addr("replace", index=target, **address)  # a renewed lease has another lifetime
    for one in held.routes:
        with _already():  # the kernel makes the route to a network together with the address
            route.route("replace", oif=target, **one)


def _local(message: Any) -> str:
    return str(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))


def _address(message: Any) -> dict[str, Any]:
    """The arguments that make the same address on another interface."""
    values: dict[str, Any] = {"family": message["family"], "prefixlen": message["prefixlen"],
                              "scope": message["scope"], "address": message.get_attr("IFA_ADDRESS"),
                              "local": _local(message)}
    if message["family"] == _AF_INET6:
        del values["local"]
        values["flags"] = _NODAD
    elif broadcast := message.get_attr("IFA_BROADCAST"):
        values["broadcast"] = broadcast
    life = message.get_attr("IFA_CACHEINFO")
    if life is not None and life["ifa_valid"] != _FOREVER:
        # pyroute2 0.7 sets those that begin with ifa_ from these.
        values["cacheinfo"] = {"preferred": life["ifa_preferred"], "valid": life["ifa_valid"], "cstamp": 0, "tstamp": 0}
    return values


def _follows(message: Any, source: int, kept: set[tuple[str, int]]) -> bool:
    """Whether a route goes where its interface's addresses go.

    Not one that a router advertised: the kernel would not know a copy of it for its own, and take no further
    advertisement of that router. The bridge asks for one of its own.
    """
    destination = str(message.get_attr("RTA_DST") or "")
    return (message.get_attr("RTA_OIF") == source and message["type"] == _UNICAST
            and message.get_attr("RTA_TABLE", message["table"]) != _LOCAL_TABLE
            and message["proto"] != _BY_ADVERTISEMENT
            and str(message.get_attr("RTA_PREFSRC")) not in {address for address, _length in kept}
            and not destination.startswith((_MULTICAST6, _LINK_LOCAL6)))


def _route(message: Any) -> dict[str, Any]:
    """The arguments that make the same route through another interface."""
    values: dict[str, Any] = {key: message[key] for key in ("family", "dst_len", "proto", "scope", "type", "tos")}
    values["flags"] = message["flags"] & _ONLINK
    values["table"] = message.get_attr("RTA_TABLE", message["table"])
    for key in ("dst", "gateway", "prefsrc", "priority"):
        if (value := message.get_attr(f"RTA_{key.upper()}")) is not None:
            values[key] = value
    if (metrics := message.get_attr("RTA_METRICS")) is not None:
        values["metrics"] = {"attrs": metrics["attrs"]}
    return values


@contextlib.contextmanager
def _already() -> Iterator[None]:
    """What is there already, from a move that was cut short perhaps, is no error."""
    try:
        yield
    except NetlinkError as error:
        if error.code != 17:
            raise

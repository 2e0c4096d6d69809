"""Networks that the host already reaches: routes of every table, and addresses of every interface."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network
from pathlib import Path

from vdenet.probe import addresses


def networks(without: Collection[str] = ()) -> dict[str, list[IPv4Network]]:
    """IPv4 networks in use, by what uses them (`route table 52`, `interface wg0`).

    Interfaces that are down and policy routing tables count. `without` names interfaces whose own
    networks are left out. Only the daemon asks: pyroute2 takes long to import.
    """
    from pyroute2 import IPRoute

    found: dict[str, list[IPv4Network]] = {}
    with IPRoute() as netlink:
        index = {link["index"]: link.get_attr("IFLA_IFNAME") for link in netlink.get_links()}
        for route in netlink.get_routes(family=2):
            destination, length = route.get_attr("RTA_DST"), route["dst_len"]
            device = index.get(route.get_attr("RTA_OIF"), "")
            if destination is None or length == 0 or device in without:
                continue
            network = IPv4Network(f"{destination}/{length}", strict=False)
            if network.is_loopback or network.is_multicast or network.is_link_local \
                    or network.network_address == IPv4Network("255.255.255.255/32")[0]:
                continue
            table = route.get_attr("RTA_TABLE", route["table"])
            found.setdefault(f"route dev {device} table {table}", []).append(network)
    for name, values in addresses.addresses().items():
        if name == "lo" or name in without:
            continue
        for value in values:
            if value.version == 4:
                found.setdefault(f"interface {name}", []).append(IPv4Network(value.network))
    return found


_RTF_DEFAULT_OF_RA = 0x00010000 | 0x00040000  # linux/ipv6_route.h: RTF_DEFAULT, RTF_ADDRCONF


def advertised(path: Path = Path("/proc/net/ipv6_route")) -> set[str]:
    """Interfaces through which the host has a default route that a router advertised."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return set()
    return {row[9] for row in rows if len(row) == 10 and row[1] == "00"
            and int(row[8], 16) & _RTF_DEFAULT_OF_RA == _RTF_DEFAULT_OF_RA}


def first_overlap(network: IPv4Network, used: dict[str, list[IPv4Network]]) -> str | None:
    """Who uses a network that overlaps `network`: `10.0.0.0/8 (route dev wg0 table 254)`."""
    for where, networks_there in used.items():
        for other in networks_there:
            if network.overlaps(other):
                return f"{other} ({where})"
    return None

"""Addresses of interfaces; the one module that knows netifaces."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface

import netifaces

from vdenet.model.wanted import Address


def addresses() -> dict[str, frozenset[Address]]:
    """Addresses with their prefix lengths, by interface; link-local ones too."""
    return {name: of(name) for name in netifaces.interfaces()}


def of(name: str) -> frozenset[Address]:
    """The addresses of one interface; none when there is no such interface."""
    try:
        families = netifaces.ifaddresses(name)
    except ValueError:
        return frozenset()
    found: set[Address] = set()
    for entry in families.get(netifaces.AF_INET, ()):
        if "addr" in entry:
            # A point-to-point interface may have no mask: it is one address then.
            found.add(IPv4Interface(f"{entry['addr']}/{entry.get('netmask', '255.255.255.255')}"))
    for entry in families.get(netifaces.AF_INET6, ()):
        length = str(entry.get("netmask", "/128")).rpartition("/")[2]
        found.add(IPv6Interface(f"{entry['addr'].partition('%')[0]}/{length}"))
    return frozenset(found)

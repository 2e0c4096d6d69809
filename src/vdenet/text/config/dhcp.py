"""The table [dhcp]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from vdenet.i18n import _
from vdenet.model.segment import DEFAULT_LEASE_SECONDS, Segment
from vdenet.text.config.reader import Reader

KEYS = ("enabled", "range", "lease")

MIN_LEASE, MAX_LEASE = 120, 7 * 86400
"""Seconds. dnsmasq itself goes no lower than two minutes."""
_DURATION = re.compile(r"([1-9][0-9]{0,6})([smhd]?)", re.ASCII)
_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


BY_GUEST = "guest"
"""In place of the table: a guest serves DHCP."""


def table(reader: Reader, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table [dhcp]; empty where it is missing, and where a guest serves in its place."""
    value = whole.get("dhcp", {})
    if isinstance(value, dict):
        return value
    if value != BY_GUEST:
        raise reader.bad("dhcp", _("expected a table, [dhcp], or dhcp = \"guest\""))
    return {"enabled": False}


def by_guest(whole: Mapping[str, Any]) -> bool:
    """Whether a guest serves DHCP."""
    return whole.get("dhcp") == BY_GUEST


def enabled(reader: Reader, dhcp: Mapping[str, Any]) -> bool:
    """Whether the host serves DHCP."""
    return reader.boolean(dhcp, "enabled", True, "dhcp.")


def refuse_strange_servers(reader: Reader, segment: Segment) -> None:
    """Raises `BadConfig` unless exactly one host serves DHCP where a guest is to, and none elsewhere."""
    servers = [nth for nth, host in enumerate(segment.hosts) if host.dhcp_server]
    if segment.guest_dhcp and not servers:
        raise reader.bad("dhcp", _("dhcp = \"guest\" needs a [[host]] with dhcp_server = true"))
    if servers and not segment.guest_dhcp:
        raise reader.bad("host.dhcp_server", _("it needs dhcp = \"guest\""), servers[0])
    if len(servers) > 1:
        raise reader.bad("host.dhcp_server", _("another host serves DHCP already"), servers[1])


def lease(reader: Reader, dhcp: Mapping[str, Any], prefix: str = "dhcp.", nth: int = 0) -> int:
    """Seconds."""
    value = dhcp.get("lease", DEFAULT_LEASE_SECONDS)
    found = _DURATION.fullmatch(str(value)) if not isinstance(value, bool) else None
    seconds = int(found[1]) * _UNIT[found[2]] if found else 0
    if not MIN_LEASE <= seconds <= MAX_LEASE:
        raise reader.bad(f"{prefix}lease", _("expected a time from 2m to 7d, such as \"1h\""), nth)
    return seconds


def pool(reader: Reader, dhcp: Mapping[str, Any], address: IPv4Interface, prefix: str = "dhcp.",
         nth: int = 0) -> tuple[IPv4Address, IPv4Address] | None:
    """First and last address that are given out, where the file says so."""
    value = dhcp.get("range")
    if value is None:
        return None
    why = _("expected two addresses, first and last, such as [\"10.83.14.100\", \"10.83.14.199\"]")
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)):
        raise reader.bad(f"{prefix}range", why, nth)
    try:
        first, last = IPv4Address(value[0]), IPv4Address(value[1])
    except ValueError:
        raise reader.bad(f"{prefix}range", why, nth) from None
    inside = [a for a in (first, last) if a in address.network
              and a not in (address.network.network_address, address.network.broadcast_address)]
    if len(inside) != 2 or first > last:
        raise reader.bad(f"{prefix}range", _("expected addresses of {network}, the lower first").format(
            network=address.network), nth)
    if first <= address.ip <= last:
        raise reader.bad(f"{prefix}range", _("it contains the host's own address {address}").format(
            address=address.ip), nth)
    return first, last

"""The lease file, which dnsmasq writes and the daemon reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from vdenet.errors import BadValue
from vdenet.model.names import mac_address

_EXPIRY = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Lease:
    """A line of the lease file; `expires` in seconds since the epoch, 0 for never."""

    expires: int
    mac: str
    address: str
    name: str | None


def leases(text: str) -> list[Lease]:
    """The IPv4 leases of a lease file; lines that are no lease are passed over.

    Format: lease_update_file() in dnsmasq's src/lease.c: `expiry mac address name client-id`, and
    after a line `duid …` the leases of DHCPv6.
    """
    found = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["duid"]:
            break
        if len(words) < 4 or not _EXPIRY.fullmatch(words[0]):
            continue
        try:
            mac, address = mac_address(words[1]), IPv4Address(words[2])
        except (BadValue, ValueError):
            continue  # another hardware than Ethernet has a prefix: `06-…`
        found.append(Lease(int(words[0]), mac, str(address), None if words[3] == "*" else words[3]))
    return found

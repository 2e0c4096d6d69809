"""The hosts file: which MAC has which name and address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from vdenet.model.names import guest_name, mac_address
from vdenet.model.segment import Host


@dataclass(frozen=True, slots=True)
class Reservation:
    """One line of the hosts file."""

    mac: str
    name: str | None
    address: IPv4Address | None = None


def hosts(reservations: Iterable[Reservation]) -> str:
    """dhcp-hostsfile: `MAC,address,name`, sorted, a line a MAC."""
    lines = []
    for reservation in sorted(reservations, key=lambda r: r.mac):
        # Not any words: a time or `ignore` in the place of the name would be an order.
        words = [mac_address(reservation.mac)]
        if reservation.address is not None:
            words.append(str(reservation.address))
        if reservation.name is not None:
            words.append(guest_name(reservation.name))
        lines.append(",".join(words))
    return "".join(f"{line}\n" for line in lines)


def reservations(static: Iterable[Host], joined: Iterable[Reservation],
                 pinned: Iterable[Reservation]) -> list[Reservation]:
    """Who has which name: what the admin wrote wins over `join`, that over what guests claimed.

    A name or a MAC that is taken by a stronger source is left out of a weaker one.
    """
    result: list[Reservation] = []
    names: set[str] = set()
    macs: set[str] = set()
    strong = [Reservation(host.mac, host.name, host.address) for host in static]
    for reservation in (*strong, *joined, *pinned):
        if reservation.mac in macs or reservation.name in names:
            continue
        macs.add(reservation.mac)
        if reservation.name is not None:
            names.add(reservation.name)
        result.append(reservation)
    return result

"""What dnsmasq reads again on SIGHUP: who gets which address and name, and which name has which address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from vdenet.model.names import RESERVED_LABELS, guest_name, mac_address
from vdenet.model.record import RecordType
from vdenet.model.segment import Host, Segment
from vdenet.text.dnsmasq.words import name as whole_name

RESERVED = "reserved"
"""The tag of a request for a name that is not the guest's to have: it gets an address without a name."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A line of the hosts file. Without a MAC it is for whoever asks for an address under that name."""

    mac: str | None
    name: str | None
    address: IPv4Address | None = None


def hosts(reservations: Iterable[Reservation], labels: Iterable[str] = ()) -> str:
    """dhcp-hostsfile: `MAC,address,name`, sorted; after them the names that nobody else can claim.

    `labels` are names that no guest has at all. A name that stands beside a MAC alone would be anybody's while
    its owner is away. Of several lines with a name dnsmasq takes the last (one_opt() in its src/option.c).
    """
    lines, claimable, closed = [], [], {guest_name(label) for label in labels}
    for reservation in sorted(reservations, key=lambda r: (r.mac or "", r.name or "")):
        # Not any words: a time or `ignore` in the place of the name would be an order.
        words = []
        if reservation.mac is not None:
            words.append(mac_address(reservation.mac))
        if reservation.address is not None:
            words.append(str(reservation.address))
        if reservation.name is not None:
            words.append(guest_name(reservation.name))
        if reservation.mac is not None:
            lines.append(",".join(words))
            if reservation.name is not None:
                closed.add(guest_name(reservation.name))
        elif reservation.name is not None and reservation.address is not None:
            claimable.append(",".join(words))
    return "".join(f"{line}\n" for line in (*lines, *claimable, *(f"set:{RESERVED},{name}" for name in sorted(closed))))


def reservations(static: Iterable[Host], joined: Iterable[Reservation],
                 pinned: Iterable[Reservation]) -> list[Reservation]:
    """Who has which name: what the admin wrote wins over `join`, that over what guests claimed.

    A name or a MAC that is taken by a stronger source is left out of a weaker one. A host without a MAC is the
    guest that joined or claimed its name; one without a name has the one that it joined with or claimed.
    """
    weaker: list[Reservation] = []
    _add(weaker, [*joined, *pinned])
    by_name = {one.name: one for one in weaker if one.name is not None}
    by_mac = {one.mac: one for one in weaker}
    hosts_ = list(static)
    said = {host.name for host in hosts_}
    fixed = {host.mac for host in hosts_ if host.mac is not None}
    strong = []
    for host in hosts_:
        mac, name = host.mac, host.name
        if mac is None and name in by_name and by_name[name].mac not in fixed:
            mac = by_name[name].mac
        if name is None and mac in by_mac and by_mac[mac].name not in said:
            name = by_mac[mac].name
        strong.append(Reservation(mac, name, host.address))
    result: list[Reservation] = []
    _add(result, [*strong, *weaker])
    return result


def _add(result: list[Reservation], more: Iterable[Reservation]) -> None:
    names = {one.name for one in result}
    macs = {one.mac for one in result}
    for one in more:
        if (one.mac is not None and one.mac in macs) or (one.name is not None and one.name in names):
            continue
        macs.add(one.mac)
        names.add(one.name)
        result.append(one)


def addresses(segment: Segment, own: Iterable[str]) -> str:
    """addn-hosts, in the form of hosts(5): hosts with a fixed address, their aliases, A and AAAA records.

    Whole names only: dnsmasq takes the address of a bare one for a reservation, for whoever claims it. `own` are
    labels of the host itself, which stay its own.
    """
    reserved = {f"{label}.{segment.domain}" for label in (*own, *RESERVED_LABELS, segment.name)}
    lines: dict[str, list[str]] = {}
    for host in segment.hosts:
        if host.address is not None:
            labels = [*([host.name] if host.name is not None else []), *host.aliases]
            lines.setdefault(str(host.address), []).extend(f"{label}.{segment.domain}" for label in labels)
    for record in segment.records:
        if record.type in (RecordType.A, RecordType.AAAA):
            lines.setdefault(record.values[0], []).append(record.name)
    return "".join(f"{address} {' '.join(map(whole_name, free))}\n" for address, found in lines.items()
                   if (free := [name for name in found if name not in reserved]))


def owners(static: Iterable[Host], labels: Iterable[str]) -> Mapping[str, str | None]:
    """Names that are not for any guest to claim, with the MAC of the guest that has it all the same."""
    return {**dict.fromkeys(labels), **{host.name: host.mac for host in static
                                        if host.name is not None and host.mac is not None}}

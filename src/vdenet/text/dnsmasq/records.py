"""Records that stand in the configuration itself: dnsmasq has no file for them that it would read again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address

from vdenet.model.names import domain_name, guest_name
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import Segment
from vdenet.text.dnsmasq.words import name, quoted


def directives(segment: Segment, own: Collection[str]) -> list[str]:
    """Aliases of hosts whose address DHCP chooses, and all records but A and AAAA.

    `own` are labels of the host itself, which stay its own.
    """
    lines = []
    domain = domain_name(segment.domain)
    for host in segment.hosts:
        if host.address is None and host.name is not None:
            lines += [f"cname={guest_name(alias)}.{domain},{guest_name(host.name)}.{domain}"
                      for alias in host.aliases if alias not in own]
    reserved = {f"{label}.{domain}" for label in own}
    return lines + [_DIRECTIVES[record.type](record) for record in segment.records
                    if record.type in _DIRECTIVES and record.name not in reserved]


def _target(record: Record) -> str:
    return name(record.values[0].removesuffix("."))


def _texts(record: Record) -> str:
    return ",".join([f"txt-record={name(record.name)}", *map(quoted, record.values)])


def _service(record: Record) -> str:
    return (f"srv-host={name(record.name)},{_target(record)},"
            f"{int(record.port)},{int(record.priority)},{int(record.weight)}")


def _pointer(record: Record) -> str:
    return f"ptr-record={ip_address(record.name).reverse_pointer},{_target(record)}"


_DIRECTIVES: Mapping[RecordType, Callable[[Record], str]] = {
    RecordType.CNAME: lambda record: f"cname={name(record.name)},{_target(record)}",
    RecordType.TXT: _texts,
    RecordType.SRV: _service,
    RecordType.MX: lambda record: f"mx-host={name(record.name)},{_target(record)},{int(record.priority)}",
    RecordType.PTR: _pointer,
}

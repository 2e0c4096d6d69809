"""The tables [[record]].

A record's name lies in the segment's domain: nobody who may edit a segment can answer the questions of its
guests, or of the host, for a name of the outside.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address
from typing import Any

from vdenet.i18n import _
from vdenet.model.names import RESERVED_LABELS
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import Segment
from vdenet.text.config.reader import Reader

KEYS = ("name", "type", "value", "priority", "weight", "port")

MAX_TEXT = 255
"""Bytes of one string of a TXT record (RFC 1035, section 3.3)."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_TEXT = re.compile(r"[ !#-\[\]-~]+", re.ASCII)
"""Printable, without the quote and the backslash, which dnsmasq would read as its own."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record stands, and the segment that it is for."""

    reader: Reader
    entry: Mapping[str, Any]
    segment: Segment
    nth: int

    def bad(self, key: str, why: str) -> Exception:
        return self.reader.bad(f"record.{key}", why, self.nth)

    def number(self, key: str, least: int = 0) -> int:
        return self.reader.number(self.entry.get(key, 0), f"record.{key}", least, 65535, self.nth)


def read(reader: Reader, table: Mapping[str, Any], segment: Segment) -> tuple[Record, ...]:
    """The records, in the order of the file; `segment` is what the rest of the file says."""
    records: list[Record] = []
    by_name: defaultdict[str, list[Record]] = defaultdict(list)
    hosts = {name for host in segment.hosts for name in (host.name, *host.aliases)}
    for nth, entry in enumerate(reader.tables(table, "record")):
        reader.known(entry, KEYS, "record.", nth)
        place = _Place(reader, entry, segment, nth)
        record = _record(place)
        _refuse_clash(place, record, by_name[record.name], hosts)
        by_name[record.name].append(record)
        records.append(record)
    return tuple(records)


def _record(place: _Place) -> Record:
    kind = place.reader.text(place.entry, "type", "record.", place.nth)
    if kind not in set(RecordType):
        raise place.bad("type", _("expected one of {types}").format(types=", ".join(RecordType)))
    type_ = RecordType(kind)
    name = place.reader.text(place.entry, "name", "record.", place.nth)
    if name is None:
        raise place.reader.bad("record", _("every [[record]] needs a name"), place.nth)
    allowed = {RecordType.SRV: ("priority", "weight", "port"), RecordType.MX: ("priority",)}.get(type_, ())
    for key in ("priority", "weight", "port"):
        if key in place.entry and key not in allowed:
            raise place.bad(key, _("a record of type {type} has none").format(type=type_))
    owner = _address_of(place, name) if type_ is RecordType.PTR else _owner(place, name)
    value = _VALUES[type_](place)
    if type_ is RecordType.SRV:
        if "port" not in place.entry:
            raise place.bad("port", _("a record of type SRV needs one"))
        return Record(type_, owner, value, place.number("priority"), place.number("weight"), place.number("port", 1))
    return Record(type_, owner, value, place.number("priority"))


def _owner(place: _Place, text: str) -> str:
    """The record's own name: within the domain, and not the host's."""
    name = _inside(place, "name", text)
    own = name.removesuffix("." + place.segment.domain)
    if own in RESERVED_LABELS or own in (place.segment.name, *(vlan.name for vlan in place.segment.vlans)):
        raise place.bad("name", _("{text!r}: the name is reserved").format(text=text))
    return name


def _inside(place: _Place, key: str, text: str) -> str:
    """A whole name within the segment's domain: as in a zone file, one without a final dot is relative to it."""
    name = _name(place, key, text)
    domain = place.segment.domain
    if name != domain and not name.endswith("." + domain):
        raise place.bad(key, _("{text!r}: expected a name within {domain}").format(text=text, domain=domain))
    return name


def _name(place: _Place, key: str, text: str) -> str:
    """A whole domain name, lower case, without the final dot."""
    domain = place.segment.domain
    name = text.lower()
    if name == "@":
        return domain
    if name.endswith("."):
        name = name[:-1]
    elif name != domain and not name.endswith("." + domain):
        name = f"{name}.{domain}"
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise place.bad(key, _("{text!r}: expected a name such as www, or @ for {domain} itself").format(
            text=text, domain=domain))
    return name


def _address_of(place: _Place, text: str) -> str:
    """The address that a PTR record is for: one of the segment's, and not the host's."""
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    own: list[IPv4Interface | IPv6Interface] = [place.segment.own]
    if place.segment.address6 is not None:
        own.append(place.segment.address6)
    if address is None or not any(address in each.network and address != each.ip for each in own):
        raise place.bad("name", _("{text!r}: expected an address of {networks}, not the host's own").format(
            text=text, networks=_(" or ").join(str(each.network) for each in own)))
    return str(address)


def _text(place: _Place) -> str:
    text = place.reader.text(place.entry, "value", "record.", place.nth)
    if text is None:
        raise place.reader.bad("record", _("every [[record]] needs a value"), place.nth)
    return text


def _address(version: type[IPv4Address] | type[IPv6Address], like: str) -> Callable[[_Place], str]:
    def value(place: _Place) -> str:
        text = _text(place)
        try:
            address = version(text)
        except ValueError:
            address = None
        if address is None or address.is_multicast or address.is_unspecified or address.is_loopback or "%" in text:
            raise place.bad("value", _("{text!r}: expected an address such as {like}").format(text=text, like=like))
        return str(address)
    return value


def _target(place: _Place) -> str:
    name, domain = _name(place, "value", _text(place)), place.segment.domain
    return name if name == domain or name.endswith("." + domain) else f"{name}."


def _own_target(place: _Place) -> str:
    return _inside(place, "value", _text(place))


def _strings(place: _Place) -> str | tuple[str, ...]:
    value = place.entry.get("value")
    if value is None:
        _text(place)
    strings: Sequence[Any] = value if isinstance(value, list) else [value]
    for each in strings or [None]:
        if not isinstance(each, str) or len(each) > MAX_TEXT or not _TEXT.fullmatch(each):
            raise place.bad("value", _("expected a string, or a list of strings, of at most {most} printable ASCII "
                                       "characters without \" and \\").format(most=MAX_TEXT))
    return strings[0] if len(strings) == 1 else tuple(strings)


_VALUES: Mapping[RecordType, Callable[[_Place], str | tuple[str, ...]]] = {
    RecordType.A: _address(IPv4Address, "10.83.14.10"),
    RecordType.AAAA: _address(IPv6Address, "fd5e:8a01:22c4:1::10"),
    RecordType.CNAME: _own_target,
    RecordType.TXT: _strings,
    RecordType.SRV: _target,
    RecordType.MX: _target,
    RecordType.PTR: _own_target,
}


def _refuse_clash(place: _Place, record: Record, same: Sequence[Record], hosts: Collection[str | None]) -> None:
    """A name is one thing: a host's, an address's, or another's (RFC 1034, section 3.6.2)."""
    if record in same:
        raise place.bad("name", _("the same record stands there already"))
    label = record.name.removesuffix("." + place.segment.domain)
    if record.type in (RecordType.A, RecordType.AAAA, RecordType.CNAME) and label in hosts:
        raise place.bad("name", _("a [[host]] has this name already"))
    if (same and record.type is RecordType.CNAME) or any(other.type is RecordType.CNAME for other in same):
        raise place.bad("name", _("a name with a CNAME record has no other records"))
    if record.type is RecordType.CNAME and record.values[0] == record.name:
        raise place.bad("value", _("it is the record's own name"))

"""The tables [[vlan]] and [[port]]: VLANs, and the VDE switch's ports that have a number."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.segment import Port, Vlan
from vdenet.model.vlans import FIRST, LAST, UNTAGGED
from vdenet.text.config import dhcp
from vdenet.text.config.reader import Reader

KEYS = ("id", "name", "address", "address6", "dhcp", "range", "lease", "reach")
PORT_KEYS = ("number", "vlan", "trunk")


def read(reader: Reader, table: Mapping[str, Any], segment: str, address: IPv4Interface,
         address6: IPv6Interface | None) -> tuple[Vlan, ...]:
    """The VLANs, in the order of the file; no two share a number, a name or a part of a network."""
    vlans: list[Vlan] = []
    tables = reader.tables(table, "vlan")
    for nth, entry in enumerate(tables):
        vlan = _vlan(reader, entry, segment, nth)
        for other in vlans:
            if vlan.id == other.id:
                raise reader.bad("vlan.id", _("VLAN {id} is declared already").format(id=vlan.id), nth)
            if vlan.name is not None and vlan.name == other.name:
                raise reader.bad("vlan.name", _("VLAN {id} has this name").format(id=other.id), nth)
        if vlan.address is not None:
            _refuse_overlap(reader, "vlan.address", vlan.address,
                            {_("the segment's own network"): address,
                             **{f"VLAN {other.id}": other.address for other in vlans}}, nth)
        if vlan.address6 is not None:
            _refuse_overlap(reader, "vlan.address6", vlan.address6,
                            {_("the segment's own network"): address6,
                             **{f"VLAN {other.id}": other.address6 for other in vlans}}, nth)
        vlans.append(vlan)
    served = {UNTAGGED, *(vlan.id for vlan in vlans if vlan.address is not None)}
    for nth, vlan in enumerate(vlans):
        for other_id in vlan.reach:
            if vlan.id not in served or other_id not in served or other_id == vlan.id:
                raise reader.bad("vlan.reach", _("{id}: expected other VLANs; each and this one with an address, "
                                                 "since the host routes between them").format(id=other_id), nth)
    return tuple(vlans)


def ports(reader: Reader, table: Mapping[str, Any], vlans: tuple[Vlan, ...], most: int) -> tuple[Port, ...]:
    """The ports with a number, of a switch with `most`, one of which is the bridge's."""
    found: list[Port] = []
    for nth, entry in enumerate(reader.tables(table, "port")):
        reader.known(entry, PORT_KEYS, "port.", nth)
        if "number" not in entry:
            raise reader.bad("port", _("every [[port]] needs a number"), nth)
        # vde_switch counts from 0, its management's; 1 is the bridge's.
        number = reader.number(entry["number"], "port.number", 2, most - 1, nth)
        vlan, trunk = membership(reader, entry, "port.", vlans, nth)
        if vlan is not None and trunk:
            # A frame with two tags whose outer one is the port's own VLAN would reach it in the inner one.
            raise reader.bad("port.trunk", _("a port of the VDE switch has a vlan or a trunk, not both"), nth)
        if any(number == other.number for other in found):
            raise reader.bad("port.number", _("port {number} is declared already").format(number=number), nth)
        found.append(Port(number, vlan, trunk))
    return tuple(found)


def membership(reader: Reader, entry: Mapping[str, Any], prefix: str, vlans: tuple[Vlan, ...],
               nth: int) -> tuple[int | None, tuple[int, ...]]:
    """The keys `vlan` and `trunk` of a guest or a port; both name VLANs that are declared."""
    declared = {vlan.id for vlan in vlans}
    vlan, trunk = entry.get("vlan"), entry.get("trunk", [])
    if not isinstance(trunk, list):
        raise reader.bad(f"{prefix}trunk", _("expected a list of VLANs, such as [10, 20]"), nth)
    for key, value in ([("vlan", vlan)] if vlan is not None else []) + [("trunk", one) for one in trunk]:
        number = reader.number(value, prefix + key, FIRST, LAST, nth)
        if number not in declared:
            raise reader.bad(prefix + key, _("VLAN {id} has no [[vlan]]").format(id=number), nth)
    if vlan in trunk or len(set(trunk)) != len(trunk):
        raise reader.bad(f"{prefix}trunk", _("the same VLAN twice"), nth)
    return vlan, tuple(trunk)


def _vlan(reader: Reader, entry: Mapping[str, Any], segment: str, nth: int) -> Vlan:
    reader.known(entry, KEYS, "vlan.", nth)
    if "id" not in entry:
        raise reader.bad("vlan", _("every [[vlan]] needs an id"), nth)
    number = reader.number(entry["id"], "vlan.id", FIRST, LAST, nth)
    name = address = address6 = None
    if (text := reader.text(entry, "name", "vlan.", nth)) is not None:
        name = reader.checked("vlan.name", text, names.guest_name, nth)
        if name == segment:
            raise reader.bad("vlan.name", _("it is the segment's own"), nth)
    if (text := reader.text(entry, "address", "vlan.", nth)) is not None:
        address = reader.checked("vlan.address", text, names.segment_address, nth)
    if (text := reader.text(entry, "address6", "vlan.", nth)) is not None:
        address6 = reader.checked("vlan.address6", text, names.segment_address6, nth)
    if address is None:
        for key in ("address6", "dhcp", "range", "lease", "reach"):
            if key in entry:
                raise reader.bad(f"vlan.{key}", _("it needs an address of the host in this VLAN"), nth)
    elif len(Vlan(number).link(segment)) > names.IFNAMSIZ:
        raise reader.bad("vlan.address", _("the host's interface {name} would have a name longer than {most} "
                                           "characters").format(name=Vlan(number).link(segment),
                                                                most=names.IFNAMSIZ), nth)
    return Vlan(
        number, name, address, address6, dhcp=reader.boolean(entry, "dhcp", True, "vlan.", nth),
        dhcp_range=None if address is None else dhcp.pool(reader, entry, address, "vlan.", nth),
        lease_seconds=dhcp.lease(reader, entry, "vlan.", nth), reach=_reach(reader, entry, nth))


def _reach(reader: Reader, entry: Mapping[str, Any], nth: int) -> tuple[int, ...]:
    value = entry.get("reach", [])
    if not isinstance(value, list):
        raise reader.bad("vlan.reach", _("expected a list of VLANs, such as [10, 20]"), nth)
    return tuple(reader.number(one, "vlan.reach", UNTAGGED, LAST, nth) for one in value)


def _refuse_overlap(reader: Reader, key: str, address: IPv4Interface | IPv6Interface,
                    others: Mapping[str, IPv4Interface | IPv6Interface | None], nth: int) -> None:
    for who, other in others.items():
        if other is not None and address.network.overlaps(other.network):
            raise reader.bad(key, _("{address} overlaps {other} ({who})").format(
                address=address, other=other.network, who=who), nth)

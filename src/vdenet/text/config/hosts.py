"""The tables [[host]]."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.segment import Host, Vlan
from vdenet.text.config.reader import Reader
from vdenet.text.config.vlans import membership

KEYS = ("mac", "name", "address", "aliases", "vlan", "trunk", "dhcp_server")


def read(reader: Reader, table: Mapping[str, Any], segment: str, address: IPv4Interface,
         vlans: tuple[Vlan, ...] = ()) -> tuple[Host, ...]:
    """The hosts, in the order of the file; no two share a MAC, a name, an alias or an address."""
    hosts: list[Host] = []
    taken: set[object] = set()
    for nth, entry in enumerate(reader.tables(table, "host")):
        reader.known(entry, KEYS, "host.", nth)
        host = _host(reader, entry, segment, address, vlans, nth)
        own = {each for each in (host.mac, host.name, host.address, *host.aliases) if each is not None}
        if own & taken:
            raise reader.bad("host.mac" if host.mac is not None else "host.name", _(
                "{host}: MAC, name or address is given to another host already").format(
                    host=host.mac or host.name), nth)
        taken |= own
        hosts.append(host)
    return tuple(hosts)


def _host(reader: Reader, entry: Mapping[str, Any], segment: str, address: IPv4Interface,
          vlans: tuple[Vlan, ...], nth: int) -> Host:
    mac_text = reader.text(entry, "mac", "host.", nth)
    mac = None if mac_text is None else reader.checked("host.mac", mac_text, names.mac_address, nth)
    name_text = reader.text(entry, "name", "host.", nth)
    name = None if name_text is None else reader.checked("host.name", name_text, names.guest_name, nth)
    if mac is None and name is None:
        raise reader.bad("host", _("every [[host]] needs a mac or a name"), nth)
    fixed_text = reader.text(entry, "address", "host.", nth)
    vlan, trunk = membership(reader, entry, "host.", vlans, nth)
    at = next((one.address for one in vlans if one.id == vlan), None) if vlan is not None else address
    fixed = None if fixed_text is None else _fixed(reader, fixed_text, at, nth)
    aliases = _aliases(reader, entry, segment, nth)
    if aliases and name is None and fixed is None:
        raise reader.bad("host.aliases", _("they need a name or an address to stand for"), nth)
    if name is not None and name in aliases:
        raise reader.bad("host.aliases", _("{name!r} is its name").format(name=name), nth)
    for key, labels in (("name", (name,)), ("aliases", aliases)):
        for taken in {one.name for one in vlans if one.name is not None} & set(labels):
            raise reader.bad(f"host.{key}", _("{name}: a [[vlan]] has this name").format(name=taken), nth)
    serves = reader.boolean(entry, "dhcp_server", False, "host.", nth)
    if serves and vlan is not None:
        raise reader.bad("host.vlan", _("the guest that serves DHCP is in the segment's own network"), nth)
    return Host(mac, name, fixed, aliases, serves, vlan, trunk)


def _aliases(reader: Reader, entry: Mapping[str, Any], segment: str, nth: int) -> tuple[str, ...]:
    value = entry.get("aliases", [])
    if not isinstance(value, list) or not all(isinstance(alias, str) for alias in value):
        raise reader.bad("host.aliases", _("expected a list of names, such as [\"www\"]"), nth)
    aliases = tuple(reader.checked("host.aliases", alias, names.guest_name, nth) for alias in value)
    if segment in aliases:
        raise reader.bad("host.aliases", _("{name!r} is the host's own name").format(name=segment), nth)
    if len(set(aliases)) != len(aliases):
        raise reader.bad("host.aliases", _("one stands there twice"), nth)
    return aliases


def _fixed(reader: Reader, text: str, address: IPv4Interface | None, nth: int) -> IPv4Address:
    if address is None:
        raise reader.bad("host.address", _("its VLAN has no address, so there is no DHCP in it"), nth)
    try:
        fixed = IPv4Address(text)
    except ValueError:
        fixed = None
    if fixed is None or fixed not in address.network or fixed == address.ip \
            or fixed in (address.network.network_address, address.network.broadcast_address):
        raise reader.bad("host.address", _("{text!r}: expected an address of {network}, not the host's own")
                       .format(text=text, network=address.network), nth)
    return fixed

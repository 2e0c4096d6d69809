"""The tables [[host]]."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.segment import Host
from vdenet.text.config.reader import Reader

KEYS = ("mac", "name", "address")


def read(reader: Reader, table: Mapping[str, Any], address: IPv4Interface) -> tuple[Host, ...]:
    """The hosts, in the order of the file; no two share a MAC, a name or an address."""
    hosts: list[Host] = []
    for nth, entry in enumerate(reader.tables(table, "host")):
        reader.known(entry, KEYS, "host.", nth)
        mac_text = reader.text(entry, "mac", "host.", nth)
        if mac_text is None:
            raise reader.bad("host", _("every [[host]] needs a mac"), nth)
        mac = reader.checked("host.mac", mac_text, names.mac_address, nth)
        name_text = reader.text(entry, "name", "host.", nth)
        name = None if name_text is None else reader.checked("host.name", name_text, names.guest_name, nth)
        fixed_text = reader.text(entry, "address", "host.", nth)
        fixed = None if fixed_text is None else _fixed(reader, fixed_text, address, nth)
        for other in hosts:
            if mac == other.mac or (name is not None and name == other.name) \
                    or (fixed is not None and fixed == other.address):
                raise reader.bad("host.mac", _("{mac}: MAC, name or address is given to another host already")
                               .format(mac=mac), nth)
        hosts.append(Host(mac, name, fixed))
    return tuple(hosts)


def _fixed(reader: Reader, text: str, address: IPv4Interface, nth: int) -> IPv4Address:
    try:
        fixed = IPv4Address(text)
    except ValueError:
        fixed = None
    if fixed is None or fixed not in address.network or fixed == address.ip \
            or fixed in (address.network.network_address, address.network.broadcast_address):
        raise reader.bad("host.address", _("{text!r}: expected an address of {network}, not the host's own")
                       .format(text=text, network=address.network), nth)
    return fixed

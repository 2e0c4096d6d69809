"""/etc/vdenet/SEGMENT.toml: parsed into a `Segment`, and edited so that comments survive.

Reading uses tomllib of the standard library; only the program's own edits need tomlkit, which keeps an
admin's comments and order (and takes longer to import). Each table of the file has a module of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from vdenet.errors import BadValue
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.segment import DEFAULT_SWITCH_PORTS, Mode, OpenPort, Segment, default_domain
from vdenet.text.config import bridged, dhcp, hosts, netboot, plugs, records, vlans
from vdenet.text.config.editing import initial, with_address
from vdenet.text.config.emitting import emit
from vdenet.text.config.reader import Reader, load

__all__ = ["KEYS", "emit", "load", "mode", "parse", "initial", "with_address"]

KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("address", "address6", "mode", "host_access", "uplink", "adopt", "openvswitch",
         "domain", "guard", "open", "owner", "reach", "dhcp"),
    "[dhcp]": dhcp.KEYS,
    "[switch]": ("ports", "spanning_tree"),
    "[[host]]": hosts.KEYS,
    "[[record]]": records.KEYS,
    "[netboot]": netboot.KEYS,
    "[[plug]]": plugs.KEYS,
    "[[vlan]]": vlans.KEYS,
    "[[port]]": vlans.PORT_KEYS,
}
"""What may stand in each table; vdenet.toml(5) has a section for each."""

MAX_SWITCH_PORTS = 1024
_OPEN = re.compile(r"(tcp|udp)/([1-9][0-9]{0,4})", re.ASCII)


def parse(text: str, name: str, where: str) -> Segment:
    """The segment that `text` describes; `where` is the file's path, for messages.

    Raises `BadConfig` with file, line and column.
    """
    names.segment_name(name)
    return _segment(Reader(text, where), name, load(text, where))


def _segment(reader: Reader, name: str, table: Mapping[str, Any]) -> Segment:
    reader.known(table, tuple(dict.fromkeys((*KEYS[""], *(heading.strip("[]") for heading in KEYS if heading)))))
    mode = _mode(reader, table)
    outside = bridged.read(reader, table, mode)
    owner = None
    if (owner_text := reader.text(table, "owner")) is not None:
        owner = reader.checked("owner", owner_text, names.account_name)
    domain = default_domain(name)
    if (domain_text := reader.text(table, "domain")) is not None:
        domain = reader.checked("domain", domain_text, names.domain_name)
    switch = reader.table(table, "switch")
    reader.known(switch, KEYS["[switch]"], "switch.")
    switch_ports = reader.number(switch.get("ports", DEFAULT_SWITCH_PORTS), "switch.ports", 2, MAX_SWITCH_PORTS)
    tree = reader.boolean(switch, "spanning_tree", False, "switch.") if "spanning_tree" in switch else None
    guard = reader.boolean(table, "guard", True)
    plugged = plugs.read(reader, table, name, switch_ports)
    if mode is Mode.BRIDGED:
        return Segment(name=name, address=None, mode=mode, domain=domain, guard=guard,
                       switch_ports=switch_ports, ports=vlans.ports(reader, table, (), switch_ports),
                       owner=owner, uplink=outside.get("uplink"), adopt=outside.get("adopt"),
                       openvswitch=outside.get("openvswitch"), plugs=plugged,
                       spanning_tree=tree)
    address_text = reader.text(table, "address")
    if address_text is None:
        raise reader.bad("address", _("it is missing; expected such as address = \"10.83.14.1/24\""))
    address: IPv4Interface = reader.checked("address", address_text, names.segment_address)
    address6: IPv6Interface | None = None
    if (text6 := reader.text(table, "address6")) is not None:
        address6 = reader.checked("address6", text6, names.segment_address6)
    host_access = reader.boolean(table, "host_access", True)
    if not host_access and mode is not Mode.ISOLATED:
        raise reader.bad("host_access", _("only a segment of mode \"isolated\" can keep its guests from the host"))
    serving = dhcp.table(reader, table)
    reader.known(serving, dhcp.KEYS, "dhcp.")
    declared = vlans.read(reader, table, name, address, address6)
    segment = Segment(
        name=name, address=address, address6=address6, mode=mode, domain=domain,
        lease_seconds=dhcp.lease(reader, serving), dhcp=dhcp.enabled(reader, serving), guest_dhcp=dhcp.by_guest(table),
        dhcp_range=dhcp.pool(reader, serving, address), hosts=hosts.read(reader, table, name, address, declared),
        open_ports=_open(reader, table), guard=guard, switch_ports=switch_ports, owner=owner,
        reach=_reach(reader, table, name), host_access=host_access, netboot=netboot.read(reader, table),
        plugs=plugged, spanning_tree=tree, vlans=declared, ports=vlans.ports(reader, table, declared, switch_ports))
    dhcp.refuse_strange_servers(reader, segment)
    return replace(segment, records=records.read(reader, table, segment))


def mode(text: str) -> Mode:
    """A mode by its name. Raises `BadValue`."""
    if text not in set(Mode):
        raise BadValue(what=_("mode"), value=text, why=_("expected one of {modes}").format(modes=", ".join(Mode)))
    return Mode(text)


def _mode(reader: Reader, table: Mapping[str, Any]) -> Mode:
    text = reader.text(table, "mode")
    found: Mode = Mode.NAT if text is None else reader.checked("mode", text, mode)
    return found


def _reach(reader: Reader, table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = table.get("reach", [])
    why = _("expected a list of other segments, such as [\"lab2\"]")
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value) \
            or name in value or len(set(value)) != len(value):
        raise reader.bad("reach", why)
    return tuple(reader.checked("reach", entry, names.segment_name) for entry in value)


def _open(reader: Reader, table: Mapping[str, Any]) -> tuple[OpenPort, ...]:
    value = table.get("open", [])
    why = _("expected a list of protocol and port, such as [\"tcp/22\"]")
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise reader.bad("open", why)
    opened = []
    for entry in value:
        found = _OPEN.fullmatch(entry)
        if not found or int(found[2]) > 65535:
            raise reader.bad("open", f"{entry!r}: {why}")
        opened.append(OpenPort(found[1], int(found[2])))
    return tuple(opened)

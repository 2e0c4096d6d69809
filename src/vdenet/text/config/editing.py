"""Files of the program's own making: the first one, and edits that leave an admin's comments alone."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address
from typing import Any

from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.record import RecordType
from vdenet.model.segment import DEFAULT_DOMAIN, Mode, Segment


def initial(address: IPv4Interface, address6: IPv6Interface) -> str:
    """The file that the installation writes for the first segment."""
    return f"""\
# The segment of this host: see vdenet.toml(5). After a change: tarr-steps reload

# The host's own address on the segment; guests get theirs by DHCP from the same network.
# Chosen at installation so that it overlaps no other network of this host. To change it:
# tarr-steps ip ADDRESS/LENGTH
address = "{address}"

# The same for IPv6: a unique local prefix (RFC 4193).
address6 = "{address6}"

# nat: guests reach the outside, nobody reaches them from there; routed; isolated
mode = "{Mode.NAT}"

# Guests are found as NAME.{DEFAULT_DOMAIN}
domain = "{DEFAULT_DOMAIN}"
"""


def with_address(text: str, segment: Segment, address: IPv4Interface) -> str:
    """`text` with another address; a DHCP range, fixed addresses and records move along by their host part.

    Raises `Refused` where the new network is too small for them.
    """
    import tomlkit  # on this path only: the import is slow

    for vlan in segment.vlans:
        if vlan.address is not None and vlan.address.network.overlaps(address.network):
            raise Refused(what=_("change the address to {address}").format(address=address),
                          why=_("it overlaps {other} of VLAN {id}").format(other=vlan.address.network, id=vlan.id))
    document = tomlkit.parse(text)
    document["address"] = str(address)
    if segment.dhcp_range is not None and "dhcp" in document:
        first, last = (_moved(a, segment.own, address) for a in segment.dhcp_range)
        if first <= address.ip <= last:
            raise Refused(what=_("change the address to {address}").format(address=address),
                          why=_("it lies in the range that DHCP gives out, {first} to {last}").format(
                              first=first, last=last))
        both: Any = document["dhcp"]["range"]  # type: ignore[index]
        both[0], both[1] = str(first), str(last)  # in place: a comment may stand between them
    for entry in document.get("host", []):
        if "address" in entry and "vlan" not in entry:
            entry["address"] = str(_moved(IPv4Address(str(entry["address"])), segment.own, address))
    for entry in document.get("record", []):
        key = {RecordType.A: "value", RecordType.PTR: "name"}.get(entry["type"])
        one = ip_address(str(entry[key])) if key is not None else None
        if isinstance(one, IPv4Address) and one in segment.own.network:
            entry[key] = str(_moved(one, segment.own, address))
    return tomlkit.dumps(document)


def _moved(one: IPv4Address, old: IPv4Interface, new: IPv4Interface) -> IPv4Address:
    offset = int(one) - int(old.network.network_address)
    if not 0 < offset < new.network.num_addresses - 1 or new.network.network_address + offset == new.ip:
        raise Refused(what=_("change the address to {address}").format(address=new),
                      why=_("the configured address {one} has no place in {network}").format(
                          one=one, network=new.network))
    return new.network.network_address + offset

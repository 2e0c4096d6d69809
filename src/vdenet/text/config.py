"""/etc/vdenet/SEGMENT.toml: parsed into a `Segment`, and edited so that comments survive.

Reading uses tomllib of the standard library; only the program's own edits need tomlkit, which keeps an
admin's comments and order (and takes longer to import).
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from typing import Any

from vdenet.errors import BadConfig, BadValue, Refused
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.segment import (
    DEFAULT_DOMAIN,
    DEFAULT_LEASE_SECONDS,
    DEFAULT_SWITCH_PORTS,
    Host,
    Mode,
    OpenPort,
    Segment,
)

KEYS = ("address", "address6", "mode", "domain", "guard", "open", "dhcp", "switch", "host")
DHCP_KEYS = ("enabled", "range", "lease")
SWITCH_KEYS = ("ports",)
HOST_KEYS = ("mac", "name", "address")

MIN_LEASE, MAX_LEASE = 120, 7 * 86400
"""Seconds. dnsmasq itself goes no lower than two minutes."""
MAX_SWITCH_PORTS = 1024
_DURATION = re.compile(r"([1-9][0-9]{0,6})([smhd]?)", re.ASCII)
_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_HEADER = re.compile(r"\s*\[(\[?)\s*([\w\"'-]+)\s*\]")
_KEY = re.compile(r"\s*([\w\"'-]+(\s*\.\s*[\w\"'-]+)*)\s*=")
_OPEN = re.compile(r"(tcp|udp)/([1-9][0-9]{0,4})", re.ASCII)


def parse(text: str, name: str, where: str) -> Segment:
    """The segment that `text` describes; `where` is the file's path, for messages.

    Raises `BadConfig` with file and line, and with the column where the syntax is at fault.
    """
    names.segment_name(name)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(where=_position(str(error), where), why=_message(str(error))) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in brackets
        raise BadConfig(where=where, why=_("it is too long or nested too deeply")) from None
    return _Reader(text, where).segment(name, table)


def _position(message: str, where: str) -> str:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    if found:
        return f"{where}:{found[1]}:{found[2]}"
    return f"{where}:end" if "end of document" in message else where


def _message(message: str) -> str:
    plain = re.sub(r" \(at .*\)$", "", message)
    return plain[:1].lower() + plain[1:]


def _places(text: str) -> dict[tuple[str, int], int]:
    """Where each key stands: `(host.mac, 1)` is that of the second [[host]]. Lines count from 1."""
    places: dict[tuple[str, int], int] = {}
    tables: Counter[str] = Counter()
    prefix, nth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if found := _HEADER.match(line):
            table = _plain(found[2])
            prefix, nth = f"{table}.", tables[table]
            tables[table] += 1
            places.setdefault((table, nth), number)
        elif found := _KEY.match(line):
            places.setdefault((prefix + _plain(found[1]), nth), number)
    return places


def _plain(key: str) -> str:
    return re.sub(r"[\s\"']", "", key)


class _Reader:
    """Turns tables into values and says on which line a bad one stands."""

    def __init__(self, text: str, where: str) -> None:
        self._places = _places(text)
        self._where = where

    def bad(self, key: str, why: str, nth: int = 0) -> BadConfig:
        """The error for `key`, as `host.mac`, in the `nth` table of that name."""
        parent = key.rpartition(".")[0]
        for place in ((key, nth), (parent, nth), (parent, 0)):
            if place in self._places:
                return BadConfig(where=f"{self._where}:{self._places[place]}", why=f"{key}: {why}")
        return BadConfig(where=self._where, why=f"{key}: {why}")

    def known(self, table: Mapping[str, Any], keys: tuple[str, ...], prefix: str = "", nth: int = 0) -> None:
        for key in table:
            if key not in keys:
                raise self.bad(prefix + key, _("no such key; expected one of {keys}").format(
                    keys=", ".join(keys)), nth)

    def text(self, table: Mapping[str, Any], key: str, prefix: str = "", nth: int = 0) -> str | None:
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.bad(prefix + key, _("expected a string in quotes"), nth)
        return value

    def boolean(self, table: Mapping[str, Any], key: str, default: bool, prefix: str = "") -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            raise self.bad(prefix + key, _("expected true or false"))
        return value

    def table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self.bad(key, _("expected a table, [{key}]").format(key=key))
        return value

    def checked(self, key: str, value: str, check: Callable[[str], Any], nth: int = 0) -> Any:
        try:
            return check(value)
        except BadValue as error:
            raise self.bad(key, f"{value!r}: {error.data['why']}", nth) from None

    def segment(self, name: str, table: Mapping[str, Any]) -> Segment:
        self.known(table, KEYS)
        address_text = self.text(table, "address")
        if address_text is None:
            raise self.bad("address", _("it is missing; expected such as address = \"10.83.14.1/24\""))
        address: IPv4Interface = self.checked("address", address_text, names.segment_address)
        address6: IPv6Interface | None = None
        if (text6 := self.text(table, "address6")) is not None:
            address6 = self.checked("address6", text6, names.segment_address6)
        mode_text = self.text(table, "mode")
        if mode_text is None:
            mode_text = Mode.NAT.value
        if mode_text not in set(Mode):
            raise self.bad("mode", _("{value!r}: expected one of {modes}").format(
                value=mode_text, modes=", ".join(Mode)))
        domain = DEFAULT_DOMAIN
        if (domain_text := self.text(table, "domain")) is not None:
            domain = self.checked("domain", domain_text, names.domain_name)
        dhcp = self.table(table, "dhcp")
        self.known(dhcp, DHCP_KEYS, "dhcp.")
        switch = self.table(table, "switch")
        self.known(switch, SWITCH_KEYS, "switch.")
        return Segment(
            name=name, address=address, address6=address6, mode=Mode(mode_text), domain=domain,
            lease_seconds=self._lease(dhcp), dhcp=self.boolean(dhcp, "enabled", True, "dhcp."),
            dhcp_range=self._range(dhcp, address), hosts=self._hosts(table, address),
            open_ports=self._open(table), guard=self.boolean(table, "guard", True),
            switch_ports=self._ports(switch))

    def _lease(self, dhcp: Mapping[str, Any]) -> int:
        value = dhcp.get("lease", DEFAULT_LEASE_SECONDS)
        found = _DURATION.fullmatch(str(value)) if not isinstance(value, bool) else None
        seconds = int(found[1]) * _UNIT[found[2]] if found else 0
        if not MIN_LEASE <= seconds <= MAX_LEASE:
            raise self.bad("dhcp.lease", _("expected a time from 2m to 7d, such as \"1h\""))
        return seconds

    def _range(self, dhcp: Mapping[str, Any], address: IPv4Interface) -> tuple[IPv4Address, IPv4Address] | None:
        value = dhcp.get("range")
        if value is None:
            return None
        why = _("expected two addresses, first and last, such as [\"10.83.14.100\", \"10.83.14.199\"]")
        if not (isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)):
            raise self.bad("dhcp.range", why)
        try:
            first, last = IPv4Address(value[0]), IPv4Address(value[1])
        except ValueError:
            raise self.bad("dhcp.range", why) from None
        inside = [a for a in (first, last) if a in address.network
                  and a not in (address.network.network_address, address.network.broadcast_address)]
        if len(inside) != 2 or first > last:
            raise self.bad("dhcp.range", _("expected addresses of {network}, the lower first").format(
                network=address.network))
        if first <= address.ip <= last:
            raise self.bad("dhcp.range", _("it contains the host's own address {address}").format(
                address=address.ip))
        return first, last

    def _hosts(self, table: Mapping[str, Any], address: IPv4Interface) -> tuple[Host, ...]:
        value = table.get("host", [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.bad("host", _("expected tables, [[host]]"))
        hosts: list[Host] = []
        for nth, entry in enumerate(value):
            self.known(entry, HOST_KEYS, "host.", nth)
            mac_text = self.text(entry, "mac", "host.", nth)
            if mac_text is None:
                raise self.bad("host", _("every [[host]] needs a mac"), nth)
            mac = self.checked("host.mac", mac_text, names.mac_address, nth)
            name_text = self.text(entry, "name", "host.", nth)
            name = None if name_text is None else self.checked("host.name", name_text, names.guest_name, nth)
            fixed_text = self.text(entry, "address", "host.", nth)
            fixed = None if fixed_text is None else self._fixed(fixed_text, address, nth)
            for other in hosts:
                if mac == other.mac or (name is not None and name == other.name) \
                        or (fixed is not None and fixed == other.address):
                    raise self.bad("host.mac", _("{mac}: MAC, name or address is given to another host already")
                                   .format(mac=mac), nth)
            hosts.append(Host(mac, name, fixed))
        return tuple(hosts)

    def _fixed(self, text: str, address: IPv4Interface, nth: int) -> IPv4Address:
        try:
            fixed = IPv4Address(text)
        except ValueError:
            fixed = None
        if fixed is None or fixed not in address.network or fixed == address.ip \
                or fixed in (address.network.network_address, address.network.broadcast_address):
            raise self.bad("host.address", _("{text!r}: expected an address of {network}, not the host's own")
                           .format(text=text, network=address.network), nth)
        return fixed

    def _open(self, table: Mapping[str, Any]) -> tuple[OpenPort, ...]:
        value = table.get("open", [])
        why = _("expected a list of protocol and port, such as [\"tcp/22\"]")
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.bad("open", why)
        opened = []
        for entry in value:
            found = _OPEN.fullmatch(entry)
            if not found or int(found[2]) > 65535:
                raise self.bad("open", f"{entry!r}: {why}")
            opened.append(OpenPort(found[1], int(found[2])))
        return tuple(opened)

    def _ports(self, switch: Mapping[str, Any]) -> int:
        value = switch.get("ports", DEFAULT_SWITCH_PORTS)
        if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= MAX_SWITCH_PORTS:
            raise self.bad("switch.ports", _("expected a number from 2 to {most}").format(most=MAX_SWITCH_PORTS))
        return int(value)


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
    """`text` with another address; a DHCP range and fixed addresses move along by their host part.

    Raises `Refused` where the new network is too small for them.
    """
    import tomlkit  # on this path only: the import is slow

    document = tomlkit.parse(text)
    document["address"] = str(address)
    if segment.dhcp_range is not None and "dhcp" in document:
        first, last = (_moved(a, segment.address, address) for a in segment.dhcp_range)
        if first <= address.ip <= last:
            raise Refused(what=_("change the address to {address}").format(address=address),
                          why=_("it lies in the range that DHCP gives out, {first} to {last}").format(
                              first=first, last=last))
        both: Any = document["dhcp"]["range"]  # type: ignore[index]
        both[0], both[1] = str(first), str(last)  # in place: a comment may stand between them
    for entry in document.get("host", []):
        if "address" in entry:
            entry["address"] = str(_moved(IPv4Address(str(entry["address"])), segment.address, address))
    return tomlkit.dumps(document)


def _moved(one: IPv4Address, old: IPv4Interface, new: IPv4Interface) -> IPv4Address:
    offset = int(one) - int(old.network.network_address)
    if not 0 < offset < new.network.num_addresses - 1 or new.network.network_address + offset == new.ip:
        raise Refused(what=_("change the address to {address}").format(address=new),
                      why=_("the configured address {one} has no place in {network}").format(
                          one=one, network=new.network))
    return new.network.network_address + offset

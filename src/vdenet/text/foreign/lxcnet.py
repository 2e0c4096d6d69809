"""/etc/default/lxc-net, the settings of LXC's own bridge: assignments that a shell reads.

Names and defaults: /usr/libexec/lxc/lxc-net of LXC 5.0 and 6.0.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from vdenet.i18n import _
from vdenet.model.names import domain_name, segment_address6
from vdenet.model.segment import Segment, default_domain
from vdenet.text.foreign.draft import Draft

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL | re.ASCII)
_LEASE = re.compile(r"([1-9][0-9]{0,6})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DEFAULTS = {"LXC_ADDR": "10.0.3.1", "LXC_NETMASK": "255.255.255.0", "LXC_DHCP_RANGE": "10.0.3.2,10.0.3.254"}


@dataclass(frozen=True, slots=True)
class _Setting:
    line: int
    value: str


def read(draft: Draft, text: str) -> Segment:
    """The segment. Raises `BadImport`."""
    settings = _settings(draft, text)
    addr = settings.get("LXC_ADDR", _Setting(1, _DEFAULTS["LXC_ADDR"]))
    mask = settings.get("LXC_NETMASK", _Setting(1, _DEFAULTS["LXC_NETMASK"]))
    line = addr.line if "LXC_ADDR" in settings else mask.line
    address = draft.address(line, f"{addr.value}/{_length(draft, mask)}")
    segment = Segment(draft.base.name, address, domain=default_domain(draft.base.name))
    for name, apply in _USED.items():
        if name in settings:
            segment = apply(draft, settings[name], segment)
    if "LXC_DHCP_RANGE" not in settings and IPv4Address("10.0.3.2") in address.network:
        segment = _range(draft, _Setting(line, _DEFAULTS["LXC_DHCP_RANGE"]), segment)
    segment = _ipv6(draft, settings, segment)
    for name, one in settings.items():
        if name in _SAID and one.value not in _SAID[name][0]:
            draft.leave_out(one.line, f"{name}={one.value}", _SAID[name][1]())
        elif name not in (*_USED, *_SAID, *_ALONE):
            draft.leave_out(one.line, name, _("no setting of lxc-net's that is known here"))
    return segment


def _settings(draft: Draft, text: str) -> dict[str, _Setting]:
    """The assignments; the last of a name counts, as in the shell."""
    found: dict[str, _Setting] = {}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            raise draft.bad(number, _("a quote is not closed in its line")) from None
        if words[:1] == ["export"]:
            words = words[1:]
        begun = _ASSIGNMENT.match(words[0]) if words else None
        if begun and begun[1] in (*_USED, *_ALONE) and re.search("[$`]", "".join(words)):
            raise draft.bad(number, _("{name}: the shell would have to work it out; write the value itself").format(
                name=begun[1]))
        assigned = [_ASSIGNMENT.fullmatch(word) for word in words]
        if not all(assigned):
            draft.leave_out(number, line.strip(), _("only assignments are read"))
            continue
        for one in assigned:
            assert one is not None
            name, value = one.groups()
            found[name] = _Setting(number, value)
    return found


def _length(draft: Draft, mask: _Setting) -> int:
    try:
        if mask.value.count(".") != 3:
            raise ValueError
        return IPv4Network(f"0.0.0.0/{mask.value}").prefixlen
    except ValueError:
        raise draft.bad(mask.line, _("LXC_NETMASK {value!r}: expected a mask such as 255.255.255.0").format(
            value=mask.value)) from None


def _range(draft: Draft, one: _Setting, segment: Segment) -> Segment:
    """FIRST,LAST and what else --dhcp-range of dnsmasq takes behind them."""
    if not one.value:
        return replace(segment, dhcp=False)
    first_text, comma, rest = one.value.partition(",")
    last_text, *more = rest.split(",")
    try:
        first, last = IPv4Address(first_text), IPv4Address(last_text)
    except ValueError:
        raise draft.bad(one.line, _("LXC_DHCP_RANGE {value!r}: expected two addresses, such as "
                                    "10.0.3.2,10.0.3.254").format(value=one.value)) from None
    for word in more:
        found = _LEASE.fullmatch(word)
        if found:
            segment = replace(segment, lease_seconds=int(found[1]) * _SECONDS[found[2]])
        elif word != str(segment.own.netmask):
            draft.leave_out(one.line, f"LXC_DHCP_RANGE: {word}", _("only a lease time is known here"))
    return replace(segment, dhcp_range=beside(draft, one.line, first, last, segment.own))


def beside(draft: Draft, line: int, first: IPv4Address, last: IPv4Address,
           address: IPv4Interface) -> tuple[IPv4Address, IPv4Address]:
    """The DHCP range, without the host's own address: the longer side of it. Raises `BadImport`."""
    if first > last or first not in address.network or last not in address.network:
        raise draft.bad(line, _("DHCP range {first} to {last}: expected addresses of {network}, the lower first")
                        .format(first=first, last=last, network=address.network))
    first = max(first, address.network.network_address + 1)
    last = min(last, address.network.broadcast_address - 1)
    if not first <= address.ip <= last:
        return first, last
    below, above = (first, address.ip - 1), (address.ip + 1, last)
    chosen, other = (below, above) if int(address.ip) - int(first) > int(last) - int(address.ip) else (above, below)
    if chosen[0] > chosen[1]:
        raise draft.bad(line, _("the DHCP range has no address but the host's own"))
    if other[0] <= other[1]:
        draft.leave_out(line, _("DHCP range {first} to {last}").format(first=other[0], last=other[1]),
                        _("a range does not contain the host's own address"))
    return chosen


def _domain(draft: Draft, one: _Setting, segment: Segment) -> Segment:
    if not one.value:
        return segment
    domain = draft.usable(one.line, "LXC_DOMAIN", one.value, domain_name)
    return segment if domain is None else replace(segment, domain=domain)


def _ipv6(draft: Draft, settings: Mapping[str, _Setting], segment: Segment) -> Segment:
    one = settings.get("LXC_IPV6_ADDR")
    enabled = settings.get("LXC_IPV6_ENABLE", _Setting(1, "true")).value == "true"
    if one is None or not one.value or not enabled:
        return segment
    length = settings.get("LXC_IPV6_MASK", _Setting(one.line, "64")).value
    address = draft.usable(one.line, "LXC_IPV6_ADDR", f"{one.value}/{length}", segment_address6)
    return segment if address is None else replace(segment, address6=address)


_USED: Mapping[str, Callable[[Draft, _Setting, Segment], Segment]] = {
    "LXC_DHCP_RANGE": _range,
    "LXC_DOMAIN": _domain,
}
_ALONE = ("LXC_ADDR", "LXC_NETMASK", "LXC_NETWORK", "LXC_IPV6_ADDR", "LXC_IPV6_MASK", "LXC_IPV6_NETWORK",
          "LXC_IPV6_ENABLE", "LXC_USE_NFT")
"""Looked at together with others, or without a meaning of their own."""
_SAID: Mapping[str, tuple[tuple[str, ...], Callable[[], str]]] = {
    "USE_LXC_BRIDGE": (("true",), lambda: _("LXC's bridge is off there; the segment is up all the same")),
    "LXC_BRIDGE": ((), lambda: _("the segment's bridge is called as the segment; the containers' own configuration "
                                 "names the bridge: tarr-steps join lxc changes it")),
    "LXC_BRIDGE_MAC": ((), lambda: _("the bridge has a MAC address that vdenet gives it")),
    "LXC_DHCP_MAX": (("253",), lambda: _("the number of leases follows from the range")),
    "LXC_DHCP_CONFILE": (("",), lambda: _("that file is not read; its dhcp-host lines are [[host]] tables here")),
    "LXC_DHCP_PING": (("true",), lambda: _("the DHCP server always looks whether an address is in use")),
    "LXC_IPV6_NAT": (("true",), lambda: _("IPv6 has the segment's mode, as IPv4 has")),
}
"""Settings that a segment has no like of: the values that nobody needs to be told of, and why it has none."""

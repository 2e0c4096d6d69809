"""Names and addresses of the segment, checked at the edge.

Every string that later becomes an interface name, a DNS label, a path below a directory of ours or a
word of a configuration file passes one of these functions first. They raise `BadValue` and return the
canonical spelling; nothing here looks at the machine.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re

from vdenet.errors import BadValue
from vdenet.i18n import _

IFNAMSIZ = 15
"""Longest name of a network interface, in characters (linux/if.h, IFNAMSIZ less the final NUL)."""

DEFAULT_SEGMENT = "vdenet0"

_SEGMENT = re.compile(r"[a-z][a-z0-9]{0,10}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+\\-]{0,63}\$?", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)

RESERVED_SEGMENTS = frozenset({"lo", "all", "default", "control", "dns", "state", "vde", "policy"})
"""Names that interfaces, sysctl directories or files beside the segments' own have already."""
RESERVED_LABELS = frozenset({"localhost", "wpad", "isatap", "gateway", "host", "ns", "_gateway"})
"""Host names that no guest may claim: they would redirect other guests' traffic or lookups."""
_TIME = re.compile(r"[0-9]+[wdhms]?|infinite|ignore", re.ASCII)
"""What dnsmasq takes for a lease time, or an order to answer nothing, where a name stands (dnsmasq(8),
dhcp-host)."""


def segment_name(text: str) -> str:
    """A segment's name: it is the bridge's name, and with `-vde` behind it the tap's.

    Raises `BadValue`.
    """
    if not _SEGMENT.fullmatch(text):
        raise BadValue(what=_("segment name"), value=text,
                       why=_("expected 1 to 11 lower-case letters and digits, a letter first"))
    if text in RESERVED_SEGMENTS:
        raise BadValue(what=_("segment name"), value=text, why=_("the name is reserved"))
    return text


def same_domain(one: str, other: str) -> bool:
    """Whether one is the other or lies below it: names of both would then be asked for in one place."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def account_name(text: str) -> str:
    """The name of a user's account, as useradd(8) takes it and directory services do. Raises `BadValue`."""
    if not _ACCOUNT.fullmatch(text):
        raise BadValue(what=_("account"), value=text, why=_("expected the name of a user"))
    return text


def guest_name(text: str) -> str:
    """A guest's name: one DNS label (RFC 1123, section 2.1), lower case. Raises `BadValue`."""
    label = text.lower()
    if not _LABEL.fullmatch(label):
        raise BadValue(what=_("guest name"), value=text,
                       why=_("expected 1 to 63 letters, digits and hyphens, no hyphen at either end"))
    if label in RESERVED_LABELS:
        raise BadValue(what=_("guest name"), value=text, why=_("the name is reserved"))
    if _TIME.fullmatch(label):
        raise BadValue(what=_("guest name"), value=text, why=_("dnsmasq would read it as a time"))
    return label


def domain_name(text: str) -> str:
    """A DNS domain of at least one label, lower case, without the final dot. Raises `BadValue`."""
    name = text.lower().removesuffix(".")
    if not name or len(name) > 190 or not all(_LABEL.fullmatch(part) for part in name.split(".")):
        raise BadValue(what=_("domain"), value=text, why=_("expected a domain such as vdenet.internal"))
    return name


def mac_address(text: str) -> str:
    """A unicast MAC address in the form 52:54:00:12:34:56. Raises `BadValue`."""
    mac = text.lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise BadValue(what=_("MAC address"), value=text, why=_("expected a form like 52:54:00:12:34:56"))
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise BadValue(what=_("MAC address"), value=text, why=_("it is not a unicast address"))
    return mac


def segment_address(text: str) -> ipaddress.IPv4Interface:
    """The host's IPv4 address on a segment, with its prefix length, as 10.83.14.1/24.

    Private, at least four addresses wide (/30) and at most 65,536 (/16), neither the network's own nor its
    broadcast address. Raises `BadValue`.
    """
    def bad(why: str) -> BadValue:
        return BadValue(what=_("address"), value=text, why=why)

    if "/" not in text:
        raise bad(_("expected an address and a prefix length, such as 10.83.14.1/24"))
    try:
        either = ipaddress.ip_interface(text)
    except ValueError:
        if _is_ipv4(text.partition("/")[0]) and text.rpartition("/")[2].isdecimal():
            raise bad(_("expected a prefix length from /16 to /30")) from None
        raise bad(_("expected an IPv4 address and a prefix length, such as 10.83.14.1/24")) from None
    if not isinstance(either, ipaddress.IPv4Interface):
        raise bad(_("expected an IPv4 address, such as 10.83.14.1/24; this is IPv6"))
    if not text.rpartition("/")[2].isascii() or not text.rpartition("/")[2].isdigit():
        raise bad(_("expected the prefix length as a number, such as /24"))
    if not 16 <= either.network.prefixlen <= 30:
        raise bad(_("expected a prefix length from /16 to /30"))
    if not any(either.ip in net for net in PRIVATE_NETWORKS):
        raise bad(_("expected a private address (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10)"))
    if either.ip == either.network.network_address:
        raise bad(_("that is the address of the network itself"))
    if either.ip == either.network.broadcast_address:
        raise bad(_("that is the broadcast address of the network"))
    return either


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


PRIVATE_NETWORKS = tuple(
    ipaddress.IPv4Network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Networks that a segment may use: RFC 1918 and the shared space of RFC 6598."""


def segment_address6(text: str) -> ipaddress.IPv6Interface:
    """The host's IPv6 address on a segment: unique local (RFC 4193), a /64. Raises `BadValue`."""
    try:
        address = ipaddress.IPv6Interface(text)
    except ValueError:
        address = None
    if address is None or "/" not in text or "%" in text or address.network.prefixlen != 64 \
            or address.ip not in ipaddress.IPv6Network("fd00::/8") or address.ip == address.network[0]:
        raise BadValue(what=_("IPv6 address"), value=text,
                       why=_("expected a unique local address and /64, such as fd5e:1::1/64"))
    return address


def derived_mac(*parts: str) -> str:
    """A MAC address, always the same for the same parts, with QEMU's prefix 52:54:00."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def bridge_mac(machine_id: str, segment: str) -> str:
    """The bridge's own MAC: locally administered, stable on a machine, different between machines.

    It must not change when ports come and go, as it does for a bridge whose MAC was never set
    (br_stp_recalculate_bridge_id in net/bridge/br_stp_if.c).
    """
    digest = hashlib.sha256(f"vdenet bridge\0{machine_id}\0{segment}".encode()).digest()
    return "02:" + ":".join(f"{byte:02x}" for byte in digest[:5])


def tap_mac(tap: str) -> str:
    """The host's end of a tap: made from its name, so that it shows when a holder gave it another's.

    What the bridge hears for the address of a port of its own, it takes for the host's.
    """
    digest = hashlib.sha256(f"vdenet tap\0{tap}".encode()).digest()
    return "fe:" + ":".join(f"{byte:02x}" for byte in digest[:5])


def host_side_mac(mac: str) -> str:
    """The MAC that libvirt gives to the host's end of a tap whose guest has `mac` (virNetDevTapCreateInBridgePort)."""
    return f"fe{mac[2:]}"


def same_on_host_side(mac: str, other: str) -> bool:
    """Whether a hypervisor's tap could be either's: they differ in their first octet at most."""
    return host_side_mac(mac) == host_side_mac(other)


def port_prefix(segment: str) -> str:
    """What the names of a segment's guest ports begin with: `vd0-` for vdenet0.

    Any other segment gets four characters of a hash, and two may get the same ones (`same_ports`). The ports of guests
    that run have it in their names, so it stays as it is.
    """
    number = segment.removeprefix("vdenet")
    if segment.startswith("vdenet") and number.isdigit() and len(number) <= 3:
        return f"vd{number}-"
    return f"vd{hashlib.sha256(segment.encode()).hexdigest()[:4]}-"


def same_ports(one: str, other: str) -> bool:
    """Whether interfaces of two segments could have the same name: their guests' ports, or a guest's and what the
    other has for itself, as the port of the guest `vde` would be the tap of a segment `vd0`."""
    prefixes = port_prefix(one), port_prefix(other)
    return prefixes[0] == prefixes[1] or f"{one}-" == prefixes[1] or f"{other}-" == prefixes[0]


def left_port(ifindex: int) -> str:
    """What the tap of a guest that has left is called, if its program still holds it: no guest's port begins so."""
    return f"vdl-{ifindex}"


def port_name(segment: str, guest: str, taken: frozenset[str] = frozenset()) -> str:
    """The interface name for a guest's port: `vd0-web`; cut to fit, numbered when it is taken."""
    prefix = port_prefix(segment)
    plain = (prefix + guest)[:IFNAMSIZ].rstrip("-")
    if plain not in taken:
        return plain
    for number in range(2, 10_000):
        tail = f"-{number}"
        name = (prefix + guest)[: IFNAMSIZ - len(tail)].rstrip("-") + tail
        if name not in taken:
            return name
    raise BadValue(what=_("guest name"), value=guest, why=_("too many ports have this name"))

"""Networks as configuration files name them, and the choice of one that nobody has.

Parsers take the text of one file and return the IPv4 networks in it, however the format spells them;
they never fail, since what they read is other programs' business. The choice is a function of its
arguments: the same machine gets the same network, two machines rarely the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from vdenet.errors import Refused
from vdenet.i18n import _

SHORTEST = 8
"""Shorter prefixes are default routes in disguise (0.0.0.0/0, 0.0.0.0/1 of a VPN), not networks."""

_QUAD = r"\d{1,3}(?:\.\d{1,3}){3}"
_CIDR = re.compile(rf"(?<![\d.])({_QUAD}/\d{{1,2}})(?![\d.])", re.ASCII)
_COMMENT = re.compile(r"(^|\s)[#;].*", re.ASCII | re.MULTILINE)
_XML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_XML_ADDRESS = re.compile(r"<(?:ip|route)\b[^>]*>")
_XML_ATTRIBUTE = re.compile(r"\b(address|netmask|prefix)\s*=\s*['\"]([^'\"]*)['\"]")
_OPENVPN = re.compile(rf"(?<![\d.])({_QUAD})\s+({_QUAD})(?![\d.])", re.ASCII)
_VMWARE = re.compile(rf"^answer\s+VNET_(\d+)_HOSTONLY_(SUBNET|NETMASK)\s+({_QUAD})\s*$",
                     re.ASCII | re.MULTILINE)
_STANZA = re.compile(r"^\s*(?:iface|auto|allow-\S+|mapping|source\S*)\b", re.ASCII)
_OPTION = re.compile(rf"^\s*(address|netmask)\s+({_QUAD}|\d+)\s*$", re.ASCII)

POOL = IPv4Network("10.64.0.0/10")
"""Where a segment's network is taken from: large, and few defaults of other programs lie in it."""

FALLBACKS = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),
)
"""Where else, in this order, when somebody routes the whole of the pool."""

WELL_KNOWN = tuple(IPv4Network(net) for net in (
    "10.0.0.0/16",       # Docker's swarm ingress, slirp (10.0.2), LXC (10.0.3), Azure, examples
    "10.1.0.0/16",       # MicroK8s
    "10.8.0.0/16",       # OpenVPN's example
    "10.32.0.0/12",      # Weave; NetworkManager's sharing and k3s (10.42, 10.43)
    "10.85.0.0/16",      # CRI-O
    "10.88.0.0/15",      # Podman
    "10.96.0.0/12",      # Kubernetes' services
    "10.128.0.0/9",      # Google Cloud; flannel (10.244)
    "100.64.0.0/10",     # carriers' NAT, Tailscale, Alibaba's metadata
    "172.16.0.0/12",     # Docker's networks, Amazon's default VPC (172.31)
    "192.168.0.0/21",    # home routers
    "192.168.8.0/22",
    "192.168.39.0/24",   # minikube
    "192.168.49.0/24",
    "192.168.56.0/21",   # VirtualBox' host-only networks
    "192.168.64.0/24",   # VMware and Apple's sharing
    "192.168.88.0/24",   # MikroTik
    "192.168.99.0/24",   # docker-machine
    "192.168.100.0/23",
    "192.168.122.0/24",  # libvirt
    "192.168.178.0/24",  # Fritz!Box
    "192.168.254.0/23",
))
"""Defaults of other programs: free today, taken by tomorrow's `apt install`."""


def cidrs(text: str) -> list[IPv4Network]:
    """Every ADDRESS/LENGTH outside `#` and `;` comments: most formats need no more."""
    return list(_networks(_CIDR.findall(_COMMENT.sub("", text))))


def ifupdown(text: str) -> list[IPv4Network]:
    """interfaces(5): `address A/N`, or `address A` and `netmask M` in one stanza."""
    bare = _COMMENT.sub("", text)
    found = cidrs(bare)
    stanza: dict[str, str] = {}
    for line in [*bare.splitlines(), "auto end"]:
        if _STANZA.match(line):
            if "address" in stanza:
                found.extend(_networks([f"{stanza['address']}/{stanza.get('netmask', '24')}"]))
            stanza = {}
        elif option := _OPTION.match(line):
            stanza[option[1]] = option[2]
    return found


def openvpn(text: str) -> list[IPv4Network]:
    """`server`, `route`, `ifconfig` of openvpn(8): an address and its mask, or two ends."""
    bare = _COMMENT.sub("", text)
    found = cidrs(bare)
    for first, second in _OPENVPN.findall(bare):
        # A point-to-point `ifconfig LOCAL REMOTE` is no mask: two single addresses.
        found.extend(_networks([f"{first}/{second}"]) if second.startswith("255.")
                     else _networks([f"{first}/32", f"{second}/32"]))
    return found


def libvirt(text: str) -> list[IPv4Network]:
    """`<ip>` and `<route>` of a libvirt network."""
    words = []
    for element in _XML_ADDRESS.findall(_XML_COMMENT.sub("", text)):
        said = dict(_XML_ATTRIBUTE.findall(element))
        if "address" in said:
            words.append(f"{said['address']}/{said.get('prefix') or said.get('netmask') or '24'}")
    return list(_networks(words))


def vmware(text: str) -> list[IPv4Network]:
    """/etc/vmware/networking: `answer VNET_8_HOSTONLY_SUBNET A`, `… NETMASK M`."""
    said: dict[str, dict[str, str]] = {}
    for number, key, value in _VMWARE.findall(text):
        said.setdefault(number, {})[key] = value
    return list(_networks(f"{one['SUBNET']}/{one.get('NETMASK', '24')}"
                          for one in said.values() if "SUBNET" in one))


def _networks(words: Iterable[str]) -> Iterator[IPv4Network]:
    for word in words:
        try:
            network = IPv4Network(word, strict=False)
        except ValueError:  # 300.1.2.3/24, a version number: no network
            continue
        if network.prefixlen >= SHORTEST and not network.is_loopback \
                and not network.is_unspecified and not network.is_multicast:
            yield network


def choose_network(taken: Iterable[IPv4Network], seed: str,
                   pools: Sequence[IPv4Network] = (POOL, *FALLBACKS)) -> IPv4Interface:
    """The host's address `.1` on a /24 that overlaps none of `taken`, always the same for a seed.

    First where no other program has its defaults, then anywhere in the pools. Raises `Refused` when nothing
    is left.
    """
    occupied = sorted(set(taken))
    for avoided in ([*occupied, *WELL_KNOWN], occupied):
        for pool in pools:
            for network in _free(pool, avoided, seed):
                return IPv4Interface(f"{network.network_address + 1}/{network.prefixlen}")
    raise Refused(what=_("choose a network"), why=_("every network of {pools} overlaps one in use").format(
        pools=", ".join(map(str, pools))))


def _free(pool: IPv4Network, avoided: Iterable[IPv4Network], seed: str) -> Iterator[IPv4Network]:
    """Each /24 of `pool` that overlaps none of `avoided`, once, in an order that depends on the seed.

    A pool that is smaller is taken whole.
    """
    if pool.prefixlen > 24:  # less than one: taken whole
        if pool.prefixlen <= 30 and not any(net.overlaps(pool) for net in avoided):
            yield pool
        return
    # Numbers of /24s: tens of thousands of candidates are too many for objects.
    spans = [(int(net.network_address) >> 8, int(net.broadcast_address) >> 8)
             for net in avoided if net.overlaps(pool)]
    first, count = int(pool.network_address) >> 8, pool.num_addresses >> 8
    if any(low <= first and first + count - 1 <= high for low, high in spans):
        return
    digest = hashlib.sha256(f"vdenet network\0{seed}".encode()).digest()
    at = int.from_bytes(digest[:4], "big") % count
    # `count` is a power of two: an odd stride meets every member.
    stride = (int.from_bytes(digest[4:8], "big") | 1) % count
    for _turn in range(count):
        number = first + at
        if not any(low <= number <= high for low, high in spans):
            yield IPv4Network((number << 8, 24))
        at = (at + stride) % count


def choose_ula(seed: str) -> IPv6Interface:
    """The host's IPv6 address `::1` on a unique local /64 (RFC 4193, section 3.2.2), from the seed."""
    digest = hashlib.sha256(f"vdenet ula\0{seed}".encode()).digest()
    prefix = bytes([0xFD]) + digest[:5] + bytes(2)
    return IPv6Interface((int.from_bytes(prefix + bytes(7) + b"\1", "big"), 64))


ULA = IPv6Network("fd00::/8")
"""Locally assigned unique local addresses."""

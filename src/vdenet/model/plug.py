"""Other switches that are plugged into a segment, by URLs of a closed list of kinds.

A URL becomes a value here and is written anew from it: vde_plug(1) takes many more, among them `cmd://` which runs a
command, reads what it gets with quotes and escapes of its own, and takes any beginning of a key's name for the key.
What each kind may say: libvdeplug_vde(1), libvdeplug_udp(1), libvdeplug_vxvde(1), libvdeplug_vxlan(1), and their
sources in vdeplug4 4.0.1, which is Debian 12's and 13's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from vdenet.errors import BadValue
from vdenet.i18n import _

MAX_URL = 200
_MAX_PATH = 90
"""The plug puts `/.PID-NUMBER` behind it, and an address of a Unix socket ends after 108 bytes (unix(7))."""
_PATH = re.compile(r"(/[A-Za-z0-9_+.-]+)+", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,14}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Local:
    """Another vde_switch of this host, by its control directory."""

    path: str
    port: int | None = None

    @property
    def argument(self) -> str:
        """As vde_plug takes it."""
        return str(self)

    def __str__(self) -> str:
        return f"vde://{self.path}" + ("" if self.port is None else f"[{self.port}]")


@dataclass(frozen=True, slots=True)
class Udp:
    """One frame a datagram, between an address and port here and those of one peer."""

    local: Address | None
    local_port: int
    peer: Address
    peer_port: int

    def __str__(self) -> str:
        here = "" if self.local is None else f"{_bracketed(self.local)}:"
        return f"udp://{here}{self.local_port}->{_bracketed(self.peer)}:{self.peer_port}"

    @property
    def argument(self) -> str:
        """As vde_plug takes it: without brackets, the last colon counts."""
        here = "" if self.local is None else f"{self.local}:"
        return f"udp://{here}{self.local_port}->{self.peer}:{self.peer_port}"


@dataclass(frozen=True, slots=True)
class Group:
    """All who are in a multicast group, by `vxvde` or `vxlan`."""

    scheme: str
    address: Address
    port: int | None = None
    vni: int | None = None
    ttl: int | None = None
    interface: str | None = None

    @property
    def argument(self) -> str:
        """As vde_plug takes it.

        The vxlan of vdeplug4 4.0.1 reads the sender's address into a space whose size it takes from what happens to
        lie there, so what it learns of where a MAC is has no address. Without a table it sends all to the group.
        """
        return f"{self}/hashsize=0" if self.scheme == "vxlan" else str(self)

    def __str__(self) -> str:
        given = (("port", self.port), ("vni", self.vni), ("ttl", self.ttl), ("if", self.interface))
        return f"{self.scheme}://{self.address}" + "".join(
            f"/{key}={value}" for key, value in given if value is not None)


@dataclass(frozen=True, slots=True)
class Remote:
    """A vde_switch of another host, through ssh(1)."""

    user: str
    host: str
    port: int | None
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user}@{host}" + ("" if self.port is None else f":{self.port}") + self.path


Target = Local | Udp | Group | Remote


@dataclass(frozen=True, slots=True)
class Plug:
    """One [[plug]]: `url` is one that `target` has read and written."""

    url: str
    name: str | None = None
    """What people call it."""
    port: int | None = None
    """Which port of the segment's own switch it is on; None for the first that is free."""

    @property
    def scheme(self) -> str:
        """The kind, as policy.toml calls it."""
        return self.url.partition("://")[0]

    @property
    def title(self) -> str:
        """What it is called where its URL alone would not do."""
        return self.url if self.name is None else f"{self.name} ({self.url})"


def target(text: str) -> Target:
    """What a URL means. Raises `BadValue`."""
    scheme, found, rest = text.partition("://")
    if len(text) > MAX_URL or not found or scheme not in SCHEMES:
        raise _bad(text, _("expected a URL that begins with one of {schemes}").format(
            schemes=", ".join(f"{scheme}://" for scheme in SCHEMES)))
    return SCHEMES[scheme](text, rest)


def _bad(text: str, why: str) -> BadValue:
    return BadValue(what=_("URL"), value=text, why=why)


def _bracketed(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _path(text: str, path: str) -> str:
    """The control directory of a switch: plain characters only, for other programs and shells to pass on."""
    if len(path) > _MAX_PATH or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise _bad(text, _("expected the full path of a switch's directory, of at most {most} letters, digits "
                           "and _ + . -").format(most=_MAX_PATH))
    return path


def _number(text: str, word: str, most: int, least: int = 1) -> int:
    if not _NUMBER.fullmatch(word) or not least <= int(word) <= most:
        raise _bad(text, _("{word!r}: expected a number from {least} to {most}").format(
            word=word, least=least, most=most))
    return int(word)


def _local(text: str, rest: str) -> Local:
    path, bracket, port = rest.partition("[")
    if bracket and not port.endswith("]"):
        raise _bad(text, _("expected such as vde:///run/vde2/lab[5] for its port 5"))
    return Local(_path(text, path), _number(text, port[:-1], 1023) if bracket else None)


def _address(text: str, word: str) -> Address:
    try:
        if word.startswith("[") and word.endswith("]"):
            found: Address = IPv6Address(word[1:-1])
        else:
            found = IPv4Address(word)
    except ValueError:
        raise _bad(text, _("{word!r}: expected an IP address, version 6 in brackets").format(word=word)) from None
    if isinstance(found, IPv6Address) and (found.scope_id is not None or found.ipv4_mapped is not None):
        raise _bad(text, _("{word!r}: expected an address that every interface knows").format(word=word))
    return found


def _udp(text: str, rest: str) -> Udp:
    here, arrow, there = rest.partition("->")
    peer, colon, peer_port = there.rpartition(":")
    if not arrow or not colon:
        raise _bad(text, _("expected such as udp://5000->192.0.2.7:5000"))
    local, colon, local_port = here.rpartition(":")
    found = Udp(_address(text, local) if colon else None, _number(text, local_port, 65535, least=1024),
                _address(text, peer), _number(text, peer_port, 65535))
    if found.local is not None and found.local.version != found.peer.version:
        raise _bad(text, _("one end has an IPv4 address and the other an IPv6 address"))
    for end in (found.local, found.peer):
        if end is not None and (end.is_multicast or end.is_unspecified or end == IPv4Address("255.255.255.255")):
            raise _bad(text, _("{address} is no host's address").format(address=end))
    return found


def _group(scheme: str) -> Callable[[str, str], Group]:
    def read(text: str, rest: str) -> Group:
        word, *given = rest.split("/")
        try:
            address = ip_address(word or "239.0.0.1")
        except ValueError:
            address = None
        if address is None or not address.is_multicast or "%" in word:
            raise _bad(text, _("{word!r}: expected the address of a multicast group, such as 239.1.2.3").format(
                word=word))
        values: dict[str, str] = {}
        for one in given:
            key, equals, value = one.partition("=")
            if not equals or key not in ("port", "vni", "ttl", "if") or key in values:
                raise _bad(text, _("{word!r}: expected each of port=, vni=, ttl=, if= at most once").format(word=one))
            values[key] = value
        interface = values.get("if")
        if interface is not None and (not _INTERFACE.fullmatch(interface) or interface in (".", "..")):
            raise _bad(text, _("{word!r}: expected the name of an interface, such as eth0").format(word=interface))
        limits = {"port": (65535, 1024), "vni": (0xFFFFFF, 1), "ttl": (255, 1)}
        numbers = {key: _number(text, values[key], most, least) if key in values else None
                   for key, (most, least) in limits.items()}
        return Group(scheme, address, numbers["port"], numbers["vni"], numbers["ttl"], interface)
    return read


def _ssh(text: str, rest: str) -> Remote:
    where, slash, path = rest.partition("/")
    user, at, place = where.partition("@")
    matched = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", place)
    if not at or not slash or matched is None:
        raise _bad(text, _("expected such as ssh://USER@HOST/run/vdenet/vdenet0/switch"))
    if not _USER.fullmatch(user):
        raise _bad(text, _("{word!r}: expected the name of an account").format(word=user))
    host = str(_address(text, matched[1])) if matched[1].startswith("[") else matched[1]
    if ":" not in host and not _HOST.fullmatch(host):
        raise _bad(text, _("{word!r}: expected the name or the address of a host").format(word=host))
    port = None if matched[2] is None else _number(text, matched[2], 65535)
    return Remote(user, host, port, _path(text, f"/{path}"))


SCHEMES: Mapping[str, Callable[[str, str], Target]] = {
    "vde": _local, "vxvde": _group("vxvde"), "vxlan": _group("vxlan"), "udp": _udp, "ssh": _ssh}
"""The closed list."""

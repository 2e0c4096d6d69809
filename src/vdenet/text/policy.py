"""/etc/vdenet/policy.toml: what the admin lets members do, parsed into a `Policy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from typing import Any, TypeVar

from vdenet.errors import BadValue
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.plug import SCHEMES
from vdenet.model.policy import DEFAULT, Policy
from vdenet.model.segment import OpenPort
from vdenet.text.config import mode
from vdenet.text.config.reader import Reader, load

KEYS = ("pools", "modes", "domains", "open", "change", "segments", "guests", "uplinks", "adopt", "plugs", "netboot",
        "vlans")
"""What may stand in the file; vdenet-policy.toml(5) has an item for each."""

MAX_COUNT = 4096

Value = TypeVar("Value")


def parse(text: str, where: str) -> Policy:
    """The policy that `text` states; `where` is the file's path, for messages.

    Raises `BadConfig` with file, line and column.
    """
    table = load(text, where)
    reader = Reader(text, where)
    reader.known(table, KEYS)
    return Policy(
        pools=_list(reader, table, "pools", _pool, DEFAULT.pools),
        modes=_list(reader, table, "modes", mode, DEFAULT.modes),
        domains=_list(reader, table, "domains", names.domain_name, DEFAULT.domains),
        open=_list(reader, table, "open", _port, DEFAULT.open),
        change=reader.boolean(table, "change", DEFAULT.change),
        segments=reader.number(table.get("segments", DEFAULT.segments), "segments", 0, MAX_COUNT),
        guests=reader.number(table.get("guests", DEFAULT.guests), "guests", 0, MAX_COUNT),
        uplinks=_list(reader, table, "uplinks", _interface, DEFAULT.uplinks),
        adopt=_list(reader, table, "adopt", _interface, DEFAULT.adopt),
        plugs=_list(reader, table, "plugs", _scheme, DEFAULT.plugs),
        netboot=_list(reader, table, "netboot", _directory, DEFAULT.netboot),
        vlans=reader.boolean(table, "vlans", DEFAULT.vlans))


def _list(reader: Reader, table: Mapping[str, Any], key: str, check: Callable[[str], Value],
          default: tuple[Value, ...]) -> tuple[Value, ...]:
    value = table.get(key)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise reader.bad(key, _("expected a list of strings, such as [\"…\", \"…\"]"))
    return tuple(reader.checked(key, entry, check) for entry in value)


def _bad(what: str, text: str, why: str) -> BadValue:
    return BadValue(what=what, value=text, why=why)


def _pool(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text)
    except ValueError:
        network = None
    if network is None or "/" not in text or not any(network.subnet_of(p) for p in names.PRIVATE_NETWORKS):
        raise _bad(_("pool"), text, _("expected a private network, such as 10.83.0.0/16"))
    return network


def _port(text: str) -> OpenPort:
    protocol, _slash, number = text.partition("/")
    if protocol not in ("tcp", "udp") or not number.isascii() or not number.isdecimal() \
            or not 0 < int(number) < 65536:
        raise _bad(_("port"), text, _("expected protocol and port, such as tcp/22"))
    return OpenPort(protocol, int(number))


def _interface(text: str) -> str:
    if not 0 < len(text) <= names.IFNAMSIZ or not text.isascii() or not text.isprintable() \
            or set(text) & set(" /:") or text in (".", ".."):
        raise _bad(_("interface"), text, _("expected the name of an interface, such as eth0"))
    return text


def _scheme(text: str) -> str:
    if text not in SCHEMES:
        raise _bad(_("plug"), text, _("expected one of {schemes}").format(schemes=", ".join(SCHEMES)))
    return text


def _directory(text: str) -> str:
    if not text.startswith("/") or not text.isprintable() or ".." in text.split("/"):
        raise _bad(_("directory"), text, _("expected the full path of a directory, such as /srv/tftp"))
    return text.rstrip("/") or "/"

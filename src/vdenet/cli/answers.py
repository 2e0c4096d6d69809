"""The daemon's answers as the package's own types, checked at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vdenet.errors import ProtocolError
from vdenet.i18n import _
from vdenet.model.joining import Where
from vdenet.model.report import Finding, GuestReport, PlugReport, SegmentReport, Severity, State


def segments(parameters: Mapping[str, Any]) -> list[SegmentReport]:
    """What List answered. Raises `ProtocolError`."""
    return [_segment(item) for item in _objects(parameters, "segments")]


def segment(parameters: Mapping[str, Any]) -> SegmentReport:
    """What List answered when it was asked for one. Raises `ProtocolError`."""
    found = segments(parameters)
    if len(found) != 1:
        raise _bad("segments")
    return found[0]


def where(of: SegmentReport) -> Where:
    """The segment's names and paths, as kinds of guests take them."""
    return Where(of.name, of.bridge, of.switch)


def findings(parameters: Mapping[str, Any]) -> list[Finding]:
    """What Check answered. Raises `ProtocolError`."""
    return [Finding(text(item, "code"), _severity(item), maybe(item, "segment"),
                    text(item, "message"), maybe(item, "hint"))
            for item in _objects(parameters, "findings")]


def text(item: Mapping[str, Any], key: str) -> str:
    """A string that has to be there. Raises `ProtocolError`."""
    value = item.get(key)
    if not isinstance(value, str):
        raise _bad(key)
    return value


def maybe(item: Mapping[str, Any], key: str) -> str | None:
    """A string, or None. Raises `ProtocolError`."""
    return None if item.get(key) is None else text(item, key)


def number(item: Mapping[str, Any], key: str) -> int | None:
    """A whole number, or None. Raises `ProtocolError`."""
    value = item.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _bad(key)
    return value


def numbers(item: Mapping[str, Any], key: str) -> tuple[int, ...]:
    """Whole numbers; absent is none. Raises `ProtocolError`."""
    value = item.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        raise _bad(key)
    return tuple(value)


def texts(item: Mapping[str, Any], key: str) -> list[str]:
    """A list of strings; absent is empty. Raises `ProtocolError`."""
    value = item.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _bad(key)
    return value


def _segment(item: Mapping[str, Any]) -> SegmentReport:
    try:
        state = State(text(item, "state"))
    except ValueError:
        raise _bad("state") from None
    return SegmentReport(
        name=text(item, "name"), state=state, address=maybe(item, "address"),
        address6=maybe(item, "address6"), mode=text(item, "mode"), domain=text(item, "domain"),
        bridge=text(item, "bridge"), tap=text(item, "tap"), switch=text(item, "switch"),
        guests=tuple(_guest(guest) for guest in _objects(item, "guests")), owner=maybe(item, "owner"),
        plugs=tuple(_plug(plug) for plug in (_objects(item, "plugs") if item.get("plugs") else ())),
        vlans=numbers(item, "vlans"))


def _plug(item: Mapping[str, Any]) -> PlugReport:
    port = item.get("port")
    if port is not None and not isinstance(port, int):
        raise _bad("port")
    return PlugReport(url=text(item, "url"), name=maybe(item, "name"), state=text(item, "state"), port=port,
                      why=maybe(item, "why"))


def _guest(item: Mapping[str, Any]) -> GuestReport:
    vlan = item.get("vlan")
    if vlan is not None and not isinstance(vlan, int):
        raise _bad("vlan")
    return GuestReport(
        name=maybe(item, "name"), mac=text(item, "mac"), address=maybe(item, "address"),
        fqdn=maybe(item, "fqdn"), via=text(item, "via"), port=maybe(item, "port"), vlan=vlan,
        owner=maybe(item, "owner"), kind=maybe(item, "kind"), guest=maybe(item, "guest"),
        joined=item.get("joined") is True)


def _severity(item: Mapping[str, Any]) -> Severity:
    try:
        return Severity(text(item, "severity"))
    except ValueError:
        raise _bad("severity") from None


def _objects(item: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = item.get(key)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _bad(key)
    return value


def _bad(key: str) -> ProtocolError:
    return ProtocolError(why=_("its answer has no usable {key}").format(key=key))

"""What the daemon would say to a guest that it is to give a port or a name: the dry runs of `join qemu`.

As far as the caller can see; who is away and keeps a name, only the daemon knows.
"""

from __future__ import annotations

import os
from typing import Any

from vdenet.cli import access, answers, claims
from vdenet.cli.client import ask
from vdenet.cli.destination import destination
from vdenet.errors import MacTaken, NameTaken
from vdenet.i18n import _
from vdenet.model.names import DEFAULT_SEGMENT, derived_mac, port_name, same_on_host_side
from vdenet.model.report import GuestReport, SegmentReport
from vdenet.probe import links


def qemu(segment: str, label: str | None, mac: str | None, vlan: int | None, *, kept: bool = False) -> dict[str, Any]:
    """What the daemon would give a guest of QEMU's; with `kept`, its tap, which may be there already.

    Without a name, its name and MAC address are the daemon's choice. Raises as `destination`, and `NameTaken`,
    `MacTaken`.
    """
    where = destination(segment, vlan)
    known = next((one for one in where.guests if kept and _is_kept(one)
                  and (one.name == label if mac is None else one.mac == mac)), None)
    if mac is None:
        mac = known.mac if known is not None else None if label is None else derived_mac(
            segment, str(os.getuid()), label)
    for one in where.guests:
        if one.joined and one is not known:
            _refuse_a_second(where, one, label, mac)
    if label is not None:
        claims.require_not_another("qemu", segment, label, "", None)
    port = known.port if known is not None else None
    return {"segment": segment, "name": label, "mac": mac, "fqdn": label and f"{label}.{where.domain}",
            "vlan": vlan if vlan is not None else _by_the_file(where, label, mac), "switch": where.switch,
            "port": port or (label and port_name(segment, label, frozenset(
                one.port for one in where.guests if one.port is not None)))}


def _refuse_a_second(where: SegmentReport, one: GuestReport, label: str | None, mac: str | None) -> None:
    """Raises `NameTaken`, `MacTaken` where a guest there has the name or the MAC address, as the daemon does."""
    named = one.name == label
    if not _is_mine(one):
        if named:
            raise NameTaken(name=label, why=_("another user's guest has it"))
        if mac is not None and same_on_host_side(one.mac, mac):
            raise MacTaken(mac=mac, why=_("another user's guest has it") if one.mac == mac else
                           _("another user's guest has it, but for its first octet"))
    elif not named and one.mac != mac:
        return
    elif one.kind != "qemu":
        freed = {"kind": one.kind, "guest": one.name, "segment": None if where.name == DEFAULT_SEGMENT else where.name}
        if named:
            raise NameTaken(name=label, why=_("your {kind} guest of that name has it").format(kind=one.kind), **freed)
        raise MacTaken(mac=mac, why=_("your {kind} guest {name} has it").format(kind=one.kind, name=one.name), **freed)
    elif one.via == "tap":  # else it comes by itself, and this is the same guest
        if named:
            raise NameTaken(name=label, why=_("your guest of that name is on the segment already"))
        raise MacTaken(mac=mac, why=_("your guest {name} has it").format(name=one.name))


def _is_kept(one: GuestReport) -> bool:
    """Whether it is a tap of the caller's that stays, rather than that of a QEMU that runs."""
    return _is_mine(one) and one.kind == "qemu" and one.port is not None and links.stays(one.port)


def _is_mine(one: GuestReport) -> bool:
    return one.joined and one.owner in (None, access.account().name)


def _by_the_file(where: SegmentReport, label: str | None, mac: str | None) -> int | None:
    """The VLAN that the segment's file gives the guest."""
    if not where.vlans or mac is None:
        return None
    from vdenet.text import config

    text = answers.text(ask("Export", segment=where.name), "text")
    host = config.parse(text, where.name, f"{where.name}.toml").host_of(mac, label or "")
    return None if host is None else host.vlan

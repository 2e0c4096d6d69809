"""join of guests that exist already: the way that all kinds share. `vdenet.cli.leaving` has the way back.

Look the guest up, reserve its name at the daemon, remember what was there before, carry out what the kind
says. When an action fails, those before it are taken back and the name is freed: nothing is half done.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vdenet.cli import access, answers, carrying, claims, documents, kinds, memory, tunnelling
from vdenet.cli.client import ask, require_access
from vdenet.cli.memory import Entry
from vdenet.cli.output import Output
from vdenet.errors import Refused, SegmentDown, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Found, Joining, Place, Wish
from vdenet.model.names import derived_mac, port_name
from vdenet.model.report import SegmentReport, State
from vdenet.model.vlans import undeclared

_TO_BE_CHOSEN = "PORT"
"""What stands for a port that the daemon has not chosen yet, in a dry run."""


def join(kind: str, guest: str, name: str | None, wish: Wish, segment: str, dry_run: bool,
         output: Output) -> None:
    """Put the guest on the segment. Raises what the kind, the tools and the daemon raise."""
    asked = wish.vlan
    require_access()
    with memory.alone(kind):
        where = answers.segment(ask("List", segment=segment))
        if where.state is State.DOWN:
            raise SegmentDown(what=_("join"), segment=segment)
        if wish.vlan is not None and wish.vlan not in where.vlans and kinds.TABLE[kind].vlan:
            raise undeclared(segment, wish.vlan, where.vlans)
        looked_up = kinds.look_up(kind, guest, wish.connect)
        found = looked_up.found(wish, answers.where(where))
        earlier = memory.load(kind, segment, looked_up.id)
        label = name or (earlier.name if earlier else found.label)
        claims.require_name(label)
        gone = claims.predecessor(kind, segment, label, guest, looked_up.id, wish.connect)
        if gone is None:
            claims.require_free(where, label, found, earlier)
        claims.require_not_another(kind, segment, label, looked_up.id, gone)
        if found.stale is not None and not dry_run:
            _clear(kind, where, found.stale)
        if dry_run:
            reserved = _imagined(where, label, found, wish.vlan)
        else:
            reserved = _plugged(where, kind, label, found, wish) if found.plugged else \
                _reserve(kind, segment, label, found, wish.vlan)
        try:
            if wish.vlan is None and not found.plugged and (given := answers.number(reserved, "vlan")) is not None:
                # The segment's file puts it there, and not every way leads there.
                wish = replace(wish, vlan=given)
                other = looked_up.found(wish, answers.where(where))
                if other != found:
                    second = _imagined(where, label, other, None) if dry_run else \
                        _reserve(kind, segment, label, other, None)
                    _require_same_vlan(guest, where, given, found, second)
                    found, reserved = other, second
            joining = looked_up.join(wish, _placed(where, found, reserved))
            if not dry_run:
                # What was there before the first join is what leave puts back, however often it was
                # joined since.
                known = earlier or (gone if kinds.TABLE[kind].by_path else None)
                data = known.data if known and found.joined else joining.memory or None
                said = _carry_out(kind, joining, Entry(
                    segment, looked_up.id, guest, label, data, asked, where.bridge, where.switch,
                    _formerly(guest, earlier), answers.text(reserved, "mac")), earlier)
                joining = replace(joining, warnings=(*joining.warnings, *said))
        except BaseException:
            if not dry_run:
                with contextlib.suppress(VdenetError):
                    if not _give_back(kind, where, label, found, earlier, looked_up.id, wish.connect):
                        output.aside(tunnelling.ended(guest))
            raise
        if not dry_run and earlier is not None and earlier.name != label \
                and not claims.is_anothers(where, earlier.name, found.mac):
            ask("Leave", segment=segment, name=earlier.name, kind=kind)
        if not dry_run and gone is not None:
            memory.forget(kind, segment, gone.id)
        if not dry_run and found.running and joining.actions:
            joining = replace(joining, warnings=(*joining.warnings, *tunnelling.left_behind(found.guest_port)))
    moved = found.joined and earlier is not None and earlier.vlan != asked
    _tell(kind, guest, reserved, segment, joining, found.running, moved, dry_run, output)


def _clear(kind: str, where: SegmentReport, mac: str) -> None:
    """Have the daemon take away a port that nobody keeps any more."""
    for one in where.guests:
        if one.kind == kind and one.joined and one.mac == mac and one.name is not None:
            ask("Leave", segment=where.name, name=one.name, kind=kind)


def _imagined(where: SegmentReport, label: str, found: Found, vlan: int | None) -> dict[str, Any]:
    """What the daemon would give the guest, for a dry run."""
    mac = found.mac or derived_mac(where.name, str(os.getuid()), label)
    if vlan is None and where.vlans and not found.plugged:
        from vdenet.text import config

        text = answers.text(ask("Export", segment=where.name), "text")
        host = config.parse(text, where.name, f"{where.name}.toml").host_of(mac, label)
        vlan = None if host is None else host.vlan
    return {"name": label, "mac": mac, "fqdn": f"{label}.{where.domain}",
            "port": _port(where, label, mac) if found.tap or vlan is not None else None,
            "vlan": vlan, "vde_port": None if vlan is None else _TO_BE_CHOSEN}


def _require_same_vlan(guest: str, where: SegmentReport, given: int, found: Found, second: Mapping[str, Any]) -> None:
    """Raises `Refused` where the guest has another MAC address in a VLAN, which the file does not put there."""
    if answers.number(second, "vlan") != given:
        mac = answers.text(second, "mac")
        raise Refused(what=_("join {guest}").format(guest=guest), why=_(
            "the configuration of {segment} puts the MAC address {mac} into VLAN {vlan}, and there it would have "
            "another").format(segment=where.name, mac=found.mac, vlan=given), hint=_(
                "write that into its [[host]]: mac = \"{mac}\"").format(mac=mac))


def _reserve(kind: str, segment: str, name: str, found: Found, vlan: int | None) -> dict[str, Any]:
    """The guest's name and MAC, and its tap, tunnel or port where it takes one."""
    method = "KeepTap" if found.tap else "KeepTunnel" if found.tunnel else "Reserve"
    by_itself = method == "Reserve"
    return ask(method, segment=segment, name=name, mac=found.mac, kind=kind, vlan=vlan,
               back=(found.tunnelled and method == "KeepTunnel") or None,
               plug=(found.plug and by_itself) or None, handed=(found.handed and by_itself) or None)


def _placed(where: SegmentReport, found: Found, reserved: Mapping[str, Any]) -> Place:
    """What the daemon gave the guest, as the kind takes it."""
    plug = reserved.get("vde_port") if found.plug else None
    return Place(
        where.name, where.bridge, where.switch, answers.text(reserved, "name"), answers.text(reserved, "mac"),
        answers.text(reserved, "port") if found.tap else answers.maybe(reserved, "port") if found.handed else None,
        _ports(reserved) if found.tunnel else None, answers.number(reserved, "vlan"),
        None if plug is None else str(plug))


def _plugged(where: SegmentReport, kind: str, name: str, found: Found, wish: Wish) -> dict[str, Any]:
    """The name and MAC of a guest that has its port. Raises `Refused` when another name or VLAN is asked for."""
    known = next((guest for guest in where.guests if guest.mac == found.mac and guest.kind == kind), None)
    if known is None or known.name != name:
        now = found.mac if known is None else known.name
        raise Refused(what=_("join {guest}").format(guest=name), hint=_("let it leave first"),
                      why=_("it is on the segment already, as {name}").format(name=now))
    if wish.vlan not in (None, known.vlan):
        raise Refused(what=_("join {guest}").format(guest=name), hint=_("let it leave first"), why=_(
            "it is on the segment already, in another VLAN") if known.vlan is None else _(
            "it is on the segment already, in VLAN {vlan}").format(vlan=known.vlan))
    return {"name": known.name, "mac": known.mac, "fqdn": known.fqdn, "vlan": known.vlan}


def _port(where: SegmentReport, label: str, mac: str) -> str:
    """What the daemon would call the guest's tap."""
    ports = {guest.port: guest.mac for guest in where.guests if guest.port is not None}
    mine = next((port for port, other in ports.items() if other == mac), None)
    return mine or port_name(where.name, label, frozenset(ports))


def _ports(reserved: Mapping[str, Any]) -> tuple[str, str]:
    """Those of a tunnel; before the daemon has chosen them, what stands for them."""
    guest, segment = (reserved.get(key, _TO_BE_CHOSEN) for key in ("guest_port", "segment_port"))
    return str(guest), str(segment)


def _formerly(guest: str, earlier: Entry | None) -> tuple[str, ...]:
    """The other names by which it has joined: `leave` knows it by those, too."""
    names = () if earlier is None else (earlier.guest, *earlier.formerly)
    return tuple(name for name in dict.fromkeys(names) if name != guest)


def _carry_out(kind: str, joining: Joining, entry: Entry, earlier: Entry | None) -> list[str]:
    """Remember first: whatever happens from then on, `leave` knows the way back. What `carrying` says."""
    memory.save(kind, entry)
    try:
        return carrying.perform(joining.actions)
    except BaseException:
        if earlier is None:
            memory.forget(kind, entry.segment, entry.id)
        else:
            memory.save(kind, earlier)
        raise


def _give_back(kind: str, where: SegmentReport, label: str, found: Found, earlier: Entry | None, id: str,
               uri: str | None) -> bool:
    """The name as it was before a join that failed, and the tunnel where it came by one; False when that is not to be
    had."""
    known = next((one.name for one in where.guests if one.kind == kind and one.joined and one.mac == found.mac), None)
    before = earlier.name if earlier is not None else known
    if before is not None and found.joined:
        vlan = earlier.vlan if earlier is not None else None
        if found.tunnelled:
            return tunnelling.put_back(kind, id, uri, answers.where(where), before, found.mac, vlan, found.guest_port)
        if earlier is not None or before != label:
            as_it_was = replace(found, tunnel=False, plug=kinds.TABLE[kind].switchable)
            _reserve(kind, where.name, before, as_it_was, vlan)
    else:
        ask("Leave", segment=where.name, name=label, kind=kind)
    return True


def _tell(kind: str, guest: str, reserved: dict[str, Any], segment: str, joining: Joining, running: bool,
          moved: bool, dry_run: bool, output: Output) -> None:
    changed = moved or bool(joining.actions)
    document = documents.joined(
        kind, guest, {**reserved, "segment": segment}, via=joining.via, nic=joining.nic, why=joining.why,
        changed=changed and not dry_run, live=joining.live, running=running,
        actions=[str(action) for action in joining.actions], warnings=joining.warnings,
        notes=[] if joining.note is None else [joining.note])
    for warning in joining.warnings:
        output.aside(warning)
    if dry_run:
        output.result(carrying.shown(joining.actions), document)
        return
    if not changed:
        output.remark(_("{guest} is on {segment} already, as {fqdn}").format(
            guest=guest, segment=segment, fqdn=document["fqdn"]), document)
        return
    place = segment if document["vlan"] is None else _("VLAN {vlan} of {segment}").format(
        vlan=document["vlan"], segment=segment)
    if not joining.actions:
        output.remark(_("{guest} moves to {place}").format(guest=guest, place=place), document)
        return
    lines = [_("{guest} joins {place} as {fqdn}, {mac}, by {via}: {why}").format(
        guest=guest, place=place, fqdn=document["fqdn"], mac=document["mac"], via=joining.via,
        why=joining.why)]
    if running and not joining.live:
        lines.append(_("it is running: its next start brings it onto the segment"))
    if joining.note is not None:
        lines.append(joining.note)
    output.remark("\n".join(lines), document)
    if joining.group and access.account().late:
        output.aside(_("this login is older than the membership: log out and in again, else the guest cannot "
                       "start"))

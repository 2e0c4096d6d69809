"""join and leave of guests that exist already: the way that all kinds share.

Look the guest up, reserve its name at the daemon, remember what was there before, carry out what the kind
says. When an action fails, those before it are taken back and the name is freed: nothing is half done.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vdenet.cli import access, answers, carrying, kinds, memory
from vdenet.cli.client import Client, connect
from vdenet.cli.memory import Entry
from vdenet.cli.output import Output
from vdenet.errors import BadValue, NameTaken, NoGuest, NotPermitted, Refused, SegmentDown, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Action, Found, Joining, Leaving, Place, Where, Wish
from vdenet.model.names import derived_mac, port_name
from vdenet.model.report import SegmentReport, State


_PATIENCE = 10
"""Seconds for a guest's own system to let go of a card."""
_TO_BE_CHOSEN = "PORT"
"""What stands for a port that the daemon has not chosen yet, in a dry run."""


def join(kind: str, guest: str, name: str | None, wish: Wish, segment: str, dry_run: bool,
         output: Output) -> None:
    """Put the guest on the segment. Raises what the kind, the tools and the daemon raise."""
    asked = wish.vlan
    with connect() as daemon, memory.alone(kind):
        where = _segment(daemon, segment)
        if where.state is State.DOWN:
            raise SegmentDown(what=_("join"), segment=segment)
        if wish.vlan is not None:
            _require_vlan(where, wish.vlan)
        looked_up = kinds.look_up(kind, guest, wish.connect)
        found = looked_up.found(wish, _place(where))
        earlier = memory.load(kind, segment, looked_up.id)
        label = name or (earlier.name if earlier else found.label)
        gone = _predecessor(kind, segment, label, guest, looked_up.id, wish.connect)
        if gone is None:
            _require_free(where, label, found, earlier)
        _require_not_another(kind, segment, label, looked_up.id, gone)
        if dry_run:
            mac = found.mac or derived_mac(segment, str(os.getuid()), label)
            reserved = {"name": label, "mac": mac, "fqdn": f"{label}.{where.domain}",
                        "port": _port(where, label, mac) if found.tap or wish.vlan is not None else None,
                        "vlan": wish.vlan, "vde_port": None if wish.vlan is None else _TO_BE_CHOSEN}
        else:
            reserved = _plugged(where, kind, label, found, wish) if found.plugged else \
                _reserve(daemon, kind, segment, label, found, wish.vlan)
        try:
            if wish.vlan is None and not found.plugged and (given := answers.number(reserved, "vlan")) is not None:
                # The segment's file puts it there, and not every way leads there.
                wish = replace(wish, vlan=given)
                other = looked_up.found(wish, _place(where))
                if other != found:
                    found, reserved = other, _reserve(daemon, kind, segment, label, other, None)
            joining = looked_up.join(wish, _placed(where, found, reserved))
            if not dry_run:
                # What was there before the first join is what leave puts back, however often it was
                # joined since.
                data = earlier.data if earlier and found.joined else joining.memory or None
                said = _carry_out(kind, joining, Entry(segment, looked_up.id, guest, label, data, asked), earlier)
                joining = replace(joining, warnings=(*joining.warnings, *said))
        except BaseException:
            if not dry_run:
                with contextlib.suppress(VdenetError):
                    _give_back(daemon, kind, segment, label, found, earlier)
            raise
        if not dry_run and earlier is not None and earlier.name != label \
                and not _is_anothers(where, earlier.name, found.mac):
            daemon.call("Leave", segment=segment, name=earlier.name, kind=kind)
        if not dry_run and gone is not None:
            memory.forget(kind, segment, gone.id)
    moved = found.joined and earlier is not None and earlier.vlan != asked
    _tell(kind, guest, reserved, segment, joining, found.running, moved, dry_run, output)


def _require_vlan(where: SegmentReport, vlan: int) -> None:
    """Raises `BadValue` where the segment has no such VLAN, before anything is asked of a hypervisor."""
    if vlan not in where.vlans:
        raise BadValue(what=_("VLAN"), value=vlan, why=_("{segment} has the VLANs {vlans}").format(
            segment=where.name, vlans=", ".join(map(str, where.vlans))) if where.vlans else
            _("{segment} has no VLANs").format(segment=where.name))


def _reserve(daemon: Client, kind: str, segment: str, name: str, found: Found, vlan: int | None) -> dict[str, Any]:
    """The guest's name and MAC, and its tap, tunnel or port where it takes one."""
    method = "KeepTap" if found.tap else "KeepTunnel" if found.tunnel else "Reserve"
    by_itself = method == "Reserve"
    return daemon.call(method, segment=segment, name=name, mac=found.mac, kind=kind, vlan=vlan,
                       plug=(found.plug and by_itself) or None, handed=(found.handed and by_itself) or None).parameters


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


def _predecessor(kind: str, segment: str, label: str, guest: str, id: str, uri: str | None) -> Entry | None:
    """The guest that was called so before, joined and was deleted since: this one takes its place.

    An id is one word, or one behind the name of the hypervisor that has the guest. A guest that cannot be looked
    up by it may be alive.
    """
    if kind not in kinds.BY_ID:
        return None
    for entry in memory.named(kind, segment, label):
        if entry.guest != guest or entry.id == id or entry.id.rpartition(" ")[0] != id.rpartition(" ")[0]:
            continue
        try:
            kinds.look_up(kind, entry.id.rpartition(" ")[2], uri)  # it may only have another name by now
        except NoGuest:
            return entry
        except VdenetError:
            continue
    return None


def _require_free(where: SegmentReport, label: str, found: Found, earlier: Entry | None) -> None:
    """Raises `NameTaken` when another guest of the caller's has the name: the daemon would hand it over."""
    if earlier is not None and earlier.name == label:
        return
    if any(guest.name == label and guest.joined and guest.mac != found.mac
           for guest in where.guests):
        raise NameTaken(name=label, why=_("a guest of that name is on the segment already"))


def _require_not_another(kind: str, segment: str, label: str, id: str, gone: Entry | None) -> None:
    """Raises `NameTaken` when another guest of the user's has joined under the name, which may be off and so not
    be seen: it has the name, and with that the MAC address, for good."""
    for other in kinds.TABLE:
        for entry in memory.named(other, segment, label):
            if (other, entry.id) != (kind, id) and entry != gone:
                raise NameTaken(name=label, why=_("your {kind} guest {guest} has it").format(
                    kind=other, guest=entry.guest))


def _is_anothers(where: SegmentReport, name: str, mac: str | None) -> bool:
    """Whether a name that was the caller's guest's is by now that of another account's: while a guest without
    a port is away, others may take its name."""
    mine = access.account().name
    return any(one.name == name and one.joined and one.mac != mac and one.owner not in (None, mine)
               for one in where.guests)


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


def _give_back(daemon: Client, kind: str, segment: str, label: str, found: Found,
               earlier: Entry | None) -> None:
    """The name as it was before a join that failed."""
    if earlier is not None and found.joined:
        before = replace(found, tunnel=found.tunnelled, plug=kind in kinds.SWITCHABLE and not found.tunnelled)
        _reserve(daemon, kind, segment, earlier.name, before, earlier.vlan)
    elif not found.joined:
        daemon.call("Leave", segment=segment, name=label, kind=kind)


def _tell(kind: str, guest: str, reserved: dict[str, Any], segment: str, joining: Joining, running: bool,
          moved: bool, dry_run: bool, output: Output) -> None:
    changed = moved or bool(joining.actions)
    document = {
        "segment": segment, "kind": kind, "guest": guest, "name": answers.text(reserved, "name"),
        "mac": answers.text(reserved, "mac"), "fqdn": answers.text(reserved, "fqdn"),
        "vlan": answers.number(reserved, "vlan"), "via": joining.via,
        "nic": joining.nic, "why": joining.why, "changed": changed and not dry_run,
        "live": joining.live, "running": running, "actions": [str(action) for action in joining.actions],
        "warnings": list(joining.warnings)}
    for warning in joining.warnings:
        output.aside(warning)
    if dry_run:
        output.result(_commands(joining.actions), document)
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


def leave(kind: str, guest: str, uri: str | None, segment: str, dry_run: bool, output: Output) -> None:
    """Take the guest off the segment and put back what was there before `join`."""
    with connect() as daemon, memory.alone(kind):
        where = _segment(daemon, segment)
        try:
            looked_up = kinds.look_up(kind, guest, uri)
        except NoGuest:
            # Its hypervisor knows it no more: what is left of it is its name here.
            earlier = memory.called(kind, segment, guest)
            if earlier is None:
                raise
            leaving = Leaving((), live=False)
        else:
            earlier = memory.load(kind, segment, looked_up.id)
            leaving = looked_up.leave(_place(where), earlier.data if earlier else None)
        on = next((one for one in where.guests if one.kind == kind and one.joined and one.mac == leaving.mac), None)
        if on is not None and os.geteuid() != 0 and on.owner not in (None, access.account().name):
            raise NotPermitted(what=_("take {guest} off the segment").format(guest=guest),
                               why=_("it was joined by {owner}").format(owner=on.owner))
        name = earlier.name if earlier else on.name if on else None
        if name is not None and _is_anothers(where, name, leaving.mac):
            name = None
        left = bool(leaving.actions)
        holds_on = False
        if not dry_run:
            carrying.perform(leaving.actions)
            holds_on = leaving.lingers and _is_still_on(kind, guest, uri, where, leaving.live)
            left &= not holds_on
            if name is not None and not holds_on:
                left |= bool(daemon.call("Leave", segment=segment, name=name, kind=kind
                                         ).parameters.get("left"))
            if earlier is not None and not holds_on:
                memory.forget(kind, segment, earlier.id)
    document = {"segment": segment, "kind": kind, "guest": guest, "name": name,
                "left": left and not dry_run, "live": leaving.live,
                "actions": [str(action) for action in leaving.actions]}
    if dry_run:
        output.result(_commands(leaving.actions) if leaving.actions or name is None else
                      _("{name} leaves {segment}").format(name=name, segment=segment), document)
        return
    if holds_on:
        text = _("{guest} is still on {segment}: what runs in it has not let go of the card; leave again when it "
                 "has, or when it is off")
    else:
        text = _("{guest} has left {segment}") if left else _("{guest} is not on {segment}")
        if leaving.actions and leaving.running and not leaving.live:
            text += "\n" + _("it is running: it is off the segment when it ends")
    if leaving.actions and leaving.note is not None:
        text += "\n" + leaving.note
    output.remark(text.format(guest=guest, segment=segment), document)


def _is_still_on(kind: str, guest: str, uri: str | None, where: SegmentReport, asked: bool) -> bool:
    """Whether a running guest still has its card; where it was `asked` to let go, it gets some seconds.

    Its port must not be taken from under it: QEMU would end as soon as the machine sets its card up again.
    """
    for _second in range(_PATIENCE if asked else 1):
        try:
            if not kinds.look_up(kind, guest, uri).leave(_place(where), None).actions:
                return False
        except VdenetError:
            return False
        time.sleep(1 if asked else 0)
    return True


def _commands(actions: Sequence[Action]) -> str:
    return "\n".join(str(action) for action in actions) or _("nothing to do")


def _segment(daemon: Client, name: str) -> SegmentReport:
    return answers.segments(daemon.call("List", segment=name).parameters)[0]


def _place(of: SegmentReport) -> Where:
    return Where(of.name, of.bridge, of.switch)

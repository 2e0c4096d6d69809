"""join of guests that exist already: the way that all kinds share. `vdenet.cli.leaving` has the way back.

Look the guest up, reserve its name at the daemon, remember what was there before, carry out what the kind
says. When an action fails, those before it are taken back and the name is freed: nothing is half done.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vdenet.cli import access, answers, carrying, claims, documents, hints, interruption, kinds, memory, tunnelling
from vdenet.cli.client import ask, require_access
from vdenet.cli.destination import destination
from vdenet.cli.interruption import Terminated
from vdenet.cli.memory import Entry
from vdenet.cli.output import Output
from vdenet.errors import Refused, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Found, Joining, Place, Wish
from vdenet.model.names import derived_mac, port_name
from vdenet.model.report import SegmentReport

_TO_BE_CHOSEN = "PORT"
"""What stands for a port that the daemon has not chosen yet, in a dry run."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A guest that is to join, as it stands before that."""

    kind: str
    guest: str
    asked: Wish
    where: SegmentReport
    looked_up: kinds.Guest
    found: Found
    label: str
    """Its name on the segment."""
    earlier: Entry | None
    """What was remembered of it when it joined before."""
    gone: Entry | None
    """The guest that had the name before, and is no more."""

    @property
    def segment(self) -> str:
        return self.where.name

    @property
    def id(self) -> str:
        """The hypervisor's own for it."""
        return self.looked_up.id


def join(kind: str, guest: str, name: str | None, wish: Wish, segment: str, dry_run: bool,
         output: Output) -> None:
    """Put the guest on the segment. Raises what the kind, the tools and the daemon raise."""
    require_access()
    with memory.alone(kind), interruption.raised_once():
        one = _candidate(kind, guest, name, wish, segment)
        if one.found.stale is not None and not dry_run:
            _clear(kind, one.where, one.found.stale)
        try:
            reserved = _reserved(one, wish.vlan, dry_run)
        except (KeyboardInterrupt, Terminated):  # the daemon may have given it all the same
            if not dry_run:
                _try_to_give_back(one, output)
            raise
        try:
            given = None if one.found.plugged or wish.vlan is not None else answers.number(reserved, "vlan")
            if given is not None:
                # The segment's file puts it there, and not every way leads there.
                wish = replace(wish, vlan=given)
                one, reserved = _in_its_vlan(one, wish, reserved, dry_run)
            joining = one.looked_up.join(wish, _placed(one.where, one.found, reserved))
            if not dry_run:
                joining = _told(joining, _carry_out(one, joining, answers.text(reserved, "mac"), output))
        except BaseException:
            if not dry_run:
                _try_to_give_back(one, output)
            raise
        if not dry_run:
            with interruption.kept_out():  # it has joined
                _forget_others(one)
                if one.found.running and joining.actions:
                    joining = _told(joining, tunnelling.left_behind(one.found.guest_port))
    _tell(one, reserved, joining, dry_run, output)


def _candidate(kind: str, guest: str, name: str | None, wish: Wish, segment: str) -> _Candidate:
    """Raises what the kind and its tools raise; `SegmentDown`, `BadValue` and `NameTaken` where it cannot be there."""
    where = destination(segment, wish.vlan if kinds.TABLE[kind].vlan else None)
    looked_up = kinds.look_up(kind, guest, wish.connect)
    found = looked_up.found(wish, answers.where(where))
    earlier = memory.load(kind, segment, looked_up.id)
    label = name or (earlier.name if earlier else found.label)
    claims.require_name(label)
    gone = claims.predecessor(kind, segment, label, guest, looked_up.id, wish.connect)
    if gone is None:
        claims.require_free(where, label, found, earlier)
    claims.require_not_another(kind, segment, label, looked_up.id, gone)
    return _Candidate(kind, guest, wish, where, looked_up, found, label, earlier, gone)


def _reserved(one: _Candidate, vlan: int | None, dry_run: bool) -> dict[str, Any]:
    """What the daemon gives the guest, or would give it."""
    if dry_run:
        return _imagined(one.where, one.label, one.found, vlan)
    if one.found.plugged:
        return _plugged(one)
    return _reserve(one, one.label, one.found, vlan)


def _in_its_vlan(one: _Candidate, wish: Wish, reserved: Mapping[str, Any], dry_run: bool
                 ) -> tuple[_Candidate, dict[str, Any]]:
    """The guest as it would join in the VLAN of the wish, which the segment's file gives it."""
    found = one.looked_up.found(wish, answers.where(one.where))
    if found == one.found:
        return one, dict(reserved)
    other = replace(one, found=found)
    second = _reserved(other, None, dry_run)
    if answers.number(second, "vlan") != wish.vlan:
        mac = answers.text(second, "mac")
        raise Refused(what=_("join {guest}").format(guest=one.guest), why=_(
            "the configuration of {segment} puts the MAC address {mac} into VLAN {vlan}, and there it would have "
            "another").format(segment=one.segment, mac=one.found.mac, vlan=wish.vlan), hint=_(
                "write that into its [[host]]: mac = \"{mac}\"").format(mac=mac))
    return other, second


def _told(joining: Joining, warnings: Sequence[str]) -> Joining:
    return replace(joining, warnings=(*joining.warnings, *warnings))


def _forget_others(one: _Candidate) -> None:
    """The name that it had before, where that was another, and who had its name, and is no more."""
    if one.earlier is not None and one.earlier.name != one.label \
            and not claims.is_anothers(one.where, one.earlier.name, one.found.mac):
        ask("Leave", segment=one.segment, name=one.earlier.name, kind=one.kind)
    if one.gone is not None:
        memory.forget(one.kind, one.segment, one.gone.id)


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


def _reserve(one: _Candidate, name: str, found: Found, vlan: int | None) -> dict[str, Any]:
    """The guest's name and MAC, and its tap, tunnel or port where it takes one."""
    method = "KeepTap" if found.tap else "KeepTunnel" if found.tunnel else "Reserve"
    by_itself = method == "Reserve"
    return ask(method, segment=one.segment, name=name, mac=found.mac, kind=one.kind, vlan=vlan,
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


def _plugged(one: _Candidate) -> dict[str, Any]:
    """The name and MAC of a guest that has its port. Raises `Refused` when another name or VLAN is asked for."""
    mac, name, vlan = one.found.mac, one.label, one.asked.vlan
    known = next((guest for guest in one.where.guests if guest.mac == mac and guest.kind == one.kind), None)
    way_off = hints.leave(one.kind, one.guest, one.segment)
    if known is None or known.name != name:
        now = mac if known is None else known.name
        raise Refused(what=_("join {guest} as {name}").format(guest=one.guest, name=name), hint=way_off,
                      why=_("it is on the segment already, as {name}").format(name=now))
    if vlan not in (None, known.vlan):
        raise Refused(what=_("join {guest}").format(guest=one.guest), hint=way_off, why=_(
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


def _carry_out(one: _Candidate, joining: Joining, mac: str, output: Output) -> list[str]:
    """Remember first: whatever happens from then on, `leave` knows the way back. What `carrying` says."""
    # What was there before the first join is what leave puts back, however often it was joined since.
    known = one.earlier or (one.gone if kinds.TABLE[one.kind].by_path else None)
    data = known.data if known and one.found.joined else joining.memory or None
    memory.save(one.kind, Entry(one.segment, one.id, one.guest, one.label, data, one.asked.vlan, one.where.bridge,
                                one.where.switch, _formerly(one.guest, one.earlier), mac))
    try:
        return carrying.perform(joining.actions, output.aside)
    except BaseException:
        with interruption.kept_out():
            if one.earlier is None:
                memory.forget(one.kind, one.segment, one.id)
            else:
                memory.save(one.kind, one.earlier)
        raise


def _try_to_give_back(one: _Candidate, output: Output) -> None:
    with interruption.kept_out(), contextlib.suppress(VdenetError, OSError):  # the terminal may be gone
        if not _give_back(one):
            output.aside(tunnelling.ended(one.guest))


def _give_back(one: _Candidate) -> bool:
    """The name as it was before a join that failed, and the tunnel where it came by one; False when that is not to be
    had."""
    found, earlier = one.found, one.earlier
    known = next((guest.name for guest in one.where.guests
                  if guest.kind == one.kind and guest.joined and guest.mac == found.mac), None)
    before = earlier.name if earlier is not None else known
    if before is None or not found.joined:
        ask("Leave", segment=one.segment, name=one.label, kind=one.kind)
        return True
    vlan = earlier.vlan if earlier is not None else None
    if found.tunnelled:
        return tunnelling.put_back(one.kind, one.id, one.asked.connect, answers.where(one.where), before, found.mac,
                                   vlan, found.guest_port)
    if earlier is not None or before != one.label:
        # By whatever way it is there: one that can be on the switch gets its port there again.
        as_it_was = replace(found, tunnel=False, plug=kinds.TABLE[one.kind].switchable)
        _reserve(one, before, as_it_was, vlan)
    return True


def _tell(one: _Candidate, reserved: Mapping[str, Any], joining: Joining, dry_run: bool, output: Output) -> None:
    guest, segment, running, earlier = one.guest, one.segment, one.found.running, one.earlier
    moved = one.found.joined and earlier is not None and earlier.vlan != one.asked.vlan
    renamed = earlier is not None and earlier.name != one.label
    changed = moved or renamed or bool(joining.actions)
    if joining.group and joining.actions and access.account().late:
        joining = _told(joining, [_("this login is older than the membership: log out and in again, else the guest "
                                    "cannot start")])
    document = documents.joined(
        one.kind, guest, {**reserved, "segment": segment}, via=joining.via, nic=joining.nic, why=joining.why,
        changed=changed and not dry_run, live=joining.live, running=running,
        actions=[str(action) for action in joining.actions], warnings=joining.warnings,
        notes=joining.notes)
    for warning in joining.warnings:
        output.aside(warning)
    place = segment if document["vlan"] is None else _("VLAN {vlan} of {segment}").format(
        vlan=document["vlan"], segment=segment)
    lines = [text.format(guest=guest, place=place, fqdn=document["fqdn"]) for text in (
        *((_("{guest} moves to {place}"),) if moved else ()),
        *((_("{guest} is called {fqdn} from now on"),) if renamed else ()))]
    if dry_run:
        output.result("\n".join(lines) if lines and not joining.actions else carrying.shown(joining.actions), document)
        return
    if not changed:
        output.remark(_("{guest} is on {segment} already, as {fqdn}").format(
            guest=guest, segment=segment, fqdn=document["fqdn"]), document)
        return
    if not joining.actions:
        output.remark("\n".join(lines), document)
        return
    lines = [_("{guest} joins {place} as {fqdn}, {mac}, by {via}: {why}").format(
        guest=guest, place=place, fqdn=document["fqdn"], mac=document["mac"], via=joining.via,
        why=joining.why)]
    if running and not joining.live:
        lines.append(_("it is running: its next start brings it onto the segment"))
    lines.extend(joining.notes)
    output.remark("\n".join(lines), document)

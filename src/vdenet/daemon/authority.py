"""Whether a member may change a segment: whose it is, and what the policy says. Root may all."""

from __future__ import annotations

import contextlib
import time

from vdenet.daemon import surroundings
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import CLAIMED
from vdenet.daemon.members import Caller
from vdenet.errors import NotPermitted, QuotaExceeded, Refused
from vdenet.i18n import _
from vdenet.model.names import same_on_host_side
from vdenet.model.policy import may_change, refusals
from vdenet.model.segment import Segment
from vdenet.probe import links


def require_owner(caller: Caller, segment: Segment, what: str) -> None:
    """That the segment is the admin's, or the caller's own. Raises `NotPermitted`."""
    if caller.uid != 0 and segment.owner not in (None, caller.name):
        raise NotPermitted(what=what, why=_("it belongs to {owner}").format(owner=segment.owner))


def require_change(engine: Engine, caller: Caller, before: Segment | None, after: Segment) -> None:
    """That the caller may turn one into the other. Raises `NotPermitted`, `BadPolicy`."""
    if caller.uid == 0:
        return
    what = _("change {segment}") if before is not None else _("create {segment}")
    why = refusals(engine.configuration.policy(), caller.name, before, after)
    if before is None or may_change(engine.configuration.policy(), caller.name, before):
        why += [*_others_guests(engine, caller, before, after), *_others_addresses(engine, caller, before, after),
                *_others_ports(engine, caller, before, after)]
    if why:
        raise NotPermitted(what=what.format(segment=after.name), why="; ".join(why),
                           policy=str(engine.places.policy))
    if taken := surroundings.taken(engine, before, after):
        raise NotPermitted(what=what.format(segment=after.name), why=_("{why}; only root may").format(
            why="; ".join(taken)))


def require_room_for_guest(engine: Engine, caller: Caller, segment: str, name: str) -> None:
    """That the caller may have one guest more. Raises `QuotaExceeded`, `BadPolicy`.

    A guest that has just ended counts by its segment's book until that is followed: before this says no.
    """
    if caller.uid == 0:
        return
    most = engine.configuration.policy().guests
    if _others_of(engine, caller, segment, name) < most:
        return
    there = links.links()
    for other in engine.configuration.names():
        if any(guest.uid == caller.uid and guest.port is not None for guest in engine.book(other).all()):
            with contextlib.suppress(Refused):  # a book that cannot be written counts as it is
                engine.follow_ports(other, there)
    if _others_of(engine, caller, segment, name) >= most:
        raise QuotaExceeded(what=_("join"), limit=most, unit=_("guests"))


def _others_of(engine: Engine, caller: Caller, segment: str, name: str) -> int:
    """How many guests the caller has by the books, but for the one of that name."""
    return len({(other, guest.name) for other in engine.configuration.names() for guest in engine.book(other).all()
                if guest.uid == caller.uid and guest.holds_name} - {(segment, name)})


def _others_guests(engine: Engine, caller: Caller, before: Segment | None, after: Segment) -> list[str]:
    """Fixed hosts and records are stronger than `join`: no member makes one of another's guest."""
    hosts = set(after.hosts) - set(before.hosts if before is not None else ())
    records = set(after.records) - set(before.records if before is not None else ())
    taken = {name for host in hosts for name in (host.name, *host.aliases)}
    taken |= {record.name.removesuffix(f".{after.domain}") for record in records}
    macs = [host.mac for host in hosts if host.mac is not None]
    return [_("{name} is a guest of another user").format(name=guest.name) for guest in engine.book(after.name).all()
            if guest.kind != CLAIMED and guest.holds_name and guest.uid != caller.uid
            and (guest.name in taken or any(same_on_host_side(guest.mac, mac) for mac in macs))]


def _others_addresses(engine: Engine, caller: Caller, before: Segment | None, after: Segment) -> list[str]:
    """The DHCP server would refuse the other's guest its next renewal."""
    hosts = set(after.hosts) - set(before.hosts if before is not None else ())
    names = {record.name for record in set(after.records) - set(before.records if before is not None else ())}
    mine = {guest.mac for guest in engine.book(after.name).all() if guest.uid == caller.uid}
    now = time.time()
    return [_("{address} is the address of another user's guest").format(address=lease.address)
            for lease in engine.leases(after)
            if lease.mac not in mine and (lease.expires == 0 or lease.expires > now)
            and (lease.address in names
                 or any(str(host.address) == lease.address and host.mac != lease.mac for host in hosts))]


def _others_ports(engine: Engine, caller: Caller, before: Segment | None, after: Segment) -> list[str]:
    """What the file says of a port of the switch would put the guest that was given it elsewhere."""
    numbers = {port.number for port in set(after.ports) - set(before.ports if before is not None else ())}
    return [_("port {number} is another user's guest's, {name}").format(number=guest.vde_port, name=guest.name)
            for guest in engine.book(after.name).all() if guest.vde_port in numbers and guest.uid != caller.uid]

"""Further segments: created and deleted by members within the policy, and by root."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from vdenet.daemon import applying, authority, confirming, host, namesakes, reporting
from vdenet.daemon.applying import GIVEN, Wish
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import logger
from vdenet.daemon.members import Caller
from vdenet.effect import files, usernet
from vdenet.errors import (
    BadConfig,
    BadValue,
    Collision,
    NotPermitted,
    QuotaExceeded,
    Refused,
    UnknownSegment,
    VdenetError,
)
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.places import DNS_ACCOUNT
from vdenet.model.policy import DEFAULT, Policy
from vdenet.model.segment import Mode, Segment, default_domain
from vdenet.model.wanted import Directory, guest_alias
from vdenet.probe import configured, links, routes
from vdenet.text import config
from vdenet.text.config import bridged
from vdenet.text.networks import choose_network, choose_ula


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was taken away, in words, and the guests that were on it or had joined it."""

    segment: str
    steps: tuple[str, ...]
    guests: tuple[str, ...]


def create(engine: Engine, caller: Caller, name: str, text: str | None, address: str | None,
           mode: str | None) -> tuple[Segment, tuple[str, ...]]:
    """A new segment, up: as `text` describes it, or of the given address and mode, or of chosen ones.

    Returns it and what was done, in words. Raises `Refused`, `Collision`, `QuotaExceeded`, and as
    `applying.wish`; then nothing is there that was not before.
    """
    with engine.lock:
        _refuse_taken(engine, name)
        policy = DEFAULT if caller.uid == 0 else engine.configuration.policy()
        _refuse_too_many(engine, caller, policy)
        text, after = _described(engine, caller, name, text, address, mode, policy)
        authority.require_change(engine, caller, None, after)
        applying.refuse_conflicts(engine, None, after)
        confirming.refuse_waited_for(engine, after)
        done = applying.carry_out(engine, Wish(name, text, after, None, None))
        _about_containers(usernet.let_in(after.name))
        return after, done.steps


def delete(engine: Engine, caller: Caller, name: str, force: bool) -> Deleted:
    """Take the segment down and forget it: file, leases, guests.

    Raises `NotPermitted` for another's, `Refused` while guests are on it or have joined it (unless `force`) or a
    change waits.
    """
    with engine.lock:
        segment = _deletable(engine, caller, name)
        if not force:
            confirming.refuse_pending(engine, name)
        here, away = _guests(engine, segment)
        if (here or away) and not force:
            told = ((_("guests are on it: {names}"), here),
                    (_("guests have joined it that are off or silent: {names}"), away))
            raise Refused(what=_("delete {segment}").format(segment=name),
                          why="; ".join(text.format(names=", ".join(who)) for text, who in told if who),
                          hint=_("tarr-steps segment delete --force {segment} takes it from them").format(segment=name))
        Path(engine.places.state(name)).mkdir(parents=True, exist_ok=True)
        files.write(engine.places.deleting(name), "", 0o600, "root")
        return Deleted(name, _delete(engine, segment), tuple(sorted({*here, *away})))


def finish_deletions(engine: Engine) -> None:
    """Complete what a crash cut short; what cannot be, is logged and tried at the next start."""
    for path in Path(engine.places.var).glob("*/deleting"):
        name = path.parent.name
        try:
            _delete(engine, engine.configuration.applied(name) or engine.configuration.segment(name))
        except UnknownSegment:
            _forget(engine, name)
        except VdenetError as error:
            logger.error("cannot finish deleting %s: %s", name, error)


def _delete(engine: Engine, segment: Segment) -> tuple[str, ...]:
    try:
        steps = engine.take_down(segment, keep_stopped=False).steps
    except VdenetError:
        files.remove(engine.places.deleting(segment.name))  # it is as before, and not to go at some later start
        raise
    for link in links.links().values():
        if link.alias == guest_alias(segment.name):
            engine.netlink.delete(link.name, link.ifindex, link.alias)
    _about_containers(usernet.shut_out(segment.name))
    _forget(engine, segment.name)
    engine.refresh_others(segment.name)
    return (*steps, _("- file {path}").format(path=engine.places.config(segment.name)))


def _about_containers(why: str | None) -> None:
    """No reason to refuse a segment that most do without: whose container is not let on is told by `join`."""
    if why is not None:
        logger.warning("LXC's list of bridges stays as it is: %s", why)


def _forget(engine: Engine, name: str) -> None:
    """The mark goes last, so that whatever is left after a crash goes at the next start."""
    places = engine.places
    files.remove(places.config(name))
    files.remove_tree(Directory(places.lease_home(name), 0o770, DNS_ACCOUNT, writer=DNS_ACCOUNT))
    for path in Path(places.state(name)).glob("*"):
        if path.name != places.deleting(name).name and not path.is_dir():
            files.remove(path)
    shutil.rmtree(places.records(name), ignore_errors=True)
    engine.forget(name)
    files.remove(places.deleting(name))
    with contextlib.suppress(OSError):
        Path(places.state(name)).rmdir()


def _refuse_taken(engine: Engine, name: str) -> None:
    if Path(engine.places.config(name)).exists():
        raise Refused(what=_("create {segment}").format(segment=name), why=_("there is a segment of that name"))
    for other in namesakes.of(engine, name):
        raise Refused(what=_("create {segment}").format(segment=name), why=_(
            "the ports of its guests could have the same names as those of {other}").format(other=other),
            hint=_("choose another name"))
    there = links.links()
    for link in (name, f"{name}-vde"):
        if link in there:
            raise Collision(name=link, what=_("an interface"), hint=_("choose another name for the segment"))


def _refuse_too_many(engine: Engine, caller: Caller, policy: Policy) -> None:
    if caller.uid == 0:
        return
    mine = sum(1 for one in engine.configuration.all() if one.owner == caller.name)
    if mine >= policy.segments:
        raise QuotaExceeded(what=_("create a segment"), limit=policy.segments, unit=_("segments"))


def _described(engine: Engine, caller: Caller, name: str, text: str | None, address: str | None, mode: str | None,
               policy: Policy) -> tuple[str, Segment]:
    """The new file and what it says. Raises `BadConfig`, `BadValue`, `Refused`."""
    owner = None if caller.uid == 0 else caller.name
    if text is None and mode == Mode.BRIDGED:
        raise BadValue(what=_("mode"), value=mode, why=_("it needs a FILE that also has one of {keys}").format(
            keys=", ".join(bridged.KEYS)), hint=_(
                "tarr-steps segment create {segment} FILE; man vdenet.toml tells what it may hold").format(
                    segment=name))
    if text is None:
        seed = _seed(name)
        segment = Segment(
            name, _chosen(engine, policy, name) if address is None else names.segment_address(address),
            choose_ula(seed), Mode.NAT if mode is None else config.mode(mode), default_domain(name), owner=owner)
        comment = _("Made by tarr-steps segment create; see vdenet.toml(5). After a change: tarr-steps apply")
        text = config.emit(segment, comment)
        return text, config.parse(text, name, GIVEN)
    given = config.load(text, GIVEN)
    head = ""
    if "address" not in given and given.get("mode") != "bridged":
        head += f'address = "{_chosen(engine, policy, name)}"\n'
    if owner is not None and "owner" not in given:
        head += f'owner = "{owner}"\n'
    try:
        return head + text, config.parse(head + text, name, GIVEN)
    except BadConfig as error:
        raise BadConfig(where=_shifted(str(error.data["where"]), head.count("\n")), why=error.data["why"]) from None


def _chosen(engine: Engine, policy: Policy, name: str) -> IPv4Interface:
    taken = [network for networks in (*routes.networks().values(), *configured.configured_networks().values())
             for network in networks]
    taken += [network for one in engine.configuration.all() for network in one.networks]
    if policy.pools == DEFAULT.pools:
        return choose_network(taken, _seed(name))
    return choose_network(taken, _seed(name), policy.pools)


def _seed(name: str) -> str:
    return host.machine_id() if name == names.DEFAULT_SEGMENT else f"{host.machine_id()}\0{name}"


def _shifted(where: str, lines: int) -> str:
    """The place in the text as it was given, without the lines that were put above it."""
    file, colon, place = where.partition(":")
    line, _colon, column = place.partition(":")
    return f"{file}:{int(line) - lines}:{column}" if colon and line.isdecimal() else where


def _deletable(engine: Engine, caller: Caller, name: str) -> Segment:
    try:
        segment = engine.configuration.segment(name)
    except BadConfig:
        left = engine.configuration.applied(name)
        if caller.uid != 0 or left is None:
            raise
        segment = left
    if caller.uid != 0 and segment.owner != caller.name:
        raise NotPermitted(what=_("delete {segment}").format(segment=name),
                           why=_("it belongs to {owner}").format(owner=segment.owner or _("the admin")),
                           policy=str(engine.places.policy))
    return segment


def _guests(engine: Engine, segment: Segment) -> tuple[list[str], list[str]]:
    """Who would lose the segment: guests with a port and taps that somebody holds by name; and those that joined and
    come by themselves, when they are on."""
    book = engine.book(segment.name).all()
    here = {guest.name or guest.mac for row in reporting.guests(engine, segment)
            if (guest := row.report).port is not None}
    here |= {guest.name for guest in book if guest.kept}
    return sorted(here), sorted({guest.name for guest in book if guest.by_itself} - here)

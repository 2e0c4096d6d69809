"""What `list` and `check` show, put together from what the daemon can see."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from ipaddress import IPv4Address

from vdenet.daemon import confirming, namesakes, netboot, plugging, recognising, retiring, settling, whereabouts
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import CLAIMED, label
from vdenet.daemon.members import account_name, uid_of
from vdenet.daemon.recognising import Row
from vdenet.daemon.settling import Look
from vdenet.effect import firewall
from vdenet.errors import BadPolicy, VdenetError
from vdenet.i18n import _
from vdenet.model import steps
from vdenet.model.change import Plan
from vdenet.model.names import same_domain
from vdenet.model.places import PLUG_ACCOUNT
from vdenet.model.report import Finding, GuestReport, SegmentReport, Severity, State
from vdenet.model.segment import Segment
from vdenet.model.vlans import UNTAGGED
from vdenet.probe import conflicts, links, neighbours, routes, vlans
from vdenet.text import conflicts as conflict_text
from vdenet.text import firewalls
from vdenet.text.recognition import Sighting

_PASSING = (steps.WriteFile, steps.ReloadService, steps.RestoreSysctl, steps.RestoreSysctls)
"""Steps that a running segment may owe for a moment without anything being wrong."""


def report(engine: Engine, name: str) -> SegmentReport:
    """The segment with its guests. Raises `UnknownSegment`, `BadConfig`."""
    with _settled(engine, name) as (segment, look):
        if isinstance(look, Look):
            plugged = plugging.report(engine, segment, look.wanted, look.observed)
            wrong = any(_severity(step) is Severity.ERROR for step in _broken(look.plan)) \
                or any(plug.state == plugging.DOWN for plug in plugged)
            state = State.DEGRADED if wrong else State.UP
        else:
            plugged = plugging.report(engine, segment, None, None)
            state = State.DOWN if look is None else State.DEGRADED
        rows = guests(engine, segment)
    return SegmentReport(
        name=segment.name, state=state, address=None if segment.address is None else str(segment.address),
        address6=None if segment.address6 is None else str(segment.address6), mode=segment.mode.value,
        domain=segment.domain, bridge=segment.bridge, tap=segment.tap,
        switch=str(engine.places.switch(segment.name)), guests=recognising.recognise(rows),
        owner=segment.owner, plugs=plugged, vlans=tuple(vlan.id for vlan in segment.vlans))


_Seen = tuple[Segment, Look | VdenetError | None]
"""A segment, and what was found of it: nothing when it is down, or why nothing could be found."""


def _settled(engine: Engine, name: str) -> AbstractContextManager[_Seen]:
    def find() -> _Seen:
        segment = engine.configuration.segment(name)  # whoever had the lock may have changed it
        try:
            return segment, settling.look(engine, segment)
        except VdenetError as error:
            return segment, error

    return settling.settled(engine, name, find, lambda seen: isinstance(seen[1], Look) and _broken(seen[1].plan))


def _broken(plan: Plan) -> list[steps.Step]:
    # Of plugs there is more to say: see `plugging`.
    return [change.step for change in plan if not isinstance(change.step, _PASSING)
            and not (isinstance(change.step, steps.StartService) and change.step.service.patient)]


def guests(engine: Engine, segment: Segment) -> list[Row]:
    """Who is on the segment, for one who holds the engine's lock; nobody is recognised yet."""
    there = links.links()
    heard, silent = whereabouts.heard(engine, segment)
    now = time.time()
    networks = [*segment.networks,
                *(old.address.network for old in retiring.current(segment, engine.places, now))]
    leases = {lease.mac: lease for lease in engine.leases(segment)
              if (lease.expires == 0 or lease.expires > now)
              and any(IPv4Address(lease.address) in network for network in networks)}
    neighbour = {mac: address for link in segment.links for mac, address in neighbours.on(link).items()}
    book = engine.book(segment.name)
    member = vlans.of_bridge(segment.bridge) if vlans.filtering(segment.bridge) else {}
    fixed = {host.mac: host for host in segment.hosts if host.mac is not None}
    own = there.keys() - namesakes.elsewhere(engine, segment.name, there)
    macs = set(heard) | {guest.mac for guest in book.all() if guest.port in own}
    # A lease says that a guest is about, though it may be silent; a guest of ours whose port is gone is not.
    macs |= {mac for mac, lease in leases.items() if not engine.is_departed(segment, lease)
             and ((known := book.by_mac(mac)) is None or known.kind == CLAIMED or known.by_itself
             or known.port in own)}
    rows = []
    for mac in macs:
        guest, lease, host = book.by_mac(mac), leases.get(mac), fixed.get(mac)
        name = (host.name if host else None) or (guest.name if guest else None) or label(lease.name if lease else None)
        place = heard.get(mac) or silent.get(mac)
        port = place.port if place is not None else guest.port if guest and guest.port in own else None
        link = there.get(port) if port else None
        via = "unknown"
        if link is not None:
            via = "vde" if link.name == segment.tap else link.kind if link.kind != "other" else "unknown"
        client = place.client if place is not None else None
        if client is not None and client.uid == uid_of(PLUG_ACCOUNT):
            client = None  # beyond a plug are guests of others
        vlan = place.vlan if place is not None else None
        if via != "vde" and port in member:
            vlan = member[port].pvid
        uid = guest.uid if guest and guest.uid is not None else client.uid if client is not None \
            else link.owner if link is not None and link.name != segment.tap else None
        joined = guest is not None and guest.kind != CLAIMED
        rows.append(Row(
            GuestReport(
                name=name, mac=mac, address=lease.address if lease else neighbour.get(mac),
                fqdn=None if name is None or segment.address is None else f"{name}.{segment.domain}",
                via=via, port=port, vlan=None if vlan == UNTAGGED else vlan,
                owner=None if uid is None else account_name(uid),
                kind=guest.kind if guest and joined else None, joined=joined),
            Sighting(mac, port, via, uid, client=client.pid if client is not None else None,
                     name=guest.name if guest is not None and joined else None),
            link.ifindex if link is not None else None))
    return sorted(rows, key=lambda row: (row.report.name is None, row.report.name or "", row.report.mac))


def _severity(step: steps.Step) -> Severity:
    return Severity.WARNING if isinstance(step, steps.RegisterResolver | steps.KeepDnsmasqOff) else Severity.ERROR


def _drift(engine: Engine, segment: Segment, broken: list[steps.Step]) -> list[Finding]:
    found = [Finding("drift", _severity(step), segment.name, _("not as it should be: {step}").format(step=step),
                     f"tarr-steps reload {segment.name}") for step in broken]
    why = engine.repairs.why_failed(segment.name) if broken else None
    if why is not None:
        found.append(Finding("repair-failed", Severity.ERROR, segment.name,
                             _("{segment} could not be repaired: {why}").format(segment=segment.name, why=why),
                             _("it is tried again and again")))
    return found


def _of_the_configuration(engine: Engine, segment: Segment) -> list[Finding]:
    """What is wrong with the files, whether the segment is up or not."""
    found = []
    try:
        engine.configuration.policy()
    except BadPolicy as error:
        found.append(Finding(error.code, Severity.ERROR, None, str(error), _(
            "until it is mended, members can change nothing; man vdenet-policy.toml")))
    for other in engine.configuration.all():
        if other.name != segment.name and same_domain(segment.domain, other.domain):
            found.append(Finding("domain-clash", Severity.ERROR, segment.name, _(
                "{domain} is the domain of {other}, too").format(domain=segment.domain, other=other.name),
                _("give one of them a domain of its own")))
    found += [Finding("same-ports", Severity.ERROR, segment.name, _(
        "guests' ports of {segment} and of {other} could have the same names").format(
            segment=segment.name, other=other), _("delete one of them, and create it under another name"))
        for other in namesakes.of(engine, segment.name)]
    with engine.lock:
        elsewhere = namesakes.elsewhere(engine, segment.name, links.links())
        found += [Finding("port-taken", Severity.ERROR, segment.name, _(
            "another segment has a port by the name of {guest}'s, {port}").format(guest=guest.name, port=guest.port),
            _("its owner: leave, and join again"))
            for guest in engine.book(segment.name).all() if guest.port in elsewhere]
    waiting = confirming.pending(engine.places, segment.name)
    if waiting is not None:
        found.append(Finding("unconfirmed", Severity.INFO, segment.name, _(
            "a change of {segment} is taken back in {seconds} s").format(
                segment=segment.name, seconds=round(waiting.left())), "tarr-steps apply --confirmed"))
    return found


def check(engine: Engine, name: str) -> list[Finding]:
    """What is not as it should be on the segment, and what on this host gets in its way. Raises `UnknownSegment`,
    `BadConfig`."""
    with _settled(engine, name) as (segment, look):
        findings = _of_the_configuration(engine, segment)
        if look is None:
            return [*findings, Finding("segment-down", Severity.ERROR, segment.name,
                                       _("the segment {name} is down").format(name=segment.name),
                                       f"tarr-steps start {segment.name}")]
        if isinstance(look, Look):
            findings += plugging.findings(engine, segment, look.wanted, look.observed)
            findings += _drift(engine, segment, _broken(look.plan))
        else:
            hint = look.data.get("hint")
            findings.append(Finding(look.code, Severity.ERROR, segment.name, str(look),
                                    None if hint is None else str(hint)))
    findings += netboot.findings(segment)
    if engine.is_crowded_out(segment, conflicts.resolver()):
        findings.append(conflict_text.resolver_full(segment))
    try:
        findings += firewalls.findings(firewall.whole_ruleset(), segment,
                                       uplink=conflicts.uplink(), bridged=conflicts.bridged())
    except VdenetError as error:
        findings.append(Finding(error.code, Severity.WARNING, segment.name, str(error)))
    used = [(where, network) for where, networks in routes.networks(without=segment.links).items()
            for network in networks]
    return findings + conflicts.conflicts(segment, used=used)

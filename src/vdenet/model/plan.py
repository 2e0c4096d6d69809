"""The difference between what is wanted and what is there, as steps that can be undone: up and down.

Pure. `start`, `stop`, `reload`, a change of address, boot, repair and recovery after a crash are all one
of the two functions here, followed by carrying the steps out: so an interrupted change is finished by
the next plan, a second run has nothing to do, and what is right already is not touched.

Here is the order of the changes. What each kind of thing takes is in `vdenet.model.parts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vdenet.model.change import Change, Plan
from vdenet.model.digests import digest
from vdenet.model.observed import Observed
from vdenet.model.parts import bridge, outside, ports, resolver, services, settings, vlans
from vdenet.model.steps import (
    DeleteLink,
    LoadFirewall,
    MakeDirectory,
    RemoveTree,
    RestoreSysctls,
    Step,
    StopService,
    UnloadFirewall,
    WriteFile,
)
from vdenet.model.wanted import Wanted


def up(wanted: Wanted, observed: Observed, former: Wanted | None = None) -> Plan:
    """What makes the segment what it should be. Raises `Collision` or `Refused` before anything is planned.

    `former` is what was wanted until now. What is there says of a rule set and of a service only by a
    fingerprint what it was made of, so without `former` their replacement cannot be taken back.
    """
    outside.refuse(wanted, observed)
    bridge.refuse(wanted, observed)
    stale, observed = _without_the_stale(wanted, observed)
    return (
        *stale,
        *services.stop_changed(wanted, observed, former),
        *_make_directories(wanted, observed),
        *outside.leave_former(wanted, observed),
        *resolver.keep_off(wanted, observed),
        *vlans.leave_on_switch(wanted, observed),
        *bridge.make(wanted, observed),
        *bridge.make_tap(wanted, observed),
        *ports.make_taps(wanted, observed),
        *vlans.put_ports(wanted, observed),
        *vlans.make_links(wanted, observed),
        *settings.set_own(wanted, observed),
        *bridge.set_addresses(wanted, observed),
        *settings.set_shared(wanted, observed),
        *vlans.give_back(wanted, observed, former),
        *_load_firewall(wanted, observed, former),
        *bridge.set_up(wanted, observed),
        *outside.join(wanted, observed),
        *vlans.enter_on_switch(wanted, observed),
        *services.start(wanted, observed, former),
        *ports.attach(wanted, observed),
        *outside.former_bridge(wanted, observed),
        *resolver.register(wanted, observed, former),
        *(() if wanted.keeps_dnsmasq_off else resolver.let_on(wanted, observed)),
        *settings.give_back(wanted, observed),
    )


def down(wanted: Wanted, observed: Observed, last: bool, good: bool = False) -> Plan:
    """What takes the segment away; `last` when no other segment is up. Guests' ports stay with them, down.

    Taps that are kept for guests stay only while a guest holds them, and not when it is for `good`.
    """
    return (
        *resolver.unregister(wanted, observed),
        *services.stop(wanted, observed),
        *outside.leave(wanted, observed),
        *ports.shut(wanted, observed),
        *bridge.remove(wanted, observed),
        # After the bridge, so that they are there again before it takes its ports back.
        *ports.remove_taps(wanted, observed, good),
        *_unload_firewall(wanted, observed),
        *_remove_directories(wanted, observed),
        # It may stay told of a segment that comes again: each restart is a gap in the host's DNS.
        *(resolver.let_on(wanted, observed) if good else ()),
        *((Change(RestoreSysctls()),) if last and observed.sysctls_kept else ()),
    )


def _without_the_stale(wanted: Wanted, observed: Observed) -> tuple[list[Change], Observed]:
    """What has to go before anything is made, and what is there then.

    A tap of another owner cannot be opened by the switch; it is ours and nobody's, so it is remade. A
    switch does not notice that its tap is gone, and one that could not open it, as another program had it, says
    so to nobody: both run on without. It is stopped first, so that a crash in between leaves it to be started.
    """
    tap = wanted.tap
    link = observed.links.get(tap.name)
    usable = link is not None and link.owner == tap.owner
    if usable and link is not None and (link.carrier or not link.up):  # one that is down does not say who has it
        return [], observed
    plan = [Change(StopService(wanted.segment, service)) for service in wanted.services
            if service.link == tap.name and service.name in observed.services]
    stopped = {change.step.service.name for change in plan if isinstance(change.step, StopService)}
    observed = replace(observed, services={
        name: running for name, running in observed.services.items() if name not in stopped})
    if usable:
        return plan, observed
    if link is not None:
        plan.append(Change(DeleteLink(tap.name, link.ifindex, link.alias)))
    return plan, replace(
        observed,
        links={name: other for name, other in observed.links.items() if name != tap.name},
        sysctls={key: value for key, value in observed.sysctls.items() if f"/{tap.name}/" not in key},
        memberships={name: member for name, member in observed.memberships.items() if name != tap.name})


def _make_directories(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    for directory in wanted.directories:
        if observed.directories.get(directory.path) != (directory.mode, directory.group):
            undo: tuple[Step, ...] = () if directory.path in observed.directories else (RemoveTree(directory),)
            yield Change(MakeDirectory(directory), undo)


def _remove_directories(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    for directory in reversed(wanted.directories):
        if directory.path in observed.directories and not directory.kept:
            files = (WriteFile(file) for file in wanted.files if file.path.parent == directory.path)
            yield Change(RemoveTree(directory), (MakeDirectory(directory), *files))


def _load_firewall(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    if observed.firewall != digest(wanted.firewall.text):
        undo: tuple[Step, ...] = ()
        if not observed.firewall_present:
            undo = (UnloadFirewall(wanted.firewall),)
        elif former is not None and observed.firewall == digest(former.firewall.text):
            undo = (LoadFirewall(former.firewall),)
        yield Change(LoadFirewall(wanted.firewall), undo)


def _unload_firewall(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    if observed.firewall_present:
        yield Change(UnloadFirewall(wanted.firewall), (LoadFirewall(wanted.firewall),))


def sentences(plan: Plan) -> list[str]:
    """The plan in words, a line a step."""
    return [str(change.step) for change in plan]


def undo_of(done: Iterable[Change]) -> list[Step]:
    """What takes back these changes, last first."""
    steps: list[Step] = []
    for change in reversed(list(done)):
        steps.extend(change.undo)
    return steps

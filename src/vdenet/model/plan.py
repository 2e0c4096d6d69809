"""The difference between what is wanted and what is there, as steps that can be undone.

Pure. `start`, `stop`, `reload`, a change of address, boot, repair and recovery after a crash are all one
of the two functions here, followed by carrying the steps out: so an interrupted change is finished by
the next plan, a second run has nothing to do, and what is right already is not touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from vdenet.errors import Collision
from vdenet.i18n import _
from vdenet.model import outside
from vdenet.model.change import Change, Plan
from vdenet.model.observed import Link, Observed, RunningService, stale_vlan_links
from vdenet.model.steps import (
    AddAddress,
    AttachPort,
    CreateBridge,
    CreateTap,
    CreateVlanLink,
    DeleteLink,
    DetachPort,
    LoadFirewall,
    MakeDirectory,
    RegisterResolver,
    ReloadService,
    RemoveAddress,
    RemoveFile,
    RemoveTree,
    RestoreSysctl,
    RestoreSysctls,
    SetLink,
    SetOffload,
    SetSpanningTree,
    SetSwitch,
    SetSysctl,
    SetVlanFiltering,
    SetVlans,
    StartService,
    Step,
    StopService,
    UnloadFirewall,
    UnregisterResolver,
    WriteFile,
)
from vdenet.model.vlans import access
from vdenet.model.wanted import SWITCH, File, Resolver, Service, VlanLink, Wanted, alias, guest_alias


def digest(text: str) -> str:
    """A short fingerprint by which a text is known again."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def restart_digest(service: Service) -> str:
    """Changes when the running program has to be replaced."""
    return digest("\0".join((service.account, *service.argv, *service.capabilities, service.restart_text)))


def reload_digest(service: Service) -> str:
    """Changes when the running program has to read its files again."""
    return digest(service.reload_text)


def up(wanted: Wanted, observed: Observed, former: Wanted | None = None) -> Plan:
    """What makes the segment what it should be. Raises `Collision` before anything is planned.

    `former` is what was wanted until now. What is there says of a rule set and of a service only by a
    fingerprint what it was made of, so without `former` their replacement cannot be taken back.
    """
    _refuse_collisions(wanted, observed)
    plan, observed = _without_the_stale(wanted, observed)
    plan.extend(_services_that_stop(wanted, observed, former))
    for part in (_directories, outside.leave_former, _switch_without_vlans, _bridge, _tap, _guest_taps, _vlans,
                 _vlan_links, _own_sysctls, _addresses, _shared_sysctls):
        plan.extend(part(wanted, observed))
    plan.extend(_vlans_given_back(wanted, observed, former))
    plan.extend(_firewall(wanted, observed, former))
    plan.extend(_links_up(wanted, observed))
    plan.extend(outside.join(wanted, observed))
    plan.extend(_switch_with_vlans(wanted, observed))
    plan.extend(_services(wanted, observed, former))
    plan.extend(_ports(wanted, observed))
    plan.extend(outside.former_bridge(wanted, observed))
    plan.extend(_resolver(wanted, observed, former))
    plan.extend(_needless_sysctls(wanted, observed))
    return tuple(plan)


def down(wanted: Wanted, observed: Observed, last: bool, good: bool = False) -> Plan:
    """What takes the segment away; `last` when no other segment is up. Guests' ports stay with them.

    Taps that are kept for guests stay only while a guest holds them, and not when it is for `good`.
    """
    plan: list[Change] = []
    plan.extend(_stale_resolvers(observed))
    if observed.resolver is not None and wanted.resolver is not None:
        plan.append(Change(UnregisterResolver(wanted.resolver), (RegisterResolver(wanted.resolver),)))
    for service in reversed((*wanted.unwanted, *wanted.services)):
        if service.name in observed.services:
            plan.append(Change(StopService(wanted.segment, service),
                               _started_again(wanted.segment, service, observed)))
    plan.extend(outside.leave(wanted, observed))
    remakes: tuple[tuple[str, tuple[Step, ...]], ...] = (
        *((link.name, _vlan_link_remade(link, wanted)) for link in wanted.vlan_links),
        (wanted.tap.name, (CreateTap(wanted.tap, alias(wanted.segment)),
                           AttachPort(wanted.tap.name, wanted.bridge.name),
                           *_vlans_remade(wanted.tap.name, wanted),
                           *_settings_of(wanted.tap.name, wanted),
                           SetLink(wanted.tap.name, up=True))),
        (wanted.bridge.name, (CreateBridge(wanted.bridge, alias(wanted.segment)),
                              SetOffload(wanted.bridge.name, on=False),
                              *_settings_of(wanted.bridge.name, wanted),
                              *(AddAddress(wanted.bridge.name, a) for a in wanted.addresses),
                              *_vlans_remade(wanted.bridge.name, wanted),
                              SetLink(wanted.bridge.name, up=True),
                              *(step for port in ports(wanted.bridge.name, observed)
                                if port.name != wanted.tap.name for step in _attached(port.name, wanted)))),
    )
    for name, remake in remakes:
        link = observed.links.get(name)
        if name == wanted.bridge.name and wanted.bridge.adopted:
            plan.extend(Change(DetachPort(port.name, name), (AttachPort(port.name, name),))
                        for port in ports(name, observed) if port.ours and port.name != wanted.tap.name)
        elif link is not None and (link.ours or _is_our_bridge(wanted, link)):
            if not link.ours:  # nothing without the mark is ever deleted
                plan.append(Change(SetLink(name, alias=alias(wanted.segment))))
            plan.append(Change(DeleteLink(name, link.ifindex, link.alias), remake))
    # After the bridge, so that they are there again before it takes its ports back.
    plan.extend(_kept_taps_away(wanted, observed, good))
    if observed.firewall_present:
        plan.append(Change(UnloadFirewall(wanted.firewall), (LoadFirewall(wanted.firewall),)))
    for directory in reversed(wanted.directories):
        if directory.path in observed.directories and not directory.kept:
            files = (WriteFile(file) for file in wanted.files if file.path.parent == directory.path)
            plan.append(Change(RemoveTree(directory), (MakeDirectory(directory), *files)))
    if last and observed.sysctls_kept:
        plan.append(Change(RestoreSysctls()))
    return tuple(plan)


def _kept_taps_away(wanted: Wanted, observed: Observed, good: bool) -> Iterable[Change]:
    mark = guest_alias(wanted.segment)
    for tap in wanted.guest_taps:
        link = observed.links.get(tap.name)
        if link is not None and link.alias == mark and (good or not link.carrier):
            yield Change(DeleteLink(tap.name, link.ifindex, mark), (
                CreateTap(tap, mark), SetLink(tap.name, up=True)))


def _vlan_link_remade(link: VlanLink, wanted: Wanted) -> tuple[Step, ...]:
    return (CreateVlanLink(link, alias(wanted.segment)), SetOffload(link.name, on=False),
            *_settings_of(link.name, wanted), *(AddAddress(link.name, address) for address in link.addresses),
            SetLink(link.name, up=True))


def _vlans_remade(port: str, wanted: Wanted) -> tuple[Step, ...]:
    """A port's VLANs, or the bridge's own and that it keeps them apart."""
    if not wanted.vlan_filtering or port not in wanted.memberships:
        return ()
    itself = port == wanted.bridge.name
    return (SetVlans(port, wanted.memberships[port], bridge=itself),
            *((SetVlanFiltering(port, on=True),) if itself else ()))


def _attached(port: str, wanted: Wanted) -> tuple[Step, ...]:
    return AttachPort(port, wanted.bridge.name), *_vlans_remade(port, wanted)


def _settings_of(link: str, wanted: Wanted) -> list[SetSysctl]:
    """The kernel settings of one interface; they are gone with it."""
    return [SetSysctl(sysctl.key, sysctl.value) for sysctl in wanted.sysctls
            if not sysctl.shared and f"/{link}/" in sysctl.key]


def ports(bridge: str, observed: Observed) -> list[Link]:
    """The ports of a bridge, by name."""
    return sorted((link for link in observed.links.values() if link.master == bridge),
                  key=lambda link: link.name)


def _refuse_collisions(wanted: Wanted, observed: Observed) -> None:
    outside.refuse(wanted, observed)
    bridge = observed.links.get(wanted.bridge.name)
    if bridge is not None and not wanted.bridge.adopted \
            and (bridge.kind != "bridge" or not _is_our_bridge(wanted, bridge)):
        raise Collision(name=bridge.name, what=_("an interface"))
    tap = observed.links.get(wanted.tap.name)
    if tap is not None and (tap.kind != "tap" or not tap.ours):
        raise Collision(name=tap.name, what=_("an interface"))
    for link in wanted.vlan_links:
        there = observed.links.get(link.name)
        if there is not None and (there.kind != "vlan" or not there.ours):
            raise Collision(name=link.name, what=_("an interface"))


def _is_our_bridge(wanted: Wanted, link: Link) -> bool:
    """By its mark; or by its MAC, which is derived from this machine and segment: a crash may have come
    between making the bridge and marking it."""
    return link.ours or (link.kind == "bridge" and link.mac == wanted.bridge.mac)


def _without_the_stale(wanted: Wanted, observed: Observed) -> tuple[list[Change], Observed]:
    """What has to go before anything is made, and what is there then.

    A tap of another owner cannot be opened by the switch; it is ours and nobody's, so it is remade. A
    switch does not notice that its tap is gone, and runs on without it: it is stopped first, so that a
    crash in between leaves it to be started.
    """
    tap = wanted.tap
    link = observed.links.get(tap.name)
    if link is not None and link.owner == tap.owner:
        return [], observed
    plan = [Change(StopService(wanted.segment, service)) for service in wanted.services
            if service.link == tap.name and service.name in observed.services]
    if link is not None:
        plan.append(Change(DeleteLink(tap.name, link.ifindex, link.alias)))
    stopped = {change.step.service.name for change in plan if isinstance(change.step, StopService)}
    return plan, replace(
        observed,
        links={name: other for name, other in observed.links.items() if name != tap.name},
        sysctls={key: value for key, value in observed.sysctls.items() if f"/{tap.name}/" not in key},
        memberships={name: member for name, member in observed.memberships.items() if name != tap.name},
        services={name: running for name, running in observed.services.items() if name not in stopped})


def _directories(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    for directory in wanted.directories:
        if observed.directories.get(directory.path) != (directory.mode, directory.group):
            undo: tuple[Step, ...] = () if directory.path in observed.directories else (RemoveTree(directory),)
            yield Change(MakeDirectory(directory), undo)


def _bridge(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    bridge, link = wanted.bridge, observed.links.get(wanted.bridge.name)
    if bridge.adopted:
        return
    if link is None:
        yield Change(CreateBridge(bridge, alias(wanted.segment)), (DeleteLink(bridge.name, 0, alias(wanted.segment)),))
    elif (link.mac, link.mtu) != (bridge.mac, bridge.mtu):
        yield Change(SetLink(bridge.name, mac=bridge.mac, mtu=bridge.mtu),
                     (SetLink(bridge.name, mac=link.mac, mtu=link.mtu),))
    if link is not None and link.alias != alias(wanted.segment):
        yield Change(SetLink(bridge.name, alias=alias(wanted.segment)))
    if link is None or observed.offload.get(bridge.name, True):
        undo = (SetOffload(bridge.name, on=True),) if link is not None else ()
        yield Change(SetOffload(bridge.name, on=False), undo)


def _sysctls(wanted: Wanted, observed: Observed, shared: bool) -> Iterable[Change]:
    for sysctl in wanted.sysctls:
        if sysctl.shared is not shared:
            continue
        before = observed.sysctls.get(sysctl.key)
        if before != sysctl.value:
            undo: tuple[Step, ...] = ()
            if shared and before is not None and sysctl.key not in observed.sysctls_kept:
                undo = (RestoreSysctl(sysctl.key),)
            elif before is not None:
                undo = (SetSysctl(sysctl.key, before),)
            yield Change(SetSysctl(sysctl.key, sysctl.value, keep=shared), undo)


def _own_sysctls(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    return _sysctls(wanted, observed, shared=False)


def _shared_sysctls(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    return _sysctls(wanted, observed, shared=True)


def _needless_sysctls(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """What this segment changed on the host as a whole and needs no longer, last first."""
    needed = {sysctl.key for sysctl in wanted.sysctls if sysctl.shared} | wanted.shared_elsewhere
    for key in reversed(list(observed.sysctls_kept)):
        if key not in needed:
            yield Change(RestoreSysctl(key), (SetSysctl(key, observed.sysctls_kept[key], keep=True),))


def _tap(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    tap, link = wanted.tap, observed.links.get(wanted.tap.name)
    if link is None:
        yield Change(CreateTap(tap, alias(wanted.segment)), (DeleteLink(tap.name, 0, alias(wanted.segment)),))
    elif link.mtu != tap.mtu:
        yield Change(SetLink(tap.name, mtu=tap.mtu), (SetLink(tap.name, mtu=link.mtu),))
    if link is None or link.master != wanted.bridge.name:
        back: Step = DetachPort(tap.name, wanted.bridge.name)
        if link is not None and link.master is not None:
            back = AttachPort(tap.name, link.master)
        yield Change(AttachPort(tap.name, wanted.bridge.name), (back,))


def _guest_taps(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """One that its holder has made to go away, or a reboot, comes back under its name."""
    for tap in wanted.guest_taps:
        if tap.name not in observed.links:
            mark = guest_alias(wanted.segment)
            yield Change(CreateTap(tap, mark), (DeleteLink(tap.name, 0, mark),))


def _vlans(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The VLANs of each port before the bridge keeps them apart: who is in the usual one notices nothing."""
    if wanted.bridge.adopted or not (wanted.vlan_filtering or observed.vlan_filtering):
        return
    bridge = wanted.bridge.name
    for name, membership in wanted.memberships.items():
        link = observed.links.get(name)
        if name not in (bridge, wanted.tap.name) and (link is None or link.master != bridge):
            continue  # it gets its VLANs with its place on the bridge
        before = observed.memberships.get(name)
        if before != membership:
            yield Change(SetVlans(name, membership, bridge=name == bridge),
                         () if before is None else (SetVlans(name, before, bridge=name == bridge),))
    if wanted.vlan_filtering is not observed.vlan_filtering:
        yield Change(SetVlanFiltering(bridge, wanted.vlan_filtering),
                     (SetVlanFiltering(bridge, observed.vlan_filtering),) if bridge in observed.links else ())


def _vlans_given_back(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    """Ports that nothing puts into a VLAN any more: what another program has there since is left alone."""
    for name, membership in former.memberships.items() if former is not None else ():
        link = observed.links.get(name)
        if name in (wanted.bridge.name, wanted.tap.name) or name in wanted.memberships or membership == access():
            continue
        if link is not None and link.master == wanted.bridge.name and observed.memberships.get(name) == membership:
            yield Change(SetVlans(name, access()), (SetVlans(name, membership),))


def _vlan_links(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The host's interfaces in VLANs; one of a VLAN that is no longer declared goes."""
    mark = alias(wanted.segment)
    for link in stale_vlan_links(wanted, observed.links):
        there = sorted((a for a in observed.addresses.get(link.name, ()) if not a.ip.is_link_local), key=str)
        old = VlanLink(link.name, wanted.segment, int(link.name.rpartition(".")[2]), tuple(there))
        yield Change(DeleteLink(link.name, link.ifindex, link.alias), (
            CreateVlanLink(old, mark), SetOffload(old.name, on=False),
            *(SetSysctl(key, value) for key, value in observed.sysctls.items() if f"/{old.name}/" in key),
            *(AddAddress(old.name, address) for address in old.addresses), SetLink(old.name, up=link.up)))
    for wanted_link in wanted.vlan_links:
        if wanted_link.name not in observed.links:
            yield Change(CreateVlanLink(wanted_link, mark), (DeleteLink(wanted_link.name, 0, mark),))
        if wanted_link.name not in observed.links or observed.offload.get(wanted_link.name, True):
            yield Change(SetOffload(wanted_link.name, on=False))


def _switch_without_vlans(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The switch ceases to send tags before the bridge ceases to take them."""
    return () if wanted.vlan_filtering else _switch(wanted, observed)


def _switch_with_vlans(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The switch begins to send tags when the bridge takes them."""
    return _switch(wanted, observed) if wanted.vlan_filtering else ()


def _switch(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """A switch that is started now reads all of it at its start."""
    stays = any(service.name in observed.services and service.claim is not None
                and observed.services[service.name].restart_digest == restart_digest(service)
                for service in wanted.services)
    if stays and observed.switch is not None and observed.switch != wanted.switch:
        yield Change(SetSwitch(wanted.segment, observed.switch, wanted.switch),
                     (SetSwitch(wanted.segment, wanted.switch, observed.switch),))


def _addresses(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    networks = [(link.name, link.addresses) for link in wanted.vlan_links]
    if not wanted.bridge.adopted and (wanted.uplink is None or wanted.uplink != observed.taken_uplink):
        networks.insert(0, (wanted.bridge.name, wanted.addresses))  # or what is there is the host's
    for link, addresses in networks:
        there = {a for a in observed.addresses.get(link, frozenset()) if not a.ip.is_link_local}
        for address in addresses:
            if address not in there:
                yield Change(AddAddress(link, address), (RemoveAddress(link, address),))
        for address in sorted(there - set(addresses), key=str):
            yield Change(RemoveAddress(link, address), (AddAddress(link, address),))


def _firewall(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    if observed.firewall != digest(wanted.firewall.text):
        undo: tuple[Step, ...] = ()
        if not observed.firewall_present:
            undo = (UnloadFirewall(wanted.firewall),)
        elif former is not None and observed.firewall == digest(former.firewall.text):
            undo = (LoadFirewall(former.firewall),)
        yield Change(LoadFirewall(wanted.firewall), undo)


def _links_up(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    for name in (wanted.tap.name, wanted.bridge.name, *(link.name for link in wanted.vlan_links)):
        link = observed.links.get(name)
        if name == wanted.bridge.name and wanted.bridge.adopted:
            continue
        if link is None or not link.up:
            yield Change(SetLink(name, up=True), (SetLink(name, up=False),) if link else ())


def _services_that_stop(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    """Those that start anew, or are not to run any more, first: so when the change is taken back, they start when
    all else is as it was."""
    # Plugs before the switch that they are in.
    for service in sorted((*wanted.services, *wanted.unwanted), key=lambda one: not one.patient):
        running = observed.services.get(service.name)
        if running is not None and (service in wanted.unwanted or running.restart_digest != restart_digest(service)
                                    or _has_lost_its_link(service, observed)):
            before = _former_service(former, service.name, running)
            yield Change(StopService(wanted.segment, service),
                         () if before is None else _started_again(wanted.segment, before, observed))


def _has_lost_its_link(service: Service, observed: Observed) -> bool:
    """A plug stays with the interface that it opened, also when that is gone and another has its name."""
    return service.patient and service.link is not None and service.link not in observed.links


def _former_service(former: Wanted | None, name: str, running: RunningService) -> Service | None:
    """The service as it was started, if that is known."""
    for service in former.services if former is not None else ():
        if service.name == name and running.restart_digest == restart_digest(service):
            return service
    return None


def _services(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    told: list[Step] = []
    for service in wanted.services:
        running = observed.services.get(service.name)
        before = None if running is None else _former_service(former, service.name, running)
        if before is not None and running is not None and running.restart_digest == restart_digest(service) \
                and running.reload_digest != reload_digest(service):
            told.append(ReloadService(wanted.segment, before))
    for file in wanted.files:
        there = observed.files.get(file.path)
        if there != file.text:
            undo: Step = RemoveFile(file.path)
            if there is not None:
                undo = WriteFile(File(file.path, there, file.mode, file.group))
            # With the first file, so after the last one when they are taken back.
            yield Change(WriteFile(file), (undo, *told))
            told = []
    for file in wanted.unwanted_files:
        there = observed.files.get(file.path)
        if there is not None:
            yield Change(RemoveFile(file.path), (WriteFile(replace(file, text=there)),))
    for service in wanted.services:
        if not service.patient:
            yield from _service(wanted.segment, service, observed.services.get(service.name))
    yield from _spanning_tree(wanted, observed)
    for service in wanted.services:
        if not service.patient or service.name in observed.waiting or _has_lost_its_link(service, observed):
            continue
        yield from _service(wanted.segment, service, observed.services.get(service.name))


def _spanning_tree(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """A switch begins without. It is on before anything is plugged in that may make a loop."""
    service = next((one for one in wanted.services if one.name == SWITCH), None)
    running = observed.services.get(SWITCH)
    if service is None:
        return
    stays = running is not None and running.restart_digest == restart_digest(service)
    there = observed.breaks_loops if stays else False
    if there is not None and there != wanted.breaks_loops:
        yield Change(SetSpanningTree(wanted.segment, wanted.breaks_loops),
                     (SetSpanningTree(wanted.segment, there),) if stays else ())


def _started_again(segment: str, service: Service, observed: Observed) -> tuple[Step, ...]:
    """What takes back that a service was stopped."""
    tree = service.name == SWITCH and observed.breaks_loops
    return StartService(segment, service), *((SetSpanningTree(segment, on=True),) if tree else ())


def _service(segment: str, service: Service, running: RunningService | None) -> Iterable[Change]:
    if running is None or running.restart_digest != restart_digest(service):
        yield Change(StartService(segment, service), (StopService(segment, service),))
    elif running.reload_digest != reload_digest(service):
        yield Change(ReloadService(segment, service))


def _ports(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    held = {tap.name for tap in wanted.guest_taps}
    for name in wanted.ports:
        link = observed.links.get(name)
        if link is not None and name in held and not link.ours:
            continue  # it only has the name of a guest's tap
        new, waits = link is None and name in held, False
        # Or it is on the bridge that the segment had in a former mode.
        former = {wanted.segment, observed.adopted, None} - {wanted.bridge.name}
        if new or (link is not None and link.master in former):
            back: tuple[Step, ...] = (DetachPort(name, wanted.bridge.name),)
            if link is not None and link.master is not None:
                back = (AttachPort(name, link.master),
                        *((SetVlans(name, observed.memberships[name]),) if name in observed.memberships else ()))
            member = wanted.memberships.get(name, access()) if wanted.vlan_filtering else access()
            waits = link is not None and (name in wanted.handed or (link.up and member != access()))
            if waits:
                # A bridge takes a port into its usual VLAN first.
                yield Change(SetLink(name, up=False), (SetLink(name, up=True),) if link and link.up else ())
            yield Change(AttachPort(name, wanted.bridge.name), back)
            if wanted.vlan_filtering:
                yield Change(SetVlans(name, member))
        # Last: no frame of it is ever in a VLAN that is not its own.
        if new or waits or (link is not None and (link.ours or name in wanted.handed) and not link.up):
            yield Change(SetLink(name, up=True), (SetLink(name, up=False),) if waits else ())


def _stale_resolvers(observed: Observed, former: Wanted | None = None) -> Iterable[Change]:
    for resolver in observed.stale_resolvers:
        before = former.resolver if former is not None else None
        # What is there is known by its kind only; what it was told, by what was wanted.
        known = before is not None and before.kind == resolver.kind
        yield Change(UnregisterResolver(resolver), (RegisterResolver(before if known and before else resolver),))


def _resolver(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    yield from _stale_resolvers(observed, former)
    if wanted.resolver is None:
        return
    resolver = wanted.resolver
    if observed.resolver != _mark(resolver):
        undo: Step = UnregisterResolver(resolver)
        if former is not None and former.resolver is not None and observed.resolver == _mark(former.resolver):
            undo = RegisterResolver(former.resolver)
        yield Change(RegisterResolver(resolver), (undo,))


def _mark(resolver: Resolver) -> str:
    return resolver_mark(resolver.kind, resolver.server, resolver.domain)


def resolver_mark(kind: str, server: str, domain: str) -> str:
    """How a registration with the host's resolver is told from another."""
    return f"{kind} {server} {domain}"


def sentences(plan: Plan) -> list[str]:
    """The plan in words, a line a step."""
    return [str(change.step) for change in plan]


def undo_of(done: Iterable[Change]) -> list[Step]:
    """What takes back these changes, last first."""
    steps: list[Step] = []
    for change in reversed(list(done)):
        steps.extend(change.undo)
    return steps



"""VLANs: who is in which on the bridge, the host's interfaces in them, and the VDE switch's table."""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.model.change import Change
from vdenet.model.digests import restart_digest
from vdenet.model.observed import Observed, stale_vlan_links
from vdenet.model.parts import settings
from vdenet.model.steps import (
    AddAddress,
    CreateVlanLink,
    DeleteLink,
    SetLink,
    SetOffload,
    SetSwitch,
    SetSysctl,
    SetVlanFiltering,
    SetVlans,
    Step,
)
from vdenet.model.vlans import access
from vdenet.model.wanted import SWITCH, VlanLink, Wanted, alias


def leave_on_switch(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The switch ceases to send tags before the bridge ceases to take them."""
    return () if wanted.vlan_filtering else _switch(wanted, observed)


def put_ports(wanted: Wanted, observed: Observed) -> Iterable[Change]:
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


def make_links(wanted: Wanted, observed: Observed) -> Iterable[Change]:
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


def give_back(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    """Ports that nothing puts into a VLAN any more: what another program has there since is left alone."""
    for name, membership in former.memberships.items() if former is not None else ():
        link = observed.links.get(name)
        if name in (wanted.bridge.name, wanted.tap.name) or name in wanted.memberships or membership == access():
            continue
        if link is not None and link.master == wanted.bridge.name and observed.memberships.get(name) == membership:
            yield Change(SetVlans(name, access()), (SetVlans(name, membership),))


def enter_on_switch(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The switch begins to send tags when the bridge takes them."""
    return _switch(wanted, observed) if wanted.vlan_filtering else ()


def _switch(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """A switch that is started now reads all of it at its start."""
    stays = any(service.name == SWITCH and service.name in observed.services
                and observed.services[service.name].restart_digest == restart_digest(service)
                for service in wanted.services)
    if stays and observed.switch is not None and observed.switch != wanted.switch:
        yield Change(SetSwitch(wanted.segment, observed.switch, wanted.switch),
                     (SetSwitch(wanted.segment, wanted.switch, observed.switch),))


def remade(port: str, wanted: Wanted) -> tuple[Step, ...]:
    """A port's VLANs, or the bridge's own and that it keeps them apart."""
    if not wanted.vlan_filtering or port not in wanted.memberships:
        return ()
    itself = port == wanted.bridge.name
    return (SetVlans(port, wanted.memberships[port], bridge=itself),
            *((SetVlanFiltering(port, on=True),) if itself else ()))


def link_remade(link: VlanLink, wanted: Wanted) -> tuple[Step, ...]:
    """What makes the host's interface in a VLAN again."""
    return (CreateVlanLink(link, alias(wanted.segment)), SetOffload(link.name, on=False),
            *settings.of_link(link.name, wanted), *(AddAddress(link.name, address) for address in link.addresses),
            SetLink(link.name, up=True))

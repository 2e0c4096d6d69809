"""The bridge, the tap of the VDE switch, and the host's addresses on the segment."""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.errors import Collision
from vdenet.i18n import _
from vdenet.model.change import Change
from vdenet.model.observed import Link, Observed
from vdenet.model.parts import ports, settings, vlans
from vdenet.model.steps import (
    AddAddress,
    AttachPort,
    CreateBridge,
    CreateTap,
    DeleteLink,
    DetachPort,
    RemoveAddress,
    SetLink,
    SetOffload,
    Step,
)
from vdenet.model.wanted import Wanted, alias


def refuse(wanted: Wanted, observed: Observed) -> None:
    """Raises `Collision` when an interface of somebody else has a name that the segment needs."""
    bridge = observed.links.get(wanted.bridge.name)
    if bridge is not None and not wanted.bridge.adopted \
            and (bridge.kind != "bridge" or not is_ours(wanted, bridge)):
        raise Collision(name=bridge.name, what=_("an interface"))
    tap = observed.links.get(wanted.tap.name)
    if tap is not None and (tap.kind != "tap" or tap.alias != alias(wanted.segment)):
        raise Collision(name=tap.name, what=_("an interface"))
    for link in wanted.vlan_links:
        there = observed.links.get(link.name)
        if there is not None and (there.kind != "vlan" or there.alias != alias(wanted.segment)):
            raise Collision(name=link.name, what=_("an interface"))


def is_ours(wanted: Wanted, link: Link) -> bool:
    """By its mark; or by its MAC, which is derived from this machine and segment: a crash may have come
    between making the bridge and marking it."""
    return link.alias == alias(wanted.segment) or (link.kind == "bridge" and link.mac == wanted.bridge.mac)


def make(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The bridge itself; another program's is used as it is."""
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


def make_tap(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The tap of the VDE switch, and its place on the bridge."""
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


def set_addresses(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The host's addresses on the bridge and in VLANs."""
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


def set_up(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """All of it up, once it is as it has to be."""
    for name in (wanted.tap.name, wanted.bridge.name, *(link.name for link in wanted.vlan_links)):
        link = observed.links.get(name)
        if name == wanted.bridge.name and wanted.bridge.adopted:
            continue
        if link is None or not link.up:
            yield Change(SetLink(name, up=True), (SetLink(name, up=False),) if link else ())


def remove(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The host's interfaces of the segment go, those in VLANs first, the bridge last; another program's bridge only
    loses its ports of ours."""
    mark = alias(wanted.segment)
    for name, remake in _remakes(wanted, observed):
        link = observed.links.get(name)
        if name == wanted.bridge.name and wanted.bridge.adopted:
            for port in ports.on(name, observed):
                if port.ours and port.name != wanted.tap.name:
                    yield Change(DetachPort(port.name, name), (AttachPort(port.name, name),))
        elif link is not None and is_ours(wanted, link):
            if link.alias != mark:  # nothing without the mark is ever deleted
                yield Change(SetLink(name, alias=mark))
            yield Change(DeleteLink(name, link.ifindex, mark), remake)


def _remakes(wanted: Wanted, observed: Observed) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """Each interface, and what makes it again as it was."""
    bridge, tap, mark = wanted.bridge, wanted.tap, alias(wanted.segment)
    return (
        *((link.name, vlans.link_remade(link, wanted)) for link in wanted.vlan_links),
        (tap.name, (CreateTap(tap, mark),
                    *ports.attached(tap.name, wanted),
                    *settings.of_link(tap.name, wanted),
                    SetLink(tap.name, up=True))),
        (bridge.name, (CreateBridge(bridge, mark),
                       SetOffload(bridge.name, on=False),
                       *settings.of_link(bridge.name, wanted),
                       *(AddAddress(bridge.name, address) for address in wanted.addresses),
                       *vlans.remade(bridge.name, wanted),
                       SetLink(bridge.name, up=True),
                       *(step for port in ports.on(bridge.name, observed)
                         if port.name != tap.name for step in ports.attached(port.name, wanted)))),
    )

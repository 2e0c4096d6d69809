"""A bridged segment and the network outside: it is joined to it, and taken off again.

What the segment is joined to is the host's or another program's: it is
used, and given back, never made or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.change import Change
from vdenet.model.observed import Link, Observed
from vdenet.model.steps import (
    AddAddress,
    AdoptBridge,
    AttachPort,
    CreateBridge,
    CreatePatch,
    DeleteLink,
    PlugPatch,
    ReleaseBridge,
    ReturnUplink,
    SetLink,
    SetVlanFiltering,
    SetVlans,
    Step,
    TakeUplink,
    UnplugPatch,
)
from vdenet.model.wanted import Bridge, Patch, Wanted, alias


def refuse(wanted: Wanted, observed: Observed) -> None:
    """Raises `Refused` when what is outside is not there, or not to be had."""
    what = _("join {segment} to the network outside").format(segment=wanted.segment)
    if wanted.bridge.adopted:
        bridge = observed.links.get(wanted.bridge.name)
        if bridge is None or bridge.kind != "bridge":
            raise Refused(what=what, why=_("there is no bridge {name}").format(name=wanted.bridge.name),
                          hint=_("the program that it belongs to makes it"))
        if bridge.ours:
            raise Refused(what=what, why=_("the bridge {name} is a segment of its own").format(name=bridge.name))
    if wanted.uplink is not None and observed.taken_uplink != wanted.uplink:
        _refuse_uplink(what, wanted.uplink, observed)


def _refuse_uplink(what: str, name: str, observed: Observed) -> None:
    link = observed.links.get(name)
    if link is None:
        raise Refused(what=what, why=_("there is no interface {name}").format(name=name), hint="ip link")
    if link.kind == "bridge":
        raise Refused(what=what, why=_("{name} is a bridge").format(name=name), hint=f'adopt = "{name}"')
    if link.ours or link.kind == "tap" or not link.plain:
        raise Refused(what=what, why=_("{name} cannot be a port: it is no wired Ethernet").format(name=name))
    if link.master is not None:
        raise Refused(what=what, why=_("{name} is a port of {master} already").format(
            name=name, master=link.master), hint=f'adopt = "{link.master}"')
    if observed.manager is not None:
        raise Refused(what=what, why=_("{manager} gives {name} its addresses, and would give them again").format(
            manager=observed.manager, name=name),
            hint=_("let {manager} make a bridge with {name} as its port, and name that bridge: adopt").format(
                manager=observed.manager, name=name))


def leave_former(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """What the segment was joined to and is not to be any more."""
    if observed.taken_uplink is not None and observed.taken_uplink != wanted.uplink:
        yield from _return(observed.taken_uplink, wanted, observed)
    if wanted.bridge.adopted and observed.adopted != wanted.bridge.name:
        back: Step = ReleaseBridge(wanted.bridge.name, wanted.segment)
        if observed.adopted is not None:
            back = AdoptBridge(observed.adopted, wanted.segment)
        yield Change(AdoptBridge(wanted.bridge.name, wanted.segment), (back,))
    if observed.patched is not None and (wanted.patch is None or wanted.patch.switch != observed.patched):
        yield from _unplug(observed.patched, wanted, observed)


def leave(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """All that the segment is joined to, for the segment that goes down."""
    if observed.taken_uplink is not None:
        yield from _return(observed.taken_uplink, wanted, observed)
    if observed.patched is not None:
        yield from _unplug(observed.patched, wanted, observed)
    if observed.adopted is not None:
        yield _released(observed.adopted, wanted)


def _released(bridge: str, wanted: Wanted) -> Change:
    return Change(ReleaseBridge(bridge, wanted.segment), (AdoptBridge(bridge, wanted.segment),))


def former_bridge(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The bridge that the segment had in a former mode, once its guests are on the other.

    Its own goes; another program's is only forgotten.
    """
    link = observed.links.get(wanted.segment)
    if wanted.bridge.name != wanted.segment and link is not None and link.kind == "bridge" and link.ours:
        # What it had beside its addresses, the next plan for it puts right.
        there = sorted(observed.addresses.get(link.name, ()), key=str)
        yield Change(DeleteLink(link.name, link.ifindex, link.alias), (
            CreateBridge(Bridge(link.name, link.mac, link.mtu), link.alias),
            *(AddAddress(link.name, address) for address in there if not address.ip.is_link_local),
            *_apart(link.name, observed),
            SetLink(link.name, up=link.up)))
    if observed.adopted is not None and not wanted.bridge.adopted:
        yield _released(observed.adopted, wanted)


def _apart(bridge: str, observed: Observed) -> tuple[Step, ...]:
    """A bridge's own VLANs and that it keeps them apart, where it did."""
    if bridge not in observed.memberships:
        return ()
    return SetVlans(bridge, observed.memberships[bridge], bridge=True), SetVlanFiltering(bridge, on=True)


def _return(uplink: str, wanted: Wanted, observed: Observed) -> Iterable[Change]:
    # The segment's own bridge: an adopted one has no uplink of ours.
    if uplink in observed.links:
        undo: tuple[Step, ...] = ()
        if wanted.segment in observed.links:
            undo = (TakeUplink(uplink, wanted.segment, wanted.segment),)
        yield Change(ReturnUplink(uplink, wanted.segment, wanted.segment, wanted.addresses), undo)


def _unplug(switch: str, wanted: Wanted, observed: Observed) -> Iterable[Change]:
    outer, inner = patch_names(wanted.segment)
    yield Change(UnplugPatch(outer, switch, wanted.segment), (PlugPatch(outer, switch, wanted.segment),))
    link = observed.links.get(inner)
    if link is not None and link.ours:
        undo: list[Step] = [CreatePatch(Patch(outer, inner, switch, link.mtu), link.alias)]
        if link.master is not None:
            undo.append(AttachPort(inner, link.master))
        yield Change(DeleteLink(inner, link.ifindex, link.alias), tuple(undo))


def join(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """The network outside, once the bridge is up."""
    uplink, bridge = wanted.uplink, wanted.bridge.name
    if uplink is not None:
        link = observed.links.get(uplink)
        stray = any(not address.ip.is_link_local for address in observed.addresses.get(uplink, ()))
        # A DHCP client that knows nothing of the bridge puts the address back where it was.
        if link is not None and (link.master != bridge or stray):
            yield Change(TakeUplink(uplink, bridge, wanted.segment), (ReturnUplink(uplink, bridge, wanted.segment),))
    patch = wanted.patch
    if patch is not None:
        inner, made = observed.links.get(patch.inner), _made(patch.inner, patch.outer, observed)
        if not made:
            mark = alias(wanted.segment)
            yield Change(CreatePatch(patch, mark), (DeleteLink(patch.inner, 0, mark),))
        if not made or inner is None or inner.master != bridge:
            yield Change(AttachPort(patch.inner, bridge))
        if not made or not observed.patch_plugged:
            yield Change(PlugPatch(patch.outer, patch.switch, wanted.segment),
                         (UnplugPatch(patch.outer, patch.switch, wanted.segment),))


def _made(inner: str, outer: str, observed: Observed) -> bool:
    ends: list[Link | None] = [observed.links.get(inner), observed.links.get(outer)]
    return all(end is not None and end.kind == "veth" and end.ours for end in ends)


def patch_names(segment: str) -> tuple[str, str]:
    """The ends of a segment's patch: the port of Open vSwitch, and that of our bridge."""
    return f"{segment}-ovs", f"{segment}-p"

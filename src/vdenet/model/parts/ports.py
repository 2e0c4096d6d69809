"""The ports of guests: the taps that are kept for them, and their places on the bridge."""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.model.change import Change
from vdenet.model.observed import Link, Observed
from vdenet.model.parts import vlans
from vdenet.model.steps import AttachPort, CreateTap, DeleteLink, DetachPort, SetLink, SetVlans, Step
from vdenet.model.vlans import access
from vdenet.model.wanted import Wanted, alias, guest_alias


def is_elsewhere(link: Link | None, segment: str) -> bool:
    """Whether an interface is another segment's, whatever its name: never to be taken for a guest's of this one."""
    return link is not None and link.ours and link.alias not in (alias(segment), guest_alias(segment))


def make_taps(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """One that its holder has made to go away, or a reboot, comes back under its name."""
    for tap in wanted.guest_taps:
        if tap.name not in observed.links:
            mark = guest_alias(wanted.segment)
            yield Change(CreateTap(tap, mark), (DeleteLink(tap.name, 0, mark),))


def remove_taps(wanted: Wanted, observed: Observed, good: bool) -> Iterable[Change]:
    """Those that no guest holds; all of them, when it is for `good`."""
    mark = guest_alias(wanted.segment)
    for tap in wanted.guest_taps:
        link = observed.links.get(tap.name)
        # Whether one that is down is held, its carrier does not say.
        if link is not None and link.alias == mark and (good or (link.up and not link.carrier)):
            yield Change(DeleteLink(tap.name, link.ifindex, mark), (
                CreateTap(tap, mark), SetLink(tap.name, up=True)))


def shut(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """Those of ours are down before they lose their bridge: of one that is up and on none, the host would take what
    its guest sends as for itself, router advertisements and all."""
    for link in on(wanted.bridge.name, observed):
        if link.alias == guest_alias(wanted.segment) and link.up:
            yield Change(SetLink(link.name, up=False), (SetLink(link.name, up=True),))


def attach(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """Those that belong on the bridge and are on none, or on the one that the segment had before."""
    held = {tap.name for tap in wanted.guest_taps}
    for name in wanted.ports:
        link = observed.links.get(name)
        if link is not None and name in held and link.alias != guest_alias(wanted.segment):
            continue  # it only has the name of a guest's tap
        if is_elsewhere(link, wanted.segment):
            continue  # so has this one, that a hypervisor was to make
        # Or it is on the bridge that the segment had in a former mode.
        former = {wanted.segment, observed.adopted, None} - {wanted.bridge.name}
        if link is not None and link.master not in {wanted.bridge.name, *former}:
            continue  # who put it on another bridge meant it
        new, waits = link is None and name in held, False
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
            yield Change(SetLink(name, up=True), () if new else (SetLink(name, up=False),))


def attached(port: str, wanted: Wanted) -> tuple[Step, ...]:
    """What puts a port on the bridge again, in its VLANs."""
    return AttachPort(port, wanted.bridge.name), *vlans.remade(port, wanted)


def on(bridge: str, observed: Observed) -> list[Link]:
    """The ports of a bridge, by name."""
    return sorted((link for link in observed.links.values() if link.master == bridge),
                  key=lambda link: link.name)

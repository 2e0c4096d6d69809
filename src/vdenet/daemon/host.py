"""Facts of this machine that a plan needs, looked up when a plan is made."""

from __future__ import annotations

import grp
import pwd
import socket
from functools import cache
from pathlib import Path

from vdenet.effect import dnsmasq, firewall, sysctl
from vdenet.model.places import PLUG_ACCOUNT, SWITCH_ACCOUNT, Places
from vdenet.model.segment import Mode, Segment
from vdenet.probe import addresses, links, resolvers, routes, sysctls
from vdenet.text.blueprint import HostFacts
from vdenet.text.bridged import Outside


def facts(places: Places, segment: Segment) -> HostFacts:
    """What is true now; only what cannot change while the machine runs is remembered."""
    return HostFacts(
        machine_id=machine_id(), hostname=socket.gethostname(),
        switch_uid=pwd.getpwnam(SWITCH_ACCOUNT).pw_uid,
        matches_bridge=_matches_bridge(),
        resolver=resolvers.kind(),
        search=resolvers.search_domains(),
        dnsmasq=dnsmasq.has_place(),
        ipv6=sysctls.read("net/ipv6/conf/all/disable_ipv6") == "0",
        outside=_outside(segment),
        plug_groups=_plug_groups(),
        uplinks_ra=_uplinks(places))


def _plug_groups() -> tuple[str, ...]:
    """Groups that the administrator put the plugs' account into, so that it may reach other switches."""
    return tuple(sorted(group.gr_name for group in grp.getgrall() if PLUG_ACCOUNT in group.gr_mem))


_GUESTS_PORTS = ("tap", "veth")


def _outside(segment: Segment) -> Outside:
    """What a bridged segment is one Ethernet with, as far as it is there."""
    there = links.links()
    name = segment.adopt or segment.uplink
    if segment.mode is not Mode.BRIDGED or name not in there:
        return Outside(None)
    held = [address for one in (segment.bridge, name) for address in addresses.of(one)
            if not address.ip.is_link_local]
    return Outside(
        there[name].mac, advertised=sysctls.read(f"net/ipv6/conf/{name}/accept_ra") in ("1", "2"),
        addresses=tuple(sorted(set(held), key=str)),
        # What other programs put on a bridge of theirs for guests are taps and ends of pairs.
        ports=tuple(sorted(link.name for link in there.values()
                           if link.master == segment.adopt and link.kind not in _GUESTS_PORTS))
        if segment.adopt else ())


def machine_id() -> str:
    """What tells this machine from others; the host name where there is no /etc/machine-id."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if len(text) == 32:
            return text
    return f"host {socket.gethostname()}"


@cache
def _matches_bridge() -> bool:
    return firewall.matches_bridge()


def _uplinks(places: Places) -> tuple[str, ...]:
    """Interfaces that take their routes from router advertisements, or may: the host's ways out.

    Those with a device behind them, and those that have such a route now; others are other programs'.
    """
    advertised = routes.advertised()
    found = {name for name in sysctls.interfaces_with("ipv6", "accept_ra", "1")
             if name in advertised or links.is_physical(name)}
    # An uplink that was set to 2 by us stays on the list, else the next plan would drop it.
    found |= {key.split("/")[3] for key in sysctl.recorded(places) if key.endswith("/accept_ra")}
    there = links.links()
    return tuple(sorted(name for name in found
                        if name in there and there[name].master is None and not there[name].ours))

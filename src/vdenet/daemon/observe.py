"""One look at everything that a segment consists of."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from vdenet.effect import dnsmasq, firewall, openvswitch, resolver, spanning, switch, sysctl, uplink
from vdenet.effect.supervisor import Supervisor
from vdenet.model.observed import Link, Observed, RunningService, Waiting, stale_settings
from vdenet.model.places import Places
from vdenet.model.vlans import SwitchTable
from vdenet.model.wanted import SWITCH, Directory, Wanted, alias
from vdenet.probe import addresses, ethtool, links, managers, sysctls, vlans
from vdenet.text import vdeports


def observe(wanted: Wanted, supervisor: Supervisor, places: Places) -> Observed:
    """The state of what `wanted` speaks of. Reads only."""
    there = links.links()
    filtering = vlans.filtering(wanted.bridge.name)
    # Of the segment's own bridge also when another is to be its: what has to go is put back when that fails.
    bridges = {name for name in (wanted.bridge.name, wanted.segment)
               if vlans.filtering(name) or (wanted.vlan_filtering and name == wanted.bridge.name)}
    wall, wall_present = firewall.observed(wanted.firewall, places)
    services: dict[str, RunningService] = {}
    waiting: dict[str, Waiting] = {}
    for service in (*wanted.services, *wanted.unwanted):
        running = supervisor.running(wanted.segment, service)
        if running is not None:
            services[service.name] = running
        elif service in wanted.services and (wait := supervisor.waiting(wanted.segment, service)) is not None:
            waiting[service.name] = wait
    return Observed(
        links=there,
        addresses={name: addresses.of(name)
                   for name in {*_own_links(wanted, there), wanted.segment, wanted.uplink or wanted.segment}},
        sysctls=sysctls.read_all((*(sysctl.key for sysctl in wanted.sysctls), *stale_settings(wanted, there))),
        directories={directory.path: seen for directory in wanted.directories
                     if (seen := _directory(directory)) is not None},
        files={file.path: text for file in (*wanted.files, *wanted.unwanted_files)
               if (text := _text(Path(file.path))) is not None},
        services=services,
        waiting=waiting,
        breaks_loops=spanning.is_on(wanted.segment, places) if SWITCH in services else None,
        firewall=wall,
        firewall_present=wall_present,
        offload={name: ethtool.transmit_checksum(name) for name in _own_links(wanted, there) if name in there},
        manager=managers.manager(wanted.uplink, there[wanted.uplink].ifindex) if wanted.uplink in there else None,
        adopted=_text(Path(places.adopted(wanted.segment))),
        taken_uplink=uplink.taken(wanted.segment, places),
        patched=_text(Path(places.patch(wanted.segment))),
        patch_plugged=wanted.patch is not None
        and openvswitch.bridge_of(wanted.patch.outer) == wanted.patch.switch,
        sysctls_kept={key: ours for key, (_before, ours) in sysctl.recorded(places).items()},
        stale_resolvers=resolver.stale(wanted.segment, wanted.server, wanted.domain,
                                       wanted.resolver.kind if wanted.resolver else ""),
        resolver=resolver.observed(wanted.resolver) if wanted.resolver is not None else None,
        dnsmasq_kept_off=dnsmasq.kept_off(wanted.segment, places.dnsmasq_pending(wanted.segment)),
        vlan_filtering=filtering,
        memberships={name: member for bridge in bridges for name, member in vlans.of_bridge(bridge).items()},
        switch=_switch(wanted, places),
    )


def _own_links(wanted: Wanted, there: Mapping[str, Link]) -> set[str]:
    """The bridge, and the host's interfaces in VLANs, also in those that are declared no longer."""
    mark = alias(wanted.segment)
    return {wanted.bridge.name, *(link.name for link in wanted.vlan_links),
            *(link.name for link in there.values() if link.kind == "vlan" and link.alias == mark)}


def _switch(wanted: Wanted, places: Places) -> SwitchTable | None:
    """Asked only where somebody says something of its ports, or did when it was told last."""
    path = places.switch_start(wanted.segment)
    start, before = (next(file.text for file in wanted.files if file.path == path), _text(Path(path)))
    if wanted.switch == SwitchTable() and before == start:
        return None
    return switch.told(wanted.segment, vdeports.told_apart(start) | vdeports.told_apart(before or ""), places)


def _directory(directory: Directory) -> tuple[int, str] | None:
    try:
        status = os.lstat(directory.path)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return None
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return stat.S_IMODE(status.st_mode), group


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None

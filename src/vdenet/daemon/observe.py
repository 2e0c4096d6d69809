"""One look at everything that a segment consists of."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from vdenet.effect import firewall, openvswitch, resolver, spanning, sysctl, uplink
from vdenet.effect.supervisor import Supervisor
from vdenet.model.observed import Observed, RunningService, Waiting
from vdenet.model.places import Places
from vdenet.model.wanted import SWITCH, Directory, Wanted
from vdenet.probe import addresses, ethtool, links, managers, sysctls


def observe(wanted: Wanted, supervisor: Supervisor, places: Places) -> Observed:
    """The state of what `wanted` speaks of. Reads only."""
    there = links.links()
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
                   for name in {wanted.bridge.name, wanted.segment, wanted.uplink or wanted.segment}},
        sysctls=sysctls.read_all(sysctl.key for sysctl in wanted.sysctls),
        directories={directory.path: seen for directory in wanted.directories
                     if (seen := _directory(directory)) is not None},
        files={file.path: text for file in (*wanted.files, *wanted.unwanted_files)
               if (text := _text(Path(file.path))) is not None},
        services=services,
        waiting=waiting,
        breaks_loops=spanning.is_on(wanted.segment, places) if SWITCH in services else None,
        firewall=wall,
        firewall_present=wall_present,
        offload={wanted.bridge.name: ethtool.transmit_checksum(wanted.bridge.name)}
        if wanted.bridge.name in there else {},
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
    )


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

"""vdenetd --vmware: a vmnet of VMware's for each segment, in VMware's own file of networks.

Not a part of the daemon, which has no right to that file: root runs it, or the package's scripts do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from vdenet.effect import files, run
from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.probe import vmware
from vdenet.text import vmnets, vmware_networks

TOOL = "vmware-networks"
_SECONDS = 120
"""How long VMware's own start of its networks may take."""


def bridge(places: Places, bridges: Sequence[str], networks: Path = Path(vmware_networks.PATH)) -> list[str]:
    """Give each of these bridges a vmnet, and take those away that we gave to others; what was done, in words.

    Done twice, it does nothing the second time. Raises `Refused`, and the file is then as it was; `ToolFailed` when
    VMware does not take over what the file says now.
    """
    told = _change(places, bridges, networks)
    return told + _start(bridges)


def withdraw(places: Places, networks: Path = Path(vmware_networks.PATH)) -> list[str]:
    """Take away every vmnet that we gave. VMware notices when it starts; guests on it lose nothing but the segment."""
    return _change(places, (), networks) if networks.exists() else []


def _change(places: Places, bridges: Sequence[str], networks: Path) -> list[str]:
    with _alone(networks):
        try:
            raw = networks.read_bytes()
        except OSError as error:
            raise _refused(error.strerror or str(error), networks) from None
        before = raw.decode(errors="surrogateescape")
        if not vmware_networks.is_known(before):
            raise _refused(_("its first line is not VERSION=1,0"), networks)
        after, record, told = _plan(before, _recorded(places), bridges, networks)
        Path(places.var).mkdir(mode=0o755, parents=True, exist_ok=True)
        # First, so that a line of ours is never taken for the administrator's.
        if record:
            files.write(places.vmnets, vmnets.emit(record), 0o644, "root")
        if after != before:
            files.rewrite(networks, raw, after.encode(errors="surrogateescape"))
        if not record:
            files.remove(places.vmnets)
        return told


def _plan(text: str, record: dict[str, int], bridges: Sequence[str], networks: Path
          ) -> tuple[str, dict[str, int], list[str]]:
    """The file as it has to be, what of it is ours, and what that changes, in words."""
    told, kept = [], dict[str, int]()
    for name, vmnet in record.items():
        if name in bridges and vmware_networks.mappings(text).get(name) == vmnet:
            kept[name] = vmnet
            continue
        less = vmware_networks.unmapped(text, name, vmnet)
        if less != text:
            told.append(_("{path}: vmnet{number} is no longer bridged to {bridge}").format(
                path=networks, number=vmnet, bridge=name))
        text = less
    for name in bridges:
        vmnet = vmware_networks.mappings(text).get(name, -1)
        if vmnet >= 0:
            told.append(_("{path}: vmnet{number} is bridged to {bridge} already").format(
                path=networks, number=vmnet, bridge=name))
            continue
        vmnet = vmware_networks.free(text)
        text = vmware_networks.mapped(text, name, vmnet)
        kept[name] = vmnet
        told.append(_("{path}: vmnet{number} is bridged to {bridge} now").format(
            path=networks, number=vmnet, bridge=name))
    return text, kept, told


def _start(bridges: Sequence[str]) -> list[str]:
    """Let VMware take over the change, unless that would cut off a machine that runs. Raises `ToolFailed`."""
    if not bridges:
        return []
    running = vmware.running()
    if not running & vmware.SERVICES:
        return [_("VMware's networks do not run: it takes effect when VMware starts them")]
    if set(bridges) <= vmware.bridged():
        return []
    if vmware.GUEST in running:
        return [_("a machine of VMware's runs, so VMware's networks are left as they are: when none runs, give this "
                  "command again")]
    what = _("start VMware's networks anew")
    try:
        run.run([TOOL, "--stop"], what=what, timeout=_SECONDS)
    finally:
        run.run([TOOL, "--start"], what=what, timeout=_SECONDS)
    return [_("VMware's networks were started anew")]


def _recorded(places: Places) -> dict[str, int]:
    try:
        return vmnets.parse(Path(places.vmnets).read_text(errors="replace"))
    except OSError:
        return {}


def _refused(why: str, networks: Path) -> Refused:
    return Refused(what=_("bridge a network of VMware's"), why=f"{networks}: {why}")


@contextlib.contextmanager
def _alone(networks: Path) -> Iterator[None]:
    """Only one at a time: a second one waits. Raises `Refused` where VMware is not."""
    try:
        fd = os.open(networks.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise _refused(_("VMware is not here, or has never been started"), networks) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)

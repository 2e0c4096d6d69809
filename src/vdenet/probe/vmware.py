"""VMware Workstation and Player on this host: their networks, and what of theirs runs.

Read-only, by files and /proc alone: no program of VMware's is asked, and none has to be there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vdenet.i18n import _
from vdenet.model.report import Finding, SegmentReport, Severity
from vdenet.probe import processes
from vdenet.text import vmware_networks

COMMAND = "sudo vdenetd --vmware"
"""What gives each segment a vmnet."""
BRIDGER, GUEST = "vmnet-bridge", "vmware-vmx"
"""VMware's programs that bridge a vmnet, and that run a machine."""
SERVICES = frozenset({BRIDGER, "vmnet-dhcpd", "vmnet-natd", "vmnet-netifup"})


def networks(root: Path = Path("/")) -> dict[str, int] | None:
    """The vmnet that is bridged to each interface; None where VMware is not, or has never been started.

    Raises OSError.
    """
    try:
        text = (root / vmware_networks.PATH.lstrip("/")).read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return vmware_networks.mappings(text)


def running() -> set[str]:
    """Which of VMware's own programs run, by name."""
    return {name for _pid, name in _programs()}


def bridged() -> set[str]:
    """The interfaces to which VMware has bridged a vmnet now, among other arguments of its programs."""
    return {word for pid, name in _programs() if name == BRIDGER for word in processes.command_line(pid)[1:]}


def findings(segments: Sequence[SegmentReport], recorded: Iterable[str], root: Path = Path("/")) -> list[Finding]:
    """What `check` says of VMware; `recorded` are the bridges that `vdenetd --vmware` has given a vmnet."""
    try:
        mapped = networks(root)
    except OSError:
        return []
    if mapped is None:
        return []
    found = [Finding("vmware-not-bridged", Severity.INFO, segment.name, _(
        "VMware is here, but none of its vmnets is bridged to {bridge}: its machines cannot join").format(
            bridge=segment.bridge), COMMAND) for segment in segments if segment.bridge not in mapped]
    bridges = {segment.bridge for segment in segments}
    return found + [Finding("vmware-stale", Severity.WARNING, None, _(
        "VMware's vmnet{number} is bridged to {bridge}, which no segment has").format(
            number=mapped[bridge], bridge=bridge), COMMAND)
        for bridge in recorded if bridge in mapped and bridge not in bridges]


def _programs() -> Iterator[tuple[int, str]]:
    """Root's only, as VMware's are (vmware-vmx is set-user-ID): anybody can call a process of his what he likes."""
    for entry in Path("/proc").iterdir():
        words = processes.command_line(int(entry.name)) if entry.name.isdecimal() else ()
        name = os.path.basename(words[0]) if words else ""
        if (name in SERVICES or name == GUEST) and _is_roots(entry, name):
            yield int(entry.name), name


def _is_roots(process: Path, name: str) -> bool:
    """Whether root runs it, or it is a program of that very name that is set-user-ID to root.

    Who its directory belongs to proves nothing: to root, too, where a process keeps others from looking into it
    (PR_SET_DUMPABLE of prctl(2)), and where a set-user-ID program waits for a password.
    """
    if processes.real_uid(int(process.name)) == 0:
        return True
    try:
        file = os.stat(process / "exe")
        called = os.path.basename(os.readlink(process / "exe")).removesuffix(" (deleted)")
    except OSError:
        return False
    return called == name and file.st_uid == 0 and bool(file.st_mode & stat.S_ISUID)

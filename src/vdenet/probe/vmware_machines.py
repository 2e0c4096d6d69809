"""The user's machines of VMware's: where their .vmx files are, and whether VMware holds one.

VMware keeps no list that is complete: the library and the recently used ones of Workstation and Player
(~/.vmware), and the directory in which new ones are made, together have nearly all.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from vdenet.i18n import _
from vdenet.probe import processes, regular
from vdenet.text import vmware_machine
from vdenet.text.vmware_file import Settings

SUFFIX = ".vmx"
_LIMIT = 4 * 1024 * 1024
"""Bytes of a file of VMware's; real ones have some thousand."""
_LISTS = ("inventory.vmls", "preferences")
_DEFAULT = "prefvmx.defaultvmpath"
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "glusterfs", "lustre", "fuse.sshfs",
                     "fuse.glusterfs", "fuse.ceph"})


def text(path: Path) -> str:
    """A file of VMware's; bytes that are no UTF-8 stand as surrogates. Raises OSError."""
    raw = regular.data(path, _LIMIT + 1)
    if len(raw) > _LIMIT:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return raw.decode(errors="surrogateescape")


def called(name: str, home: Path) -> list[Path]:
    """The user's machines whose display name, or whose file without its ending, is this."""
    found: dict[str, Path] = {}
    for path in _machines(home):
        try:
            if path.stem == name or Settings(text(path)).text("displayName") == name:
                found.setdefault(os.path.realpath(path), path)
        except OSError:  # taken away, or not for us
            continue
    return sorted(found.values())


def holder(machine: Path) -> str | None:
    """Who holds the machine's configuration, in words; None when nobody does.

    A lock is a file in the directory NAME.vmx.lck. One whose process is gone is stale, as VMware itself sees it,
    but where another host may have made it. Raises OSError.
    """
    for path in {machine, Path(os.path.realpath(machine))}:
        directory = path.with_name(path.name + ".lck")
        if directory.is_file():
            return directory.name
        try:
            locks = sorted(directory.iterdir())
        except FileNotFoundError:
            continue
        for lock in locks:
            if lock.suffix == ".lck" and (by := _holder(lock)) is not None:
                return by
    return None


def _holder(lock: Path) -> str | None:
    said = text(lock)
    if not said.strip():
        return None  # a power cut leaves such
    made = vmware_machine.holder(said)
    if made is None:
        return lock.name
    alive = processes.identity(made.pid)
    hidden = alive is None and not Path(f"/proc/{made.pid}").exists() and processes.exists(made.pid)
    if hidden or (alive is not None and made.started in (0, alive.started)):
        words = processes.command_line(made.pid)
        name = os.path.basename(words[0]) if words else "VMware"
        return _("{name}, process {pid}").format(name=name, pid=made.pid)
    return lock.name if _is_remote(lock) else None


def _is_remote(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether another host may see the file too: where it is mounted from (proc(5), mountinfo)."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text(errors="replace").splitlines():
        words, _dash, kind = line.partition(" - ")
        if words.split()[2] == number:
            return kind.split()[0] in _REMOTE
    return False


def _machines(home: Path) -> Iterator[Path]:
    """Each .vmx file that VMware has noted down, then those below the directories for new ones."""
    places = [home / "vmware"]
    for name in _LISTS:
        try:
            settings = Settings(text(home / ".vmware" / name))
        except OSError:
            continue
        for key, _value in settings.items():
            value = settings.text(key) or ""
            if "\0" in value:
                continue
            if value.startswith("/") and value.endswith(SUFFIX):
                yield Path(value)
            elif key == _DEFAULT and value.startswith("/"):
                places.insert(0, Path(value))
    for place in places:
        for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}", f"*/*/*{SUFFIX}"):
            try:
                yield from place.glob(pattern)
            except OSError:
                continue

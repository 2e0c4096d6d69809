"""Mounts that only one command sees: its own resolver configuration, /sys, ssh_config.d.

Runs as root of a user namespace in a mount namespace of its own; nothing here reaches the host.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from pathlib import Path

_REC, _BIND, _NOSUID, _NODEV = 0x4000, 0x1000, 0x2, 0x4
"""linux/mount.h."""
_libc = ctypes.CDLL(None, use_errno=True)

RESOLV_CONF = "/etc/resolv.conf"
RESOLVED = "/run/systemd/resolve"
COVERED = ("/run/nscd", "/var/run/nscd")
"""Sockets by which glibc asks the host's daemon for names, past resolv.conf."""
SSH_CONFIG = "/etc/ssh/ssh_config.d"


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2). Raises OSError."""
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode() if kind else None,
                   ctypes.c_ulong(flags), data.encode() if data else None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def bind(source: Path | str, target: Path | str) -> None:
    """Show `source` in the place of `target` as well, with all that is mounted below it."""
    mount(str(source), str(target), None, _BIND | _REC)


class Mounts:
    """The private mounts of one command; `private` is a directory of the host that is hidden for it."""

    def __init__(self, private: Path) -> None:
        mount("vdenet", str(private), "tmpfs", _NOSUID | _NODEV, "mode=0755,size=4m")
        self.private = private
        self._resolver = private / "resolver"
        self._resolver.mkdir()
        self._file = self._resolver / "resolv.conf"
        self._file.write_text("")
        (self._resolver / "stub-resolv.conf").symlink_to("resolv.conf")

    def resolver(self) -> None:
        """Put our resolv.conf into the place of the host's, and daemons that know the host's names away.

        /etc/resolv.conf may be a link, its target may be missing.
        """
        if os.path.isdir(RESOLVED):
            # nss-resolve finds no socket and leaves the lookup to the next service: DNS.
            bind(self._resolver, RESOLVED)
        empty = self.private / "empty"
        empty.mkdir(exist_ok=True)
        for directory in COVERED:
            if os.path.isdir(directory):
                bind(empty, directory)
        self.keep()

    def keep(self) -> None:
        """Mount resolv.conf again where that was undone: who replaces the host's file detaches ours."""
        target = os.path.realpath(RESOLV_CONF)
        if not os.path.exists(target):
            self._make(Path(target))
        if not os.path.samefile(target, self._file):
            bind(self._file, target)

    def names(self, text: str) -> None:
        """Change resolv.conf; the inode stays, since it is what is mounted."""
        self._file.write_text(text)

    def _make(self, missing: Path) -> None:
        """Let the file `missing` exist: in a copy of its directory, entry by entry the same."""
        there = next(parent for parent in missing.parents if parent.is_dir())
        copy = Path(tempfile.mkdtemp(dir=self.private))
        copy.chmod(0o755)
        for entry in sorted(there.iterdir()):
            place = copy / entry.name
            if entry.is_symlink():
                place.symlink_to(entry.readlink())
            elif entry.is_dir():
                place.mkdir()
                bind(entry, place)
            else:
                place.touch()
                bind(entry, place)
        made = copy / missing.relative_to(there)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
        bind(copy, there)

    def sysfs(self) -> None:
        """A /sys that shows the interfaces of this network namespace; where it is refused, the old one."""
        copy = self.private / "sys"
        copy.mkdir()
        try:
            mount("sysfs", str(copy), "sysfs", _NOSUID | _NODEV)
            for below in _mounted_below("/sys"):
                bind(f"/sys/{below}", copy / below)
            bind(copy, "/sys")
        except OSError:  # a container's /sys is covered in places, and stays so
            return

    def ssh(self) -> None:
        """Files of ssh_config.d that belong to the user, not to root.

        ssh refuses included files of a stranger, and root is one here.
        """
        if not os.path.isdir(SSH_CONFIG):
            return
        copy = self.private / "ssh"
        copy.mkdir()
        for entry in sorted(Path(SSH_CONFIG).iterdir()):
            if entry.is_file() and os.access(entry, os.R_OK):
                shutil.copyfile(entry, copy / entry.name)
        bind(copy, SSH_CONFIG)


def _mounted_below(directory: str) -> list[str]:
    """Uppermost mount points below `directory`, relative to it; /proc/self/mountinfo, field 5."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        if point.startswith(f"{directory}/") and "\\" not in point:
            points.append(point.removeprefix(f"{directory}/"))
    points = sorted(set(points))
    return [point for point in points if not any(point.startswith(f"{other}/") for other in points)]

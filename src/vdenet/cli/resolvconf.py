"""The resolv.conf of a container, as it lies on the host: the segment's name servers before its own.

What is in the container may write into it what it likes, and whoever changes it here may be root.
"""

from __future__ import annotations

import os
from pathlib import Path

from vdenet.probe import regular
from vdenet.text import lease as leases

MOST = 64 * 1024
"""Bytes; a larger file is no resolv.conf of anybody's."""


class ResolvConf:
    """The file, and what stood in it before; bytes that are no UTF-8 stay as they are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: str | None = None
        self._written: str | None = None

    def put(self, given: leases.Lease) -> bool:
        """Put the servers of the lease first; false when the file cannot be changed, and stays as it is."""
        if not given.dns:
            return True
        try:
            now = _read(self._path)
            before = now if self._before is None or now != self._written else self._before
            text = leases.resolv_conf_before(given, before)
            if text != now:
                _write(self._path, text)
        except (OSError, ValueError):
            return False
        self._before, self._written = before, text
        return True

    def restore(self) -> None:
        """As it was before, unless somebody else has changed it since."""
        try:
            if self._before is not None and _read(self._path) == self._written:
                _write(self._path, self._before)
        except (OSError, ValueError):
            return


def _read(path: Path) -> str:
    """Raises OSError, also for what is no file of its own, and ValueError for one that is too large."""
    raw = regular.data(path, MOST + 1, follow=False)
    if len(raw) > MOST:
        raise ValueError(path)
    return raw.decode(errors="surrogateescape")


def _write(path: Path, text: str) -> None:
    """In place: the container has this very file mounted."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(fd, "wb") as file:
        file.write(text.encode(errors="surrogateescape"))

"""Files that somebody else may write or put something in the place of: read without being held up."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from vdenet.i18n import _


def text(path: Path, limit: int, follow: bool = True) -> str:
    """The first `limit` bytes of a file; nothing for what is no regular file, or may not be read.

    `follow`: also where the last part of the path is a link.
    """
    try:
        return data(path, limit, follow).decode(errors="replace")
    except OSError:
        return ""


def data(path: Path, limit: int, follow: bool = True) -> bytes:
    """As `text`, of a file that has to be there. Raises OSError, also for what is no regular file."""
    # O_NONBLOCK: to open a FIFO would wait for its writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        # Looked at by its number: fdopen() of a directory fails and leaves it open.
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, _("it is no regular file"), str(path))
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(fd)

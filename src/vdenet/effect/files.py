"""Files and directories of ours: written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import grp
import os
import secrets
import shutil
import tempfile
from pathlib import Path, PurePath

from vdenet.effect import run
from vdenet.errors import Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model.wanted import Directory


UNFINISHED = ".new"
"""What the name of a file ends in that is being written."""


def write(path: PurePath, text: str, mode: int, group: str) -> None:
    """Replace the file in one step that a crash or a full disk cannot leave half done.

    The directory of `path` must be one that only the daemon writes. Raises `Refused` with the system's
    reason; the old file is then as it was.
    """
    try:
        _replace(Path(path), text.encode(), mode, -1, grp.getgrnam(group).gr_gid)
    except OSError as error:
        raise Refused(what=_("write {path}").format(path=path), why=error.strerror or str(error)) from None


def rewrite(path: PurePath, before: bytes, after: bytes) -> None:
    """Replace a file of another program's, as `write`, but with its owner and mode kept.

    Not for two at once: what a predecessor that was killed was writing is cleared away. Raises `Refused`, also
    when the file is no longer as it was read.
    """
    target = Path(path).resolve()
    try:
        if target.read_bytes() != before:
            raise Refused(what=_("change {path}").format(path=path), why=_("somebody else changed it meanwhile"))
        status = target.stat()
        for half in target.parent.glob(f".{glob.escape(target.name)}.*{UNFINISHED}"):
            _forget(str(half))
        _replace(target, after, status.st_mode & 0o7777, status.st_uid, status.st_gid)
    except OSError as error:
        raise Refused(what=_("write {path}").format(path=path), why=error.strerror or str(error)) from None


def _replace(target: Path, raw: bytes, mode: int, uid: int, gid: int) -> None:
    with contextlib.ExitStack() as undo:
        fd, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=UNFINISHED, dir=target.parent)
        undo.callback(_forget, temporary)
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
            file.flush()
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            os.fsync(fd)
        os.rename(temporary, target)
        undo.pop_all()
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _forget(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def sweep(directory: PurePath) -> None:
    """Remove what a daemon that was killed in the middle of `write` left in a directory of the daemon's own."""
    for path in Path(directory).glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            path.unlink()


def remove(path: PurePath) -> None:
    """Remove a file that may be gone already."""
    Path(path).unlink(missing_ok=True)


def make_directory(directory: Directory) -> None:
    """Make the directory, or give an existing one its mode and group. Raises `Refused`."""
    if directory.account != "root":
        run.run(["install", "--directory", f"--mode={directory.mode:o}", str(directory.path)],
                what=f"make {directory.path}", account=directory.account)
        return
    try:
        Path(directory.path).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory.path, 0o700)
        fd = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_uid != 0:
                raise OSError(errno.EPERM, _("it belongs to another account"))
            os.fchown(fd, -1, grp.getgrnam(directory.group).gr_gid)
            os.fchmod(fd, directory.mode)
        finally:
            os.close(fd)
    except OSError as error:
        raise Refused(what=_("make {path}").format(path=directory.path),
                      why=error.strerror or str(error)) from None


def clear(path: PurePath, account: str) -> None:
    """Make way at `path`, as the account that owns it: remove what is there, or else put it aside.

    Members may write into the switch's control directory, so one could put a directory there that only he
    and root can empty. It is left under another name; the package's removal, which is root without
    bounds, takes it away. Raises `ToolFailed`.
    """
    try:
        run.run(["rm", "-rf", str(path)], what=f"clear {path}", account=account)
    except ToolFailed:
        aside = path.parent / f".left-{secrets.token_hex(4)}"
        run.run(["mv", "--no-target-directory", str(path), str(aside)], what=f"clear {path}", account=account)


def remove_tree(directory: Directory) -> None:
    """Remove a directory with all in it; where another account may write, as that account.

    What a member made unremovable (see `clear`) stays, and the directory with it.
    """
    path = Path(directory.path)
    if directory.writer != "root" and path.is_dir():
        with contextlib.suppress(ToolFailed):
            run.run(["find", str(path), "-mindepth", "1", "-delete"], what=f"empty {path}",
                    account=directory.writer)
    if directory.account != "root":
        run.run(["rm", "-rf", str(path)], what=f"remove {path}", account=directory.account)
    else:
        shutil.rmtree(path, ignore_errors=True)

"""What joining changed, remembered for `leave` in the user's own state directory.

$XDG_STATE_HOME/vdenet/KIND/, or ~/.local/state/vdenet/KIND/ (XDG base directory specification); a file a
guest, named by a hash, since hypervisors allow more in a name than file systems do.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def load(kind: str, guest: str) -> dict[str, object] | None:
    """What was remembered; None when nothing was, or nothing that can be understood."""
    try:
        data = json.loads(_path(kind, guest).read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and data.get("guest") == guest else None


def save(kind: str, guest: str, memory: dict[str, object]) -> None:
    """Remember, in one step. Raises OSError."""
    path = _path(kind, guest)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(fd, "w") as file:
        json.dump({**memory, "guest": guest}, file, indent=1)
    os.replace(temporary, path)


def forget(kind: str, guest: str) -> None:
    """Remember nothing of this guest any more."""
    with contextlib.suppress(OSError):
        _path(kind, guest).unlink()


@contextlib.contextmanager
def alone(kind: str, guest: str) -> Iterator[None]:
    """Only one `join` or `leave` of a guest at a time; a second one waits."""
    path = _path(kind, guest).with_suffix(".lock")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _path(kind: str, guest: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or ""
    root = Path(base) if base.startswith("/") else Path.home() / ".local/state"
    return root / "vdenet" / kind / f"{hashlib.sha256(guest.encode()).hexdigest()[:24]}.json"

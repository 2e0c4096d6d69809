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
from dataclasses import asdict, dataclass
from pathlib import Path

from vdenet.errors import Refused
from vdenet.i18n import _


@dataclass(frozen=True, slots=True)
class Entry:
    """A guest that joined: `guest` is how the user called it, `data` what its kind has to know again."""

    segment: str
    id: str
    guest: str
    name: str
    data: object
    vlan: int | None = None
    """The one that was asked for."""
    bridge: str | None = None
    switch: str | None = None
    """The segment's, for when that is no more; None in what an older version wrote."""
    formerly: tuple[str, ...] = ()
    """How the user called it when it joined before under the same id, the last one first."""
    mac: str | None = None
    """The MAC address that it was given; None in what an older version wrote."""

    def was_called(self, guest: str) -> bool:
        """Whether the user called it so whenever it joined."""
        return guest in (self.guest, *self.formerly)


def load(kind: str, segment: str, id: str) -> Entry | None:
    """What was remembered; None when nothing was, or nothing that can be understood."""
    entry = _read(_path(kind, segment, id))
    return entry if entry is not None and (entry.segment, entry.id) == (segment, id) else None


def called(kind: str, segment: str, guest: str) -> Entry | None:
    """The guest that the user called so, for when its hypervisor knows it no more."""
    return next(iter(all_called(kind, segment, guest)), None)


def all_called(kind: str, segment: str, guest: str) -> list[Entry]:
    """The guests that the user called so; first those that were last called so."""
    return sorted((entry for entry in of(kind, segment) if entry.was_called(guest)),
                  key=lambda entry: entry.guest != guest)


def named(kind: str, segment: str, name: str) -> list[Entry]:
    """The guests that joined under that name."""
    return [entry for entry in of(kind, segment) if entry.name == name]


def of(kind: str, segment: str) -> list[Entry]:
    """The guests that joined the segment."""
    entries = (_read(path) for path in sorted(_directory(kind).glob("*.json")))
    return [entry for entry in entries if entry is not None and entry.segment == segment]


def save(kind: str, entry: Entry) -> None:
    """Remember, in one step. Raises OSError."""
    path = _path(kind, entry.segment, entry.id)
    fd, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(fd, "w") as file:
            json.dump(asdict(entry), file, indent=1)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def forget(kind: str, segment: str, id: str) -> None:
    """Remember nothing of this guest any more."""
    with contextlib.suppress(OSError):
        _path(kind, segment, id).unlink()


@contextlib.contextmanager
def alone(kind: str) -> Iterator[None]:
    """Only one `join` or `leave` of a kind at a time; a second one waits.

    Raises `Refused` where nothing can be remembered.
    """
    directory = _directory(kind)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = open(directory / "lock", "w")
    except OSError as error:
        raise Refused(what=_("remember how guests were before they joined"),
                      why=f"{error.filename}: {error.strerror}",
                      hint=_("set XDG_STATE_HOME to a directory of yours")) from None
    with lock as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> Entry | None:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    segment, id, guest, name = (data.get(key) for key in ("segment", "id", "guest", "name"))
    if not (isinstance(segment, str) and isinstance(id, str) and isinstance(guest, str)
            and isinstance(name, str)):
        return None
    vlan, bridge, switch, formerly, mac = (data.get(key) for key in ("vlan", "bridge", "switch", "formerly", "mac"))
    return Entry(segment, id, guest, name, data.get("data"), vlan if isinstance(vlan, int) else None,
                 bridge if isinstance(bridge, str) else None, switch if isinstance(switch, str) else None,
                 tuple(one for one in formerly if isinstance(one, str)) if isinstance(formerly, list) else (),
                 mac if isinstance(mac, str) else None)


def _directory(kind: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or ""
    root = Path(base) if base.startswith("/") else Path.home() / ".local/state"
    return root / "vdenet" / kind


def _path(kind: str, segment: str, id: str) -> Path:
    # A path may hold bytes that are no UTF-8.
    digest = hashlib.sha256(f"{segment}/{id}".encode(errors="surrogateescape")).hexdigest()
    return _directory(kind) / f"{digest[:24]}.json"

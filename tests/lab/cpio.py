"""A cpio archive (newc) written without root: what Linux unpacks as its initramfs."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field


@dataclass
class Archive:
    """Entries in the order they are added; a directory is added before what lies in it."""

    _parts: list[bytes] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def directory(self, path: str, mode: int = 0o755) -> None:
        if path in self._seen or path in ("", "."):
            return
        self._parents(path)
        self._add(path, stat.S_IFDIR | mode, b"")

    def file(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        self._parents(path)
        self._add(path, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def link(self, path: str, target: str) -> None:
        self._parents(path)
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path: str, major: int, minor: int) -> None:
        self._parents(path)
        self._add(path, stat.S_IFCHR | 0o600, b"", major, minor)

    def finish(self) -> bytes:
        """The finished archive."""
        return b"".join(self._parts) + _entry(0, "TRAILER!!!", 0, b"", 0, 0)

    def _parents(self, path: str) -> None:
        if "/" in path:
            self.directory(path.rsplit("/", 1)[0])

    def _add(self, path: str, mode: int, data: bytes, major: int = 0, minor: int = 0) -> None:
        if path in self._seen:
            raise ValueError(f"{path} is in the archive already")
        self._seen.add(path)
        self._parts.append(_entry(len(self._seen), path, mode, data, major, minor))


def _entry(inode: int, path: str, mode: int, data: bytes, major: int, minor: int) -> bytes:
    name = path.encode() + b"\0"
    numbers = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)

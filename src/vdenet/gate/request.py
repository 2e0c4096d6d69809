"""What a program asks of a VDE switch. Facts: src/vde_switch/datasock.c of vde-2 r586, and libvdeplug, which asks."""

from __future__ import annotations

import struct
from dataclasses import dataclass

LONGEST = 256
"""Bytes of a request that the switch reads (REQBUFLEN)."""
MAGIC = 0xFEEDFACE
VERSION = 3
_HEAD = struct.Struct("=IIi")
"""Magic, version; the kind of request in the lowest byte of a number, the port above it."""
_ADDRESS = struct.Struct("=H108s")
"""struct sockaddr_un, unix(7)."""
_AF_UNIX = 1
_NEW_CONTROL = 0
_SIZE = _HEAD.size + _ADDRESS.size


class BadRequest(Exception):
    """The request cannot be passed on; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One program's wish to be plugged in."""

    port: int
    """0 for any that is free."""
    socket: bytes
    """Where frames are to be sent: a path, or what follows the NUL of an abstract name."""
    abstract: bool
    words: str
    """What the program says of itself, in printable ASCII."""


def parse(raw: bytes) -> Request:
    """Read a request of version 3, which every libvdeplug sends. Raises `BadRequest`."""
    if len(raw) < _SIZE:
        raise BadRequest("too short")
    magic, version, kind = _HEAD.unpack_from(raw)
    if magic != MAGIC or version != VERSION:
        raise BadRequest("not a request of version 3")
    # The other kind (REQ_NEW_PORT0) is a port that no VLAN and no list shows.
    if kind & 0xFF != _NEW_CONTROL or kind < 0:
        raise BadRequest("not for an ordinary port")
    family, name = _ADDRESS.unpack_from(raw, _HEAD.size)
    if family != _AF_UNIX:
        raise BadRequest("its address is of another family")
    abstract = name[:1] == b"\0"
    socket = name[1:] if abstract else name.partition(b"\0")[0]
    if abstract and not socket.strip(b"\0"):
        raise BadRequest("it says no address")
    said = raw[_SIZE:].partition(b"\0")[0].decode("ascii", "replace")
    return Request(kind >> 8, socket, abstract, "".join(one if " " <= one <= "~" else "?" for one in said))


def compose(port: int, socket: bytes, abstract: bool, words: str) -> bytes:
    """The bytes of a request; `words` is cut where the switch would cut it. Raises ValueError for a longer address."""
    name = (b"\0" if abstract else b"") + socket
    if len(name) > 108 or (not abstract and len(name) == 108):
        raise ValueError("no such address")
    head = _HEAD.pack(MAGIC, VERSION, port << 8 | _NEW_CONTROL) + _ADDRESS.pack(_AF_UNIX, name)
    return (head + words.encode("ascii"))[:LONGEST]

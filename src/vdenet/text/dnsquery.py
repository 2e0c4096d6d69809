"""One question and one answer of DNS (RFC 1035, section 4): enough to ask whether a server serves."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

_RECURSION_DESIRED = 0x0100
_RESPONSE = 0x8000
_TYPE_A, _CLASS_IN = 1, 1


def query(name: str, identity: int) -> bytes:
    """A question for the IPv4 address of `name`; `identity` (16 bits) comes back in the answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack("!6H", identity, _RECURSION_DESIRED, 1, 0, 0, 0) + labels \
        + b"\0" + struct.pack("!2H", _TYPE_A, _CLASS_IN)


def addresses(message: bytes, identity: int) -> list[IPv4Address] | None:
    """The IPv4 addresses in an answer to `query`; None when it is no such answer."""
    if len(message) < 12:
        return None
    found, flags, questions, answers, _authority, _more = struct.unpack("!6H", message[:12])
    if found != identity or not flags & _RESPONSE:
        return None
    result = []
    try:
        at = 12
        for _question in range(questions):
            at = _past_name(message, at) + 4
        for _answer in range(answers):
            at = _past_name(message, at)
            kind, _class, _ttl, length = struct.unpack("!2HIH", message[at:at + 10])
            if kind == _TYPE_A and length == 4:
                result.append(IPv4Address(message[at + 10:at + 14]))
            at += 10 + length
    except (IndexError, struct.error, ValueError):
        return None
    return result


def _past_name(message: bytes, at: int) -> int:
    while message[at] not in (0,) and message[at] < 0xC0:
        at += 1 + message[at]
    return at + (1 if message[at] == 0 else 2)

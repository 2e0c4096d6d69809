"""The kernel's number of a network namespace, as its links' `link-netnsid` names it.

`namespaces` asks the same by pyroute2, whose import no verb pays for.
"""

from __future__ import annotations

import socket
import struct

_NETLINK_ROUTE, _NLM_F_REQUEST = 0, 1
_RTM_NEWNSID, _RTM_GETNSID = 88, 90
"""linux/rtnetlink.h."""
_NETNSA_NSID, _NETNSA_FD = 1, 3
"""linux/net_namespace.h."""
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr of linux/netlink.h: length, type, flags, sequence, port."""
_FAMILY = struct.Struct("=B3x")
"""struct rtgenmsg, padded."""
_ATTRIBUTE = struct.Struct("=HHi")
"""struct nlattr, and a number of 32 bits."""


def number(net: int) -> int | None:
    """What the namespace behind the descriptor is called in this one; None where it has no number.

    That is so unless a link of this namespace has its other end there. Raises OSError.
    """
    size = _HEADER.size + _FAMILY.size + _ATTRIBUTE.size
    request = _HEADER.pack(size, _RTM_GETNSID, _NLM_F_REQUEST, 1, 0) + _FAMILY.pack(socket.AF_UNSPEC) \
        + _ATTRIBUTE.pack(_ATTRIBUTE.size, _NETNSA_FD, net)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as netlink:
        netlink.settimeout(10)
        netlink.bind((0, 0))
        netlink.send(request)
        reply = netlink.recv(65536)
    if len(reply) < size or _HEADER.unpack_from(reply)[1] != _RTM_NEWNSID:
        return None
    _length, kind, value = _ATTRIBUTE.unpack_from(reply, _HEADER.size + _FAMILY.size)
    return int(value) if kind == _NETNSA_NSID and value >= 0 else None

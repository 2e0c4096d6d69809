"""Who would receive a datagram on this host, asked of the kernel: sock_diag(7), linux/inet_diag.h."""

from __future__ import annotations

import errno
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_ANY_COOKIE = 0xFFFFFFFF
_UID_AT = _HEADER.size + 4 + 48 + 12
"""inet_diag_msg: four bytes, the addresses (inet_diag_sockid), expires, rqueue, wqueue; then the uid."""


class Receivers:
    """A question to the kernel that can be asked again and again."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)

    def uid(self, source: tuple[str, int], target: tuple[str, int]) -> int | None:
        """The account of the socket that a datagram between these would reach; None when there is none.

        The kernel looks it up as it does for the datagram itself (udp_dump_one in net/ipv4/udp_diag.c, where
        `src` is the datagram's source). Raises OSError.
        """
        addresses = b"".join(socket.inet_aton(host) + bytes(12) for host, _port in (source, target))
        identity = (struct.pack("!HH", source[1], target[1]) + addresses
                    + struct.pack("=III", 0, _ANY_COOKIE, _ANY_COOKIE))
        request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_UDP, 0, _ANY_COOKIE) + identity
        header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
        self._netlink.send(header + request)
        answer = self._netlink.recv(4096)
        if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
            number = -int(struct.unpack_from("=i", answer, _HEADER.size)[0])
            if number == errno.ENOENT:
                return None
            raise OSError(number, "sock_diag")
        uid: int = struct.unpack_from("=I", answer, _UID_AT)[0]
        return uid

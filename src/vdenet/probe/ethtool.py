"""What ethtool(8) would say, by the SIOCETHTOOL request that anybody may make (linux/ethtool.h)."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946
_GDRVINFO = 0x00000003
_GTXCSUM = 0x00000016


def request(name: str, data: array.array[int]) -> None:
    """Hand `data` (a struct that starts with the command) to the driver, which fills it in.

    Raises OSError: no such interface, or its driver does not know the command.
    """
    address, _length = data.buffer_info()
    ifreq = struct.pack("16sP16x", name.encode(), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, ifreq)


def driver(name: str) -> str:
    """The driver's name: `veth`, `tun`, `bridge`, `vxlan`, …; empty when it does not say."""
    data = array.array("B", struct.pack("=I", _GDRVINFO) + bytes(192))
    try:
        request(name, data)
    except OSError:
        return ""
    return data.tobytes()[4:36].split(b"\0", 1)[0].decode(errors="replace")


def transmit_checksum(name: str) -> bool:
    """True when the interface leaves transmit checksums to be computed later; True too when unknown."""
    data = array.array("I", [_GTXCSUM, 1])
    try:
        request(name, data)
    except OSError:
        return True
    return data[1] != 0

"""Taps, by the requests of linux/if_tun.h.

pyroute2 can make a persistent tap but hands out no descriptor, and a crash in the middle of making one
must leave nothing behind; so these few ioctls are our own.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct

from vdenet.errors import ToolFailed

DEVICE = "/dev/net/tun"
VHOST = "/dev/vhost-net"

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOWNER = 0x400454CC
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_IFF_TUN_EXCL = 0x8000


def open_tap(name: str, owner: int, vnet_hdr: bool) -> int:
    """A new tap, as a descriptor: it is gone when the last copy of that is closed.

    `owner` is the uid that may attach to it besides. With an owner only, never with a group too: the
    kernel then asks for both. Raises `ToolFailed`, also when the name is taken.
    """
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_TUN_EXCL | (_IFF_VNET_HDR if vnet_hdr else 0)
    try:
        fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            fcntl.ioctl(fd, _TUNSETOWNER, owner)
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise ToolFailed(what=f"make the tap {name}", tool=DEVICE,
                         why=error.strerror or str(error)) from None
    return fd


def make_persistent(fd: int) -> None:
    """The tap stays when its descriptors are closed; the last thing to do to one."""
    fcntl.ioctl(fd, _TUNSETPERSIST, 1)


def open_vhost() -> int | None:
    """A descriptor of the kernel's packet engine for virtual machines, where there is one."""
    try:
        return os.open(VHOST, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


def open_to_all() -> bool:
    """Let every account open /dev/net/tun, as udev's rules do where udev runs; True when it changed that.

    In a container without udev the node is root's alone, and the switch could not open its tap. The
    kernel itself asks for a capability, or for the tap's owner, whoever opened the node.
    """
    node = os.stat(DEVICE)
    if not stat.S_ISCHR(node.st_mode) or node.st_uid != 0 or node.st_mode & 0o666 == 0o666:
        return False
    os.chmod(DEVICE, 0o666)
    return True

"""Whose a network namespace is."""

from __future__ import annotations

import fcntl
import os

from vdenet.daemon.members import Caller
from vdenet.errors import NotPermitted
from vdenet.i18n import _

# linux/nsfs.h
_NS_GET_USERNS = 0xB701
_NS_GET_NSTYPE = 0xB703
_NS_GET_OWNER_UID = 0xB704
_CLONE_NEWNET = 0x40000000


def require_own(netns: int, caller: Caller) -> None:
    """Raises `NotPermitted` unless the descriptor is a network namespace that the caller made: one that is
    owned by a user namespace of the caller's (ioctl_ns(2)), and not the host's own."""
    refusal = NotPermitted(what=_("use that namespace"),
                           why=_("it is not a network namespace of {name}").format(name=caller.name))
    try:
        # Asked first: what else may be behind a descriptor (a device, a file system of the caller's own) is
        # sent no request, which it might answer in its own time.
        if not os.readlink(f"/proc/self/fd/{netns}").startswith("net:["):
            raise refusal
        if fcntl.ioctl(netns, _NS_GET_NSTYPE) != _CLONE_NEWNET \
                or os.fstat(netns).st_ino == os.stat("/proc/self/ns/net").st_ino:
            raise refusal
        userns = fcntl.ioctl(netns, _NS_GET_USERNS)
        try:
            buffer = bytearray(4)
            fcntl.ioctl(userns, _NS_GET_OWNER_UID, buffer)
        finally:
            os.close(userns)
    except OSError:
        raise refusal from None
    if int.from_bytes(buffer, "little") != caller.uid:
        raise refusal

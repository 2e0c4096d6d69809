"""Who may use the segments: root, and whoever the group says now."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass

from vdenet.errors import NotPermitted
from vdenet.i18n import _
from vdenet.model.places import DNS_ACCOUNT, GROUP, PLUG_ACCOUNT, SWITCH_ACCOUNT

_SERVICES = frozenset({SWITCH_ACCOUNT, DNS_ACCOUNT, PLUG_ACCOUNT})


@dataclass(frozen=True, slots=True)
class Caller:
    """The account at the other end of a connection."""

    uid: int
    name: str


def peer(sock: socket.socket) -> Caller:
    """The account that connected, as the kernel recorded it (SO_PEERCRED, unix(7))."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return Caller(uid, account_name(uid) or str(uid))


def account_name(uid: int) -> str | None:
    """The name of an account, or None when there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def uid_of(name: str) -> int | None:
    """The number of an account, or None when there is none of that name."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def authorise(caller: Caller) -> None:
    """Raises `NotPermitted` unless the caller is root or in the group now.

    The account database decides, not the groups of the caller's session: who was taken out of the group
    is out at once. The switch's account is in the group for the sake of its sockets only.
    """
    if caller.uid == 0:
        return
    if not is_member(caller.uid):
        raise NotPermitted(what=_("use vdenet"),
                           why=_("{name} is not in the group {group}").format(name=caller.name, group=GROUP),
                           account=caller.name)


def is_member(uid: int) -> bool:
    """Whether the account is in the group now."""
    try:
        account = pwd.getpwuid(uid)
        gid = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return False
    return account.pw_name not in _SERVICES and gid in os.getgrouplist(account.pw_name, account.pw_gid)

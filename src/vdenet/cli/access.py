"""Membership of the group: who may talk to the daemon, and how a late member gets in.

A login keeps the groups that it began with. Someone who was added to the group after that is a member by
the account database, which is what the daemon asks, but the control socket does not open for the process.
`sg` gives the group to a helper (`vdenet.cli.door`), which connects and hands the connection over. The
process itself, and what it starts, stays as it is: a guest's program must not write its files as the group
of all members, which is what `sg` around the whole command would come to.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass

from vdenet.errors import NotPermitted
from vdenet.i18n import _
from vdenet.model.places import GROUP

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """The caller, as the account database and the kernel see it."""

    name: str
    member: bool
    effective: bool
    """This process has the group's gid."""

    @property
    def late(self) -> bool:
        """A member whose login is older than the membership."""
        return self.member and not self.effective


def account() -> Account:
    """Who runs this process."""
    import grp
    import pwd

    uid = os.getuid()
    try:
        entry = pwd.getpwuid(uid)
        name, own = entry.pw_name, entry.pw_gid
    except KeyError:  # a uid without an account, as in containers
        name, own = str(uid), os.getgid()
    try:
        group = grp.getgrnam(GROUP)
    except KeyError:
        return Account(name, member=False, effective=False)
    member = name in group.gr_mem or group.gr_gid in os.getgrouplist(name, own)
    return Account(name, member, effective=group.gr_gid in (os.getegid(), *os.getgroups()))


def exists(name: str) -> bool:
    """Whether there is such an account still."""
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def connect(path: str) -> socket.socket:
    """A connection to the daemon's socket, which did not open for this process itself.

    Raises `NotPermitted` where the account database does not help either, OSError as connect(2).
    """
    who = account()
    if not who.late or _no_new_privileges():
        raise refusal(who)
    from shlex import join

    from vdenet.cli import tools

    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(_SECONDS)
        with theirs:
            helper = tools.spawn(
                ["sg", GROUP, "-c", join([sys.executable, "-I", "-m", "vdenet.cli.door", path])],
                stdin=theirs.fileno(), quiet=True, session=True)
        try:
            said, fds, _flags, _address = socket.recv_fds(ours, 16, 1)
        except OSError:
            said, fds = b"", []
        if not said:
            with suppress(OSError):
                helper.kill()
        helper.wait()
    if fds:
        return socket.socket(fileno=fds[0])
    if said.isdigit():
        raise OSError(int(said), os.strerror(int(said)))
    raise refusal(who)


def refusal(who: Account) -> NotPermitted:
    """Why the socket does not open for `who`."""
    if not who.member:
        return NotPermitted(what=_("talk to vdenetd"), account=who.name, why=_(
            "{name} is not a member of the group {group}").format(name=who.name, group=GROUP))
    if who.effective:
        return NotPermitted(what=_("talk to vdenetd"), why=_(
            "its socket is closed to the group {group}").format(group=GROUP))
    return NotPermitted(what=_("talk to vdenetd"), hint=_("log out and in again"), why=_(
        "{name} is a member of the group {group}, but this login is older than that"
    ).format(name=who.name, group=GROUP))


def _no_new_privileges() -> bool:
    """Where this is set, `sg` has no set-uid bit and could only ask for a password."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return "NoNewPrivs:\t1\n" in status.read()
    except OSError:
        return False

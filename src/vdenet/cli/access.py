"""Membership of the group: who may talk to the daemon, and how to get in.

A login keeps the groups that it began with. Someone who was added to the group after that is a member by
the account database, but not by the process; `sg` starts the same command once more with the group.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from vdenet.errors import NotPermitted
from vdenet.i18n import _
from vdenet.model.places import GROUP

AGAIN = "VDENET_SG"
"""Set for the command that `sg` starts, so that it is started once only."""


@dataclass(frozen=True, slots=True)
class Account:
    """The caller, as the account database and the kernel see it."""

    name: str
    member: bool
    effective: bool
    """This process has the group's gid."""
    gid: int = -1
    """The account's own group."""


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
        return Account(name, member=False, effective=False, gid=own)
    member = name in group.gr_mem or group.gr_gid in os.getgrouplist(name, own)
    return Account(name, member, group.gr_gid in (os.getegid(), *os.getgroups()), own)


def refusal(who: Account) -> NotPermitted:
    """Why the socket does not open for `who`."""
    if who.member:
        return NotPermitted(what=_("talk to vdenetd"), relogin=f"sg {GROUP} -c '…'", why=_(
            "{name} is a member of the group {group}, but this login is older than that"
        ).format(name=who.name, group=GROUP))
    return NotPermitted(what=_("talk to vdenetd"), account=who.name, why=_(
        "{name} is not a member of the group {group}").format(name=who.name, group=GROUP))


def enter(argv: Sequence[str]) -> NotPermitted:
    """Start `argv` (the whole command line of this process) again with the group, and not return.

    Returns the error to raise where that cannot help.
    """
    who = account()
    sg = shutil.which("sg")
    if who.member and not who.effective and AGAIN not in os.environ and sg \
            and not _no_new_privileges():
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sg, ["sg", GROUP, "-c", _back(who, argv)], {**os.environ, AGAIN: "1"})
    return refusal(who)


def _back(who: Account, argv: Sequence[str]) -> str:
    """The shell's line that runs `argv` with the group it has now as its own.

    `sg` makes its group the process's own and keeps the others beside it. Left so, what a guest's program
    writes would belong to the group of all members; a second `sg` takes the way back, and keeps the first.
    """
    import grp

    line = shlex.join(argv)
    try:
        own = grp.getgrgid(os.getgid())
    except KeyError:
        return line
    if os.getgid() == who.gid or who.name in own.gr_mem:
        return "exec " + shlex.join(["sg", own.gr_name, "-c", f"exec {line}"])
    return line


def entered() -> None:
    """Called when the daemon has let us in: what we start later need not know how."""
    os.environ.pop(AGAIN, None)


def _no_new_privileges() -> bool:
    """Where this is set, `sg` has no set-uid bit and would ask for a password."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return "NoNewPrivs:\t1\n" in status.read()
    except OSError:
        return False

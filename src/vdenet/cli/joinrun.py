"""`join run`: any command as a guest of its own, on the segment, without root.

The command lives in namespaces of the user's own making (user_namespaces(7)): unshare(1) makes them,
the daemon puts one end of a veth into the network namespace, `run_inside` does the rest in there. What
the command gets of its own: network, resolver, process numbers (not in a container). What it shares with
the host: files, home, terminal, environment. When it ends, whatever it left running ends with it, and
the guest is gone.

The command's exit status becomes ours: 128 and the number of the signal that ended it, 127 when there is
no such command and 126 when it cannot be run, as with env(1).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from vdenet.cli import tools
from vdenet.cli.client import Client
from vdenet.cli.dhcp import PATH
from vdenet.cli.run_inside import TERMINAL_SIGNALS
from vdenet.errors import ToolFailed, VdenetError
from vdenet.i18n import _
from vdenet.wire.channel import Channel, Closed, close_all
from vdenet.wire.message import parse_reply

LEASE_SECONDS = 15.0
"""dnsmasq answers at once (`no-ping`); the rest is for a busy machine."""
UNSERVED_SECONDS = 5.0
"""In a VLAN where the host serves no DHCP a guest may; where nobody does, the command has link-local IPv6 only."""
SET_UP_SECONDS = 30.0
NOT_FOUND, NOT_EXECUTABLE = 127, 126

_NAMESPACES = (
    "--user", "--map-root-user",
    "--net",
    # Later mounts of the host show up (a USB stick), ours do not get out.
    "--mount", "--propagation=slave",
    "--fork", "--kill-child",
)
_PROCESSES = ("--pid", "--mount-proc")


def join_run(client: Client, segment: str | None, name: str | None, mac: str | None,
             command: Sequence[str], *, vlan: int | None = None,
             say: Callable[[str], None] = lambda _text: None) -> int:
    """Run `command` on the segment; its exit status.

    `say` is told the guest's name and address when the command starts. Raises `ToolMissing` and
    `ToolFailed` when the namespaces cannot be made, and what the daemon refuses with.
    """
    if (status := _cannot_run(command[0])) is not None:
        return status
    tools.find("udhcpc", PATH, package="udhcpc")
    namespaces = _namespaces()
    ours, theirs = socket.socketpair()
    ignored = [number for number in TERMINAL_SIGNALS
               if signal.getsignal(number) is signal.SIG_IGN]
    with ours, _terminal():
        with theirs, _ignoring():
            theirs.set_inheritable(True)
            # Ignored by unshare from its first moment: ^\ or a hangup of it would kill the command.
            helper = tools.spawn([*namespaces, sys.executable, "-I", "-m", "vdenet.cli.run_inside",
                                  str(theirs.fileno()), str(os.geteuid()), str(os.getegid()), *command])
        channel = Channel(ours)
        try:
            _set_up(client, channel, segment, name, mac, vlan, ignored, say)
            return _wait(channel, helper)
        finally:
            # Closed, it tells the inside to end at once.
            ours.close()
            helper.wait()


def _set_up(client: Client, channel: Channel, segment: str | None, name: str | None, mac: str | None,
            vlan: int | None, ignored: Sequence[int], say: Callable[[str], None]) -> None:
    channel.socket.settimeout(SET_UP_SECONDS)
    _ready, fds = _hear(channel)
    try:
        port = client.call("OpenVeth", fds=fds, segment=segment, name=name, mac=mac, kind="run",
                           vlan=vlan).parameters
    finally:
        close_all(fds)
    served = port.get("dhcp") is not False
    channel.send({"interface": port["interface"], "name": port["name"], "needed": served,
                  "seconds": LEASE_SECONDS if served else UNSERVED_SECONDS, "ignored": list(ignored)})
    given, _fds = _hear(channel)
    name = port.get("fqdn") or port["name"]
    say(_("joined as {name}, without an address").format(name=name) if given["address"] is None else
        _("joined as {name}, {address}").format(name=name, address=given["address"]))
    channel.socket.settimeout(None)


def _hear(channel: Channel) -> tuple[dict[str, object], list[int]]:
    """A message from the inside; raises the error that it carries."""
    try:
        said, fds = channel.receive()
    except (Closed, OSError):
        raise ToolFailed(what=_("set up the command's namespaces"), tool="unshare",
                         why=_("it ended early")) from None
    if "error" in said:
        close_all(fds)
        parse_reply(said)
    return said, fds


def _wait(channel: Channel, helper: subprocess.Popen[bytes]) -> int:
    """The command's status; signals to us alone (`kill`, a hangup) are passed on to it.

    ^C and ^\\ come to it from the terminal itself.
    """
    def forward(number: int, _frame: object) -> None:
        with suppress(OSError):
            channel.send({"signal": number})

    before = {number: signal.getsignal(number) for number in TERMINAL_SIGNALS}
    try:
        for number, action in before.items():
            if action is not signal.SIG_IGN:
                passed_on = number in (signal.SIGTERM, signal.SIGHUP)
                signal.signal(number, forward if passed_on else lambda _number, _frame: None)
        try:
            said, _fds = channel.receive()
            code = os.waitstatus_to_exitcode(int(said["status"]))
        except (Closed, OSError, VdenetError):
            # The inside was killed; unshare says by what.
            code = helper.wait()
        helper.wait()
    finally:
        for number, action in before.items():
            signal.signal(number, action)
    return code if code >= 0 else 128 - code


def _cannot_run(program: str) -> int | None:
    """The status of a command that cannot be run, with the message; None when it can."""
    if shutil.which(program) is not None:
        return None
    exists = os.path.exists(program) if "/" in program else shutil.which(program, os.F_OK) is not None
    why = _("permission denied") if exists else _("no such command")
    print(_("tarr-steps: cannot run {command}: {why}").format(command=program, why=why), file=sys.stderr)
    return NOT_EXECUTABLE if exists else NOT_FOUND


def _namespaces() -> list[str]:
    """The command line that makes the namespaces; tried out, since many a system forbids it."""
    unshare = tools.find("unshare", PATH)
    try:
        return _tried([unshare, *_NAMESPACES, *_PROCESSES])
    except ToolFailed as refused:
        # In a container parts of /proc are covered, and no new one may be mounted (user_namespaces(7)).
        with suppress(ToolFailed):
            return _tried([unshare, *_NAMESPACES])
        raise ToolFailed(what=_("make a network namespace"), tool="unshare", why=str(refused.data["why"]),
                         hint=_hint()) from None


def _tried(line: list[str]) -> list[str]:
    tools.ask([*line, "true"])
    return line


def _hint() -> str | None:
    """What the admin can do where user namespaces are forbidden."""
    for name, forbidding, allowing in (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user.max_user_namespaces", "0", "10000"),
    ):
        with suppress(OSError), open("/proc/sys/" + name.replace(".", "/"), encoding="ascii") as file:
            if file.read().strip() == forbidding:
                return f"sudo sysctl -w {name}={allowing}"
    return None


@contextmanager
def _ignoring() -> Iterator[None]:
    """What starts in here ignores the terminal's signals."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in TERMINAL_SIGNALS}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def _terminal() -> Iterator[None]:
    """Take the terminal back afterwards.

    A shell gives it back to the group that it had it from, which has no number in its process namespace.
    """
    try:
        was = os.tcgetpgrp(0)
    except OSError:  # no terminal
        was = -1
    try:
        yield
    finally:
        if was == os.getpgrp():
            # Asked for from the background, it would stop us.
            old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with suppress(OSError):
                os.tcsetpgrp(0, was)
            signal.signal(signal.SIGTTOU, old)

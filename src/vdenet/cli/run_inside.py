"""The first process of a command that joined the segment: `python3 -I -m vdenet.cli.run_inside`.

`unshare` starts it as root of a user namespace, with network, mount and (where /proc may be mounted)
process namespaces of their own. It gives the network namespace to the one who started it (`joinrun`),
waits until the daemon has put an `eth0` into it, gets an address by DHCP, and starts the command as the
user again, without any privilege over these namespaces. When the command ends, so does everything that
it left running.

On the control socket, framed as the daemon's:
    -> {"ready": true} with the network namespace
    <- {"interface", "name", "seconds", "needed", "ignored": [signals]}
    -> {"address", "search"}         the command starts; without an address, where none is needed
    <- {"signal": number}            any time later
    -> {"status": wait status}       the command ended; or {"error", "parameters"} as in a reply
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vdenet.cli import tools
from vdenet.cli.dhcp import PATH, Dhcp, ip
from vdenet.cli.namespace import Mounts
from vdenet.errors import Refused, VdenetError
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.text import lease as leases
from vdenet.wire import message
from vdenet.wire.channel import Channel, Closed

TERMINAL_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

_SYSCTLS = {
    # Ping without privilege, for the one group that is mapped here: the user's.
    "ipv4/ping_group_range": "0 0",
    # The address is the guest's own, and so are all of its ports.
    "ipv4/ip_unprivileged_port_start": "0",
    # Inherited from the host, which is a router.
    "ipv4/ip_forward": "0",
}

_LATER = 0.05
"""Seconds."""
_PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h."""


class Inside:
    """The namespaces, from the inside."""

    def __init__(self, channel: Channel, command: Sequence[str], uid: int, gid: int) -> None:
        self._channel = channel
        self._command = command
        self._uid, self._gid = uid, gid
        self._mounts = Mounts(Path(Places().var))
        self._poll = select.poll()
        self._actions: dict[int, Callable[[], None]] = {}
        self._lease: leases.Lease | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._status: int | None = None
        self._interface = ""
        self._again = 0

    def live(self) -> int:
        """From the first message to the end of the command; its status as the shell has it."""
        with open("/proc/self/ns/net", "rb") as namespace:
            self._channel.send({"ready": True}, [namespace.fileno()])
        asked, _fds = self._channel.receive()
        self._interface = str(asked["interface"])
        self._prepare()
        self._watch()
        self._join(str(asked["name"]))
        given = self._wait_for_lease(float(asked["seconds"]), needed=bool(asked["needed"]))
        self._channel.send({"address": None if given is None else str(given.address.ip),
                            "search": [] if given is None else list(given.search)})
        for number in TERMINAL_SIGNALS:
            # A handler becomes the default action with exec, an ignored signal stays ignored.
            signal.signal(number, signal.SIG_IGN if number in asked["ignored"] else _nothing)
        self._child = tools.spawn(
            [tools.find("unshare", PATH), "--user", f"--map-user={self._uid}", f"--map-group={self._gid}",
             "--", *self._command])
        while self._status is None:
            self._turn(_LATER if self._again else None)
            if self._again:
                self._keep_mounts()
        self._dhcp.release()
        _end_descendants()
        with contextlib.suppress(OSError):
            self._channel.send({"status": self._status})
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def _prepare(self) -> None:
        for name, value in _SYSCTLS.items():
            # Where /proc/sys is read-only (a container), the command does without.
            with contextlib.suppress(OSError):
                Path(f"/proc/sys/net/{name}").write_text(value)
        self._mounts.sysfs()
        self._mounts.ssh()
        self._mounts.resolver()

    def _watch(self) -> None:
        directory = self._mounts.private / "dhcp"
        directory.mkdir()
        self._dhcp = Dhcp(directory)
        self._on(self._dhcp.fifo, select.POLLIN, self._hear)
        self._on(self._channel.socket.fileno(), select.POLLIN, self._obey)
        # POLLPRI: the table of mounts changed (proc(5)).
        self._mountinfo = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._on(self._mountinfo, select.POLLPRI, self._mounts_changed)
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._on(reader, select.POLLIN, lambda: self._reap(reader))
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)

    def _on(self, fd: int, mask: int, action: Callable[[], None]) -> None:
        self._poll.register(fd, mask)
        self._actions[fd] = action

    def _turn(self, seconds: float | None) -> None:
        for fd, _mask in self._poll.poll(None if seconds is None else max(0, seconds) * 1000):
            self._actions[fd]()

    def _join(self, name: str) -> None:
        ip("link", "set", "lo", "up")
        ip("link", "set", self._interface, "up")
        self._dhcp.start(self._interface, name)

    def _wait_for_lease(self, seconds: float, *, needed: bool) -> leases.Lease | None:
        end = time.monotonic() + seconds
        while self._lease is None:
            if time.monotonic() > end:
                if not needed:
                    return None
                raise Refused(what=_("run the command on the segment"), why=_(
                    "no address by DHCP within {seconds} s").format(seconds=round(seconds)),
                    hint="tarr-steps check")
            self._turn(end - time.monotonic())
        return self._lease

    def _hear(self) -> None:
        for event, variables in self._dhcp.events():
            self._take(event, variables)

    def _take(self, event: str, variables: Mapping[str, str]) -> None:
        if event == "deconfig":
            ip("-4", "address", "flush", "dev", self._interface)
        elif event in ("bound", "renew"):
            try:
                given = leases.lease(variables)
                if self._lease is not None and self._lease.address != given.address:
                    ip("-4", "address", "flush", "dev", self._interface)
                for arguments in leases.commands(given, self._interface):
                    ip(*arguments)
            except VdenetError:
                # A lease that cannot be used: the client asks again when it ends.
                return
            self._mounts.names(leases.resolv_conf(given))
            self._lease = given

    def _mounts_changed(self) -> None:
        # In the middle of a rename(2) of the host: the new file is not to be seen yet.
        self._again = 3

    def _keep_mounts(self) -> None:
        self._again -= 1
        # What cannot be mounted again must not end the command.
        with contextlib.suppress(OSError):
            self._mounts.keep()

    def _obey(self) -> None:
        """A signal to pass on; or the other side is gone, and everything ends with us."""
        try:
            said, _fds = self._channel.receive()
        except (Closed, OSError, VdenetError):
            _end_descendants()
            raise SystemExit(1) from None
        if self._child is not None and self._status is None and isinstance(said.get("signal"), int):
            # Not Popen's send_signal: that would collect the status before `_reap` does.
            os.kill(self._child.pid, said["signal"])

    def _reap(self, wakeup: int) -> None:
        """Collect the dead: whoever lost its parent in this process namespace is ours."""
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, 4096)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if self._child is not None and pid == self._child.pid:
                    self._status = self._child.returncode = status


def _end_descendants() -> None:
    """End whatever runs below us. As the first process of a process namespace our own end does that."""
    if os.getpid() == 1:
        return
    while True:
        # Orphans come to us, the subreaper, so that in the end nobody is left.
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        if not children:
            return
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _nothing(_number: int, _frame: object) -> None:
    """Take a signal and go on."""


def main(arguments: Sequence[str]) -> int:
    """`CONTROL-FD UID GID COMMAND…`"""
    control, uid, gid, *command = arguments
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=int(control)))
    channel.socket.set_inheritable(False)
    refusal: VdenetError | None
    try:
        return Inside(channel, command, int(uid), int(gid)).live()
    except VdenetError as error:
        refusal = error
    except (OSError, LookupError, ValueError) as error:
        refusal = Refused(what=_("set up the command's namespaces"), why=f"{type(error).__name__}: {error}")
    except Closed:
        refusal = None
    if refusal is not None:
        with contextlib.suppress(OSError):  # whoever started us may be gone: ^C
            channel.send(message.refusal(refusal))
    _end_descendants()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

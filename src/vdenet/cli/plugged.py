"""A container's end of a veth, kept for it from outside: `python3 -I -m vdenet.cli.plugged`.

`plug` starts it in the network namespace of a container: as root, or as root of the user namespace that owns
it. It brings the interface up and holds its DHCP lease, since few images have a DHCP client; it puts the segment's
name servers before the container's own. It ends with the container, or when the port is taken away by
`leave`; nothing of it would keep the namespace alive.

On the control socket, once: {"interface", "address", "named"}, or {"error", "parameters"} as in a reply;
`named` is whether the name servers could be put there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vdenet.cli.dhcp import Dhcp, ip
from vdenet.cli.resolvconf import ResolvConf
from vdenet.errors import Refused, ToolFailed, VdenetError
from vdenet.i18n import _
from vdenet.text import lease as leases
from vdenet.wire import message
from vdenet.wire.channel import Channel

_NETLINK_ROUTE, _RTMGRP_LINK = 0, 1
"""linux/rtnetlink.h."""


class Plugged:
    """The interface with the MAC, for as long as the process behind `pidfd` lives."""

    def __init__(self, pidfd: int, mac: str, name: str, resolver: ResolvConf | None,
                 directory: Path) -> None:
        self._pidfd = pidfd
        self._mac = mac
        self._name = name
        self._resolver = resolver
        self.named = True
        """Whether the segment's name servers are where they should be."""
        self._lease: leases.Lease | None = None
        self._dhcp = Dhcp(directory)
        # Any news of interfaces: then ours is looked for.
        self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_ROUTE)
        self._news.bind((0, _RTMGRP_LINK))
        found = self._find()
        if found is None:
            raise Refused(what=_("give the container its network"), why=_("its end of the veth is not there"))
        self.interface = found

    def bring_up(self, seconds: float) -> str:
        """Get an address within that time. Raises `Refused`, `ToolMissing`, `ToolFailed`."""
        ip("link", "set", self.interface, "up")
        self._dhcp.start(self.interface, self._name)
        end = time.monotonic() + seconds
        while self._lease is None:
            if time.monotonic() > end or not self._wait(end - time.monotonic()):
                raise Refused(what=_("give the container its network"), why=_(
                    "no address by DHCP within {seconds} s").format(seconds=round(seconds)),
                    hint="tarr-steps check")
        return str(self._lease.address.ip)

    def keep(self) -> None:
        """Follow the lease until the container or the port is gone."""
        while self._wait(None):
            pass

    def end(self) -> None:
        """Give the lease back, and the container its own name servers; take the interface away.

        The network may outlive the container: that of a pod, or of another container whose network it shares.
        """
        self._dhcp.release()
        if self._resolver is not None:
            self._resolver.restore()
        with contextlib.suppress(VdenetError):  # `leave` has taken it
            ip("link", "delete", "dev", self._find() or self.interface)

    def _wait(self, seconds: float | None) -> bool:
        """Wait for something to happen; false when it was the end."""
        ready, _writable, _odd = select.select([self._pidfd, self._news, self._dhcp.fifo], [], [],
                                               None if seconds is None else max(0.0, seconds))
        if self._pidfd in ready:
            return False
        if self._news in ready:
            with contextlib.suppress(OSError):  # more news than fit in (ENOBUFS) are news too
                while self._news.recv(65536):
                    pass
            if self._find() is None:
                return False
        for event, variables in self._dhcp.events():
            self._take(event, variables)
        return True

    def _find(self) -> str | None:
        found = json.loads(ip("-json", "link", "show"))
        return next((str(one["ifname"]) for one in found if one.get("address") == self._mac), None)

    def _take(self, event: str, variables: Mapping[str, str]) -> None:
        try:
            if event in ("deconfig", "leasefail") and self._lease is not None:
                ip("-4", "address", "flush", "dev", self.interface)
            elif event in ("bound", "renew"):
                given = leases.lease(variables)
                if self._lease is not None and self._lease.address != given.address:
                    ip("-4", "address", "flush", "dev", self.interface)
                for arguments in leases.commands(given, self.interface):
                    # Its own way out, where it has one, stays.
                    if arguments[0] != "route" or not self._routed():
                        ip(*arguments)
                if self._resolver is not None:
                    self.named = self._resolver.put(given)
                self._lease = given
        except VdenetError:
            # A lease that cannot be used, or a port that is just going: the client asks again.
            return

    def _routed(self) -> bool:
        return any(one.get("dev") != self.interface
                   for one in json.loads(ip("-json", "-4", "route", "show", "default") or "[]"))


def main(arguments: Sequence[str]) -> int:
    """`CONTROL-FD PIDFD MAC NAME SECONDS RESOLVER`; RESOLVER is empty where there is no such file."""
    control, pidfd, mac, name, seconds, resolver = arguments
    channel = Channel(socket.socket(fileno=int(control)))
    os.set_inheritable(int(control), False)
    os.set_inheritable(int(pidfd), False)
    with tempfile.TemporaryDirectory(prefix="vdenet-", ignore_cleanup_errors=True) as directory:
        try:
            plugged = Plugged(int(pidfd), mac, name, ResolvConf(Path(resolver)) if resolver else None, Path(directory))
            try:
                address = plugged.bring_up(float(seconds))
                _tell(channel, {"interface": plugged.interface, "address": address, "named": plugged.named})
                plugged.keep()
            finally:
                plugged.end()
        except VdenetError as error:
            _tell(channel, message.refusal(error))
        except (OSError, LookupError, ValueError) as error:
            _tell(channel, message.refusal(ToolFailed(
                what=_("give the container its network"), tool="ip", why=f"{type(error).__name__}: {error}")))
        else:
            return 0
    return 1


def _tell(channel: Channel, what: Mapping[str, Any]) -> None:
    """Once: after that nobody listens any more."""
    if channel.socket.fileno() < 0:
        return
    with channel.socket, contextlib.suppress(OSError):  # who asked may have given up
        channel.send(what)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

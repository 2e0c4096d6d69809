"""A veth of the daemon's into a container that runs: how the container is entered, and what it has.

The container's network namespace belongs to a user namespace. Where that is the caller's own, as with
rootless Podman, the caller may enter both, and the daemon puts a port's other end there
(user_namespaces(7), ioctl_ns(2)). Where it is the host's, only root may. Root stays in its own user namespace:
inside that of a container (`--userns=auto`) it could not reach the container's resolv.conf.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from vdenet.cli import tools
from vdenet.cli.client import connect
from vdenet.cli.dhcp import PATH, ip
from vdenet.errors import NotPermitted, Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model.joining import Plug
from vdenet.wire.channel import Channel, Closed, close_all
from vdenet.wire.message import parse_reply

LEASE_SECONDS = 15.0
"""dnsmasq answers at once (`no-ping`); the rest is for a busy machine."""
SET_UP_SECONDS = 40.0
_NS_GET_USERNS = 0xB701
"""linux/nsfs.h."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Descriptors of a network namespace and of the user namespace that owns it, and how to enter them."""

    net: int
    user: int
    enter: tuple[str, ...]
    """nsenter(1) and its options."""


@contextmanager
def namespaces(pid: int, guest: str) -> Iterator[Namespaces]:
    """Those of a process. Raises `NotPermitted` where they are not the caller's, `Refused` where the process
    has ended or shares the host's network."""
    with ExitStack() as stack:
        closed = NotPermitted(what=_("enter {guest}").format(guest=guest), why=_("its network is root's"),
                              hint=_("put sudo in front of it"))
        try:
            net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, net)
            if _same(net, "net"):
                raise Refused(what=_("enter {guest}").format(guest=guest),
                              why=_("it has no network of its own, it uses the host's"))
            user = fcntl.ioctl(net, _NS_GET_USERNS)
            stack.callback(os.close, user)
        except PermissionError:
            raise closed from None
        except OSError:
            raise Refused(what=_("enter {guest}").format(guest=guest), why=_("it has ended")) from None
        enter = [tools.find("nsenter", PATH), f"--net=/proc/self/fd/{net}"]
        if os.geteuid() != 0:
            if _same(user, "user"):
                raise closed
            enter.insert(1, f"--user=/proc/self/fd/{user}")
        yield Namespaces(net, user, (*enter, "--"))


def links(spaces: Namespaces) -> list[dict[str, object]]:
    """The interfaces in there, as `ip -json address` has them. Raises `ToolFailed`."""
    return _understood(tools.ask([*spaces.enter, tools.find("ip", PATH), "-json", "address", "show"],
                                 inherit=(spaces.net, spaces.user)))


def ports(bridge: str) -> list[dict[str, object]]:
    """The interfaces that are ports of a bridge here, as `links` has them; none where there is no bridge."""
    try:
        return _understood(ip("-json", "link", "show", "master", bridge))
    except ToolFailed:
        return []


def _understood(said: str) -> list[dict[str, object]]:
    try:
        return [one for one in json.loads(said or "[]") if isinstance(one, dict)]
    except ValueError:
        return []


def plug(wish: Plug) -> list[str]:
    """Put a port of the segment's into the container, and wait for its address; what is not as it should be.

    Raises what the daemon refuses with, `NotPermitted`, `Refused`, `ToolMissing`, `ToolFailed`.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, connect() as daemon, namespaces(wish.pid, wish.guest) as spaces:
        try:
            life = os.pidfd_open(wish.pid)
        except OSError:
            raise Refused(what=_("enter {guest}").format(guest=wish.guest), why=_("it has ended")) from None
        try:
            port = daemon.call("OpenVeth", fds=[spaces.net], segment=wish.segment, name=wish.name, mac=wish.mac,
                               kind=wish.kind, vlan=wish.vlan)
            close_all(port.fds)
            tools.spawn([*spaces.enter, sys.executable, "-I", "-m", "vdenet.cli.plugged", str(theirs.fileno()),
                         str(life), wish.mac, wish.name, str(LEASE_SECONDS), wish.resolver or ""],
                        quiet=True, session=True, environment={"PATH": PATH},
                        inherit=[theirs.fileno(), life, spaces.net, spaces.user])
        finally:
            os.close(life)
        theirs.close()
        ours.settimeout(SET_UP_SECONDS)
        try:
            said, fds = Channel(ours).receive()
        except (Closed, OSError):
            raise ToolFailed(what=_("enter {guest}").format(guest=wish.guest), tool="nsenter",
                             why=_("it ended early")) from None
        close_all(fds)
        if "error" in said:
            parse_reply(said)
        if said.get("named") is False:
            return [_("its name servers stay its own, since {path} cannot be changed: it reaches the guests of the "
                      "segment by their addresses").format(path=wish.resolver)]
        return []


def _same(fd: int, kind: str) -> bool:
    return os.fstat(fd).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino

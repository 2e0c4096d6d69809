"""LXC: a veth on the segment's bridge, by the container's own configuration.

Containers of root's, and those of ordinary users, whom /etc/lxc/lxc-usernet has to let onto the bridge. A
container reads its configuration when it starts. One of root's gets into a VLAN by a veth that has a name of ours
and is on no bridge: the daemon puts it there.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
from collections.abc import Sequence
from pathlib import Path

from vdenet.cli import hints, tools
from vdenet.errors import NoGuest, Refused
from vdenet.i18n import _
from vdenet.model.joining import EditFile, Found, Joining, Leaving, Place, Where, Wish
from vdenet.model.names import port_prefix
from vdenet.model.places import LXC_USERNET
from vdenet.probe import regular
from vdenet.text import inside, lxc, qemu
from vdenet.text.lxc import Net

VIA = "veth"
_SECONDS = 20
_MOST = 1024 * 1024
"""Bytes of an included file that are read."""


class Lxc:
    """A container of the caller's."""

    def __init__(self, guest: str) -> None:
        tools.find("lxc-info", package="lxc")
        self._name = guest
        place = Path(tools.ask(["lxc-config", "lxc.lxcpath"], _SECONDS).strip())
        self._config = place / guest / "config"
        absent = NoGuest(kind="LXC", guest=guest, why=_("you have no container of that name in {place}").format(
            place=place), hint="lxc-ls")
        if "/" in guest or guest in (".", ".."):
            raise absent
        try:
            self._text = self._config.read_bytes().decode(errors="surrogateescape")
        except FileNotFoundError:
            raise absent from None
        except OSError as error:
            raise Refused(what=_("read {path}").format(path=self._config),
                          why=error.strerror or str(error)) from None
        self._nets = lxc.nets(self._text, _files)
        self._running = tools.ask(["lxc-info", "-n", guest, "-s", "-H"], _SECONDS).strip() not in ("STOPPED", "")

    @property
    def id(self) -> str:
        """Where its configuration is."""
        return str(self._config)

    def found(self, wish: Wish, where: Where) -> Found:
        """How the container stands. Raises `Refused`."""
        if wish.vlan is not None and os.geteuid() != 0:
            raise Refused(what=_("put a container of yours into a VLAN"), why=_(
                "lxc-user-nic, which makes its veth, puts that into the segment's own network and nowhere else"),
                hint=_("a container of root's or of Podman's can be in a VLAN"))
        on = self._on(where)
        self._number(wish, on, where)
        return Found(qemu.label(self._name) or "lxc", on.mac if on else None, self._running,
                     joined=on is not None, handed=os.geteuid() == 0)

    def join(self, wish: Wish, place: Place) -> Joining:
        """A veth on the bridge. Raises `Refused`."""
        on = self._on(place)
        number = self._number(wish, on, place)
        why = _("a veth on the bridge, by {path}").format(path=self._config)
        notes: tuple[str, ...] = ()
        if on is not None and on.port == place.port:
            after = self._text if on.mac else lxc.with_mac(self._text, number, place.mac)
        else:
            _require_permission(place.bridge)
            old = lxc.nets(lxc.without_block(self._text), _files).get(number)
            interface = self._interface(number, on or old)
            after = lxc.joined(self._text, number, old, place.bridge if place.port is None else None, place.mac,
                               interface, place.port)
            if any(net.number != number and not net.empty for net in self._nets.values()):
                notes = (inside.another(interface),)
        actions = () if after == self._text else (self._edit(after),)
        return Joining(actions, VIA, why, live=False, nic=str(number), group=os.geteuid() != 0,
                       notes=notes, warnings=self._warnings())

    def leave(self, where: Where, memory: object) -> Leaving:
        """The configuration as it was before; what was joined by hand is taken out. Raises `Refused`."""
        on = self._on(where)
        if on is None:
            return Leaving((), live=False)
        after = lxc.without_block(self._text)
        while (still := _on(lxc.nets(after, _files), where)) is not None:
            less = lxc.without(after, still.number)
            if less == after:
                raise Refused(what=_("take {guest} off the segment").format(guest=self._name), why=_(
                    "a file that {path} includes puts it there").format(path=self._config))
            after = less
        # A port that the daemon put on the bridge, it takes off at once.
        return Leaving((self._edit(after),), live=self._running and on.port is not None, running=self._running,
                       mac=on.mac)

    def _on(self, where: Where) -> Net | None:
        return _on(self._nets, where)

    def _number(self, wish: Wish, on: Net | None, where: Where) -> int:
        """The network to use: the one that is on the segment, the one asked for, or the first that is free."""
        if on is not None:
            if wish.nic not in (None, on.number):
                raise Refused(what=_("join {guest}").format(guest=self._name), why=_(
                    "it is on the segment already, by its network {nic}").format(nic=on.number),
                    hint=hints.leave("lxc", self._name, where.segment))
            return on.number
        if wish.nic is not None:
            return wish.nic
        return next(number for number in range(len(self._nets) + 1)
                    if number not in self._nets or self._nets[number].empty)

    def _interface(self, number: int, old: Net | None) -> str | None:
        """Its name in the container: as before, else ethN where no other network has that."""
        if old is not None and "name" in old.settings:
            return old.settings["name"]
        others = [net.settings.get("name") for net in self._nets.values() if net.number != number]
        return f"eth{number}" if f"eth{number}" not in others else None

    def _warnings(self) -> tuple[str, ...]:
        """A directory on the way to its root that only its owner may enter: Debian 13 makes homes like that.

        The root of a user's container is another user out here, and LXC itself only says `Permission denied`
        in its log.
        """
        root = lxc.root(self._text, _files)
        if root is None or os.geteuid() == 0:
            return ()
        shut = next((each for each in reversed(Path(root).parents) if not _is_open(each)), None)
        return () if shut is None else ("\n".join((
            _("it will not start: its root, another user out here, may not pass through {path}").format(path=shut),
            _("hint: {hint}").format(hint=f"chmod o+x {shlex.quote(str(shut))}"))),)

    def _edit(self, after: str) -> EditFile:
        return EditFile(str(self._config), self._text, after)


def _on(nets: dict[int, Net], where: Where) -> Net | None:
    return next((net for _number, net in sorted(nets.items()) if not net.empty and (
        net.settings.get("link") == where.bridge or (net.port or "").startswith(port_prefix(where.segment)))), None)


def _is_open(directory: Path) -> bool:
    """Whether the root of a container may pass through, as far as can be told.

    LXC has given the container's own directory to that root; an access list (acl(5)) may say more than the
    mode does.
    """
    try:
        status = directory.stat()
        return bool(status.st_mode & 0o001) or status.st_uid not in (0, os.geteuid()) \
            or "system.posix_acl_access" in os.listxattr(directory)
    except OSError:
        return True


def _files(name: str) -> Sequence[str]:
    """What `lxc.include` takes in; what cannot be read is left to LXC to complain about."""
    path = Path(name)
    paths = sorted(path.glob("*.conf")) if path.is_dir() else [path]
    return [regular.text(each, _MOST) for each in paths]


def _require_permission(bridge: str) -> None:
    """Raises `Refused` where lxc-user-nic would."""
    if os.geteuid() == 0:
        return
    user = pwd.getpwuid(os.geteuid())
    groups = [grp.getgrgid(gid).gr_name for gid in os.getgrouplist(user.pw_name, user.pw_gid)]
    try:
        text = Path(LXC_USERNET).read_text(errors="replace")
    except OSError:
        text = ""
    if not lxc.allows(text, user.pw_name, groups, bridge):
        raise Refused(what=_("put a container of yours on {bridge}").format(bridge=bridge),
                      why=_("{path} does not let you").format(path=LXC_USERNET),
                      hint=_("root adds the line: @vdenet veth {bridge} 10").format(bridge=bridge))

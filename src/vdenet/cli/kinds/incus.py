"""Incus, and LXD where that is what is there: a bridged nic of a container or virtual machine.

The server does the work, also in an instance that runs; who may ask it is in the group incus-admin, or in
incus with a project of one's own, which its settings may keep off foreign bridges. Into a VLAN gets a nic that has a
name of ours and is on no bridge (`p2p`): the daemon puts it there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TypeVar

from vdenet.cli import access, hints, tools
from vdenet.errors import NoGuest, NotPermitted, Refused, ToolFailed, ToolMissing
from vdenet.i18n import _
from vdenet.model.joining import Found, Joining, Leaving, Place, RunTool, Where, Wish
from vdenet.model.names import port_prefix
from vdenet.text import incus, inside, qemu
from vdenet.text.incus import Instance, Nic

Result = TypeVar("Result")

VIA = "veth"
_SECONDS = 60
_CLOSED = ("needed permissions", "permission denied")
"""What the clients say when the server's socket does not open."""


class Incus:
    """An instance of the caller's project."""

    def __init__(self, guest: str) -> None:
        self._tool = _tool()
        self._guest = guest
        remote, colon, name = guest.rpartition(":")
        if not colon:
            remote = self._ask("remote", "get-default").strip()
        where = self._understand(lambda said: incus.address(said, remote), "remote", "list", "--format=json")
        if where is not None and not where.startswith("unix:"):
            raise Refused(what=_("use the instance {guest}").format(guest=guest), why=_(
                "{remote} is on another machine ({where}), and the segment on this one").format(
                    remote=remote, where=where))
        if where is None:
            raise self._absent(_("there is no remote {remote}").format(remote=remote))
        self._remote = remote
        found = self._understand(lambda said: incus.instance(said, name), "list", guest, "--format=json"
                                 ) if name else None
        if found is None:
            raise self._absent(_("your project has no instance of that name"))
        self._instance: Instance = found

    @property
    def id(self) -> str:
        """Its project and name: unique on the server of this machine."""
        return f"{self._instance.project}/{self._instance.name}"

    def found(self, wish: Wish, where: Where) -> Found:
        """How the instance stands. Raises `Refused`."""
        on = self._on(where)
        self._device(wish, on, where)
        return Found(qemu.label(self._instance.name) or "incus", on.mac if on else None, self._instance.running,
                     joined=on is not None, handed=True)

    def join(self, wish: Wish, place: Place) -> Joining:
        """A nic on the bridge, or one that the daemon puts there. Raises `NotPermitted`, `Refused`."""
        on = self._on(place)
        notes: tuple[str, ...] = ()
        device = self._device(wish, on, place)
        if on is None or on.port != place.port:
            self._require_permission(place.bridge)
            way = ("nictype=bridged", f"parent={place.bridge}") if place.port is None else \
                ("nictype=p2p", f"host_name={place.port}")
            command = self._config("device", "add", device, "nic", *way, f"hwaddr={place.mac}", f"name={device}")
            action = RunTool(command, self._config("device", "remove", device))
            if on is not None:
                if not on.own:
                    raise self._of_a_profile(_("join {guest}").format(guest=self._guest), on)
                return Joining((self._removal(on), action), VIA, _("its device {device}, moved").format(device=device),
                               live=True, nic=device)
            notes = (inside.another(device),) if self._instance.nics else ()
        elif on.mac is None:
            key = f"volatile.{device}.hwaddr"
            action = RunTool(self._config("set", f"{key}={place.mac}"), self._config("unset", key))
        else:
            return Joining((), VIA, _("it is there already"), live=True, nic=device)
        return Joining((action,), VIA, _("a veth on the bridge, by its device {device}").format(device=device),
                       live=True, nic=device, notes=notes)

    def leave(self, where: Where, memory: object) -> Leaving:
        """Without the nics that are on the bridge. Raises `Refused` where a profile has put it there."""
        nics = [nic for nic in self._instance.nics if nic.on(where.bridge, port_prefix(where.segment))]
        if not nics:
            return Leaving((), live=False)
        if not all(nic.own for nic in nics):
            raise self._of_a_profile(_("take {guest} off the segment").format(guest=self._guest), nics[0])
        # All or none: a nic that was removed and added again would have another MAC.
        action = RunTool(self._config("device", "remove", *(nic.device for nic in nics)))
        return Leaving((action,), live=self._instance.running, running=self._instance.running, mac=nics[0].mac)

    def _on(self, where: Where) -> Nic | None:
        prefix = port_prefix(where.segment)
        return next((nic for nic in self._instance.nics if nic.on(where.bridge, prefix)), None)

    def _removal(self, nic: Nic) -> RunTool:
        # Its MAC is mostly not in its settings, and the server would give it another.
        settings = {**nic.settings, **({} if nic.mac is None else {"hwaddr": nic.mac})}
        return RunTool(self._config("device", "remove", nic.device), self._config("device", "add", nic.device, "nic", *(
            f"{key}={value}" for key, value in sorted(settings.items()) if key != "type")))

    def _of_a_profile(self, what: str, nic: Nic) -> Refused:
        return Refused(what=what, why=_("a profile puts it there: {profiles}").format(
            profiles=", ".join(self._instance.profiles)),
            hint=f"{self._tool} profile device remove PROFILE {nic.device}")

    def _device(self, wish: Wish, on: Nic | None, where: Where) -> str:
        """The device to use: the one that is on the segment, the one asked for, or the first that is free."""
        asked = None if wish.nic is None else f"eth{wish.nic}"
        what = _("join {guest}").format(guest=self._guest)
        if on is not None:
            if asked not in (None, on.device):
                raise Refused(what=what, why=_("it is on the segment already, by its device {device}").format(
                    device=on.device), hint=hints.leave("incus", self._guest, where.segment))
            return on.device
        if asked is None:
            return f"eth{incus.free(self._instance)}"
        if asked in self._instance.devices or any(nic.name == asked for nic in self._instance.nics):
            raise Refused(what=what, why=_("it has a device {device} already").format(device=asked),
                          hint=_("without --nic the first that is free is taken"))
        return asked

    def _require_permission(self, bridge: str) -> None:
        """Raises `NotPermitted` where the server would refuse a bridge that it does not manage."""
        project = self._instance.project
        try:
            settings = self._understand(lambda said: incus.lifting(said, bridge, self._in_use),
                                        "query", f"{self._remote}:/1.0/projects/{project}")
        except ToolFailed:
            return  # it says itself what it does not like
        if settings:
            raise NotPermitted(
                what=_("join {guest}").format(guest=self._guest),
                why=_("your project {project} may not use {bridge}").format(project=project, bridge=bridge),
                hint=" ".join(("sudo", self._tool, "project", "set", project, *settings)))

    def _in_use(self) -> frozenset[str]:
        """The server's networks that instances of the project are on, as far as the caller may see that."""
        own = {network for nic in self._instance.nics if (network := nic.settings.get("network")) is not None}
        project = self._instance.project
        try:
            seen = self._understand(lambda said: incus.in_use(said, project), "query",
                                    f"{self._remote}:/1.0/networks?recursion=1&project={project}")
        except ToolFailed:
            seen = frozenset()
        return seen | own

    def _config(self, *words: str) -> tuple[str, ...]:
        """A command on the instance's configuration; its name comes behind the verb."""
        count = 2 if words[0] == "device" else 1
        return (self._tool, "config", *words[:count], self._guest, *words[count:])

    def _ask(self, *words: str) -> str:
        try:
            return tools.ask([self._tool, *words], _SECONDS)
        except ToolFailed as error:
            if any(closed in str(error.data.get("why")).lower() for closed in _CLOSED):
                group = "lxd" if self._tool == "lxc" else "incus-admin"
                raise NotPermitted(what=_("ask {tool}").format(tool=self._tool),
                                   why=_("its server is closed to you"),
                                   hint=f"sudo adduser {access.account().name} {group}") from None
            raise

    def _understand(self, read: Callable[[str], Result], *words: str) -> Result:
        """What `read` makes of the answer."""
        try:
            return read(self._ask(*words))
        except (ValueError, RecursionError):
            raise ToolFailed(what=_("look at {guest}").format(guest=self._guest), tool=self._tool,
                             why=_("its answer is no JSON")) from None

    def _absent(self, why: str) -> NoGuest:
        return NoGuest(kind="Incus", guest=self._guest, why=why, hint=f"{self._tool} list")


def _tool() -> str:
    """The client: of LXD, whose is called like LXC's tools, only where Incus is not installed."""
    for name in ("incus", "lxc"):
        if shutil.which(name) is not None:
            return name
    raise ToolMissing(tool="incus", hint=_("install the package incus, or lxd on Debian 12, which has no incus"))

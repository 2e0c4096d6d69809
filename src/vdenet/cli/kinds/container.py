"""Podman and Docker: a veth into a container that runs, beside the networks that it has.

No network of theirs does: netavark asks for DHCP on the bridge outwards and never hears a server on the same
host, macvlan does not reach the host, and Docker gives addresses itself.
A veth in the container's network namespace needs none of them. It goes with the container's end. Rootless
Podman's containers are in namespaces of their user's, so that needs no root either.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vdenet.cli import plug, tools
from vdenet.cli.resolvconf import MOST
from vdenet.errors import NoGuest, NotPermitted, Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model.joining import Found, Joining, Leaving, Place, Plug, Where, Wish
from vdenet.model.wanted import ALIAS
from vdenet.probe import links, nsid, regular
from vdenet.text import container, qemu
from vdenet.text.container import Container, End

VIA = "veth"
_SECONDS = 60
_ABSENT = ("no such container", "no such object",
           # Nobody's name, but what two ids begin with: Docker's server and Podman's say so.
           "multiple ids found", "more than one result")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A container's end of a veth whose other end is a port of the segment's."""

    end: End
    ours: bool
    """The port is the daemon's, by the mark that it bears."""

    @property
    def stale(self) -> bool:
        """One of the daemon's without an address: what a keeper left that was killed, in a network that outlives the
        container. It does not count, and gives way to another."""
        return self.ours and not self.end.addressed


class Podman:
    """A container of the caller's, or of root's where root calls."""

    tool = "podman"
    title = "Podman"
    package = "podman"
    closed: tuple[str, ...] = ()
    """What it says where only root may ask."""

    def __init__(self, guest: str) -> None:
        tools.find(self.tool, package=self.package)
        self._guest = guest
        self._container = self._inspect()
        self._seen: dict[str, _Seen | None] = {}

    @property
    def id(self) -> str:
        """The container's own, which its name may outlive."""
        return self._container.id

    @property
    def abbreviated(self) -> bool:
        """Whether the word is neither its name nor its whole id, but what that begins with."""
        return self._guest not in (self.id, self._container.name) and self.id.startswith(self._guest)

    def found(self, wish: Wish, where: Where) -> Found:
        """How the container stands. Raises `NotPermitted`, `Refused`, `ToolFailed`."""
        seen = self._on(where.bridge)
        on = None if seen is None or seen.stale else seen
        return Found(qemu.label(self._container.name) or self.tool, on.end.mac if on else None,
                     self._container.pid is not None, joined=on is not None, plugged=on is not None and on.ours,
                     stale=seen.end.mac if seen is not None and seen.stale else None)

    def join(self, wish: Wish, place: Place) -> Joining:
        """A port of the daemon's. Raises `Refused` for a container that does not run."""
        pid = self._container.pid
        if pid is None:
            raise Refused(what=_("join {guest}").format(guest=self._guest),
                          why=_("it does not run, and only one that runs has a network to join"),
                          hint=f"{self.tool} start {self._guest}")
        on = self._on(place.bridge)
        why = _("a veth into its network namespace")
        if on is not None and not on.stale:
            if wish.vlan is not None and not on.ours:
                raise Refused(what=_("join {guest}").format(guest=self._guest), why=_(
                    "a network of {tool} puts it on the segment, and into no VLAN").format(tool=self.title),
                    hint=f"{self.tool} network disconnect NETWORK {self._guest}")
            return Joining((), VIA, why, live=True, nic=on.end.name)
        resolver = self._container.resolver
        notes = [_("it leaves the segment when it stops; when it was started again, join it again")]
        if resolver is not None and self._has_names(resolver):
            resolver = None
            notes.append(_("its networks have a name service of their own, which stays: it reaches the guests of "
                           "the segment by their addresses"))
        port = Plug(self.tool, place.segment, self._guest, pid, place.name, place.mac, resolver, place.vlan)
        return Joining((port,), VIA, why, live=True, notes=tuple(notes))

    def leave(self, where: Where, memory: object) -> Leaving:
        """Nothing to be done but to take the port. Raises `Refused` where it is not the daemon's."""
        on = self._on(where.bridge)
        if on is None:
            return Leaving((), live=False)
        if not on.ours:
            raise Refused(what=_("take {guest} off the segment").format(guest=self._guest),
                          why=_("a network of {tool} puts it there").format(tool=self.title),
                          hint=f"{self.tool} network disconnect NETWORK {self._guest}")
        return Leaving((), live=True, running=True, mac=on.end.mac)

    def _on(self, bridge: str) -> _Seen | None:
        """Its end of a veth whose other end is a port of the bridge; looked for once."""
        if bridge not in self._seen:
            self._seen[bridge] = self._look(bridge)
        return self._seen[bridge]

    def _look(self, bridge: str) -> _Seen | None:
        pid = self._container.pid
        if pid is None:
            return None
        with plug.namespaces(pid, self._guest) as spaces:
            # Listed first: to show the ports is what makes the kernel number the namespaces behind them.
            ports = container.ends(plug.ports(bridge))
            found = container.pair(container.ends(plug.links(spaces)), ports, nsid.number(spaces.net))
        if found is None:
            return None
        end, port = found
        link = links.link(port.name)
        return _Seen(end, ours=link is not None and link.alias.startswith(ALIAS))

    def _has_names(self, resolver: str) -> bool:
        return container.has_names(regular.text(Path(resolver), MOST))

    def _inspect(self) -> Container:
        try:
            said = tools.ask([self.tool, "inspect", "--type=container", "--", self._guest], _SECONDS)
            found = container.container(said)
        except ToolFailed as error:
            why = str(error.data.get("why")).lower()
            if any(words in why for words in _ABSENT):
                raise self._absent() from None
            if any(words in why for words in self.closed):
                raise NotPermitted(what=_("ask {tool}").format(tool=self.title), why=_("it is closed to you"),
                                   hint=_("put sudo in front of it")) from None
            raise
        except (ValueError, RecursionError):
            found = None
        if found is None:
            raise ToolFailed(what=_("look at {guest}").format(guest=self._guest), tool=self.tool,
                             why=_("its answer is not understood"))
        return found

    def _absent(self) -> NoGuest:
        return NoGuest(kind=self.title, guest=self._guest, why=_("you have no container of that name"),
                       hint=f"{self.tool} ps --all")


class Docker(Podman):
    """A container of Docker's, which are root's."""

    tool = "docker"
    title = "Docker"
    package = "docker.io"
    closed = ("permission denied",)

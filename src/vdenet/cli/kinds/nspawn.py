"""systemd-nspawn: its veth on the segment's bridge, by the container's .nspawn file.

The file is root's, and so is the container: systemd-nspawn believes nobody else's settings for a network
(systemd.nspawn(5)). So root joins it. nspawn makes the MAC address of the machine's id and the container's
name; it is known before the first start. Into a VLAN the container gets by a veth that has a name of ours and is on
no bridge: the daemon puts it there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vdenet.cli import hints, tools
from vdenet.errors import BadValue, NoGuest, NotPermitted, Refused, ToolFailed, ToolMissing
from vdenet.i18n import _
from vdenet.model.joining import EditFile, Found, Joining, Leaving, Place, Where, Wish
from vdenet.model.names import port_prefix
from vdenet.text import nspawn, qemu

VIA = "veth"
TRUSTED = (Path("/etc/systemd/nspawn"), Path("/run/systemd/nspawn"))
"""Where settings count, in the order in which they are looked for."""
IMAGES = tuple(Path(place) for place in (
    "/var/lib/machines", "/etc/machines", "/run/machines", "/usr/local/lib/machines", "/usr/lib/machines"))
"""machinectl(1), files and directories."""
MACHINE_ID = Path("/etc/machine-id")
_SECONDS = 20


class Nspawn:
    """A container of this machine's."""

    def __init__(self, guest: str) -> None:
        tools.find("systemd-nspawn", package="systemd-container")
        self._name = guest
        if os.geteuid() != 0:
            raise NotPermitted(what=_("use the container {guest}").format(guest=guest), why=_(
                "its settings in {path} are root's").format(path=TRUSTED[0]), hint=_("put sudo in front of it"))
        if not nspawn.is_machine(guest):
            raise self._absent()
        files = [place / f"{guest}.nspawn" for place in TRUSTED]
        self._file = next((file for file in files if file.is_file()), files[0])
        self._text: str | None = None
        self._running = self._runs()
        images = [image for place in IMAGES for image in (place / guest, place / f"{guest}.raw") if image.exists()]
        if self._file.is_file():
            self._text = self._file.read_bytes().decode(errors="surrogateescape")
        elif not images and not self._running:
            raise self._absent()
        else:
            self._require_no_settings_beside(images)

    @property
    def id(self) -> str:
        """Its name, by which the machine knows it."""
        return self._name

    def found(self, wish: Wish, where: Where) -> Found:
        """How the container stands. Raises `BadValue`."""
        handed = wish.vlan is not None
        return Found(qemu.label(self._name) or "nspawn", self._mac(handed), self._running, joined=self._on(where),
                     handed=handed)

    def join(self, wish: Wish, place: Place) -> Joining:  # noqa: ARG002  of all kinds
        """Its veth on the bridge. Raises `Refused` where another bridge has it."""
        why = _("its veth on the bridge, by {path}").format(path=self._file)
        if self._on(place) and self._port(place) == place.port:
            return Joining((), VIA, why, live=False, nic="host0")
        self._require_no_other_segment(place)
        network = nspawn.network(nspawn.without_block(self._text or ""))
        for key in ("Bridge", "Zone"):
            if network.get(key) and (key, network[key], place.port) != ("Bridge", place.bridge, None):
                raise Refused(what=_("join {guest}").format(guest=self._name), why=_(
                    "{path} puts its one veth somewhere else: {setting}").format(
                        path=self._file, setting=f"{key}={network[key]}"), hint=_("take that line out first"))
        after = nspawn.joined(self._text or "", place.bridge) if place.port is None \
            else nspawn.handed(self._text or "", place.port)
        return Joining((EditFile(str(self._file), self._text, after),), VIA, why, live=False, nic="host0",
                       memory={"made": self._text is None})

    def leave(self, where: Where, memory: object) -> Leaving:
        """The settings as they were before; without the file, where nothing else is in it but what somebody had left
        empty."""
        if self._text is None or not self._on(where):
            return Leaving((), live=False)
        port = self._port(where)
        after = nspawn.left(self._text, where.bridge)
        was_there = isinstance(memory, dict) and memory.get("made") is False
        # A port that the daemon put on the bridge, it takes off at once.
        return Leaving((EditFile(str(self._file), self._text, after if after or was_there else None),),
                       live=self._running and port is not None,
                       running=self._running, mac=self._mac(port is not None))

    def _on(self, where: Where) -> bool:
        return nspawn.network(self._text or "").get("Bridge") == where.bridge or self._port(where) is not None

    def _port(self, where: Where) -> str | None:
        return nspawn.port(self._text or "", port_prefix(where.segment))

    def _require_no_other_segment(self, place: Place) -> None:
        """Raises `Refused` where it has joined another: its one veth can be on one bridge only."""
        text = self._text or ""
        if self._on(place) or nspawn.without_block(text) == text:
            return
        bridge = nspawn.network(text).get("Bridge")
        raise Refused(what=_("join {guest}").format(guest=self._name), why=_(
            "it has joined another segment, and has one veth only"), hint=_("let it leave there first")
            if bridge is None else hints.leave("nspawn", self._name, bridge))

    def _require_no_settings_beside(self, images: Sequence[Path]) -> None:
        """Raises `Refused` where an image brought settings: a file of ours would take their place without a word."""
        for file in (image.parent / f"{self._name}.nspawn" for image in images):
            if file.is_file():
                raise Refused(what=_("use the container {guest}").format(guest=self._name), why=_(
                    "{path} came with the image and would not count any more").format(path=file),
                    hint=_("look through it, and copy it to {path}").format(path=self._file))

    def _runs(self) -> bool:
        """Whether systemd-machined knows it; where there is none, nobody can tell."""
        with suppress(ToolMissing, ToolFailed):
            return "State=running" in tools.ask(
                ["machinectl", "show", "--property=State", "--", self._name], _SECONDS)
        return False

    def _mac(self, handed: bool) -> str:
        try:
            return nspawn.mac(MACHINE_ID.read_text().strip(), self._name,
                              nspawn.extras(self._text or "") if handed else None)
        except (OSError, ValueError):
            raise BadValue(what=_("machine id"), value=str(MACHINE_ID),
                           why=_("there is none: systemd-machine-id-setup makes one")) from None

    def _absent(self) -> NoGuest:
        return NoGuest(kind="systemd-nspawn", guest=self._name, hint="machinectl list-images", why=_(
            "{path} has no image of that name, and no container of that name runs").format(path=IMAGES[0]))

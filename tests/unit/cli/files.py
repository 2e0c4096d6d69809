"""A kind of guest that is a file: what stands in for a hypervisor in tests of the way that all kinds share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vdenet.errors import NoGuest
from vdenet.model.joining import EditFile, Found, Joining, Leaving, Place, Where, Wish

MAC = "52:54:00:aa:bb:cc"
RESERVED = {"segment": "vdenet0", "mac": MAC, "name": "box", "fqdn": "box.vdenet.internal",
            "switch": "/run/vdenet/vdenet0/switch"}


class Files:
    """A guest that is a file; it is on the segment when that says so."""

    place = Path()
    fails = False
    tap = False
    handed = False
    mac: str | None = None

    def __init__(self, guest: str) -> None:
        self.file = self.place / guest
        if not self.file.exists():
            raise NoGuest(kind="file", guest=guest, why="no such file")
        self.text = self.file.read_text()
        self.id = str(self.file)

    def found(self, wish: Wish, _where: Where) -> Found:
        return Found("box", None, running=False, joined=self.text.startswith("on"), tap=self.tap,
                     handed=self.handed and wish.vlan is not None)

    def join(self, _wish: Wish, place: Place) -> Joining:
        if self.text.startswith("on"):
            return Joining((), "file", "so", live=False)
        actions = [EditFile(self.id, self.text, f"on {place.port or place.mac}\n")]
        if self.fails:
            actions.append(EditFile(self.id, "what is not there", "never"))
        return Joining(tuple(actions), "file", "so", live=False, memory={"was": self.text}, notes=("by the way",))

    def leave(self, _where: Where, memory: Any) -> Leaving:
        if not self.text.startswith("on"):
            return Leaving((), live=False)
        return Leaving((EditFile(self.id, self.text, memory["was"] if memory else "off\n"),), live=False,
                       mac=self.mac)

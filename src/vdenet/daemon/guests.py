"""The book of guests: who joined, under which name, with which MAC, on which port.

Kept per segment in /var/lib/vdenet/SEGMENT/guests.json, because a guest's name and MAC outlive its run. A
guest's port does not: it lives as long as somebody holds its descriptor, and the kernel says so.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vdenet.effect import files
from vdenet.errors import BadValue, MacTaken, NameTaken, Refused
from vdenet.i18n import _
from vdenet.model import names
from vdenet.model.places import Places
from vdenet.model.tunnel import TUNNELS
from vdenet.text.dnsmasq import Lease, Reservation

MAX_GUESTS_PER_USER = 256
"""Names that one member may hold; a name is freed by `leave`."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest; `kind` is how it joined, or `claimed` for a name that came by DHCP."""

    name: str
    mac: str
    kind: str
    uid: int | None = None
    port: str | None = None
    kept: bool = False
    """Its port is a tap that stays when nobody holds it, for hypervisors that open a tap by name."""
    by_itself: bool = False
    """It was given a name only and comes over VDE or its hypervisor's own way, so it has no port of ours."""
    tunnel: int | None = None
    """The number of the UDP tunnel whose end its kept tap is."""
    vlan: int | None = None
    """The VLAN that it joined; what the segment's file says of the guest comes before."""
    vde_port: int | None = None
    """The port of the VDE switch that it was given, where it has to be that one."""
    handed: bool = False
    """Its hypervisor makes its port, by the name that it was given, and leaves it to the daemon to put it on the
    bridge: so it is in its VLAN from its first frame."""

    @property
    def keeps_port(self) -> bool:
        """Whether the port's name stays its own while there is no such interface."""
        return self.kept or self.handed

    @property
    def holds_name(self) -> bool:
        """Whether its name and MAC are its own now: while it has a port, or until `leave` where it needs none.

        One whose program has ended gets them again if it comes back before somebody else asks for them.
        """
        return self.kind != CLAIMED and (self.port is not None or self.kept or self.by_itself)


CLAIMED = "claimed"


class GuestBook:
    """The guests of one segment. Not for several threads at once: the engine's lock guards it."""

    def __init__(self, segment: str, places: Places) -> None:
        self._segment = segment
        self._places = places
        self._guests: dict[str, Guest] = {}
        self._load()

    def all(self) -> list[Guest]:
        """Every guest, by name."""
        return [self._guests[name] for name in sorted(self._guests)]

    def find(self, name: str) -> Guest | None:
        """The guest of that name."""
        return self._guests.get(name)

    def by_port(self, port: str) -> Guest | None:
        """The guest on that port."""
        return next((guest for guest in self._guests.values() if guest.port == port), None)

    def by_mac(self, mac: str) -> Guest | None:
        """The guest with that MAC."""
        return next((guest for guest in self._guests.values() if guest.mac == mac), None)

    def joined(self) -> tuple[Reservation, ...]:
        """Names given by `join`."""
        return tuple(Reservation(g.mac, g.name) for g in self.all() if g.kind != CLAIMED)

    def claimed(self) -> tuple[Reservation, ...]:
        """Names that guests claimed first, and keep while their lease lives."""
        return tuple(Reservation(g.mac, g.name) for g in self.all() if g.kind == CLAIMED)

    def enter(self, guest: Guest) -> None:
        """Write a guest down; its own earlier entry is replaced, a claimed name gives way to a joined one.

        Raises `NameTaken` when another member's guest has the name, `MacTaken` when it has the MAC or one that looks
        like it from the host's side, `Refused` when the member has too many names or the book cannot be written.
        """
        book = dict(self._guests)
        other = book.get(guest.name)
        if other is not None and other.holds_name and other.uid != guest.uid:
            raise NameTaken(name=guest.name, why=_("another user's guest has it"))
        for held in book.values():
            if held.holds_name and held.uid != guest.uid and names.same_on_host_side(held.mac, guest.mac):
                why = (_("another user's guest has it") if held.mac == guest.mac else
                       _("another user's guest has it, but for its first octet"))
                raise MacTaken(mac=guest.mac, why=why)
        same_mac = self.by_mac(guest.mac)
        if same_mac is not None and same_mac.name != guest.name:
            del book[same_mac.name]
        mine = sum(1 for g in book.values() if g.uid == guest.uid and g.kind != CLAIMED)
        if guest.name not in book and guest.kind != CLAIMED and mine >= MAX_GUESTS_PER_USER:
            raise Refused(what=_("join {name}").format(name=guest.name),
                          why=_("you have {most} guests' names already; free some with leave").format(
                              most=MAX_GUESTS_PER_USER))
        if guest.port is not None:
            # The kernel has let go of the port of whoever had it before.
            book = {name: replace(g, port=None) if g.port == guest.port else g for name, g in book.items()}
        book[guest.name] = guest
        self._replace(book)

    def strike(self, name: str) -> None:
        """Forget a guest."""
        book = dict(self._guests)
        if book.pop(name, None) is not None:
            self._replace(book)

    def follow_ports(self, there: Collection[str], elsewhere: Collection[str] = ()) -> list[Guest]:
        """Take the port from guests whose port is not `there`, or is `elsewhere`, another segment's; name and MAC stay.

        Returns those guests as they were. Raises `Refused` when the book cannot be written.
        """
        gone = [guest for guest in self.all() if guest.port is not None and not guest.keeps_port
                and (guest.port not in there or guest.port in elsewhere)]
        if gone:
            self._replace({**self._guests, **{guest.name: replace(guest, port=None) for guest in gone}})
        return gone

    def follow(self, leases: list[Lease], taken: Mapping[str, str | None]) -> bool:
        """Take over names that guests claimed by DHCP, and let those of ended leases go.

        The first to claim a name has it: dnsmasq alone would give it to the last. `taken` are names that
        are not to be claimed, each with the MAC of the guest that has it anyway. Who has a name that has become
        another's gets one from its MAC, as dnsmasq would leave it the old one. True when the book changed.
        """
        book = {name: guest for name, guest in self._guests.items() if guest.kind != CLAIMED}
        macs = {guest.mac for guest in book.values()}
        before = {guest.mac: guest for guest in self._guests.values() if guest.kind == CLAIMED}
        # Those who had their name already come first, then by the lease file's order.
        for lease in sorted(leases, key=lambda lease: lease.mac not in before):
            if lease.mac in macs:
                continue
            claim = before.get(lease.mac)
            name = claim.name if claim is not None else label(lease.name)
            if name is None or taken.get(name) == lease.mac:
                continue
            if name in book or name in taken:
                name = f"guest-{lease.mac.replace(':', '')}"
                if name in book:
                    continue
            book[name] = Guest(name, lease.mac, CLAIMED)
            macs.add(lease.mac)
        if book == self._guests:
            return False
        self._replace(book)
        return True

    def _replace(self, book: dict[str, Guest]) -> None:
        text = json.dumps({"guests": [asdict(guest) for guest in book.values()]}, indent=1)
        files.write(self._places.guests(self._segment), text + "\n", 0o600, "root")
        self._guests = book

    def _load(self) -> None:
        """What cannot be understood is left out: the book is a help, not the truth."""
        try:
            data = json.loads(Path(self._places.guests(self._segment)).read_text())
            entries = data["guests"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return
        for entry in entries if isinstance(entries, list) else []:
            guest = _guest(entry, self._segment)
            if guest is not None:
                self._guests[guest.name] = guest


def label(name: str | None) -> str | None:
    """What a guest calls itself, as a name of the segment; None when it cannot be one."""
    try:
        return None if name is None else names.guest_name(name)
    except BadValue:
        return None


def _guest(entry: object, segment: str) -> Guest | None:
    if not isinstance(entry, dict):
        return None
    name, mac, kind = (entry.get(key) for key in ("name", "mac", "kind"))
    uid, port, number = entry.get("uid"), entry.get("port"), entry.get("tunnel")
    if not (isinstance(name, str) and isinstance(mac, str) and isinstance(kind, str)
            and (uid is None or (isinstance(uid, int) and 0 <= uid < 2**32 - 1))
            and (port is None or (isinstance(port, str) and port.startswith(names.port_prefix(segment))))):
        return None
    try:
        return Guest(names.guest_name(name), names.mac_address(mac), kind, uid, port,
                     kept=entry.get("kept") is True, by_itself=entry.get("by_itself") is True,
                     tunnel=number if isinstance(number, int) and 0 <= number < TUNNELS else None,
                     vlan=_small(entry.get("vlan")), vde_port=_small(entry.get("vde_port")),
                     handed=entry.get("handed") is True and port is not None)
    except BadValue:
        return None


def _small(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 < value < 4096 else None

"""Who has a guest's name, as far as the caller can tell: the daemon's list, and what the caller's own guests hold."""

from __future__ import annotations

from vdenet.cli import access, kinds, memory
from vdenet.cli.memory import Entry
from vdenet.errors import BadValue, NameTaken, NoGuest, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Found
from vdenet.model.names import guest_name
from vdenet.model.report import SegmentReport


def predecessor(kind: str, segment: str, label: str, guest: str, id: str, uri: str | None) -> Entry | None:
    """The guest that was called so before, and joined under that name, but is no more: this one takes its place."""
    return next((entry for entry in memory.named(kind, segment, label) if _is_gone(kind, entry, guest, id, uri)), None)


def predecessors(kind: str, segment: str, guest: str, id: str, uri: str | None) -> list[Entry]:
    """All that were called so before and joined, but are no more."""
    return [entry for entry in memory.of(kind, segment) if _is_gone(kind, entry, guest, id, uri)]


def _is_gone(kind: str, entry: Entry, guest: str, id: str, uri: str | None) -> bool:
    """Whether another guest than the one with that id was called so, and has been deleted, or has moved.

    One that cannot be looked up by its id may be alive, and so may one of another hypervisor of the kind.
    """
    (where, old), (here, _new) = apart(kind, entry.id), apart(kind, id)
    if not kinds.TABLE[kind].by_id or not entry.was_called(guest) or entry.id == id or where != here:
        return False
    try:
        kinds.look_up(kind, old, uri)  # it may only have another name by now
    except NoGuest:
        return True
    except VdenetError:
        return False
    return False


def renamed(kind: str, segment: str, guest: str, id: str, mac: str) -> Entry | None:
    """What was remembered of a guest under another name, for kinds whose `id` has the name in it.

    It has the MAC address that it was given, lies where it lay but for its name, and nobody is called so any more.
    """
    if kinds.TABLE[kind].by_id:
        return None
    for entry in memory.of(kind, segment):
        if entry.mac == mac and _same_place(entry.id, entry.guest, id, guest):
            try:
                kinds.look_up(kind, entry.guest)
            except NoGuest:
                return entry
            except VdenetError:
                continue
    return None


def _same_place(one: str, its_name: str, other: str, others_name: str) -> bool:
    """Whether two ids (`/var/lib/lxc/web/config`, `default/web`) differ in one part, which begins with the guest's
    name, and by that alone."""
    parts = one.split("/"), other.split("/")
    differ = [both for both in zip(*parts, strict=False) if both[0] != both[1]]
    return len(parts[0]) == len(parts[1]) and len(differ) == 1 \
        and differ[0][0].startswith(its_name) and differ[0][1].startswith(others_name) \
        and differ[0][0][len(its_name):] == differ[0][1][len(others_name):]


def apart(kind: str, id: str) -> tuple[str, str]:
    """Which hypervisor has the guest, where there may be several, and what it is looked up by."""
    where, _space, word = id.rpartition(" ") if kinds.TABLE[kind].connected else ("", "", id)
    return where, word


def require_name(label: str) -> None:
    """Raises `BadValue` where no guest may be called so, as the daemon does."""
    try:
        guest_name(label)
    except BadValue as error:
        raise BadValue(**error.data, hint=_("choose another with --name")) from None


def require_free(where: SegmentReport, label: str, found: Found, earlier: Entry | None) -> None:
    """Raises `NameTaken` when another guest of the caller's has the name: the daemon would hand it over."""
    if earlier is not None and earlier.name == label:
        return
    if any(guest.name == label and guest.joined and guest.mac not in (found.mac, found.stale)
           for guest in where.guests):
        raise NameTaken(name=label, why=_("a guest of that name is on the segment already"))


def require_not_another(kind: str, segment: str, label: str, id: str, gone: Entry | None) -> None:
    """Raises `NameTaken` when another guest of the user's has joined under the name, which may be off and so not
    be seen: it has the name, and with that the MAC address, for good."""
    for other in kinds.TABLE:
        for entry in memory.named(other, segment, label):
            if (other, entry.id) != (kind, id) and entry != gone:
                raise NameTaken(name=label, why=_("your {kind} guest {guest} has it").format(
                    kind=other, guest=entry.guest))


def is_anothers(where: SegmentReport, name: str, mac: str | None) -> bool:
    """Whether a name that was the caller's guest's is by now that of another account's: while a guest without
    a port is away, others may take its name."""
    mine = access.account().name
    return any(one.name == name and one.joined and one.mac != mac and one.owner not in (None, mine)
               for one in where.guests)

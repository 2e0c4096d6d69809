"""Who has a guest's name, as far as the caller can tell: the daemon's list, and what the caller's own guests hold."""

from __future__ import annotations

from vdenet.cli import access, kinds, memory
from vdenet.cli.memory import Entry
from vdenet.errors import NameTaken, NoGuest, VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Found
from vdenet.model.report import SegmentReport


def predecessor(kind: str, segment: str, label: str, guest: str, id: str, uri: str | None) -> Entry | None:
    """The guest that was called so before, joined and was deleted since: this one takes its place.

    An id is one word, or one behind the name of the hypervisor that has the guest. A guest that cannot be looked
    up by it may be alive.
    """
    if kind not in kinds.BY_ID:
        return None
    for entry in memory.named(kind, segment, label):
        if entry.guest != guest or entry.id == id or entry.id.rpartition(" ")[0] != id.rpartition(" ")[0]:
            continue
        try:
            kinds.look_up(kind, entry.id.rpartition(" ")[2], uri)  # it may only have another name by now
        except NoGuest:
            return entry
        except VdenetError:
            continue
    return None


def require_free(where: SegmentReport, label: str, found: Found, earlier: Entry | None) -> None:
    """Raises `NameTaken` when another guest of the caller's has the name: the daemon would hand it over."""
    if earlier is not None and earlier.name == label:
        return
    if any(guest.name == label and guest.joined and guest.mac != found.mac
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

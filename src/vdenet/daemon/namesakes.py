"""Segments that may name interfaces alike: in the names of guests' ports is room for a hash of four characters only.

Nobody creates the second of two, so an administrator wrote its file; and ports of the first may have been made since.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model.names import same_ports
from vdenet.model.observed import Link
from vdenet.model.parts import ports
from vdenet.model.wanted import alias
from vdenet.probe import links

if TYPE_CHECKING:
    from vdenet.daemon.engine import Engine


def of(engine: Engine, segment: str) -> list[str]:
    """The other segments that may name an interface as this one does."""
    return [other for other in engine.configuration.names() if other != segment and same_ports(segment, other)]


def refuse_later(engine: Engine, segment: str) -> None:
    """Of two, the one that was there first is brought up, and what is up stays so. Raises `Refused` for the other."""
    def later(name: str) -> tuple[bool, bool, str]:
        return alias(name) not in marks, not Path(engine.places.state(name)).is_dir(), name

    others, marks = of(engine, segment), {link.alias for link in links.links().values()}
    if others and alias(segment) not in marks and (first := min([segment, *others], key=later)) != segment:
        raise Refused(what=_("bring up {segment}").format(segment=segment), why=_(
            "the ports of its guests could have the same names as those of {other}").format(other=first),
            hint=_("give it another name: tarr-steps export, and segment create"))


def elsewhere(engine: Engine, segment: str, there: Mapping[str, Link]) -> frozenset[str]:
    """Of the ports that the book has, those that are another segment's by now: never to be taken for a guest's of
    this one. Where a hypervisor makes the port, nobody can tell for which of two segments."""
    with engine.lock:
        handed = {guest.port for other in engine.configuration.names() if other != segment
                  for guest in engine.book(other).all() if guest.handed}
        return frozenset(guest.port for guest in engine.book(segment).all() if guest.port is not None and (
            ports.is_elsewhere(there.get(guest.port), segment) or (guest.handed and guest.port in handed)))

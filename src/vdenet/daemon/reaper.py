"""Ends ports that have no right to be there: nobody attached any more, an owner who left the group, or one
who turns the bridge against another guest."""

from __future__ import annotations

from vdenet.daemon import members
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import logger
from vdenet.errors import VdenetError
from vdenet.model.names import tap_mac
from vdenet.model.segment import Segment
from vdenet.model.wanted import guest_alias
from vdenet.probe import links


def reap(engine: Engine, segment: Segment) -> None:
    """Delete the segment's guest ports that have no right to be there.

    A tap that was made persistent and let go has lost its carrier. One that got the MAC address of a guest keeps
    every frame from that guest, since the bridge takes it for the host's. Whoever holds a tap can write down another
    owner for it, so the owner is taken from the book; from the tap only when the book has lost it: a damaged
    file must not take the network from guests that run.
    """
    with engine.lock:
        book = engine.book(segment.name)
        for link in links.links().values():
            if link.alias != guest_alias(segment.name):
                continue
            guest = book.by_port(link.name)
            why = None
            if link.kind == "tap" and link.up and not link.carrier and not (guest and guest.kept):
                why = "nobody holds it"
            elif link.kind == "tap" and link.mac != tap_mac(link.name):
                why = "its holder gave it another MAC address"
            elif not _may_stay(link.owner if guest is None else guest.uid):
                why = "its owner is not in the group"
            if why is None:
                continue
            try:
                if guest is not None and guest.kept:
                    book.strike(guest.name)  # else the next plan would make it again
                engine.netlink.delete(link.name, link.ifindex, link.alias)
                logger.info("port %s removed: %s", link.name, why)
            except VdenetError as error:
                logger.error("%s", error)


def reap_left(engine: Engine) -> None:
    """Delete the taps of guests that have left, on whichever segment, once no program holds them any more."""
    with engine.lock:
        segments = engine.configuration.names()
        for link in links.links().values():
            if link.left is None:
                continue
            try:
                if link.master is not None:
                    engine.netlink.detach(link.name)  # a crash came in between
                if link.left[0] not in segments or not engine.netlink.is_held(link.ifindex):
                    engine.netlink.delete(link.name, link.ifindex, link.alias)
                    logger.info("port %s removed: its guest has left", link.name)
            except VdenetError as error:
                logger.error("%s", error)


def _may_stay(owner: int | None) -> bool:
    return owner in (None, 0) or members.is_member(owner or 0)

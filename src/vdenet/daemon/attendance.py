"""The guests of a segment as its blueprint needs them: what of theirs is there, and what is to be made for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from vdenet.daemon import memberships
from vdenet.daemon.guests import Guest, GuestBook
from vdenet.daemon.members import uid_of
from vdenet.model import tunnel
from vdenet.model.observed import Link
from vdenet.model.places import PLUG_ACCOUNT
from vdenet.model.segment import MTU, Retiring, Segment
from vdenet.model.tunnel import Tunnel
from vdenet.model.wanted import DhcpServer, Tap
from vdenet.probe import processes
from vdenet.text.blueprint import Guests


def guests(segment: Segment, book: GuestBook, there: Mapping[str, Link], belonging: Iterable[str],
           elsewhere: Collection[str], served: Sequence[Retiring], dhcp_server: DhcpServer | None) -> Guests:
    """By its book and the interfaces that are there.

    `belonging` are the ports that belong on its bridge, `elsewhere` those that another segment has by now, `served`
    the earlier addresses that guests may have still.
    """
    mine = [(guest, guest.port) for guest in book.all() if guest.port is not None and guest.port not in elsewhere]
    owned = [(guest, port, guest.uid) for guest, port in mine if guest.uid is not None]
    return Guests(
        joined=book.joined(), pinned=book.claimed(),
        ports=tuple(sorted(port for port in belonging if port != segment.tap)),
        present=tuple(sorted(link.name for link in there.values() if link.master == segment.bridge)),
        handed=tuple(port for guest, port in mine if _is_handed(guest, there.get(port))),
        taps=tuple(Tap(port, uid, MTU) for guest, port, uid in owned if guest.kept and guest.tunnel is None),
        tunnels=tuple(Tunnel(tunnel.address(segment.bridge), guest.tunnel, port, uid)
                      for guest, port, uid in owned if guest.tunnel is not None),
        plugs=_plugs_that_run(),
        retiring=tuple(served),
        memberships=memberships.of_ports(segment, book, there),
        plugged=memberships.plugged(segment, book),
        dhcp_server=dhcp_server)


def _is_handed(guest: Guest, link: Link | None) -> bool:
    """Whether its hypervisor has made its port, and left it to us."""
    return guest.handed and link is not None and link.kind in ("veth", "tap") and not link.ours


def _plugs_that_run() -> tuple[tuple[str, ...], ...]:
    uid = uid_of(PLUG_ACCOUNT)
    return () if uid is None else processes.of_account(uid)

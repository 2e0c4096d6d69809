"""Guests that join by a UDP tunnel of their hypervisor's: a tap that stays, and a relay that holds it."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

from vdenet.daemon import joining, memberships
from vdenet.daemon.admission import Asked
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import Guest
from vdenet.daemon.members import Caller, account_name
from vdenet.errors import Refused
from vdenet.i18n import _
from vdenet.model import tunnel
from vdenet.model.segment import Segment
from vdenet.probe import udp

_MOST_NAMED = 3
"""Accounts that a refusal names."""


def keep_tunnel(engine: Engine, segment: Segment, caller: Caller, asked: Asked, back: bool = False) -> dict[str, Any]:
    """A tunnel for a guest of the caller's, until `leave`; the same guest gets the same one.

    The daemon chooses the ports. With `back` they are those of the tunnel that the guest had last, where its hypervisor
    listens still, if they are nobody else's by now: the guest did not leave after all. Raises as `joining.keep_tap`,
    and `Refused` when none are left.
    """
    def number(mac: str) -> int:
        return _free(engine, segment, caller, mac, engine.left_tunnels.get((caller.uid, mac)) if back else None)

    return _reply(segment, joining.keep_tap(engine, segment, caller, asked, number).guest)


def _free(engine: Engine, segment: Segment, caller: Caller, mac: str, own: int | None) -> int:
    """A number that no other guest has, and whose ports are no program's, but for the guest's end of its `own`.

    A port that can only be shared may be one that VirtualBox has lost, and what comes there is the end of a machine
    (`vdenet.cli.tunnelling`). Raises `Refused`.
    """
    taken = {guest.tunnel for name in engine.configuration.names() for guest in engine.book(name).all()}
    first = int(mac.replace(":", ""), 16)
    numbers = [(first + step) % tunnel.TUNNELS for step in range(tunnel.TUNNELS)]
    for number in numbers if own is None else [own, *numbers]:
        if number not in taken and _is_free("0.0.0.0", tunnel.guest_port(number), share=number == own) \
                and _is_free(tunnel.address(segment.bridge), tunnel.segment_port(number)):
            return number
    raise _none_left(caller, taken)


def _none_left(caller: Caller, taken: set[int | None]) -> Refused:
    """Any account of the host can bind the guests' ends, members or not: so it is said who does."""
    owners = udp.owners()
    holders = Counter(owners[port] for number in range(tunnel.TUNNELS)
                      if number not in taken and (port := tunnel.guest_port(number)) in owners)
    why, hint = _("there is no UDP tunnel left"), _("switch off a machine that has left one while it ran")
    if holders:
        accounts = [f"{account_name(uid) or uid} ({count})" for uid, count in holders.most_common(_MOST_NAMED)]
        why = _("there is no UDP tunnel left: the ports from {first} to {last} are open in programs of {accounts}")
        why = why.format(first=tunnel.guest_port(0), last=tunnel.guest_port(tunnel.TUNNELS - 1),
                         accounts=", ".join(accounts))
        if caller.uid not in holders:
            hint = _("join it another way, or have them end what holds the ports; ss -u -a shows them")
    return Refused(what=_("join"), why=why, hint=hint)


def _is_free(address: str, port: int, share: bool = False) -> bool:
    """Whether a port can be bound to; with `share`, beside others that share it too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, share)
        try:
            sock.bind((address, port))
        except OSError:
            return False
    return True


def _reply(segment: Segment, guest: Guest) -> dict[str, Any]:
    assert guest.tunnel is not None
    return {"segment": segment.name, "mac": guest.mac, "name": guest.name, "port": guest.port,
            "fqdn": f"{guest.name}.{segment.domain}", "address": tunnel.address(segment.bridge),
            "vlan": memberships.vlan_of(segment, guest),
            "guest_port": tunnel.guest_port(guest.tunnel), "segment_port": tunnel.segment_port(guest.tunnel)}

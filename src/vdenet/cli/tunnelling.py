"""Guests that come by a UDP tunnel: back into it when leaving it failed, and what is left of one.

VirtualBox' driver listens when it is made, and once more whenever the machine goes on (drvUDPTunnelConstruct and
drvUDPTunnelResume in DrvUDPTunnel.cpp). Made while the machine is halted (plugged in while it runs, or started from a
saved state) it listens twice, and only the second one ends with it. The first keeps the port and a pointer to what is
no more: what comes there once the tunnel is pulled out ends the machine.
"""

from __future__ import annotations

import socket
import time

from vdenet.cli import claims, kinds
from vdenet.cli.client import ask
from vdenet.errors import VdenetError
from vdenet.i18n import _
from vdenet.model.joining import Where, Wish

_SECONDS = 2.0
"""The driver's thread looks once a second whether it is to end (rtUdpServerListen in udp.cpp)."""


def put_back(kind: str, id: str, uri: str | None, where: Where, name: str, mac: str | None, vlan: int | None,
             port: int | None) -> bool:
    """Have the daemon make a guest's tunnel again, if its hypervisor listens at its end of it, `port`: whether there
    is one."""
    try:
        now = kinds.look_up(kind, claims.apart(kind, id)[1], uri).found(Wish(), where)
        if not now.tunnelled or now.guest_port != port:
            return False
        ends = ask("KeepTunnel", segment=where.segment, name=name, mac=mac, kind=kind, vlan=vlan, back=True)
        if ends.get("guest_port") == port:
            return True
        ask("Leave", segment=where.segment, name=name, kind=kind)
    except VdenetError:
        pass
    return False


def ended(guest: str) -> str:
    """What the user should know of a guest that did not get its tunnel back."""
    return _("the tunnel of {guest} has ended: join it again, switched off where that is refused").format(guest=guest)


def left_behind(port: int | None) -> list[str]:
    """What the user should know of the port of a tunnel that a running guest has left."""
    if port is None or not _listens(port):
        return []
    return [_("VirtualBox listens at UDP port {port} until the machine ends, and what comes there ends it: switch it "
              "off soon").format(port=port)]


def _listens(port: int) -> bool:
    end = time.monotonic() + _SECONDS
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("", port))
            except OSError:
                pass
            else:
                return False
        if time.monotonic() > end:
            return True
        time.sleep(0.1)

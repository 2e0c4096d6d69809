"""Which guest serves DHCP, and on which port it is: what `dhcp = "guest"` opens the guard for.

A guest that joined through the daemon has a port of its own, and no other has it. One that came by itself (over
VDE, a container that LXC put on the bridge) is known only by where its MAC was heard first: that stays its port
until the port is gone, so nobody takes it over by its MAC later.
"""

from __future__ import annotations

from collections.abc import Mapping

from vdenet.daemon.guests import CLAIMED, GuestBook
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.model.wanted import DhcpServer
from vdenet.probe import links


class Servers:
    """The server of each segment. Not for several threads at once: the engine's lock guards it."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[str, str, int]] = {}

    def find(self, segment: Segment, book: GuestBook, there: Mapping[str, Link]) -> DhcpServer | None:
        """The server and its port; None while it is not there, and where no guest is to serve."""
        host = next((host for host in segment.hosts if host.dhcp_server), None)
        if host is None or not segment.guest_dhcp:
            self._heard.pop(segment.name, None)
            return None
        guest = book.by_mac(host.mac) if host.mac is not None else book.find(host.name or "")
        if guest is not None and guest.kind == CLAIMED:
            guest = None
        if guest is not None and not guest.by_itself:
            return DhcpServer(guest.mac, guest.port) if guest.port in there and guest.port is not None else None
        mac = host.mac or (guest.mac if guest is not None else None)
        return None if mac is None else self._by_ear(segment, mac, there)

    def forget(self, segment: str) -> None:
        """The segment is no more."""
        self._heard.pop(segment, None)

    def _by_ear(self, segment: Segment, mac: str, there: Mapping[str, Link]) -> DhcpServer | None:
        known_mac, known_port, ifindex = self._heard.get(segment.name, ("", "", 0))
        link = there.get(known_port)
        if known_mac == mac and link is not None and link.ifindex == ifindex and link.master == segment.bridge:
            return DhcpServer(mac, known_port)
        port = links.heard(segment.bridge).get(mac)
        if port is None or port not in there:
            self._heard.pop(segment.name, None)
            return None
        self._heard[segment.name] = (mac, port, there[port].ifindex)
        return DhcpServer(mac, port)

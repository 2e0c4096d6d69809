"""Where each guest is: behind which port of the bridge, and of the VDE switch behind that.

Bridge and switch forget an address after some minutes of silence, and a guest may be silent for hours. So what was
heard is kept for as long as that port is there and nobody else has come to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vdenet.daemon.engine import Engine
from vdenet.effect.console import Console
from vdenet.errors import VdenetError
from vdenet.model.observed import Link
from vdenet.model.segment import Segment
from vdenet.model.vlans import SwitchPort
from vdenet.probe import links
from vdenet.text import vde, vdeports


@dataclass(frozen=True, slots=True)
class Place:
    """A port of the bridge; for one behind the switch also the switch's port, who is on that, and its VLAN."""

    port: str
    ifindex: int
    plug: int | None = None
    client: vde.Client | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Plugged:
    """What the switch says: who is on each of its ports, which VLAN has it, and which addresses it has heard there."""

    clients: Mapping[int, vde.Client]
    addresses: Mapping[str, int]
    ports: Mapping[int, SwitchPort] = field(default_factory=dict)

    def vlan(self, plug: int) -> int | None:
        """The VLAN whose frames a port gets without a tag."""
        return self.ports[plug].untagged if plug in self.ports else None


def heard(engine: Engine, segment: Segment) -> tuple[dict[str, Place], dict[str, Place]]:
    """By MAC: where guests are heard now, and where those were that are silent."""
    with engine.lock:
        last = engine.whereabouts.setdefault(segment.name, {})
        there = links.links()
        now = _on_bridge(segment, there)
        behind = any(port == segment.tap for port in now.values()) or any(place.plug for place in last.values())
        plugged = _ask(engine, segment) if behind else None
        places = {mac: place for mac, port in now.items()
                  if (place := _place(segment, there[port], mac, plugged)) is not None}
        silent = {mac: _moved(place, plugged) for mac, place in last.items()
                  if mac not in places and _is_there(place, segment, there, plugged)}
        worth = {lease.mac for lease in engine.leases(segment)}
        worth |= {guest.mac for guest in engine.book(segment.name).all()}
        engine.whereabouts[segment.name] = {
            mac: place for mac, place in (silent | places).items()
            # A place behind the switch without anybody to know it by could not be told from the next one's.
            if mac in worth and (place.port != segment.tap or place.client is not None)}
        return places, silent


def notice(engine: Engine, segment: Segment) -> None:
    """Remember where guests are while they can be heard.

    The switch is only asked when a guest is behind it whose place there is not known: it may keep one waiting.
    """
    with engine.lock:
        last = engine.whereabouts.get(segment.name, {})
        leased = {lease.mac for lease in engine.leases(segment)}
        now = _on_bridge(segment, links.links())
        if any(mac in leased and (mac not in last or last[mac].port != port) for mac, port in now.items()):
            heard(engine, segment)


def _on_bridge(segment: Segment, there: Mapping[str, Link]) -> dict[str, str]:
    own = {link.mac for link in there.values() if segment.bridge in (link.master, link.name)}
    return {mac: port for mac, port in links.heard(segment.bridge).items() if mac not in own and port in there}


def _place(segment: Segment, link: Link, mac: str, plugged: Plugged | None) -> Place | None:
    if link.name != segment.tap or plugged is None:
        return Place(link.name, link.ifindex)
    plug = plugged.addresses.get(mac)
    # The bridge remembers a MAC for minutes after the switch has seen its port close.
    return None if plug is None else Place(
        link.name, link.ifindex, plug, plugged.clients.get(plug), plugged.vlan(plug))


def _moved(place: Place, plugged: Plugged | None) -> Place:
    """A port may be in another VLAN now than when its guest was heard."""
    return place if plugged is None or place.plug is None else replace(place, vlan=plugged.vlan(place.plug))


def _is_there(place: Place, segment: Segment, there: Mapping[str, Link], plugged: Plugged | None) -> bool:
    link = there.get(place.port)
    return link is not None and link.ifindex == place.ifindex and link.master == segment.bridge and (
        place.plug is None or (plugged is not None and plugged.clients.get(place.plug) == place.client))


def _ask(engine: Engine, segment: Segment) -> Plugged | None:
    """What the switch says; None when it cannot be asked."""
    try:
        with Console(Path(engine.places.console(segment.name))) as switch:
            return Plugged(vde.clients(switch.ask("port/allprint")), vde.addresses(switch.ask("hash/print")),
                           vdeports.memberships(switch.ask("vlan/allprint")).ports)
    except (OSError, VdenetError):
        return None

"""Which ports belong on a segment's bridge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vdenet.model.observed import Link, Observed
from vdenet.model.parts import ports
from vdenet.model.segment import Segment
from vdenet.model.wanted import guest_alias


@dataclass(frozen=True, slots=True)
class _Known:
    """The bridge, and what was on it by name; all by their index."""

    bridge: int
    ports: Mapping[str, int]

    def homeless(self, there: Mapping[str, Link]) -> dict[str, int]:
        """Those that are there and on no bridge."""
        return {name: ifindex for name, ifindex in self.ports.items()
                if name in there and there[name].ifindex == ifindex and there[name].master is None}


class Ports:
    """Remembers who is on each bridge of ours, so that one that is deleted behind our back gets them again.

    A port of another program's that is taken off while the bridge stays was meant to be, and is forgotten. On another
    program's bridge they are that program's to put.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def belonging(self, segment: Segment, there: Mapping[str, Link]) -> set[str]:
        """Guests' of ours, and others that were on the bridge when it went away."""
        ours = {link.name for link in there.values() if link.alias == guest_alias(segment.name)}
        known, bridge = self._known.get(segment.name), there.get(segment.bridge)
        if known is None or segment.adopt is not None or (bridge is not None and bridge.ifindex == known.bridge):
            return ours
        return ours | known.homeless(there).keys()

    def remember(self, segment: Segment, observed: Observed) -> None:
        """Note who is on the bridge, if that is there and ours."""
        if segment.adopt is not None:
            self.forget(segment.name)
            return
        bridge = observed.links.get(segment.bridge)
        if bridge is None:
            return
        known = self._known.get(segment.name)
        there = {link.name: link.ifindex for link in ports.on(bridge.name, observed)}
        if known is not None and bridge.ifindex != known.bridge and (waiting := known.homeless(observed.links)):
            # The bridge is a new one, and a change that failed has not put all of them on it.
            self._known[segment.name] = _Known(known.bridge, {**waiting, **there})
        else:
            self._known[segment.name] = _Known(bridge.ifindex, there)

    def forget(self, segment: str) -> None:
        """The segment is no more."""
        self._known.pop(segment, None)

    def let_go(self, segment: str, port: str) -> None:
        """The port does not belong there any more."""
        known = self._known.get(segment)
        if known is not None:
            self._known[segment] = _Known(known.bridge, {
                name: ifindex for name, ifindex in known.ports.items() if name != port})

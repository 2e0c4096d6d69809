"""Which ports belong on a segment's bridge."""

from __future__ import annotations

from collections.abc import Mapping

from vdenet.model.observed import Link, Observed
from vdenet.model.parts import ports
from vdenet.model.segment import Segment
from vdenet.model.wanted import guest_alias


class Ports:
    """Remembers who is on each bridge, so that one that is deleted behind our back gets them again.

    A port that another program takes off while the bridge stays is forgotten: that was meant.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {}

    def belonging(self, segment: Segment, there: Mapping[str, Link]) -> set[str]:
        """Guests' of ours, and others that were on it when it went away."""
        ours = {link.name for link in there.values() if link.alias == guest_alias(segment.name)}
        known = self._known.get(segment.name, {})
        others = {name for name, ifindex in known.items()
                  if name in there and there[name].ifindex == ifindex and there[name].master is None}
        return ours | others

    def remember(self, segment: Segment, observed: Observed) -> None:
        """Note who is on the bridge, if that is there."""
        if segment.bridge in observed.links:
            self._known[segment.name] = {link.name: link.ifindex for link in ports.on(segment.bridge, observed)}

    def forget(self, segment: str, port: str | None = None) -> None:
        """One port, or all of a segment."""
        if port is None:
            self._known.pop(segment, None)
        else:
            self._known.get(segment, {}).pop(port, None)

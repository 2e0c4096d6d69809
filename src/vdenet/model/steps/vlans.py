"""VLANs: who is in which, on the bridge and on the VDE switch."""

from __future__ import annotations

from dataclasses import dataclass

from vdenet.i18n import _
from vdenet.model.vlans import Membership, SwitchPort, SwitchTable


@dataclass(frozen=True, slots=True)
class SetVlans:
    """Put a port, or the bridge itself, into these VLANs and no others."""

    port: str
    membership: Membership
    bridge: bool = False

    def __str__(self) -> str:
        return _("~ {port}: {vlans}").format(port=self.port, vlans=_in_words(
            self.membership.untagged, self.membership.tagged))


@dataclass(frozen=True, slots=True)
class SetVlanFiltering:
    bridge: str
    on: bool

    def __str__(self) -> str:
        state = _("on") if self.on else _("off")
        return _("~ VLANs on {bridge}: {state}").format(bridge=self.bridge, state=state)


@dataclass(frozen=True, slots=True)
class SetSwitch:
    """Tell the VDE switch, which runs, of VLANs and ports: all between two frames."""

    segment: str
    before: SwitchTable
    after: SwitchTable

    def __str__(self) -> str:
        added, removed = (", ".join(map(str, sorted(some))) for some in (
            self.after.vlans - self.before.vlans, self.before.vlans - self.after.vlans))
        words = [_("VLAN {vlans} added").format(vlans=added)] if added else []
        words += [_("VLAN {vlans} removed").format(vlans=removed)] if removed else []
        for number in sorted({*self.before.ports, *self.after.ports}):
            port = self.after.ports.get(number)
            if port != self.before.ports.get(number):
                words.append(_("port {number}: {state}").format(number=number, state=_port_in_words(port)))
        return _("~ VDE switch: {changes}").format(changes=" | ".join(words))


def _in_words(untagged: frozenset[int], tagged: frozenset[int]) -> str:
    """VLANs of a port, for people."""
    words = [_("VLAN {vlans}").format(vlans=", ".join(map(str, sorted(untagged))))] if untagged else []
    if tagged:
        words.append(_("with tags {vlans}").format(vlans=", ".join(map(str, sorted(tagged)))))
    return "; ".join(words) or _("no VLAN")


def _port_in_words(port: SwitchPort | None) -> str:
    if port is None:
        return _("as any other")
    words = _in_words(frozenset() if port.untagged is None else frozenset({port.untagged}), port.tagged)
    return _("{vlans}, reserved").format(vlans=words) if port.reserved else words

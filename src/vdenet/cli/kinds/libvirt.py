"""libvirt: one more network card for a domain of QEMU's, in its configuration and while it runs.

`qemu:///system` puts it on the segment's bridge itself. `qemu:///session` runs as the user and may not, so
it opens a tap of the user's that the daemon keeps; so does `qemu:///system` for a VLAN. All by virsh,
with the permission that libvirt gives.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from vdenet.cli import hints, virsh
from vdenet.errors import BadValue, Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model.joining import Found, Joining, Leaving, Place, RunTool, Where, Wish
from vdenet.model.names import port_prefix
from vdenet.text import inside, libvirt, qemu
from vdenet.text.libvirt import Domain, Nic


class Libvirt:
    """A domain that the caller can see."""

    def __init__(self, guest: str, connect: str | None = None) -> None:
        self._virsh, self._uuid, self._name = virsh.find(guest, connect)
        facts = libvirt.facts(self._virsh.look("dominfo", self._uuid))
        persistent = facts.get("Persistent") == "yes"
        self._saved = facts.get("Managed save") == "yes"
        self._live = self._read("dumpxml")
        self._config = self._read("dumpxml", "--inactive") if persistent else None
        self._running = self._live.active
        self._networks: dict[str, str | None] = {}

    @property
    def id(self) -> str:
        """Which libvirt, and the domain's own identity, which its name may outlive."""
        return f"{self._virsh.place} {self._uuid}"

    def found(self, wish: Wish, where: Where) -> Found:
        """How the domain stands. Raises `BadValue`, `Refused`, `NotPermitted`, `ToolFailed`."""
        on = self._on(where)
        nic = on or self._chosen(wish)
        if on is not None and wish.nic not in (None, self._number(on)):
            raise Refused(what=_("join {guest}").format(guest=self._name), why=_(
                "it is on the segment already, by its card {nic}").format(nic=self._number(on)),
                hint=self._way_off(wish, where))
        if on is not None and wish.vlan is not None and on.kind != "ethernet":
            raise Refused(what=_("join {guest}").format(guest=self._name), why=_(
                "it is on the segment already, by a card on the bridge, which is in no VLAN"),
                hint=self._way_off(wish, where))
        # Also where nothing is to be changed: who joins a guest has its name from then on.
        self._virsh.require_permission()
        return Found(qemu.label(self._name) or "vm", nic.mac if nic else None, self._running,
                     joined=on is not None, tap=on.kind == "ethernet" if on is not None
                     else self._virsh.session or wish.vlan is not None)

    def join(self, wish: Wish, place: Place) -> Joining:
        """A card on the segment. Raises `Refused`."""
        chosen = self._put_back(place) if self._on(place) is not None else self._chosen(wish)
        return self._add(place) if chosen is None else self._move(chosen, place)

    def leave(self, where: Where, memory: object) -> Leaving:
        """Its cards as they were before; those that were added, by whomever, are taken out.

        Raises `Refused`, `NotPermitted`, `ToolFailed`.
        """
        config, live = ({nic.mac: nic for nic in (domain.nics if domain else ()) if self._is_on(nic, where)}
                        for domain in (self._config, self._live if self._running else None))
        if not config and not live:
            self._require_none_left(memory)
            return Leaving((), live=False)
        self._virsh.require_permission()
        note = self._require_no_saved_tap(where)
        actions: list[RunTool] = []
        for mac in {**config, **live}:
            before = [nic for which in ("live", "config") if (nic := _before(memory, which, mac)) is not None]
            if not before:
                flags = ("--live",) * (mac in live and not live[mac].fixed) + ("--config",) * (mac in config)
                card = libvirt.plain(live.get(mac) or config[mac])
                if flags:
                    actions.append(RunTool(self._command("detach-device", *flags),
                                           self._command("attach-device", *flags), card, card))
                continue
            if mac in live and libvirt.movable(live[mac], before[0]):
                actions.append(self._update(live[mac].xml, libvirt.plain(before[0]), "--live"))
            if mac in config:
                actions.append(self._update(config[mac].xml, before[-1].xml, "--config"))
        return Leaving(tuple(actions), live=any("--live" in action.argv for action in actions),
                       running=self._running, mac=next(iter({**config, **live})), lingers=bool(live), note=note)

    def _way_off(self, wish: Wish, where: Where) -> str:
        return hints.leave("libvirt", self._name, where.segment, wish.connect)

    # --- what there is -------------------------------------------------------------------------

    def _domains(self) -> list[Domain]:
        """What is configured, and what runs."""
        return [each for each in (self._config, self._live if self._running else None) if each is not None]

    def _on(self, where: Where) -> Nic | None:
        """The first card on the segment, as it is configured, else as it runs."""
        return next((nic for domain in self._domains() for nic in domain.nics if self._is_on(nic, where)), None)

    def _is_on(self, nic: Nic, where: Where) -> bool:
        handed = self._handed(nic.source) if nic.kind == "network" and nic.source and not nic.bridge else None
        return libvirt.on_segment(nic, where.bridge, port_prefix(where.segment), handed)

    def _handed(self, network: str) -> str | None:
        """The bridge that a network of libvirt's hands its guests over to."""
        if network not in self._networks:
            try:
                text = self._virsh.look("net-dumpxml", "--network", network)
                self._networks[network] = virsh.understood(libvirt.network_bridge, text)
            except ToolFailed:  # there is none; libvirt says so when the domain starts
                self._networks[network] = None
        return self._networks[network]

    def _chosen(self, wish: Wish) -> Nic | None:
        """The card that the user named, counted from 1 as `virsh domiflist` shows them."""
        if wish.nic is None:
            return None
        nics = (self._config or self._live).nics
        if not 1 <= wish.nic <= len(nics):
            raise BadValue(what=_("card"), value=wish.nic, why=_("the domain has {number}").format(number=len(nics)))
        return nics[wish.nic - 1]

    def _put_back(self, where: Where) -> Nic | None:
        """The card in the configuration that has left, where the same one is on the segment while the domain runs."""
        live = {nic.mac for nic in (self._live.nics if self._running else ()) if self._is_on(nic, where)}
        return next((nic for nic in (self._config.nics if self._config else ())
                     if nic.mac in live and not self._is_on(nic, where)), None)

    def _number(self, nic: Nic) -> int:
        nics = (self._config or self._live).nics
        return next((number for number, each in enumerate(nics, 1) if each.mac == nic.mac), 0)

    # --- what is done --------------------------------------------------------------------------

    def _add(self, place: Place) -> Joining:
        """A card more, in what is configured and in what runs, where there is none yet."""
        on = self._on(place)
        model = on.model if on is not None and on.model else (self._config or self._live).model
        card = self._card(place, model)
        config, live = ([nic for nic in (domain.nics if domain else ()) if self._is_on(nic, place)]
                        for domain in (self._config, self._live if self._running else None))
        what = _("join {guest}").format(guest=self._name)
        if on is None and any(nic.mac == place.mac for domain in self._domains() for nic in domain.nics):
            raise Refused(what=what, why=_("another card of it has the MAC address {mac}").format(mac=place.mac))
        actions = []
        # A copy of a domain has the tap of its original.
        if place.port is not None and config and config[0].kind == "ethernet" and config[0].target != place.port:
            actions.append(self._update(config[0].xml, libvirt.moved(config[0], card), "--config"))
        flags = () if self._config is None or config else ("--config",)
        way = self._why(place)
        if self._running and not live:
            if self._live.takes(model):
                flags = ("--live", *flags)
            elif self._config is None:
                raise Refused(what=what, why=_("it is transient, and has no free slot for another card"))
            else:
                way = _("{way}; while it runs it has no free slot for another card").format(way=way)
        if flags:
            actions.append(RunTool(self._command("attach-device", *flags),
                                   self._command("detach-device", *flags), card, card))
        return Joining(tuple(actions), _via(place), way, live=bool(live) or "--live" in flags,
                       nic=None if on is None else str(self._number(on)),
                       memory={"added": place.mac}, notes=self._notes(place, flags))

    def _move(self, nic: Nic, place: Place) -> Joining:
        """A card that the domain has, moved to the segment."""
        card = self._card(place, nic.model or libvirt.MODEL)
        memory: dict[str, str] = {}
        actions = []
        running = next((each for each in self._live.nics if each.mac == nic.mac), None) if self._running else None
        stayed = running is not None and self._is_on(running, place)
        if running is not None and not stayed and libvirt.movable(running, libvirt.card(card)):
            memory["live"] = running.xml
            actions.append(self._update(running.xml, libvirt.moved(running, card), "--live"))
        if self._config is not None:
            memory["config"] = nic.xml
            actions.append(self._update(nic.xml, libvirt.moved(nic, card), "--config"))
        if not actions:
            raise Refused(what=_("join {guest}").format(guest=self._name), why=_(
                "it is transient, and a card of its kind cannot be moved while it runs"))
        return Joining(tuple(actions), _via(place), self._why(place), live=stayed or "live" in memory,
                       nic=str(self._number(nic)), memory=memory, notes=self._saved_notes())

    def _card(self, place: Place, model: str) -> str:
        if place.port is not None:
            return libvirt.tapped(place.port, place.mac, model)
        return libvirt.bridged(place.bridge, place.mac, model)

    def _why(self, place: Place) -> str:
        if self._virsh.session:
            return _("a tap of yours, since {uri} may make none").format(uri=self._virsh.uri)
        if place.port is not None:
            return _("a tap of yours, which the segment puts into its VLAN")
        return _("{uri} puts it on the bridge").format(uri=self._virsh.uri)

    def _update(self, before: str, after: str, flag: str) -> RunTool:
        argv = self._command("update-device", flag)
        return RunTool(argv, argv, after, before)

    def _command(self, verb: str, *flags: str) -> tuple[str, ...]:
        return libvirt.command(self._virsh.uri, verb, self._uuid, *flags)

    def _read(self, verb: str, *flags: str) -> Domain:
        return virsh.understood(libvirt.domain, self._virsh.look(verb, self._uuid, *flags))

    # --- what stands against it ----------------------------------------------------------------

    def _notes(self, place: Place, flags: Sequence[str]) -> tuple[str, ...]:
        """What there is to say of a card that is added."""
        others = any(not self._is_on(nic, place) for domain in self._domains() for nic in domain.nics)
        return (*((inside.another(None),) if flags and others else ()),
                *(self._saved_notes() if "--config" in flags else ()))

    def _saved_notes(self) -> tuple[str, ...]:
        if not self._saved:
            return ()
        return (_("its saved state does not have the card: it comes when the machine has been shut down and started"),)

    def _require_none_left(self, memory: object) -> None:
        """The tap of a card that was added must not go from under it. Raises `Refused`."""
        added = memory.get("added") if isinstance(memory, dict) else None
        left = next((nic for domain in self._domains() for nic in domain.nics
                     if nic.kind == "ethernet" and nic.mac is not None and nic.mac == added), None)
        if left is not None:
            raise Refused(what=_("take {guest} off the segment").format(guest=self._name), why=_(
                "the card that it was given, {mac}, is on {target}, which is none of the segment's taps").format(
                    mac=left.mac, target=left.target), hint=shlex.join(self._command(
                        "detach-interface", "ethernet", "--mac", left.mac or "",
                        *(("--config",) if self._config is not None else ()))))

    def _require_no_saved_tap(self, where: Where) -> str | None:
        """A saved machine cannot go on without the tap that it was saved with. Raises `Refused`."""
        if not self._saved:
            return None
        cards = [nic for nic in self._read("managedsave-dumpxml").nics if self._is_on(nic, where)]
        if any(nic.kind == "ethernet" for nic in cards):
            raise Refused(what=_("take {guest} off the segment").format(guest=self._name), why=_(
                "its saved state has the card, and could not go on without it"), hint=_(
                "{start}, and then leave; or {remove}").format(
                    start=f"virsh start {self._uuid}", remove=f"virsh managedsave-remove {self._uuid}"))
        return _("its saved state still has the card") if cards else None


def _before(memory: object, which: str, mac: str | None) -> Nic | None:
    """The card as it was before `join` moved it, where that was this one."""
    text = memory.get(which) if isinstance(memory, dict) else None
    if not isinstance(text, str):
        return None
    try:
        card = libvirt.card(text)
    except ValueError:
        return None
    return card if card.mac == mac else None


def _via(place: Place) -> str:
    return "bridge" if place.port is None else "tap"

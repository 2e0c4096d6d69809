"""The VDE switch in the mind: what its console does with a script, as src/vde_switch/port.c of vde-2 r586 has it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

from vdenet.model.vlans import NO_VLAN, SwitchPort, SwitchTable
from vdenet.text import vdeports


@dataclass(frozen=True, slots=True)
class Plug:
    """A port; the bridge's is there from the start, opened by the switch."""

    untagged: int = 0
    tagged: frozenset[int] = frozenset()
    reserved: bool = False
    user: str = "NONE"


@dataclass
class VdeSwitch:
    """Refuses what the real one refuses, by an AssertionError."""

    vlans: set[int] = field(default_factory=lambda: {0})
    ports: dict[int, Plug] = field(default_factory=lambda: {1: Plug()})

    def load(self, script: str) -> None:
        for line in script.splitlines():
            if line.startswith("#") or not line:
                continue
            command, *words = line.split(" ")
            if command == "port/setuser":
                self._set(int(words[0]), user=words[1])
                continue
            self._do(command, [int(word) for word in words])

    @staticmethod
    @cache
    def started(script: str) -> VdeSwitch:
        """With its start-up script; to be copied."""
        switch = VdeSwitch()
        switch.load(script)
        return switch

    def copy(self) -> VdeSwitch:
        return VdeSwitch(set(self.vlans), dict(self.ports))

    def _set(self, number: int, **what: object) -> None:
        self.ports[number] = replace(self.ports[number], **what)  # type: ignore[arg-type]

    def _do(self, command: str, given: list[int]) -> None:
        match command, given:
            case "vlan/create", [vlan]:
                assert vlan not in self.vlans and 0 < vlan < 4094
                self.vlans.add(vlan)
            case "vlan/remove", [vlan]:
                assert not any(vlan == port.untagged or vlan in port.tagged for port in self.ports.values()), "in use"
                self.vlans.remove(vlan)
            case "vlan/addport", [vlan, number]:
                assert vlan in self.vlans and self.ports[number].untagged != vlan
                self._set(number, tagged=self.ports[number].tagged | {vlan})
            case "vlan/delport", [vlan, number]:
                assert vlan in self.ports[number].tagged
                self._set(number, tagged=self.ports[number].tagged - {vlan})
            case "port/create", [number]:
                assert number not in self.ports
                self.ports[number] = Plug(reserved=True)
            case "port/allocatable", [number, yes]:
                self._set(number, reserved=not yes)
            case "port/setvlan", [number, vlan]:
                assert vlan in self.vlans | {NO_VLAN} and vlan not in self.ports[number].tagged
                self._set(number, untagged=vlan)
            case _:
                raise AssertionError(f"no such command: {command} {given}")

    def table(self, special: set[int]) -> SwitchTable:
        """As the daemon reads it back."""
        ports = {}
        for number, port in self.ports.items():
            user = None if port.user in ("NONE", "vdenet-switch") else int(port.user)
            seen = SwitchPort(number, None if port.untagged == NO_VLAN else port.untagged, port.tagged,
                              port.reserved, user)
            if not vdeports.is_usual(seen, number in special):
                ports[number] = seen
        return SwitchTable(frozenset(self.vlans - {0, 1}), ports)

"""VBoxManage: what it prints of a machine, and the options that put a NIC somewhere.

The spellings are those of 6.1, which 7.0 to 7.2 still take (OPT2 in VBoxManageModifyVM.cpp).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

VDE = "VDE"
RUNNING = frozenset({"running", "paused", "stuck", "starting", "restoring"})
"""States in which a machine's settings are changed by `controlvm`."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network adapter. `kind` is none, null, nat, bridged, intnet, hostonly, generic, natnetwork, …;
    `target` the interface, network or driver that it is attached to."""

    number: int
    kind: str
    target: str | None = None
    mac: str | None = None
    cable: bool = True
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine's name, identity, state and adapters."""

    name: str
    uuid: str
    state: str
    nics: Mapping[int, Nic]

    @property
    def running(self) -> bool:
        """Whether it has a process that holds its settings."""
        return self.state in RUNNING


_PAIR = re.compile(r'"?([^"=]+?)"?="?(.*?)"?')
_NIC = re.compile(r"nic(\d+)")
_TARGETS = {"bridged": "bridgeadapter", "intnet": "intnet", "hostonly": "hostonlyadapter",
            "generic": "generic", "natnetwork": "nat-network", "hostonlynetwork": "hostonly-network"}
_OPTIONS = {"bridged": "bridgeadapter", "intnet": "intnet", "hostonly": "hostonlyadapter",
            "natnetwork": "nat-network", "hostonlynetwork": "host-only-net"}
_PROPERTIES = re.compile(r"NIC (\d+):.*?Attachment: Generic '[^']*'\s*\{(.*?)\}")
_PROPERTY = re.compile(r"([\w.-]+)='([^']*)'")


def machine(machine_readable: str, human: str) -> Machine:
    """What `showvminfo --machinereadable` and plain `showvminfo` say; only the second has the properties of
    a generic driver."""
    values: dict[str, str] = {}
    for line in machine_readable.splitlines():
        if matched := _PAIR.fullmatch(line.strip()):
            values.setdefault(matched[1], matched[2])
    properties = {int(found[1]): dict(_PROPERTY.findall(found[2])) for found in _PROPERTIES.finditer(human)}
    nics = {}
    for key, value in values.items():
        if matched := _NIC.fullmatch(key):
            number, kind = int(matched[1]), value.lower()
            raw = values.get(f"macaddress{number}", "")
            nics[number] = Nic(
                number, kind, values.get(f"{_TARGETS[kind]}{number}") if kind in _TARGETS else None,
                ":".join(raw[at:at + 2] for at in range(0, 12, 2)).lower() if len(raw) == 12 else None,
                values.get(f"cableconnected{number}", "on") == "on", properties.get(number, {}))
    return Machine(values.get("name", ""), values.get("UUID", ""), values.get("VMState", ""), nics)


def vde_network(switch: str, port: int | None) -> str:
    """The `network` property of the VDE driver: the control directory, and a port where one was chosen."""
    return switch if port is None else f"{switch}[{port}]"


def modify(vm: str, nic: Nic) -> tuple[str, ...]:
    """The command that gives a machine that is off this adapter."""
    argv = ["VBoxManage", "modifyvm", vm, f"--nic{nic.number}", nic.kind]
    if nic.kind == "generic":
        argv += [f"--nicgenericdrv{nic.number}", nic.target or VDE]
        for key, value in nic.properties.items():
            argv += [f"--nicproperty{nic.number}", f"{key}={value}"]
    elif nic.kind in _OPTIONS and nic.target is not None:
        argv += [f"--{_OPTIONS[nic.kind]}{nic.number}", nic.target]
    if nic.kind != "none" and nic.mac is not None:
        argv += [f"--macaddress{nic.number}", nic.mac.replace(":", "")]
    if nic.kind != "none" and nic.cable:
        argv += [f"--cableconnected{nic.number}", "on"]
    return tuple(argv)


def control(vm: str, nic: Nic) -> tuple[tuple[str, ...], ...]:
    """The commands that re-plug an enabled adapter of a running machine.

    The properties come before the mode: a driver is only plugged anew when the mode changes.
    """
    base = ("VBoxManage", "controlvm", vm)
    properties = tuple((*base, f"nicproperty{nic.number}", f"{key}={value}")
                       for key, value in nic.properties.items())
    target = () if nic.target is None else (nic.target,)
    return (*properties, (*base, f"nic{nic.number}", nic.kind, *target))

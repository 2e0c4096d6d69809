"""VBoxManage: what it prints of a machine, the machine's settings file, and the options that change an adapter.

The spellings are those of 6.1, which 7.0 to 7.2 still take (OPT2 in VBoxManageModifyVM.cpp).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from vdenet.model import tunnel

TOOL = "VBoxManage"
VDE = "VDE"
UDP = "UDPTunnel"
RUNNING = frozenset({
    "running", "paused", "gurumeditation", "starting", "restoring", "saving", "stopping", "teleporting",
    "teleportingpausedvm", "livesnapshotting", "onlinesnapshotting", "deletingsnapshotlive",
    "deletingsnapshotlivepaused"})
"""States in which a machine has a process that holds its settings: `controlvm` changes them. All names of states are
those of machineStateToName in VBoxManageInfo.cpp."""
OFF = frozenset({"poweroff", "aborted", "teleported"})
"""States in which `modifyvm` changes it. In others VirtualBox is at work on it, as it restores a snapshot."""
SAVED = frozenset({"saved", "aborted-saved"})
"""States in which nothing changes an adapter: `modifyvm` enables it first, and that wants a machine that is off
(NetworkAdapter::setEnabled in NetworkAdapterImpl.cpp)."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network adapter. `kind` is none, null, nat, bridged, intnet, hostonly, generic, natnetwork, …;
    `target` the interface, network or driver that it is attached to.

    VirtualBox keeps what belongs to kinds that are not in use. Of that, `properties` and `driver` of the
    generic kind matter, since the VDE driver refuses to start with another driver's properties, and
    `interface` of the bridged one, which is the user's.
    """

    number: int
    kind: str
    target: str | None = None
    mac: str | None = None
    cable: bool = True
    properties: Mapping[str, str] = field(default_factory=dict)
    driver: str = ""
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine's name, identity, state and adapters."""

    name: str
    uuid: str
    state: str
    nics: Mapping[int, Nic]
    virtio: frozenset[int] = frozenset()
    """The adapters whose hardware is virtio's."""

    @property
    def running(self) -> bool:
        """Whether it has a process that holds its settings."""
        return self.state in RUNNING

    @property
    def saved(self) -> bool:
        """Whether it goes on where it was when it is started."""
        return self.state in SAVED

    @property
    def off(self) -> bool:
        """Whether `modifyvm` changes it."""
        return self.state in OFF


_PAIR = re.compile(r'"?([^"=]+?)"?="?(.*?)"?')
_NIC = re.compile(r"nic([1-9][0-9]{0,8})")
_TARGETS = {"bridged": "bridgeadapter", "intnet": "intnet", "hostonly": "hostonlyadapter",
            "generic": "generic", "natnetwork": "nat-network", "hostonlynetwork": "hostonly-network"}
_OPTIONS = {"bridged": "bridgeadapter", "intnet": "intnet", "hostonly": "hostonlyadapter",
            "natnetwork": "nat-network", "hostonlynetwork": "host-only-net"}
_ADAPTER = re.compile(r"NIC ([1-9][0-9]{0,8}):(.*)")
_GENERIC, _END = "Attachment: Generic '", " }, Cable"
_BEGIN = re.compile(r"'\s*+\{ ")
_NAME = re.compile(r"(?<![\w.-])([\w.-]++)='")
_QUOTE = re.compile(r"'(?=,? \w|$)")
_SLOT = re.compile(r"[0-9]{1,9}")
_PARKED = re.compile(r"vdenet-unplugged-(none|null)(\+out)?-([a-z0-9-]+)-[0-9a-f]{32}")


def settings_file(machine_readable: str) -> str | None:
    """Where the machine's settings are kept."""
    return _values(machine_readable).get("CfgFile")


def machine(machine_readable: str, human: str, settings: str | None) -> Machine:
    """What `showvminfo --machinereadable`, plain `showvminfo` and the settings file say.

    The first has no properties of a generic driver, the second none of one that is not in use, the third
    may be encrypted.
    """
    values = _values(machine_readable)
    stored = _stored(settings) if settings is not None else {}
    shown = _shown(human)
    nics, virtio = {}, set()
    for key, value in values.items():
        if not (matched := _NIC.fullmatch(key)):
            continue
        number, kind = int(matched[1]), value.lower()
        known = stored.get(number, Nic(number, kind))
        target = values.get(f"{_TARGETS[kind]}{number}") if kind in _TARGETS else None
        nics[number] = Nic(
            number, kind, target, _mac(values.get(f"macaddress{number}", "")) or known.mac,
            values.get(f"cableconnected{number}", "on") == "on",
            shown[number] if number in shown else known.properties,
            (target or "") if kind == "generic" else known.driver,
            target if kind == "bridged" else known.interface)
        if values.get(f"nictype{number}", "").lower() == "virtio":
            virtio.add(number)
    return Machine(values.get("name", ""), values.get("UUID", ""), values.get("VMState", ""), nics, frozenset(virtio))


def vde_network(switch: str, port: int | str | None) -> str:
    """The `network` property of the VDE driver: the control directory, and a port where one was chosen."""
    return switch if port is None else f"{switch}[{port}]"


def bridged(nic: Nic, bridge: str, mac: str) -> Nic:
    """The adapter on a bridge."""
    return replace(nic, kind="bridged", target=bridge, mac=mac, cable=True, interface=bridge)


def plugged(nic: Nic, switch: str, port: int | str | None, mac: str) -> Nic:
    """The adapter in a VDE switch, whose driver takes the property `network` and no other."""
    return replace(nic, kind="generic", target=VDE, mac=mac, cable=True, driver=VDE,
                   properties={"network": vde_network(switch, port)})


def tunnelled(nic: Nic, address: str, ports: tuple[str, str], mac: str) -> Nic:
    """The adapter at one end of a UDP tunnel: it listens on the first port, and sends to the other at `address`."""
    return replace(nic, kind="generic", target=UDP, mac=mac, cable=True, driver=UDP,
                   properties={"dest": address, "sport": ports[0], "dport": ports[1]})


def parked(nic: Nic, segment: str, token: str) -> Nic:
    """An adapter that is attached to nothing (none or null), on an internal network instead, of which nobody knows the
    name: what it sends is taken, and reaches nobody. The name says what it was, and which segment it left.

    Attached to nothing, a running machine's virtio card tries its first frame for ever (virtioNetR3TransmitPkts in
    DevVirtioNet.cpp); the next change of an adapter waits for it for a minute, and then ends the thread that sends,
    until the machine is started again (PDMR3ThreadSuspend in PDMThread.cpp). Internal networks are all users', and the
    first to name one says who may be on it (intnetR0OpenNetwork in SrvIntNetR0.cpp), so in the name is a `token` of 32
    hexadecimal digits that no other user can guess.
    """
    was = nic.kind if nic.cable else f"{nic.kind}+out"
    return replace(nic, kind="intnet", target=f"vdenet-unplugged-{was}-{segment}-{token}", cable=True)


def unparked(nic: Nic, segment: str | None = None) -> Nic | None:
    """The adapter as it was before `parked`; None where it is not there, or left another segment than this."""
    found = _PARKED.fullmatch(nic.target or "") if nic.kind == "intnet" else None
    if found is None or segment not in (None, found[3]):
        return None
    return replace(nic, kind=found[1], target=None, cable=nic.cable and found[2] is None)


def unplugged(nic: Nic, kind: str) -> Nic:
    """The adapter without what a switch or a bridge needed; `kind` is none or null."""
    return replace(nic, kind=kind, target=None, properties={}, driver="")


def in_tunnel(nic: Nic, address: str) -> bool:
    """Whether the adapter sends into a tunnel that ends at this address."""
    return nic.kind == "generic" and nic.target == UDP and nic.properties.get("dest") == address


def listens_at(nic: Nic) -> int | None:
    """The UDP port of this host at which the adapter's tunnel ends, where it has one that can be told."""
    port = nic.properties.get("sport", "") if nic.kind == "generic" and nic.target == UDP else ""
    return int(port) if re.fullmatch("[1-9][0-9]{0,4}", port) and int(port) < 2**16 else None


def on_segment(nic: Nic, bridge: str, switch: str) -> bool:
    """Whether the adapter is on this bridge, in this switch, or in a tunnel of the segment's, at whatever port."""
    if nic.kind == "bridged":
        return nic.target == bridge
    if nic.target == UDP:
        return in_tunnel(nic, tunnel.address(bridge))
    network = nic.properties.get("network", "").removeprefix("vde://").partition("[")[0]
    return nic.kind == "generic" and nic.target == VDE and network.rstrip("/") == switch.rstrip("/")


def modify(vm: str, before: Nic, after: Nic) -> tuple[str, ...]:
    """The command that brings an adapter of a machine that is off from one state to the other."""
    number = after.number
    argv = [TOOL, "modifyvm", vm, f"--nic{number}", after.kind]
    if after.driver != before.driver:
        argv += [f"--nicgenericdrv{number}", after.driver]
    for text in _changed(before, after):
        argv += [f"--nicproperty{number}", text]
    if after.kind in _OPTIONS and after.target is not None:
        argv += [f"--{_OPTIONS[after.kind]}{number}", after.target]
    elif after.interface and after.interface != before.interface:
        argv += [f"--{_OPTIONS['bridged']}{number}", after.interface]
    if after.mac is not None and after.mac != before.mac:
        argv += [f"--macaddress{number}", after.mac.replace(":", "").upper()]
    if after.cable != before.cable:
        argv += [f"--cableconnected{number}", "on" if after.cable else "off"]
    return tuple(argv)


def control(vm: str, before: Nic, after: Nic, *, halt: bool) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The commands that do the same while the machine runs, each with the one that takes it back.

    A driver is plugged anew only when the kind changes, so its properties are set before that, and are changed under
    one that goes only after that. A generic driver is unplugged first: what it is told while it is plugged takes effect
    by that only; and the name of a network or an interface is set before the kind, which plugs in anew what is there,
    and a tunnel would listen twice. Meanwhile the adapter is attached to nothing: with `halt` the machine is paused, so
    that the guest sends nothing then (see `parked`).
    """
    base = (TOOL, "controlvm", vm)
    there = {text.partition("=")[0]: text for text in _changed(before, after)}
    back = {text.partition("=")[0]: text for text in _changed(after, before)}
    properties = [((*base, f"nicproperty{after.number}", text),
                   (*base, f"nicproperty{after.number}", back[key])) for key, text in there.items()]
    plug = ((*base, *_attach(after)), (*base, *_attach(before)))
    null = (*base, f"nic{after.number}", "null")
    pause, resume = (*base, "pause"), (*base, "resume")
    if before.kind == "generic" and after.target is not None:
        if halt:
            yield pause, resume
        yield null, plug[1]
        yield from properties
        yield plug[0], null
        if halt:
            yield resume, pause
    elif after.kind == "generic":
        yield from properties
        yield plug
    else:
        yield plug
        yield from properties
    if after.cable != before.cable:
        states = ("on", "off") if after.cable else ("off", "on")
        yield ((*base, f"setlinkstate{after.number}", states[0]),
               (*base, f"setlinkstate{after.number}", states[1]))


def _attach(nic: Nic) -> tuple[str, ...]:
    kind = "null" if nic.kind == "none" else nic.kind  # it cannot be taken out while the machine runs
    return (f"nic{nic.number}", kind) if nic.target is None else (f"nic{nic.number}", kind, nic.target)


def _changed(before: Nic, after: Nic) -> list[str]:
    """The properties to set, as the options take them; an empty value erases one."""
    gone = [f"{key}=" for key in before.properties if key not in after.properties]
    return gone + [f"{key}={value}" for key, value in after.properties.items()
                   if before.properties.get(key) != value]


def _values(machine_readable: str) -> dict[str, str]:
    """The first of each name: a description, which came with an appliance and may look like anything, comes last."""
    values: dict[str, str] = {}
    for line in machine_readable.splitlines():
        if matched := _PAIR.fullmatch(line.strip()):
            if matched[1] == "description":
                break
            values.setdefault(matched[1], matched[2])
    return values


def _shown(human: str) -> dict[int, dict[str, str]]:
    """The properties of generic adapters, by number. Of each adapter the first line counts, here too."""
    lines: dict[int, str] = {}
    for line in human.splitlines():
        if matched := _ADAPTER.match(line):
            lines.setdefault(int(matched[1]), matched[2])
    found = {number: _properties(line.partition(_GENERIC)[2]) for number, line in lines.items()}
    return {number: properties for number, properties in found.items() if properties is not None}


def _properties(attachment: str) -> dict[str, str] | None:
    """What stands in braces behind the driver's name; a value may have quotes and braces, too."""
    begin, end = _BEGIN.search(attachment), attachment.rfind(_END)
    if begin is None or end < begin.end():
        return None
    text, properties, at = attachment[begin.end():end], dict[str, str](), 0
    # One pattern for name and value would take time as the square of the line's length.
    while (name := _NAME.search(text, at)) and (quote := _QUOTE.search(text, name.end())):
        properties[name[1]] = text[name.end():quote.start()]
        at = quote.end()
    return properties


def _stored(settings: str) -> dict[int, Nic]:
    """The adapters of a settings file, with what the tool does not show; empty when it is none."""
    try:
        root = ElementTree.fromstring(settings)
    except ElementTree.ParseError:
        return {}
    found = {}
    for adapter in root.iterfind("./{*}Machine/{*}Hardware/{*}Network/{*}Adapter"):
        if not _SLOT.fullmatch(slot := adapter.get("slot", "")):
            continue
        generic, interface = adapter.find(".//{*}GenericInterface"), adapter.find(".//{*}BridgedInterface")
        properties = {} if generic is None else {
            each.get("name", ""): each.get("value", "") for each in generic.iterfind("./{*}Property")}
        found[int(slot) + 1] = Nic(
            int(slot) + 1, "none", mac=_mac(adapter.get("MACAddress", "")), properties=properties,
            driver="" if generic is None else generic.get("driver", ""),
            interface=None if interface is None else interface.get("name"))
    return found


def _mac(text: str) -> str | None:
    """`080027AABBCC` as other programs write it."""
    if not re.fullmatch("[0-9A-Fa-f]{12}", text):
        return None
    return ":".join(text[at:at + 2] for at in range(0, 12, 2)).lower()

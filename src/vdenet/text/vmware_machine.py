"""A virtual machine of VMware's, as its .vmx file describes it: its adapters, and what puts one onto a vmnet.

Keys as GNS3, libvirt (src/vmx/vmx.c) and Packer write them. A static MAC address has to lie in the range that
VMware keeps for them (Workstation's manual, "Manually Assign a MAC Address"), else the machine does not start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vdenet.text.vmware_file import Settings

ADAPTERS = range(10)
"""Numbers of the adapters that a machine may have."""
DEVICE = "e1000"
"""The card of an adapter that is new, where the machine has none that could tell which its guest can drive."""

_VMNETS = {"": 0, "bridged": 0, "hostonly": 1, "nat": 8}
"""The vmnet that each way of connecting has; without a word it is bridged."""
_VMNET = re.compile(r"(?:/dev/)?vmnet([0-9]{1,3})", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_HOLDER = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


@dataclass(frozen=True, slots=True)
class Nic:
    """A network adapter; `vmnet` is the network that it is on, None where that is none of VMware's own."""

    number: int
    present: bool
    vmnet: int | None
    mac: str | None
    device: str | None
    connected: bool
    """Whether it is plugged in when the machine starts."""

    @property
    def prefix(self) -> str:
        """What the names of its settings begin with."""
        return f"ethernet{self.number}."


@dataclass(frozen=True, slots=True)
class Machine:
    """What matters of a .vmx file."""

    name: str | None
    nics: Mapping[int, Nic]
    known: bool
    """It is the configuration of a machine, and one that can be read."""
    encrypted: bool
    suspended: str | None
    """The file that a suspended machine's memory is in."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock, by its number and its start in clock ticks since boot (0: not told)."""

    pid: int
    started: int


def machine(settings: Settings) -> Machine:
    """The machine that the settings describe."""
    known = bool(settings.get("config.version"))
    return Machine(
        settings.text("displayName") or None, {number: _nic(settings, number) for number in ADAPTERS}, known,
        encrypted=not known and settings.get("encryption.data") is not None,
        suspended=settings.get("checkpoint.vmState") or None)


def joined(vm: Machine, nic: Nic, vmnet: int, mac: str) -> dict[str, str]:
    """The settings that put an adapter onto a vmnet, with that MAC address."""
    wanted = {"present": "TRUE", "connectionType": "custom", "vnet": f"vmnet{vmnet}"}
    if not nic.connected:
        wanted["startConnected"] = "TRUE"
    if not nic.present and nic.device is None:
        wanted["virtualDev"] = next((other.device for other in vm.nics.values() if other.present and other.device),
                                    DEVICE)
    if not nic.present or nic.mac != mac:
        wanted |= {"addressType": "static", "address": mac}
    return {nic.prefix + key: value for key, value in wanted.items()}


def static_mac(*parts: str) -> str:
    """A MAC address of VMware's range for those set by hand, always the same for the same parts."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).digest()
    return f"00:50:56:{digest[0] & 0x3F:02x}:{digest[1]:02x}:{digest[2]:02x}"


def holder(lock: str) -> Holder | None:
    """Who made a lock file, by what it says: the host, and `PID-START(NAME)` (lib/file/fileLockPosix.c).

    None where it says nothing of the kind.
    """
    words = lock.split()
    found = _HOLDER.match(words[1]) if len(words) > 1 else None
    return Holder(int(found[1]), int(found[2] or 0)) if found else None


def _nic(settings: Settings, number: int) -> Nic:
    def get(key: str) -> str:
        return (settings.get(f"ethernet{number}.{key}") or "").strip()

    kind = get("connectionType").lower()
    named = _VMNET.fullmatch(get("vnet")) if kind == "custom" else None
    mac = get("generatedAddress" if get("addressType").lower() in ("", "generated") else "address").lower()
    return Nic(number, get("present").lower() in _TRUE, int(named[1]) if named else _VMNETS.get(kind),
               mac if _MAC.fullmatch(mac) else None, get("virtualDev") or None,
               connected=get("startConnected").lower() in _TRUE | {""})

"""Network interfaces, as sysfs shows them to everybody (Documentation/ABI/testing/sysfs-class-net)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from vdenet.model.observed import Link
from vdenet.probe import ethtool

SYS_CLASS_NET = Path("/sys/class/net")
_ETHERNET = "1"
"""ARPHRD_ETHER of linux/if_arp.h."""
_RADIO = ("wireless", "phy80211")
"""An access point takes frames of its station's own MAC only, so a radio can be no port of a bridge."""
_IFF_UP = 0x1
_DRIVERS = {"veth": "veth", "vxlan": "vxlan", "802.1Q VLAN Support": "vlan"}
_IFF_TAP, _IFF_PERSIST = 0x2, 0x800
_MOST_HEARD, _MOST_OF_A_PORT = 65536, 1024
"""MAC addresses of a bridge, and behind one port: a guest can make up as many as it likes."""


def links() -> dict[str, Link]:
    """All interfaces of this network namespace, by name."""
    found: dict[str, Link] = {}
    for path in sorted(SYS_CLASS_NET.iterdir()):
        link = _link(path)
        if link is not None:
            found[link.name] = link
    return found


def link(name: str) -> Link | None:
    """One interface, or None when there is none of that name."""
    return _link(SYS_CLASS_NET / name)


def stays(name: str) -> bool:
    """Whether a tap outlives the program that has it (tun_flags_show in drivers/net/tun.c); False of what is none."""
    flags = _maybe(SYS_CLASS_NET / name / "tun_flags")
    return bool(flags) and bool(int(flags, 16) & _IFF_PERSIST)


def is_physical(name: str) -> bool:
    """Whether a device stands behind the interface, rather than only the kernel."""
    return (SYS_CLASS_NET / name / "device").exists()


def _link(path: Path) -> Link | None:
    try:
        ifindex = int(_read(path / "ifindex"))
        flags = int(_read(path / "flags"), 16)
        mac = _read(path / "address")
        mtu = int(_read(path / "mtu"))
    except (OSError, ValueError):
        return None  # it went away between listing and reading, or is no interface (bonding_masters)
    owner = _maybe(path / "owner")
    carrier = _maybe(path / "carrier")  # unreadable while it is down: it may have been set down just now
    return Link(
        name=path.name, ifindex=ifindex, mac=mac, mtu=mtu, up=bool(flags & _IFF_UP) and carrier != "",
        carrier=carrier == "1", kind=_kind(path),
        master=_master(path),
        alias=_maybe(path / "ifalias"),
        owner=int(owner) if owner not in ("", "-1") else None,
        plain=_maybe(path / "type") == _ETHERNET and not any((path / radio).exists() for radio in _RADIO))


def _master(path: Path) -> str | None:
    try:
        return (path / "master").readlink().name
    except OSError:
        return None  # it has none, or lost it just now


def _kind(path: Path) -> str:
    if (path / "bridge").is_dir():
        return "bridge"
    tun = _maybe(path / "tun_flags")
    if tun:
        return "tap" if int(tun, 16) & _IFF_TAP else "other"
    driver = ethtool.driver(path.name)
    return _DRIVERS.get(driver, "other")


def _read(path: Path) -> str:
    return path.read_text(errors="replace").strip()


def _maybe(path: Path) -> str:
    """The content, or nothing where it cannot be read."""
    try:
        return _read(path)
    except OSError:
        return ""


def heard(bridge: str) -> dict[str, str]:
    """MAC addresses that a bridge has heard from behind its ports: MAC to the port's name.

    The file holds `struct __fdb_entry` of linux/if_bridge.h, 16 bytes each; a bridge forgets a silent
    address after five minutes.
    """
    path = SYS_CLASS_NET / bridge
    numbers: dict[int, str] = {}
    try:
        for port in (path / "brif").iterdir():
            numbers[int(_read(port / "port_no"), 16)] = port.name
        with open(path / "brforward", "rb") as file:
            raw = file.read(16 * _MOST_HEARD)
    except (OSError, ValueError):
        return {}
    table: dict[str, str] = {}
    behind: Counter[int] = Counter()
    for at in range(0, len(raw) - 15, 16):
        entry = raw[at:at + 16]
        is_local = entry[7]
        port_number = entry[6] | entry[12] << 8
        if not is_local and port_number in numbers and behind[port_number] < _MOST_OF_A_PORT:
            behind[port_number] += 1
            table[":".join(f"{byte:02x}" for byte in entry[:6])] = numbers[port_number]
    return table

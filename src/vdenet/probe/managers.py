"""Which program manages an interface and would give it its addresses again when they move to a bridge."""

from __future__ import annotations

from pathlib import Path

from vdenet.probe import regular

_LIMIT = 64 * 1024


def manager(name: str, ifindex: int, root: Path = Path("/")) -> str | None:
    """The program that gives this interface its addresses, None where none of the three does.

    /run/NetworkManager/devices/INDEX has `managed=1|full` in [device] (nm-config.c);
    /run/systemd/netif/links/INDEX has ADMIN_STATE (sd-network.h), `unmanaged` for what it leaves alone.
    dhcpcd, which asks anew when its address is taken away, has /run/dhcpcd/NAME.pid, NAME-4.pid, NAME-6.pid,
    or one pid for all interfaces (dhcpcd(8)).
    """
    told = regular.text(root / f"run/NetworkManager/devices/{ifindex}", _LIMIT).splitlines()
    if any(line.strip() in ("managed=1", "managed=full", "managed=true") for line in told):
        return "NetworkManager"
    for line in regular.text(root / f"run/systemd/netif/links/{ifindex}", _LIMIT).splitlines():
        key, _equals, value = line.partition("=")
        if key == "ADMIN_STATE" and value.strip() not in ("unmanaged", ""):
            return "systemd-networkd"
    for stem in (f"{name}.", f"{name}-4.", f"{name}-6.", ""):
        pid = regular.text(root / f"run/dhcpcd/{stem}pid", _LIMIT).strip()
        if pid.isdecimal() and (root / f"proc/{pid}").exists():
            return "dhcpcd"
    return None

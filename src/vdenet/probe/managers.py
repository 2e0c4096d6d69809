"""Which program manages an interface: NetworkManager and systemd-networkd say so to everybody."""

from __future__ import annotations

from pathlib import Path

from vdenet.probe import regular

_LIMIT = 64 * 1024


def manager(ifindex: int, root: Path = Path("/")) -> str | None:
    """The program that gives this interface its addresses, None where none of the two does.

    /run/NetworkManager/devices/INDEX has `managed=1|full` in [device] (nm-config.c);
    /run/systemd/netif/links/INDEX has ADMIN_STATE (sd-network.h), `unmanaged` for what it leaves alone.
    """
    told = regular.text(root / f"run/NetworkManager/devices/{ifindex}", _LIMIT).splitlines()
    if any(line.strip() in ("managed=1", "managed=full", "managed=true") for line in told):
        return "NetworkManager"
    for line in regular.text(root / f"run/systemd/netif/links/{ifindex}", _LIMIT).splitlines():
        key, _equals, value = line.partition("=")
        if key == "ADMIN_STATE" and value.strip() not in ("unmanaged", ""):
            return "systemd-networkd"
    return None

"""What every scenario does with a machine: people, apt, tarr-steps."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.machine import Entered

# Who is who; all have their account before the package comes.
ADMIN = "carol"  # installs, through sudo
PRESEEDED = "dave"
LATER = "alice"  # put into the group while logged in
FRESH = "bob"  # put into the group before logging in
STRANGER = "mallory"
PEOPLE = (ADMIN, PRESEEDED, LATER, FRESH, STRANGER)

# Networks that the host uses or means to use, in one way each. Together they leave little of the
# range that segments are chosen from, so that overlooking one of them shows.
ROUTED = "10.112.0.0/13"
DOWN = "10.120.0.1/13"
CONFIGURED = {
    "/etc/wireguard/wg0.conf": (
        "10.64.0.0/13",
        "[Interface]\nAddress = 192.0.2.77/32\n\n[Peer]\nAllowedIPs = 10.64.0.0/13\n",
    ),
    "/etc/NetworkManager/system-connections/office.nmconnection": (
        "10.72.0.0/14",
        "[connection]\nid=office\ntype=ethernet\n\n[ipv4]\nmethod=manual\naddress1=10.72.0.5/14\n",
    ),
    "/etc/netplan/50-lab.yaml": (
        "10.76.0.0/15",
        "network:\n  ethernets:\n    eth7:\n      addresses: [10.76.0.9/15]\n",
    ),
    "/etc/network/interfaces": (
        "10.78.0.0/16",
        "iface eth8 inet static\n  address 10.78.3.4\n  netmask 255.255.0.0\n",
    ),
    "/etc/systemd/network/70-other.network": (
        "10.80.0.0/12",
        "[Match]\nName=eth9\n\n[Network]\nAddress=10.80.1.1/12\n",
    ),
    "/etc/libvirt/qemu/networks/big.xml": (
        "10.96.0.0/12",
        "<network><ip address='10.96.0.1' netmask='255.240.0.0'/></network>\n",
    ),
}


def files() -> dict[str, str]:
    """The configuration files that the machine has from the beginning."""
    return {place: text for place, (_, text) in CONFIGURED.items()}


def occupy(machine: Entered, uplink: str) -> None:
    """A route and an interface that is down, as they are after each boot."""
    machine.sh(
        f"ip link add spare address 02:00:00:00:00:01 type bridge; ip address add {DOWN} dev spare;"
        f" ip route replace {ROUTED} dev {uplink}"
    )


def taken() -> list[ipaddress.IPv4Network]:
    written = [ROUTED, DOWN, *(network for network, _ in CONFIGURED.values())]
    return [ipaddress.IPv4Network(network, strict=False) for network in written]


def apt(
    machine: Entered, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = machine.run(
        ["apt-get", "--yes", "--quiet", "--no-install-recommends", *arguments],
        env={"DEBIAN_FRONTEND": "noninteractive", **(env or {})},
        timeout=300,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"apt-get {' '.join(arguments)}: {done.returncode}\n"
                             f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    return done


def copy(machine: Entered, deb: Path, name: str = "vdenet.deb") -> str:
    """Put a .deb into the machine; its path there, as apt wants it."""
    shutil.copy(deb, machine.path(f"/root/{name}"))
    return f"/root/{name}"


def steps(
    machine: Entered,
    *arguments: str,
    user: str | None = None,
    groups: Sequence[str] | None = None,
    exit: int | None = 0,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """tarr-steps, with the exit code that is expected of it, and never a traceback."""
    done = machine.run(
        ["tarr-steps", *arguments], user=user, groups=groups, check=False, timeout=timeout
    )
    said = f"tarr-steps {' '.join(arguments)} (as {user or 'root'}) -> {done.returncode}, wanted" \
        f" {exit}\nstdout: {done.stdout}\nstderr: {done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, said
    assert exit is None or done.returncode == exit, said
    return done


def answer(
    machine: Entered, *arguments: str, user: str | None = None, groups: Sequence[str] | None = None
) -> Any:
    """The JSON that tarr-steps prints, and nothing else on stdout."""
    return json.loads(steps(machine, *arguments, "--json", user=user, groups=groups).stdout)


def segment(machine: Entered, user: str | None = None) -> dict[str, Any]:
    """vdenet0 as `list --json` shows it."""
    found = [s for s in answer(machine, "list", user=user)["segments"] if s["name"] == "vdenet0"]
    assert len(found) == 1, found
    one: dict[str, Any] = found[0]
    return one


def is_up(machine: Entered, user: str | None = None) -> bool:
    return bool(segment(machine, user)["state"] == "up")

"""Network managers leave what is ours alone, whatever a segment is called: by vdenet's udev rule.

A machine in a container with a udev of its own, which hears of nothing but its own interfaces; systemd-networkd and
NetworkManager are there before the package is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab import roots
from lab.booted import Booted

_THEIRS = "192.0.2.99"
"""What an administrator's file gives every interface that it may."""
_FOR_ALL = f"[Match]\nName=*\n[Network]\nLinkLocalAddressing=no\nAddress={_THEIRS}/24\n"

# networkd asks udev only where /sys can be written; udevd does not start itself in a container.
_UDEV = """
set -e
mkdir /run/groups && mount --rbind /sys/fs/cgroup /run/groups
mount -t sysfs sysfs /sys && mount -o remount,rw /sys && mount --rbind /run/groups /sys/fs/cgroup
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger --subsystem-match=net --action=add && udevadm settle --timeout=120
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest, deb: Path) -> Iterator[Booted]:
    root = roots.root(request.param, "depends", extra=("systemd", "systemd-sysv", "dbus", "udev", "network-manager"))
    with Booted(root, request.param) as machine:
        machine.sh(_UDEV, timeout=300)
        machine.path("/etc/systemd/network/50-all.network").write_text(_FOR_ALL)
        machine.run(["systemctl", "restart", "systemd-networkd", "NetworkManager"], timeout=120)
        shutil.copy(deb, machine.path("/srv/vdenet.deb"))
        machine.run(["dpkg", "--install", "/srv/vdenet.deb"], timeout=600)
        yield machine


def state(machine: Booted, link: str) -> str:
    """What networkd does with it (sd-network.h)."""
    index = machine.path(f"/sys/class/net/{link}/ifindex").read_text().strip()
    told = machine.path(f"/run/systemd/netif/links/{index}")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line.partition("=")[2] for line in lines if line.startswith("ADMIN_STATE=")), "unknown")


def _left_alone(machine: Booted, link: str) -> bool:
    return state(machine, link) == "unmanaged"


def _unmanaged(machine: Booted, link: str) -> bool:
    """Whether NetworkManager says that it leaves it alone, not only that somebody else made it."""
    return machine.sh(f"nmcli --get-values GENERAL.STATE device show {link}").startswith("10 ")


def test_a_segment_of_any_name_is_left_alone(machine: Booted) -> None:
    machine.run(["tarr-steps", "segment", "create", "lan"], timeout=120)
    machine.sh("ip link add strange type bridge && ip link set strange up")
    machine.wait_for(lambda: state(machine, "strange").startswith("configur"), 120, "a bridge that networkd configures")
    for link in ("vdenet0", "vdenet0-vde", "lan", "lan-vde"):
        machine.wait_for(partial(_left_alone, machine, link), 120, f"{link}, left alone")
        machine.wait_for(partial(_unmanaged, machine, link), 120, f"{link}, left alone by NetworkManager")
    assert _THEIRS not in machine.sh("ip -4 address show dev lan")
    assert _theirs(machine, "lan") == []
    machine.run(["tarr-steps", "check", "--segment", "lan"], timeout=120)


def test_a_file_before_the_packages_is_found_and_the_hint_helps(machine: Booted) -> None:
    machine.run(["tarr-steps", "segment", "create", "dmz"], timeout=120)
    machine.path("/etc/systemd/network/00-all.network").write_text(_FOR_ALL)
    machine.run(["networkctl", "reload"], timeout=120)
    hint, = machine.wait_for(partial(_theirs, machine, "dmz"), 120, "a warning of networkd")
    machine.sh(hint.replace("sudo ", ""), timeout=120)
    machine.wait_for(partial(_left_alone, machine, "dmz"), 120, "the bridge, left alone")
    assert _theirs(machine, "dmz") == []


def _theirs(machine: Booted, segment: str) -> list[str]:
    """The hints of what `check` says of networkd."""
    said = machine.run(["tarr-steps", "check", "--json", "--segment", segment], check=False, timeout=120).stdout
    return [one["hint"] for one in json.loads(said)["findings"] if one["code"] == "networkd-manages"]

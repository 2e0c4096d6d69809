"""join nspawn, for containers that systemd starts: what `machinectl start` and `machinectl enable` are for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import roots
from lab.booted import Booted

DOMAIN = "vdenet.internal"
_SETTINGS = Path("/etc/systemd/nspawn")
# A busybox that asks for an address; without a network of the segment's it has none.
_IMAGE = """
mkdir -p /var/lib/machines/{name} && cd /var/lib/machines/{name} && mkdir -p bin sbin etc usr
cp /bin/busybox bin && for tool in sh ip sleep udhcpc; do ln -s busybox bin/$tool; done
echo ID=busybox >etc/os-release
cat >etc/lease <<'END'
#!/bin/sh
[ "$1" != bound ] || ip address add "$ip/$subnet" dev "$interface"
END
cat >sbin/init <<'END'
#!/bin/sh
# What nspawn and machinectl send to end a system (systemd-nspawn(1), --kill-signal, and machinectl(1), poweroff).
trap 'exit 0' 37 38
ip link set host0 up
udhcpc -n -i host0 -s /etc/lease &
sleep 100000 &
while :; do wait; done
END
chmod 755 etc/lease sbin/init
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, deb: Path) -> Iterator[Booted]:
    packages = ("systemd-container", "busybox-static")
    root = roots.root(request.param, "depends", extra=(*roots.SYSTEMD[request.param], *packages))
    # systemd 256 and later refuse the old hierarchy of control groups, which this host may have.
    allowed = "[Service]\nEnvironment=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1\n"
    with Booted(root, request.param,
                files={"/etc/systemd/system/systemd-nspawn@.service.d/lab.conf": allowed}) as machine:
        shutil.copy(deb, machine.path("/srv/vdenet.deb"))
        machine.run(["dpkg", "--install", "/srv/vdenet.deb"], timeout=600)
        machine.sh(_IMAGE.format(name="web"))
        # A container's own systemd-nspawn has mounted things over its /proc and /sys, and so the kernel lets no user
        # namespace have new ones. From 256 on there are whole ones as well; where Debian 13 runs Debian 12, there are not.
        machine.sh("mkdir -p /run/whole/proc /run/whole/sys; mount -t proc proc /run/whole/proc; "
                   "mount -t sysfs sysfs /run/whole/sys")
        yield machine


def told(machine: Booted, *argv: str) -> dict[str, Any]:
    """What tarr-steps tells root by --json."""
    answer: dict[str, Any] = json.loads(machine.run(["tarr-steps", *argv, "--json"], timeout=120).stdout)
    return answer


def start(machine: Booted) -> None:
    machine.run(["machinectl", "start", "web"], timeout=120)


def end(machine: Booted) -> None:
    machine.run(["machinectl", "poweroff", "web"], timeout=120)
    machine.wait_for(lambda: not active(machine), 60, "web's end")


def active(machine: Booted) -> bool:
    state = machine.run(["systemctl", "is-active", "systemd-nspawn@web"], check=False).stdout.strip()
    return state not in ("inactive", "failed")


def listed(machine: Booted) -> dict[str, Any] | None:
    guests = told(machine, "list")["segments"][0]["guests"]
    return next((guest for guest in guests if guest["name"] == "web"), None)


def require_reached(machine: Booted, mac: str) -> None:
    """It is listed as what it is, and the host reaches it by its name."""
    machine.wait_for(lambda: (listed(machine) or {}).get("address"), 60, "web's address")
    guest = listed(machine)
    assert guest is not None
    assert (guest["kind"], guest["guest"], guest["owner"], guest["via"], guest["port"], guest["mac"]) == (
        "nspawn", "web", "root", "veth", "vb-web", mac)
    gateway = told(machine, "ip")["address"].partition("/")[0]
    # By the segment's own name server: not each of these hosts has a resolver that is told of it.
    machine.sh(f"echo nameserver {gateway} >/run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf && "
               f"{{ ping -c 2 -W 5 web.{DOMAIN}; said=$?; umount /etc/resolv.conf; exit $said; }}")


def test_a_service_joins_and_leaves(machine: Booted) -> None:
    mac = told(machine, "join", "nspawn", "web")["mac"]
    start(machine)
    require_reached(machine, mac)
    assert not told(machine, "join", "nspawn", "web")["changed"]
    left = told(machine, "leave", "nspawn", "web")
    assert (left["left"], left["live"]) == (True, False)
    end(machine)
    assert not machine.path(f"{_SETTINGS}/web.nspawn").exists()
    # Its unit gives it a veth that goes nowhere, as it did before.
    start(machine)
    machine.wait_for(lambda: machine.path("/sys/class/net/ve-web").exists(), 60, "web's own veth")
    assert not machine.path("/sys/class/net/ve-web/master").exists()
    assert listed(machine) is None
    end(machine)


def test_one_that_runs_is_there_from_its_next_start(machine: Booted) -> None:
    start(machine)
    joined = told(machine, "join", "nspawn", "web")
    assert (joined["changed"], joined["running"], joined["live"]) == (True, True, False)
    end(machine)
    start(machine)
    require_reached(machine, joined["mac"])
    end(machine)
    told(machine, "leave", "nspawn", "web")


def test_one_that_machinectl_renamed(machine: Booted) -> None:
    """machinectl takes its settings along, and they leave by the new name."""
    told(machine, "join", "nspawn", "web")
    machine.run(["machinectl", "rename", "web", "shop"], timeout=120)
    try:
        settings = machine.path(f"{_SETTINGS}/shop.nspawn")
        assert "Bridge=vdenet0\n" in settings.read_text()
        assert told(machine, "leave", "nspawn", "shop")["left"]
        assert not settings.exists()
    finally:
        machine.run(["machinectl", "rename", "shop", "web"], timeout=120)

"""Containers that were put on the segment by hand: `list` says what they are, which and whose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.machine import wait_for

from .conftest import SEGMENT, Host, started

INSIDE = "ip link set host0 up && udhcpc -i host0 -n -q -t 20 -T 1 -s /bin/true -x hostname:{} && exec sleep 600"


@pytest.fixture(scope="module")
def nspawn(deb: Path) -> Iterator[Host]:
    for host in started("trixie", deb, "systemd-container", "busybox-static", cgroup=True):
        host.machine.sh(
            "mkdir -p /srv/web/bin /srv/web/usr/bin /srv/web/etc; cp /bin/busybox /srv/web/bin/; cd /srv/web/bin; "
            "for each in sh ip udhcpc sleep true; do ln -s busybox $each; done; "
            "echo ID=lab >../etc/os-release; : >../etc/resolv.conf")
        yield host


@pytest.mark.parametrize("name, told, port", [(None, "short", "vb-web"), ("longer-than-an-interface", "long", None)])
def test_nspawn(nspawn: Host, name: str | None, told: str, port: str | None) -> None:
    """Its name is that of its directory, or its own, also where the port has no room for it."""
    process = nspawn.machine.popen([
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--network-bridge={SEGMENT}", "-D", "/srv/web",
        *([f"--machine={name}"] if name else []), "/bin/sh", "-c", INSIDE.format(told)])
    try:
        wait_for(lambda: (nspawn.listed(told) or {}).get("port"), 60, "the container on its port")
        guest = nspawn.listed(told)
        assert guest is not None
        assert (guest["kind"], guest["guest"], guest["owner"], guest["via"], guest["joined"]) == (
            "nspawn", name or "web", "root", "veth", False)
        assert port in (None, guest["port"])
        assert "veth (nspawn)" in nspawn.tarr("list").stdout
    finally:
        process.terminate()
        process.wait(30)
    wait_for(lambda: (nspawn.listed(told) or {}).get("port") is None, 30, "the container gone")

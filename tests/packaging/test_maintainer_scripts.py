"""What the package's scripts do and say beyond the plain course of events, which tests/system goes through.

In machines without an init system; what they have to install lies in apt's cache.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.machine import Machine, wait_for
from lab.roots import root

PACKAGE = "/tmp/vdenet.deb"
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
FORBIDDEN = "#!/bin/sh\nexit 101\n"


@pytest.fixture(params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    with Machine(root(request.param, "depends")) as machine:
        shutil.copy(deb, machine.path(PACKAGE))
        yield machine


def apt(machine: Machine, *argv: str, status: int = 0, env: dict[str, str] | None = None) -> str:
    """What apt and the scripts say: on a terminal that apt makes for dpkg, or not."""
    done = machine.run(["apt-get", "-qq", *argv], check=False, env={**QUIET, **(env or {})}, timeout=180)
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    return said


def state(machine: Machine) -> str:
    told = json.loads(machine.run(["tarr-steps", "list", "--json"]).stdout)
    return str(told["segments"][0]["state"])


def members(machine: Machine) -> set[str]:
    return set(machine.run(["getent", "group", "vdenet"]).stdout.strip().rpartition(":")[2].split(","))


def links(machine: Machine) -> set[str]:
    return {link["ifname"] for link in json.loads(machine.run(["ip", "-j", "link"]).stdout)}


def test_first_members(machine: Machine) -> None:
    """Whoever installs through sudo, whoever was preseeded; the rest is told how to get in."""
    for name in ("alice", "carol", "dave"):
        machine.user(name)
    machine.run(["debconf-set-selections"], input="vdenet vdenet/members string carol, nobody-here root\n")
    said = apt(machine, "install", PACKAGE, env={"SUDO_USER": "alice"})
    assert members(machine) == {"alice", "carol", "vdenet-switch"}
    assert "alice is now in the group vdenet" in said
    assert "there is no user nobody-here" in said
    assert "adduser NAME vdenet" in said
    machine.run(["tarr-steps", "check"], user="alice")
    assert machine.run(["tarr-steps", "list"], user="dave", check=False).returncode == 4

    # Who was taken out later stays out, until somebody is named again.
    machine.run(["gpasswd", "-d", "carol", "vdenet"])
    apt(machine, "install", "--reinstall", PACKAGE, env={"SUDO_USER": "dave"})
    assert members(machine) == {"alice", "vdenet-switch"}
    machine.run(["dpkg-reconfigure", "vdenet"], env=QUIET)
    assert members(machine) == {"alice", "carol", "vdenet-switch"}


def test_a_segment_that_does_not_come_up_fails_the_installation(machine: Machine) -> None:
    """Not hidden as debhelper's own start would; and mended by what the message says."""
    tun = machine.path("/dev/net/tun")
    tun.rename(tun.with_name("away"))
    said = apt(machine, "install", PACKAGE, status=100)
    assert "cannot bring up the segment vdenet0" in said
    assert "/dev/net/tun" in said
    assert "dpkg --configure vdenet" in said
    tun.with_name("away").rename(tun)
    machine.run(["dpkg", "--configure", "vdenet"], env=QUIET)
    assert state(machine) == "up"


def test_policy_forbids(machine: Machine) -> None:
    """An image in the making: installed, configured, nothing started; and removed whatever the policy says."""
    policy = machine.path("/usr/sbin/policy-rc.d")
    policy.write_text(FORBIDDEN)
    policy.chmod(0o755)
    said = apt(machine, "install", PACKAGE)
    assert links(machine) == {"lo"}
    assert machine.path("/etc/vdenet/vdenet0.toml").exists()
    assert "service vdenetd restart" in said
    machine.run(["service", "vdenetd", "restart"])
    assert state(machine) == "up"
    apt(machine, "purge", "vdenet")
    assert links(machine) == {"lo"}
    assert machine.run(["pgrep", "-f", "vdenet"], check=False).stdout == ""


def test_a_chroot_without_a_policy(machine: Machine) -> None:
    """Its network is that of the machine around it, where nothing of ours may appear."""
    inside = "/srv/image"
    machine.sh(f"mkdir {inside} && mount --rbind / {inside}")
    done = machine.run(["chroot", inside, "apt-get", "-qq", "install", PACKAGE], env=QUIET, timeout=180)
    assert links(machine) == {"lo"}
    assert "the daemon was not started" in done.stdout + done.stderr
    machine.run(["chroot", inside, "apt-get", "-qq", "purge", "vdenet"], env=QUIET, timeout=180)


def test_upgrade_leaves_the_segment_alone(machine: Machine) -> None:
    apt(machine, "install", PACKAGE)
    wait_for(lambda: state(machine) == "up", 10, "segment")

    def running() -> str:
        return machine.sh("pidof vde_switch dnsmasq; ip -o link; nft list ruleset; cat /etc/vdenet/*")

    before = running()
    daemon = machine.path("/run/vdenetd.pid").read_text()
    apt(machine, "install", "--reinstall", PACKAGE)
    assert running() == before
    assert machine.path("/run/vdenetd.pid").read_text() != daemon


def test_an_upgrade_does_not_start_what_was_stopped(machine: Machine) -> None:
    apt(machine, "install", PACKAGE)
    machine.run(["tarr-steps", "stop"])
    apt(machine, "install", "--reinstall", PACKAGE)
    assert state(machine) == "down"


def test_service_script(machine: Machine) -> None:
    """LSB: start and stop twice are no error; status 0 while it runs, 3 when it does not."""
    apt(machine, "install", PACKAGE)

    def service(action: str) -> int:
        return machine.run(["service", "vdenetd", action], check=False).returncode

    for action, status in (
        ("status", 0), ("start", 0), ("stop", 0), ("status", 3), ("stop", 0),
        ("start", 0), ("restart", 0), ("force-reload", 0), ("status", 0), ("nonsense", 3),
    ):
        assert service(action) == status, action
    assert state(machine) == "up"


@pytest.mark.parametrize("own", ["", "bind-dynamic\n"])
def test_beside_the_systems_dnsmasq(deb: Path, own: str) -> None:
    """It would hold port 53 of the segment's address; it keeps serving its own, before, during and after."""
    with Machine(root("trixie", "depends", extra=["dnsmasq"])) as machine:
        shutil.copy(deb, machine.path(PACKAGE))
        machine.path("/etc/dnsmasq.d/own.conf").write_text(own)
        machine.run(["service", "dnsmasq", "start"])
        apt(machine, "install", PACKAGE)
        assert state(machine) == "up"
        machine.run(["tarr-steps", "check"])
        listening = machine.sh("ss -Hlunp | grep ':53 '")
        # The last of an address's line is its process.
        by_process = {line.rpartition("pid=")[2].partition(",")[0] for line in listening.splitlines()}
        assert len(by_process) == 2
        machine.run(["service", "dnsmasq", "status"])
        apt(machine, "purge", "vdenet")
        machine.run(["service", "dnsmasq", "restart"])
        assert {path.name for path in machine.path("/etc/dnsmasq.d").iterdir()} == {"README", "own.conf"}

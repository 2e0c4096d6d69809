"""A machine with the package installed, and the real tools of other hypervisors."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lab.machine import Machine, wait_for
from lab.roots import root

SEGMENT = "vdenet0"
SWITCH = "/run/vdenet/vdenet0/switch"
DOMAIN = "vdenet.internal"


class Host:
    """The machine, with the segment up and two members, alice and bob."""

    def __init__(self, machine: Machine, deb: Path) -> None:
        self.machine = machine
        shutil.copy(deb, machine.path("/tmp/vdenet.deb"))
        machine.run(["apt-get", "-qq", "install", "/tmp/vdenet.deb"], timeout=180,
                    env={"DEBIAN_FRONTEND": "noninteractive"})
        for name in ("alice", "bob"):
            machine.user(name, member=True)
        wait_for(lambda: self.segment()["state"] == "up", 15, f"{SEGMENT} up")

    def tarr(self, *argv: str, user: str = "alice", check: bool = True,
             env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run tarr-steps as a member."""
        return self.machine.run(["tarr-steps", *argv], user=user, check=check, env=env)

    def told(self, *argv: str, user: str = "alice") -> dict[str, Any]:
        """What tarr-steps answers by --json."""
        answer: dict[str, Any] = json.loads(self.tarr(*argv, "--json", user=user).stdout)
        return answer

    def refused(self, status: int, code: str, *argv: str, user: str = "alice",
                env: Mapping[str, str] | None = None) -> str:
        """That tarr-steps refuses, with this exit status and error; what it says to people."""
        done = self.tarr(argv[0], "--json", *argv[1:], user=user, check=False, env=env)
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (status, code), done
        lines = done.stderr.splitlines()
        assert lines[0].startswith("tarr-steps: cannot "), done
        assert len(lines) <= 2, done
        return done.stderr

    def segment(self) -> dict[str, Any]:
        """The segment as `list --json` has it."""
        found: dict[str, Any] = self.told("list")["segments"][0]
        return found

    def remembered(self, user: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """What the daemon keeps of guests that joined, by name, and what the user's own state directory says of
        guests."""
        book = self.machine.path(f"/var/lib/vdenet/{SEGMENT}/guests.json")
        guests = json.loads(book.read_text())["guests"] if book.exists() else []
        files = self.machine.path(f"{self.machine.account(user)[2]}/.local/state/vdenet").glob("*/*.json")
        return ({guest["name"]: guest for guest in guests if guest["kind"] != "claimed"},
                {file.name: file.read_text() for file in files})

    @contextlib.contextmanager
    def vlan(self) -> Iterator[None]:
        """The segment's file declares VLAN 33.

        Where the kernel cannot keep VLANs apart, nobody gets in: there --dry-run shows what a join would do, and that
        is done by hand. Who hears whom, and the daemon's part in it, takes another kernel: tests/vlans.
        """
        file = self.machine.path(f"/etc/vdenet/{SEGMENT}.toml")
        before = file.read_text()
        file.write_text(f"{before}\n[[vlan]]\nid = 33\n")
        try:
            yield
        finally:
            file.write_text(before)
            self.tarr("reload")

    def end(self, port: str) -> dict[str, Any]:
        """An interface out here, by `ip`; empty where there is none."""
        said = self.machine.run(["ip", "-json", "-details", "link", "show", "dev", port], check=False).stdout
        return dict(json.loads(said)[0]) if said.strip() else {}

    def listed(self, name: str) -> dict[str, Any] | None:
        """A guest as `list --json` has it."""
        return next((guest for guest in self.segment()["guests"] if guest["name"] == name), None)


def started(suite: str, deb: Path, *packages: str, cgroup: bool = False) -> Iterator[Host]:
    """A host with more packages, ended after its tests."""
    with Machine(root(suite, "depends", extra=packages), "lab", cgroup=cgroup) as machine:
        yield Host(machine, deb)


@pytest.fixture(scope="session")
def virtualbox(deb: Path) -> Iterator[Host]:
    yield from started("sid", deb, "virtualbox")


@pytest.fixture(scope="session")
def lxc(deb: Path) -> Iterator[Host]:
    yield from started("trixie", deb, "lxc", "rsync", "busybox-static", cgroup=True)


@pytest.fixture(scope="session")
def incus(deb: Path) -> Iterator[Host]:
    from .instances import clean, serve, serve_users

    for host in started("trixie", deb, "incus", "busybox-static", cgroup=True):
        serve(host)
        serve_users(host)
        yield host
        clean(host)


@pytest.fixture(scope="session", params=["trixie", "bookworm"])
def podman(deb: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    from .pods import COMMON, PACKAGES, clean, prepare

    for host in started(request.param, deb, *PACKAGES[request.param], *COMMON, cgroup=True):
        prepare(host)
        yield host
        clean(host)


@pytest.fixture(scope="session", params=["trixie", "bookworm"])
def docker(deb: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    from .pods import DOCKER, clean_docker, prepare_docker

    for host in started(request.param, deb, *DOCKER[request.param], "busybox-static", cgroup=True):
        prepare_docker(host)
        yield host
        clean_docker(host)


@pytest.fixture(scope="session", params=["trixie", "bookworm"])
def nspawn(deb: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    for host in started(request.param, deb, "systemd-container", "busybox-static", cgroup=True):
        host.machine.path("/etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        yield host

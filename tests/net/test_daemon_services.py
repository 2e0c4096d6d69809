"""vde_switch and dnsmasq: whose processes they are, what they may, and where they can write."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine

NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 10, 12, 13
DNSMASQ = 1 << NET_BIND_SERVICE | 1 << NET_ADMIN | 1 << NET_RAW
SERVICES = {"vde_switch": ("vdenet-switch", 0), "dnsmasq": ("vdenet-dns", DNSMASQ)}


def process(machine: Machine, program: str) -> dict[str, str]:
    """/proc/PID/status of the one process of that program."""
    found = [status for status in Path(machine.path("/proc")).glob("[0-9]*/status")
             if status.read_text().startswith(f"Name:\t{program}\n")]
    assert len(found) == 1
    return dict(line.split(":\t", 1) for line in found[0].read_text().splitlines() if ":\t" in line)


@pytest.mark.parametrize("program", SERVICES)
def test_runs_with_what_it_needs(machine: Machine, daemon: Daemon, program: str) -> None:
    account, capabilities = SERVICES[program]
    status = process(machine, program)
    uid, gid, _home, _shell = machine.account(account)
    assert status["Uid"].split() == [str(uid)] * 4
    assert status["Gid"].split() == [str(gid)] * 4
    assert {int(group) for group in status["Groups"].split()} == {gid, machine.gid("vdenet")}
    for which in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[which], 16) == capabilities, which
    assert status["NoNewPrivs"].strip() == "1"


def test_no_process_of_root_but_the_daemon(machine: Machine, daemon: Daemon) -> None:
    shown = machine.sh("ps -eo user:32=,args= | grep -E 'vde_switch|dnsmasq|vdenetd' | grep -v grep")
    assert {(line.split()[0], "vdenetd" in line) for line in shown.splitlines()} == {
        ("root", True), ("vdenet-switch", False), ("vdenet-dns", False)}


@pytest.mark.parametrize(("account", "places"), [
    ("vdenet-switch", ("/run/vdenet/vdenet0", "/run/vdenet/vdenet0/console", "/run/vdenet/vdenet0/sockets",
                       "/run/vdenet/vdenet0/switch")),
    ("vdenet-dns", ("/var/lib/vdenet/vdenet0/dns",)),
    ("vdenet-plug", ()),
])
def test_writes_only_in_its_own_directory(machine: Machine, daemon: Daemon, account: str,
                                          places: tuple[str, ...]) -> None:
    shown = machine.run(["find", "/etc", "/run", "/usr", "/var", "-xdev", "-type", "d", "-writable",
                         "-not", "-perm", "-o+w"], user=account, cwd="/", check=False).stdout
    assert sorted(shown.split()) == sorted(places)
    files = machine.run(["find", "/etc/vdenet", "/run/vdenet", "/var/lib/vdenet", "-type", "f", "-writable"],
                        user=account, cwd="/", check=False).stdout
    assert all(any(file.startswith(f"{place}/") for place in places) for file in files.split())


@pytest.mark.parametrize("account", ["vdenet-switch", "vdenet-dns", "vdenet-plug"])
def test_has_no_say_in_the_daemon(machine: Machine, daemon: Daemon, account: str) -> None:
    done = machine.run(["tarr-steps", "list"], user=account, cwd="/", check=False)
    assert done.returncode == 4


def test_sockets_are_the_groups(machine: Machine, daemon: Daemon) -> None:
    found = traces.files(machine, "/run/vdenet")
    group = machine.gid("vdenet")
    switch, gid, _home, _shell = machine.account("vdenet-switch")
    assert found["file /run/vdenet/control"] == f"srw-rw---- 0:{group}"
    assert found["file /run/vdenet/vdenet0/switch"] == f"drwxrws--T {switch}:{group}"
    assert found["file /run/vdenet/vdenet0/switch/ctl"] == f"srw-rw---- {switch}:{group}"
    assert found["file /run/vdenet/vdenet0/console"] == f"drwxr-x--- {switch}:{gid}"

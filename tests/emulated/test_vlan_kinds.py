"""Containers whose hypervisors make their ports themselves: LXC and nspawn leave them to the daemon, which puts them
into their VLAN.

Not in tests/vlans, whose machine it could share, since it takes as long as all tests there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.bare import Lab, booted
from lab.divided import divided, pvid, require_apart, tree

_BOX = """cat >/var/lib/lxc/box/config <<X
lxc.rootfs.path = dir:/var/lib/lxc/box/rootfs
lxc.uts.name = box
lxc.init.cmd = /bin/sleep 100001
lxc.apparmor.profile = unconfined
X
"""
_NSPAWN = "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --register=no --keep-unit --settings=override " \
    "--resolv-conf=off --timezone=off --link-journal=no --console=pipe --machine=chest /bin/sleep 100002"


@pytest.fixture(scope="module")
def lab(deb: Path) -> Iterator[Lab]:
    with booted(deb, "lxc", "systemd-container") as found:
        yield found


@pytest.fixture(scope="module")
def kinds(lab: Lab) -> Iterator[Lab]:
    for place in ("/var/lib/lxc/box/rootfs", "/var/lib/machines/chest"):
        tree(lab, place)
    lab.run(_BOX)
    with divided(lab):
        for kind, name in (("lxc", "box"), ("nspawn", "chest")):
            told = lab.tarr("join", kind, name, "--vlan", "33", user="root")
            assert (told["vlan"], told["changed"]) == (33, True), told
        lab.run("lxc-start -n box -o /run/lab/box.log -l info || { cat /run/lab/box.log; exit 1; }")
        lab.run(f"({_NSPAWN}) >/run/lab/chest.log 2>&1 </dev/null &")
        for number, name, inner in ((1, "box", "eth0"), (2, "chest", "host0")):
            lab.until(f"pgrep -xf '/bin/sleep 10000{number}' >/run/lab/{name}.pid")
            lab.inside(name, f"ip link set {inner} up")
            lab.until(f"ip link show up master vdenet0 | grep -q vd0-{name}")
        yield lab
        lab.run("lxc-stop -k -n box; kill $(cat /run/lab/chest.pid); true")
        for kind, name in (("lxc", "box"), ("nspawn", "chest")):
            assert lab.tarr("leave", kind, name, user="root")["left"]


def test_they_are_in_their_vlan(kinds: Lab) -> None:
    assert pvid(kinds, "vd0-box") == pvid(kinds, "vd0-chest") == [33]
    require_apart(kinds, ["run33", "box", "chest:host0"])
    listed = {guest["name"]: guest for guest in kinds.tarr("list")["segments"][0]["guests"]}
    assert [(listed[name]["vlan"], listed[name]["via"], listed[name]["port"]) for name in ("box", "chest")] == [
        (33, "veth", "vd0-box"), (33, "veth", "vd0-chest")]


def test_one_that_runs_moves_and_leaves(kinds: Lab) -> None:
    assert kinds.tarr("join", "lxc", "box", "--vlan", "44", user="root")["vlan"] == 44
    assert pvid(kinds, "vd0-box") == [44]
    require_apart(kinds, ["run33", "chest:host0"], ["box"])
    kinds.tarr("join", "lxc", "box", "--vlan", "33", user="root")
    require_apart(kinds, ["run33", "box", "chest:host0"])
    left = kinds.tarr("leave", "lxc", "box", user="root")
    assert left["left"] and left["live"]
    assert "master" not in kinds.run("ip link show dev vd0-box")
    require_apart(kinds, ["run33", "chest:host0"], ["box"])
    # It runs on with the port that it has; nobody puts that back, also not for who joins by its name now.
    kinds.tarr("reload")
    assert not kinds.tarr("join", "lxc", "box", "--vlan", "33", user="root")["live"]
    assert "master" not in kinds.run("ip link show dev vd0-box")

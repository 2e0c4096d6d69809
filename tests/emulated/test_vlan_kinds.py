"""Containers whose hypervisors make their ports themselves: LXC and nspawn leave them to the daemon, which puts them
into their VLAN.

Not in tests/vlans, whose machine it could share, since it takes as long as all tests there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.bare import Lab, booted

VLANS = "\n[[vlan]]\nid = 33\naddress = \"10.33.0.1/24\"\n\n[[vlan]]\nid = 44\n"
_BOX = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for box in /var/lib/lxc/box/rootfs /var/lib/machines/chest; do
    mkdir -p $box && cd $box
    mkdir bin dev etc proc sys tmp usr run var && echo ID=busybox >etc/os-release
    for file in $(ldd /bin/busybox | grep -o '/[^ ]*'); do mkdir -p .${file%/*} && cp $file .$file; done
    cp /bin/busybox bin/sh && cp /bin/busybox bin/sleep
done
cat >/var/lib/lxc/box/config <<X
lxc.rootfs.path = dir:/var/lib/lxc/box/rootfs
lxc.uts.name = box
lxc.init.cmd = /bin/sleep 100001
lxc.apparmor.profile = unconfined
X
"""
_NSPAWN = "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --register=no --keep-unit --settings=override " \
    "--resolv-conf=off --timezone=off --link-journal=no --console=pipe --machine=chest /bin/sleep 100002"


def pvid(lab: Lab, port: str) -> list[int]:
    """The VLANs in which a port is without a tag, and it is in no other."""
    said = json.loads(lab.run(f"bridge -json vlan show dev {port}"))
    vlans = [vlan for one in said for vlan in one["vlans"]]
    assert all({"PVID", "Egress Untagged"} == set(vlan["flags"]) for vlan in vlans), said
    return [vlan["vlan"] for vlan in vlans]


@pytest.fixture(scope="module")
def lab(deb: Path) -> Iterator[Lab]:
    with booted(deb, "lxc", "systemd-container") as found:
        yield found


@pytest.fixture(scope="module")
def kinds(lab: Lab) -> Iterator[Lab]:
    plain = lab.run("cat /etc/vdenet/vdenet0.toml")
    lab.apply(plain + VLANS)
    lab.run(_BOX)
    lab.veths({"run1": (), "run33": ("--vlan", "33")})
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
    lab.end("run1", "run33")
    for kind, name in (("lxc", "box"), ("nspawn", "chest")):
        assert lab.tarr("leave", kind, name, user="root")["left"]
    lab.apply(plain)


def hears(lab: Lab, name: str) -> set[str]:
    """Whom it hears, without a tag."""
    heard = lab.heard(["run1", "run33", "box", "chest:host0", ":vdenet0"])
    return {word for tag, word in heard[name] if tag == 0}


def test_they_are_in_their_vlan(kinds: Lab) -> None:
    assert pvid(kinds, "vd0-box") == pvid(kinds, "vd0-chest") == [33]
    heard = kinds.heard(["run1", "run33", "box", "chest:host0", ":vdenet0"])
    own = {"run33", "box", "chest:host0"}
    for one, words in heard.items():
        others = own if one in own else heard.keys() - own
        assert {word for tag, word in words if tag == 0} == others - {one}, (one, words)
    listed = {guest["name"]: guest for guest in kinds.tarr("list")["segments"][0]["guests"]}
    assert [(listed[name]["vlan"], listed[name]["via"], listed[name]["port"]) for name in ("box", "chest")] == [
        (33, "veth", "vd0-box"), (33, "veth", "vd0-chest")]


def test_one_that_runs_moves_and_leaves(kinds: Lab) -> None:
    assert kinds.tarr("join", "lxc", "box", "--vlan", "44", user="root")["vlan"] == 44
    assert pvid(kinds, "vd0-box") == [44]
    assert hears(kinds, "box") == set()
    kinds.tarr("join", "lxc", "box", "--vlan", "33", user="root")
    assert hears(kinds, "box") == {"run33", "chest:host0"}
    left = kinds.tarr("leave", "lxc", "box", user="root")
    assert left["left"] and left["live"]
    assert "master" not in kinds.run("ip link show dev vd0-box")
    assert hears(kinds, "chest:host0") == {"run33"}
    # It runs on with the port that it has; nobody puts that back, also not for who joins by its name now.
    kinds.tarr("reload")
    assert not kinds.tarr("join", "lxc", "box", "--vlan", "33", user="root")["live"]
    assert "master" not in kinds.run("ip link show dev vd0-box")

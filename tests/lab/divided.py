"""The emulated machine's segment divided by VLANs, for guests of hypervisors that run in that machine."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from .bare import Lab

VLANS = "".join(f'\n[[vlan]]\nid = {vlan}\naddress = "10.{vlan}.0.1/24"\n' for vlan in (33, 44))
_TREE = """
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p {place} && cd {place}
mkdir bin dev etc proc sbin sys tmp usr run var && echo ID=busybox >etc/os-release
echo root:x:0:0::/:/bin/sh >etc/passwd
for file in $(ldd /bin/busybox | grep -o '/[^ ]*'); do mkdir -p .${{file%/*}} && cp $file .$file; done
cp /bin/busybox bin/sh && cp /bin/busybox bin/sleep
"""


@contextmanager
def divided(lab: Lab) -> Iterator[None]:
    """VLANs 33 and 44, and two commands that listen: run33 in VLAN 33, run1 in none."""
    plain = lab.run("cat /etc/vdenet/vdenet0.toml")
    lab.apply(plain + VLANS)
    lab.veths({"run1": (), "run33": ("--vlan", "33")})
    yield
    lab.end("run1", "run33")
    lab.apply(plain)


def tree(lab: Lab, place: str) -> None:
    """The root of a container that can sleep, and the control groups that one takes."""
    lab.run(_TREE.format(place=place))


def pvid(lab: Lab, port: str) -> list[int]:
    """The VLANs in which a port is without a tag, and it is in no other."""
    said = json.loads(lab.run(f"bridge -json vlan show dev {port}"))
    vlans = [vlan for one in said for vlan in one["vlans"]]
    assert all({"PVID", "Egress Untagged"} == set(vlan["flags"]) for vlan in vlans), said
    return [vlan["vlan"] for vlan in vlans]


def require_apart(lab: Lab, *groups: Collection[str]) -> None:
    """Each station hears, without a tag, its own group and nobody else; one more group are run1 and the host."""
    every = [{"run1", ":vdenet0"}, *(set(group) for group in groups)]
    heard = lab.heard([station for group in every for station in group])
    for group in every:
        for station in group:
            words = {word for tag, word in heard[station] if tag == 0}
            assert words == group - {station}, (station, heard[station])

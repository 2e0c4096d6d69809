"""Incus for real: its servers in a machine, an image of busybox, instances of root's and of a member's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from lab.machine import wait_for

from .conftest import Host

_numbers = itertools.count(1)

# Of a control group hierarchy that all share; nothing of it may stay.
_GROUPS = "rmdir /sys/fs/cgroup/*/lxc.* /sys/fs/cgroup/*/*/lxc.* 2>/dev/null"

# A container's own /proc may be mounted only where one is to be seen that nothing covers.
_NESTING = """
mount --make-rshared /
mkdir -p /run/uncovered/proc /run/uncovered/sys
mount -t proc proc /run/uncovered/proc
mount -t sysfs sysfs /run/uncovered/sys
"""

_IMAGE = """
mkdir -p /tmp/image/rootfs
cd /tmp/image/rootfs
mkdir bin sbin etc proc sys dev tmp
cp /bin/busybox bin
for name in sh ip ping sleep udhcpc cat nslookup mount; do ln -s busybox bin/$name; done
ln -s ../bin/busybox sbin/init
echo '::respawn:/bin/sleep 1000' >etc/inittab
echo root:x:0:0::/:/bin/sh >etc/passwd
cat >etc/dhcp.sh <<'script'
#!/bin/sh
case "$1" in
bound | renew) ip addr replace "$ip/$mask" dev "$interface"; echo "nameserver $dns" >/etc/resolv.conf ;;
esac
script
chmod 755 etc/dhcp.sh
cd ..
printf 'architecture: x86_64\\ncreation_date: 1700000000\\nproperties: {os: busybox}\\n' >metadata.yaml
tar -czf /tmp/image.tgz metadata.yaml rootfs
"""


def serve(host: Host) -> None:
    """Start the server, give it a place for instances and an image to make them from."""
    host.machine.sh(_NESTING)
    host.machine.sh(_IMAGE)
    host.machine.sh("setsid /usr/libexec/incus/incusd --group incus-admin --logfile /tmp/incusd.log "
                    "</dev/null >/dev/null 2>&1 &")
    host.machine.run(["/usr/libexec/incus/incusd", "waitready", "--timeout=120"], timeout=150)
    host.machine.sh("incus storage create default dir; incus image import /tmp/image.tgz --alias box", timeout=120)


def serve_users(host: Host) -> None:
    """Start the server of restricted projects, and let alice have hers."""
    host.machine.run(["usermod", "--append", "--groups=incus", "alice"])
    host.machine.sh("setsid /usr/libexec/incus/incus-user --group incus </dev/null >/dev/null 2>&1 &")
    wait_for(lambda: host.machine.path("/var/lib/incus/unix.socket.user").exists(), 60, "incus-user")
    host.machine.run(["incus", "list"], user="alice")
    host.machine.run(["incus", "image", "import", "/tmp/image.tgz", "--alias", "box"], user="alice", timeout=120)


def clean(host: Host) -> None:
    """End what runs, and take its control groups away."""
    host.machine.sh("incus list --all-projects --columns=ne --format=csv | tr , ' ' | while read -r name project; do "
                    "incus delete --force --project \"$project\" \"$name\"; done", check=False, timeout=120)
    host.machine.sh(_GROUPS, check=False)


class Instance:
    """An instance of busybox without a network."""

    def __init__(self, host: Host, name: str, user: str = "root") -> None:
        self.host = host
        self.name = name
        self.user = user
        # The profile that incus-user makes would put it on a network of its own.
        self.incus("init", "box", name, "--no-profiles", "--storage=default")

    def incus(self, *argv: str, check: bool = True) -> str:
        return self.host.machine.run(["incus", *argv], user=self.user, check=check, timeout=120).stdout

    def state(self) -> dict[str, Any]:
        """As the server has it."""
        return next(dict(one) for one in json.loads(self.incus("list", self.name, "--format=json"))
                    if one["name"] == self.name)

    def devices(self) -> dict[str, dict[str, str]]:
        """Its own devices."""
        return dict(self.state()["devices"])

    def macs(self) -> dict[str, str]:
        """Those that the server has given to its nics."""
        return {key: value for key, value in self.state()["config"].items() if key.endswith(".hwaddr")}

    def join(self, *argv: str) -> str:
        return self.host.tarr("join", "incus", self.name, *argv, user=self.user).stdout

    def leave(self, *argv: str) -> str:
        return self.host.tarr("leave", "incus", self.name, *argv, user=self.user).stdout

    def run(self, *argv: str, check: bool = True) -> str:
        return self.incus("exec", self.name, "--", *argv, check=check)

    def kept(self) -> tuple[dict[str, Any], dict[str, str]]:
        """What is reserved and remembered: by the daemon, and for the user."""
        return self.host.remembered(self.user)

    def delete(self) -> None:
        self.host.tarr("leave", "incus", self.name, user=self.user, check=False)
        self.incus("delete", "--force", self.name, check=False)


def instances(host: Host, user: str = "root") -> Iterator[Instance]:
    """An instance of a name that no test had before, deleted afterwards."""
    made = Instance(host, f"box{next(_numbers)}", user)
    yield made
    made.delete()

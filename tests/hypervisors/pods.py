"""Podman and Docker for real: an image of busybox, containers of a member's, who is not root, and of root's."""

from __future__ import annotations

import itertools
import json
import shlex
from typing import Any

from lab.machine import wait_for

from .conftest import SEGMENT, Host

PACKAGES = {
    "trixie": ("podman", "crun", "netavark", "aardvark-dns", "passt"),
    "bookworm": ("podman", "crun", "netavark", "aardvark-dns", "slirp4netns", "iptables"),
}
DOCKER = {"trixie": ("docker.io", "docker-cli", "iptables"), "bookworm": ("docker.io", "iptables")}
COMMON = ("busybox-static", "uidmap", "fuse-overlayfs")
_numbers = itertools.count(1)

# Containers get the new hierarchy of control groups alone, as on any Debian of today; it has no controller
# here, so no limits. A /proc of their own needs one in sight that nothing covers. `up0` is the uplink.
_NESTING = """
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared /
mkdir -p /run/uncovered/proc /run/user
mount -t proc proc /run/uncovered/proc
mkdir -p /etc/containers/containers.conf.d
printf '[containers]\\npids_limit = 0\\n[engine]\\ncgroup_manager = "cgroupfs"\\nevents_logger = "file"\\n' \
    >/etc/containers/containers.conf.d/lab.conf
ip link add up0 type veth peer name up1
ip link set up0 up
ip link set up1 up
ip address add 192.0.2.2/24 dev up0
ip route add default via 192.0.2.1
"""

# Its layers do not go on top of the machine's own overlay.
_DOCKER = """
mount --make-rshared /
mkdir -p /var/lib/docker
mount -t tmpfs docker /var/lib/docker
setsid dockerd --storage-driver=overlay2 --exec-opt native.cgroupdriver=cgroupfs \\
    </dev/null >/tmp/dockerd.log 2>&1 &
"""

_IMAGE = """
mkdir -p /tmp/image/bin /tmp/image/etc
cp /bin/busybox /tmp/image/bin
for name in sh ip ping sleep cat nslookup; do ln -s busybox /tmp/image/bin/$name; done
echo root:x:0:0::/:/bin/sh >/tmp/image/etc/passwd
tar -C /tmp/image -cf /tmp/image.tar .
chmod 644 /tmp/image.tar
"""


def prepare(host: Host) -> None:
    """Let containers run in the machine, and give root and alice the image."""
    host.machine.sh(_NESTING)
    host.machine.sh(_IMAGE)
    for user in ("root", "alice"):
        uid = host.machine.account(user)[0]
        host.machine.sh(f"mkdir -m 700 /run/user/{uid}; chown {user}: /run/user/{uid}")
        podman(host, user, "import", "/tmp/image.tar", "box")


def prepare_docker(host: Host) -> None:
    """Start the server, and give it the image."""
    host.machine.sh(_DOCKER)
    host.machine.sh(_IMAGE)
    wait_for(lambda: host.machine.run(["docker", "info"], check=False).returncode == 0, 120, "dockerd")
    host.machine.run(["docker", "import", "/tmp/image.tar", "box"], timeout=120)


def clean_docker(host: Host) -> None:
    """End what runs, and take its control groups away."""
    host.machine.sh("docker ps -q | xargs -r docker rm -f", check=False, timeout=120)
    host.machine.sh("find /sys/fs/cgroup -depth -path '*/docker*' -type d -exec rmdir {} + 2>/dev/null", check=False)


def clean(host: Host) -> None:
    """End what runs, and take its control groups away."""
    for user in ("alice", "root"):
        podman(host, user, "rm", "--all", "--force", "--time=0", check=False)
    host.machine.sh("find /sys/fs/cgroup/libpod_parent -depth -type d -exec rmdir {} + 2>/dev/null", check=False)


def environment(host: Host, user: str) -> dict[str, str]:
    """As a login of that user has it."""
    return {"XDG_RUNTIME_DIR": f"/run/user/{host.machine.account(user)[0]}"}


def podman(host: Host, user: str, *argv: str, check: bool = True) -> str:
    return host.machine.run(["podman", *argv], user=user, env=environment(host, user), check=check,
                            timeout=120).stdout


class Pod:
    """A container of busybox that runs."""

    kind = "podman"
    # Without control groups: Debian 12's crun would need a right that a machine in here may not have.
    options: tuple[str, ...] = ("--cgroups=disabled",)

    def __init__(self, host: Host, user: str, *options: str, name: str | None = None) -> None:
        self.host = host
        self.user = user
        self.name = name or f"pod{next(_numbers)}"
        self.ask("run", "--detach", *self.options, "--name", self.name, *options, "box", "sleep", "100000")

    def ask(self, *argv: str, check: bool = True) -> str:
        """What its own tool says."""
        return self.host.machine.run([self.kind, *argv], user=self.user, env=environment(self.host, self.user),
                                     check=check, timeout=120).stdout

    def run(self, *argv: str, check: bool = True) -> str:
        return self.ask("exec", self.name, *argv, check=check)

    def rename(self, name: str) -> None:
        self.ask("rename", self.name, name)
        self.name = name

    def tarr(self, verb: str, *argv: str, guest: str | None = None) -> str:
        """What tarr-steps says; `guest` is another name for the container."""
        return self.host.tarr(verb, self.kind, guest or self.name, *argv, user=self.user,
                              env=environment(self.host, self.user)).stdout

    def told(self, verb: str, *argv: str) -> dict[str, Any]:
        return dict(json.loads(self.tarr(verb, *argv, "--json")))

    def refused(self, status: int, code: str, *argv: str) -> str:
        return self.host.refused(status, code, *argv, user=self.user, env=environment(self.host, self.user))

    def helpers(self, name: str | None = None) -> str:
        """Processes of ours that hold a container's lease; `name` is the segment's for it."""
        return self.host.machine.run(["pgrep", "-af", f"plugged .* {shlex.quote(name or self.name)} "],
                                     check=False).stdout

    def networks(self) -> tuple[str, ...]:
        """Addresses, routes and name servers, as the container has them."""
        addresses = [" ".join(line.split()[1:4]) for line in self.run("ip", "-4", "-o", "address").splitlines()]
        return ("\n".join(addresses), self.run("ip", "route"),
                self.run("cat", "/etc/resolv.conf", check=False))

    def remove(self) -> None:
        self.ask("kill", self.name, check=False)
        self.ask("rm", "--force", self.name, check=False)
        self.host.tarr("leave", self.kind, self.name, user=self.user, check=False, env=environment(self.host, self.user))


def dry_run_changes_nothing(pod: Pod) -> None:
    before, known = pod.networks(), pod.host.remembered(pod.user)
    assert f"as {pod.name}" in pod.tarr("join", "--dry-run")
    assert (pod.networks(), pod.host.remembered(pod.user)) == (before, known)
    pod.tarr("join")
    joined, known = pod.networks(), pod.host.remembered(pod.user)
    assert pod.name in known[0]
    assert f"{pod.name} leaves" in pod.tarr("leave", "--dry-run")
    assert (pod.networks(), pod.host.remembered(pod.user)) == (joined, known)
    assert pod.host.listed(pod.name) is not None


def no_address_leaves_nothing(pod: Pod) -> None:
    """dnsmasq is held, so that the address does not come: the veth goes again, and the name is free."""
    before, known = pod.networks(), pod.host.remembered(pod.user)
    pod.host.machine.run(["pkill", "-STOP", "-x", "dnsmasq"])
    try:
        said = pod.refused(1, "refused", "join", pod.kind, pod.name)
        assert "no address by DHCP" in said
    finally:
        pod.host.machine.run(["pkill", "-CONT", "-x", "dnsmasq"])
    wait_for(lambda: not pod.helpers(), 20, "end of its helper")
    assert (pod.networks(), pod.host.remembered(pod.user)) == (before, known)
    pod.host.tarr("join", "run", "--name", pod.name, "--", "true", user="bob")


def is_recognised(pod: Pod, guest: str) -> None:
    """Root moves a veth into a container without a network: `list` knows which it is, though nobody joined it."""
    machine = pod.host.machine
    pid = pod.ask("inspect", "--format={{.State.Pid}}", pod.name).strip()
    machine.sh(f"ip link add byhand type veth peer name eth0 netns {pid}; ip link set byhand master {SEGMENT} up")
    try:
        machine.sh(f"exec nsenter --net=/proc/{pid}/ns/net sh -c 'ip link set eth0 up && "
                   f"udhcpc -i eth0 -s /bin/true -n -q -t 20 -T 1 -x hostname:{pod.name}'")
        wait_for(lambda: (pod.host.listed(pod.name) or {}).get("port"), 30, "the container on its port")
        found = pod.host.listed(pod.name)
        assert found is not None
        assert tuple(found[key] for key in ("kind", "guest", "owner", "via", "port", "joined")) == (
            pod.kind, guest, pod.user, "veth", "byhand", False)
        assert f"veth ({pod.kind})" in pod.host.tarr("list").stdout
    finally:
        machine.sh("ip link del byhand")

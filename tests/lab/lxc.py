"""Real LXC containers in a machine: lxc-create with the busybox template, lxc-start.

The machine needs the packages lxc and busybox-static, and control groups (`cgroup=True`).
"""

from __future__ import annotations

import subprocess

from .guest import AGENT, UDHCPC_SCRIPT, Guest
from .machine import Machine


class Container:
    """A privileged container with a veth on `link`."""

    def __init__(self, machine: Machine, name: str, link: str) -> None:
        self.machine = machine
        self.name = name
        place = f"/var/lib/lxc/{name}"
        machine.run(["lxc-create", "-n", name, "-t", "busybox", "-f", "/dev/null"], timeout=120)
        config = machine.path(f"{place}/config")
        kept = [line for line in config.read_text().splitlines()
                if not line.startswith(("lxc.net.", "lxc.apparmor"))]
        config.write_text("\n".join([
            *kept,
            "lxc.apparmor.profile = unconfined",
            "lxc.net.0.type = veth",
            f"lxc.net.0.link = {link}",
            "lxc.net.0.flags = up",
            "lxc.net.0.name = eth0",
            ""]))
        root = machine.path(f"{place}/rootfs")
        (root / "etc/udhcpc.script").write_text(UDHCPC_SCRIPT)
        (root / "etc/udhcpc.script").chmod(0o755)
        (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
        machine.run(["lxc-start", "-n", name, "-o", f"/tmp/{name}.lxc", "-l", "info"])
        machine.run(["lxc-wait", "-n", name, "-s", "RUNNING", "-t", "20"])

    def guest(self) -> Guest:
        """Its shell, and a DHCP client that tells the container's name."""
        guest = Guest(self.name, subprocess.Popen(
            self.machine.command(["lxc-attach", "-n", self.name, "--clear-env", "--",
                                  "/bin/sh", "-c", AGENT]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        guest.wait_ready(20)
        # The template's own client tells no name.
        guest.try_("killall udhcpc || kill $(pidof udhcpc)")
        guest.run(f"hostname {self.name}; udhcpc -i eth0 -b -t 20 -T 1 -A 1 "
                  f"-p /tmp/udhcpc.pid -s /etc/udhcpc.script -x hostname:{self.name} "
                  ">/tmp/udhcpc.log 2>&1 &")
        return guest

    def stop(self) -> None:
        self.machine.run(["lxc-stop", "-k", "-n", self.name], check=False)
        # Left by lxc in each hierarchy of control groups, which are not the machine's own.
        self.machine.sh("rmdir /sys/fs/cgroup/lxc.pivot /sys/fs/cgroup/*/lxc.pivot", check=False)

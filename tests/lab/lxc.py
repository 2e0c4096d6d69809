"""Real LXC containers of root's in a machine.

The machine needs the packages lxc and busybox-static, and control groups (`cgroup=True`).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from .guest import AGENT, UDHCPC_SCRIPT, Guest
from .machine import Machine

_SCRIPT = "/etc/udhcpc.script"
_CONFIG = """lxc.mount.auto = cgroup:mixed proc:mixed sys:ro
lxc.cap.drop = sys_module mac_admin mac_override sys_time
lxc.apparmor.profile = unconfined
lxc.rootfs.path = dir:{place}/rootfs
lxc.uts.name = {name}
lxc.init.cmd = /usr/bin/sleep infinity
"""


class _Container:
    """A privileged container that LXC knows by its name."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self.place = f"/var/lib/lxc/{name}"
        self.root = machine.path(f"{self.place}/rootfs")

    def start(self) -> None:
        self.machine.run(["lxc-start", "-n", self.name, "-o", f"/tmp/{self.name}.lxc", "-l", "info"])
        self.machine.run(["lxc-wait", "-n", self.name, "-s", "RUNNING", "-t", "20"])

    def stop(self) -> None:
        self.machine.run(["lxc-stop", "-k", "-n", self.name], check=False)
        # Left by lxc in each hierarchy of control groups, which are not the machine's own.
        self.machine.sh("rmdir /sys/fs/cgroup/lxc.pivot /sys/fs/cgroup/*/lxc.pivot", check=False)

    def _shell(self) -> Guest:
        guest = Guest(self.name, subprocess.Popen(
            self.machine.command(["lxc-attach", "-n", self.name, "--clear-env", "--",
                                  "/bin/sh", "-c", AGENT]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        guest.wait_ready(20)
        return guest

    def _put_script(self) -> None:
        """What the DHCP client of busybox calls."""
        script = self.root / _SCRIPT[1:]
        script.write_text(UDHCPC_SCRIPT)
        script.chmod(0o755)


class Container(_Container):
    """One of lxc-create's busybox template that runs, with a veth on `link`."""

    def __init__(self, machine: Machine, name: str, link: str) -> None:
        super().__init__(machine, name)
        machine.run(["lxc-create", "-n", name, "-t", "busybox", "-f", "/dev/null"], timeout=120)
        config = machine.path(f"{self.place}/config")
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
        self._put_script()
        (self.root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
        self.start()

    def guest(self) -> Guest:
        """Its shell, and a DHCP client that tells the container's name."""
        guest = self._shell()
        # The template's own client tells no name.
        guest.try_("killall udhcpc || kill $(pidof udhcpc)")
        guest.run(f"hostname {self.name}; udhcpc -i eth0 -b -t 20 -T 1 -A 1 "
                  f"-p /tmp/udhcpc.pid -s {_SCRIPT} -x hostname:{self.name} "
                  ">/tmp/udhcpc.log 2>&1 &")
        return guest


class Debian(_Container):
    """One with a copy of a Debian root, on no network until somebody joins it, and not started yet.

    What is not Debian's own in it is busybox, for its DHCP client: a minimal Debian has none.
    """

    def __init__(self, machine: Machine, name: str, base: Path) -> None:
        super().__init__(machine, name)
        self.root.mkdir(parents=True)
        # Without the packages that lie in the root's cache, and what apt knows of mirrors out here.
        pack = subprocess.Popen(
            ["tar", "-C", base, "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*",
             "--exclude=./etc/apt/sources.list", "--exclude=./etc/apt/apt.conf.d/99mmdebstrap", "-c", "."],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with pack:
            subprocess.run(["tar", "-C", self.root, "-xp", "--numeric-owner"], stdin=pack.stdout, check=True)
        assert pack.returncode == 0
        machine.run(["cp", "/bin/busybox", f"{self.place}/rootfs/usr/local/bin/"])
        self._put_script()
        machine.path(f"{self.place}/config").write_text(_CONFIG.format(place=self.place, name=name))

    def guest(self) -> Guest:
        """Its shell, and a DHCP client that tells no name."""
        guest = self._shell()
        guest.run(f"busybox udhcpc -i eth0 -b -t 20 -T 1 -A 1 -s {_SCRIPT} >/tmp/udhcpc.log 2>&1 &")
        return guest

    def destroy(self) -> None:
        self.stop()
        self.machine.run(["lxc-destroy", "-n", self.name])

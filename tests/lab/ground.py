"""One segment with guests of five kinds, started by the real daemon of the installed package.

A machine with an uplink to an outside, the .deb installed by apt, a member `alice`, and:

    qa   QEMU over a tap from the daemon: `join qemu -- qemu-system-x86_64 …`
    qb   QEMU over VDE: the arguments that `join qemu --print` gives
    ca   an LXC container, its veth on the bridge
    va   a network namespace that vde_plug plugs into the switch
    ra   `join run -- sh …`
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import TracebackType
from typing import Any

from . import qemu
from .guest import AGENT, UDHCPC_SCRIPT, Guest
from .lxc import Container
from .machine import Machine, MachineError, wait_for
from .outside import Outside
from .roots import root
from .sniffer import Sniffer, process_in

TOOLS = ("qemu-system-x86", "lxc", "busybox-static")
# The host's resolver.
RESOLVER = {"trixie": "openresolv", "bookworm": "resolvconf"}
SEGMENT = "vdenet0"
SWITCH = "/run/vdenet/vdenet0/switch"
DOMAIN = "vdenet.internal"
TAP, VDE, VETH = "tap", "vde", "veth"
# Where the machine keeps what the guests are made from.
_HERE = "/srv/lab"


class Ground:
    """A context; its guests are started by `populate`, or one by one."""

    def __init__(self, suite: str, deb: Path, extra: tuple[str, ...] = ()) -> None:
        """`extra`: Debian packages that the machine has besides."""
        self._stack = contextlib.ExitStack()
        self._deb = deb
        self.suite = suite
        self._extra = extra
        self.guests: dict[str, Guest] = {}
        self._ports: dict[str, str] = {}
        self.container: Container | None = None
        self.image = qemu.image()

    def __enter__(self) -> Ground:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.close()

    def _start(self) -> None:
        base = root(self.suite, "depends", extra=(*TOOLS, RESOLVER[self.suite], *self._extra))
        self.machine = self._stack.enter_context(Machine(base, "lab", cgroup=True))
        self.outside = self._stack.enter_context(Outside(self.machine.pid))
        self._resolver(RESOLVER[self.suite])
        here = self.machine.path(_HERE)
        here.mkdir()
        (here / "agent").write_text(AGENT)
        (here / "udhcpc").write_text(UDHCPC_SCRIPT)
        (here / "udhcpc").chmod(0o755)
        shutil.copytree(self.image.kernel.parent, here / "image")
        self.image = qemu.Image(*(Path(_HERE, "image", name)
                                  for name in ("kernel", "initramfs", "key")))
        shutil.copy(self._deb, here / "vdenet.deb")
        self.machine.run(["apt-get", "-qq", "install", f"{_HERE}/vdenet.deb"], timeout=180,
                         env={"DEBIAN_FRONTEND": "noninteractive"})
        self.machine.user("alice", member=True)
        self.machine.user("bob", member=True)
        self.wait_up()

    def _resolver(self, kind: str) -> None:
        """Set up the host's resolver as a network manager would, to ask the server outside."""
        machine = self.machine
        if kind == "resolvconf":
            machine.sh("install -d /run/resolvconf/interface; : >/run/resolvconf/postponed-update")
            machine.run(["resolvconf", "--enable-updates"])
            machine.run(["ln", "-sf", "/run/resolvconf/resolv.conf", "/etc/resolv.conf"])
        machine.run(["resolvconf", "-a", "eth0"], input=f"nameserver {self.outside.address}\n")

    def wait_up(self) -> None:
        """For a moment a look may meet a change of the daemon's own; that it is mended is what counts."""
        try:
            wait_for(lambda: bool(self.segment()["state"] == "up"), 15, f"{SEGMENT} up")
        except MachineError as error:
            error.add_note(self.tarr("check", check=False).stdout)
            raise

    # What the program says.

    def tarr(self, *argv: str, user: str = "alice", check: bool = True
             ) -> subprocess.CompletedProcess[str]:
        return self.machine.run(["tarr-steps", *argv], user=user, check=check)

    def segment(self) -> dict[str, Any]:
        """The segment as `list --json` has it."""
        told = json.loads(self.tarr("list", "--json").stdout)
        found: dict[str, Any] = next(
            each for each in told["segments"] if each["name"] == SEGMENT)
        return found

    def listed(self) -> dict[str, dict[str, Any]]:
        """The guests that `list --json` has, by name."""
        return {guest["name"]: guest for guest in self.segment()["guests"]}

    @property
    def address(self) -> ipaddress.IPv4Interface:
        """The host's address on the segment, as it is configured: `list` costs more time."""
        text = self.machine.path(f"/etc/vdenet/{SEGMENT}.toml").read_text()
        return ipaddress.IPv4Interface(tomllib.loads(text)["address"])

    @property
    def gateway(self) -> str:
        return str(self.address.ip)

    @property
    def network(self) -> ipaddress.IPv4Network:
        return self.address.network

    def lookup(self, name: str) -> str | None:
        """The IPv4 address that the segment's DNS has for a guest, asked directly."""
        told = self.machine.run(["busybox", "nslookup", "-type=a", f"{name}.{DOMAIN}", self.gateway],
                                check=False).stdout
        found = re.findall(r"^Address(?: 1)?: (\S+)$", told.partition("\n\n")[2], re.MULTILINE)
        assert len(found) < 2, told
        return found[0] if found else None

    # What the kernel says.

    def links(self) -> dict[str, dict[str, Any]]:
        """The machine's interfaces by name."""
        told = json.loads(self.machine.run(["ip", "-j", "-d", "link", "show"]).stdout)
        return {link["ifname"]: link for link in told}

    def pids(self, *names: str) -> dict[str, list[int]]:
        """The machine's processes of these names."""
        return {name: sorted(map(int, self.machine.run(
            ["pidof", "-x", name], check=False).stdout.split())) for name in names}

    def namespace(self, guest: Guest) -> int:
        """A process in the network namespace of a guest that shares the machine's kernel."""
        return process_in(guest.run("readlink /proc/self/ns/net").strip())

    def sniff(self, guest: Guest) -> Sniffer:
        """What a guest gets and sends: on its port, where its own kernel is not ours."""
        if guest.name.startswith("q"):
            if guest.name not in self._ports:
                self._ports[guest.name] = self.listed()[guest.name]["port"]
            return Sniffer(self.machine.pid, self._ports[guest.name])
        return Sniffer(self.namespace(guest), guest.interface)

    # Guests.

    def populate(self) -> None:
        """Start a guest of each kind; the slow ones boot while the others are made."""
        self.guests = {guest.name: guest for guest in (
            self.qemu_tap("qa"), self.qemu_vde("qb"), self.run("ra"), self.plugged("va"))}
        self.container = Container(self.machine, "ca", SEGMENT)
        self._stack.callback(self.container.stop)
        self.guests["ca"] = self._stack.enter_context(
            contextlib.closing(self.container.guest()))
        for name in ("qa", "qb"):
            self.guests[name].wait_ready()
        for guest in self.guests.values():
            guest.wait_address()
        for guest in self.guests.values():
            if not guest.name.startswith("q"):
                self._serve(guest)

    def qemu_tap(self, name: str, user: str = "alice") -> Guest:
        """A QEMU machine on a tap; it tells the DHCP server no name: `join` has given it one."""
        return self._guest(name, ["tarr-steps", "join", "qemu", "--name", name, "--",
                                  *self._qemu(name, None)], user)

    def qemu_vde(self, name: str, user: str = "alice") -> Guest:
        """A QEMU machine with the card that `join qemu --print` describes."""
        printed = self.tarr("join", "qemu", "--print", "--name", name, user=user).stdout
        return self._guest(name, [*self._qemu(name, name), *shlex.split(printed)], user)

    def qemu_kept(self, name: str, user: str = "alice") -> Guest:
        """A QEMU machine on the tap that `join qemu --tap` keeps for it; it tells the DHCP server no name."""
        printed = self.tarr("join", "qemu", "--tap", name, user=user).stdout
        return self._guest(name, [*self._qemu(name, None), *shlex.split(printed)], user)

    def qemu(self, name: str, *more: str, user: str = "alice") -> Guest:
        """A QEMU machine that nobody joins, with more options; it tells the DHCP server its name."""
        return self._guest(name, [*self._qemu(name, name), *more], user)

    def run(self, name: str, user: str = "alice") -> Guest:
        """A shell by `join run`, which has an address before it starts."""
        guest = self._guest(name, ["tarr-steps", "join", "run", "--name", name, "--",
                                   "sh", f"{_HERE}/agent"], user)
        guest.wait_ready(20)
        return guest

    def plugged(self, name: str, hostname: str | None = None, user: str = "alice") -> Guest:
        """A shell in a namespace of its own, and vde_plug between a tap there and the switch."""
        # The agent is the first process of a namespace of processes: vde_plug ends with it.
        guest = self._guest(name, [
            "unshare", "--map-root-user", "--net", "--mount", "--uts", "--pid", "--fork",
            "--kill-child", "sh", f"{_HERE}/agent"], user, "vde0")
        guest.wait_ready(10)
        guest.run(f"hostname {name}; : >/tmp/{name}.resolv; ip link set lo up; "
                  f"mount --bind /tmp/{name}.resolv /etc/resolv.conf")
        guest.run(f"vde_plug vde://{SWITCH} tap://vde0 >/tmp/{name}.plug 2>&1 &")
        guest.until("ip link set vde0 up")
        self.dhcp(guest, hostname or name)
        return guest

    def dhcp(self, guest: Guest, hostname: str) -> None:
        """Start a DHCP client in a guest that shares the machine's root."""
        guest.run(f"udhcpc -i {guest.interface} -b -t 20 -T 1 -A 1 -p /tmp/{guest.name}.pid "
                  f"-s {_HERE}/udhcpc -x hostname:{hostname} >/tmp/{guest.name}.udhcpc 2>&1 &")

    def _serve(self, guest: Guest) -> None:
        """A web server with a megabyte that nobody can guess, as the QEMU guests have one."""
        place = self.www(guest)
        guest.run(f"mkdir -p {place} && dd if=/dev/urandom of={place}/blob bs=64k count=16 "
                  f"2>/dev/null && busybox httpd -p 80 -h {place}")

    @staticmethod
    def www(guest: Guest) -> str:
        """What the guest's web server serves."""
        return f"/tmp/{guest.name}.www"

    def _qemu(self, name: str, hostname: str | None) -> list[str]:
        return qemu.argv(self.image, name, hostname=hostname, console=f"/tmp/{name}.console")

    def _guest(self, name: str, argv: list[str], user: str, interface: str = "eth0") -> Guest:
        log = self.machine.path(f"/tmp/{name}.log")
        with log.open("wb") as out:
            process = subprocess.Popen(self.machine.command(argv, user=user),
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out)
        return self._stack.enter_context(
            contextlib.closing(Guest(name, process, interface, log,
                                     self.machine.path(f"/tmp/{name}.console"))))

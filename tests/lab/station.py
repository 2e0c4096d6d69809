"""A guest that is only a network namespace with a veth on a bridge of the machine, and a real DHCP client.

Root's doing, as a container of its own would be: nobody joined it, so all that the segment knows of it is what
it says itself.
"""

from __future__ import annotations

import re
import subprocess
from types import TracebackType

from lab.machine import Entered, Inside


class Station:
    """A context: `name` is the namespace's, the port on the bridge is `p-NAME`."""

    def __init__(self, machine: Entered, name: str, mac: str, bridge: str = "vdenet0") -> None:
        self.machine = machine
        self.name = name
        self.mac = mac
        self.bridge = bridge
        self.port = f"p-{name}"

    def __enter__(self) -> Station:
        self.machine.sh(
            f"ip netns add {self.name}; "
            f"ip link add {self.port} type veth peer name eth0 address {self.mac} netns {self.name}; "
            f"ip -n {self.name} link set lo up; ip -n {self.name} link set eth0 up; "
            f"ip link set {self.port} master {self.bridge} up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.machine.sh(f"ip link del {self.port}; ip netns del {self.name}", check=False)

    def command(self, *argv: str) -> list[str]:
        """`argv` as it is run in the namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *argv]

    def run(self, *argv: str, check: bool = True, timeout: float = 60) -> str:
        """Run a command in the namespace; its stdout."""
        return self.machine.run(self.command(*argv), check=check, timeout=timeout).stdout

    def start(self, *argv: str) -> Inside:
        """Start a command in the namespace."""
        return self.machine.popen(self.command(*argv))

    def lease(self, hostname: str | None = None, client_id: str | None = None, *options: str,
              tries: int = 10) -> str | None:
        """Ask for an address and take it; None when nobody gives one. `client_id` in hexadecimal."""
        script = f"/tmp/{self.name}.udhcpc"
        self.machine.path(script).write_text(
            '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip -4 addr flush dev "$interface"\n'
            'ip addr add "$ip/$mask" brd + dev "$interface"\n'
            f'set >/tmp/{self.name}.lease\n')
        self.machine.path(script).chmod(0o755)
        done = self.machine.run(self.command(
            "udhcpc", "-i", "eth0", "-n", "-q", "-t", str(tries), "-T", "1", "-s", script,
            *(["-x", f"hostname:{hostname}"] if hostname is not None else []),
            *(["-C", "-x", f"0x3d:{client_id}"] if client_id is not None else []), *options), check=False)
        found = re.search(r"lease of (\S+) obtained", done.stdout + done.stderr)
        return found[1] if found else None

    def answers(self) -> dict[str, str]:
        """What the last lease came with, by the names of udhcpc's script."""
        text = self.machine.path(f"/tmp/{self.name}.lease").read_text()
        return dict(re.findall(r"^(\w+)='(.*)'$", text, re.MULTILINE))


def lookup(machine: Entered, server: str, kind: str, name: str) -> list[str]:
    """What the segment's DNS says, asked directly: the lines of the answer, without the words before the value."""
    done = machine.run(["busybox", "nslookup", f"-type={kind}", name, server], check=False)
    body = done.stdout.partition("\n\n")[2]
    found = re.findall(r"^(?:Address|Address \d+): (\S+)|^\S+\s+(?:canonical name|name|text|service|mail exchanger)"
                       r" = (.*)$", body, re.MULTILINE)
    return [address or rest.strip() for address, rest in found]


def ended(process: subprocess.Popen[str]) -> str:
    """End a process and give what it said."""
    process.terminate()
    return process.communicate(timeout=20)[0]

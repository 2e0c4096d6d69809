"""A guest on the segment, of any kind: something with a shell that a test can talk to."""

from __future__ import annotations

import base64
import ipaddress
import itertools
import os
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .machine import children

AGENT = (Path(__file__).parent / "agent.sh").read_text()

# udhcpc's script in guests that have no distribution's: address, route and resolver as leased.
UDHCPC_SCRIPT = """#!/bin/sh
case "$1" in
deconfig)
    ip -4 addr flush dev "$interface"
    ip link set dev "$interface" up ;;
bound|renew)
    ip -4 addr replace "$ip/$mask" brd + dev "$interface"
    for old in $(ip -4 -o addr show dev "$interface" | awk '{print $4}'); do
        [ "$old" = "$ip/$mask" ] || ip -4 addr del "$old" dev "$interface"
    done
    for each in $router; do
        ip route replace default via "$each" dev "$interface"
        break
    done
    for each in $dns; do echo "nameserver $each"; done >/etc/resolv.conf
    [ -z "$domain" ] || echo "search $domain" >>/etc/resolv.conf
    echo "$1 $ip" >>/tmp/leases ;;
esac
"""


@dataclass(frozen=True)
class Answer:
    """What a command in a guest came to."""

    command: str
    code: int
    output: str


class GuestError(AssertionError):
    """A guest that did not do what it was told."""


class Guest:
    """A process whose standard input and output are the agent's; `name` is its host name."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], interface: str = "eth0",
                 *logs: Path) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.name = name
        self.interface = interface
        self.process = process
        self.logs = logs
        self._in: IO[bytes] = process.stdin
        self._out: IO[bytes] = process.stdout
        self._rest = b""
        self._tokens = itertools.count(1)

    def wait_ready(self, timeout: float = 90) -> None:
        """Wait until the agent speaks; what a boot loader said before is passed over."""
        self._answer("t0", "its start", timeout)

    def try_(self, command: str, timeout: float = 30) -> Answer:
        """Run a shell command in the guest, whatever it comes to."""
        token = f"t{next(self._tokens)}"
        if self.process.poll() is not None:
            raise GuestError(f"{self.name} has ended: {self.process.returncode}\n{self.said()}")
        self._in.write(f"{token} {base64.b64encode(command.encode()).decode()}\n".encode())
        self._in.flush()
        return self._answer(token, command, timeout)

    def run(self, command: str, timeout: float = 30) -> str:
        """Run a shell command in the guest; its output, or an error unless it ends with 0."""
        answer = self.try_(command, timeout)
        if answer.code:
            raise GuestError(f"{self.name}: `{command}` gave {answer.code}:\n{answer.output}")
        return answer.output

    def until(self, command: str, timeout: float = 20) -> str:
        """Run a command again and again until it succeeds."""
        deadline = time.monotonic() + timeout
        while True:
            answer = self.try_(command, timeout)
            if answer.code == 0:
                return answer.output
            if time.monotonic() > deadline:
                raise GuestError(f"{self.name}: `{command}` still gives {answer.code} after "
                                 f"{timeout:.0f} s:\n{answer.output}")
            time.sleep(0.2)

    def addresses(self) -> list[ipaddress.IPv4Address]:
        """The IPv4 addresses on the guest's interface."""
        text = self.run(f"ip -4 -o addr show dev {self.interface}")
        return [ipaddress.IPv4Address(each) for each in re.findall(r"inet ([0-9.]+)/", text)]

    def wait_address(self, network: ipaddress.IPv4Network | None = None,
                     timeout: float = 40) -> ipaddress.IPv4Address:
        """Wait for one address (in `network`) and return it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.addresses()
            if len(found) == 1 and (network is None or found[0] in network):
                return found[0]
            time.sleep(0.2)
        raise GuestError(f"{self.name} has no address{f' in {network}' if network else ''} "
                         f"after {timeout:.0f} s but {self.addresses()}\n{self.said()}")

    def mac(self) -> str:
        """The MAC address of the guest's interface."""
        found = re.search(r"link/ether (\S+)", self.run(f"ip link show dev {self.interface}"))
        if not found:
            raise GuestError(f"{self.name}: no MAC address on {self.interface}")
        return found[1]

    def said(self) -> str:
        """How its process ended, and the end of what it wrote to its logs."""
        told = [f"exit code {self.process.poll()}"]
        for log in self.logs:
            if log.exists():
                told.append(f"{log.name}:\n{log.read_text(errors='replace')[-4000:]}")
        return "\n".join(told)

    def close(self) -> None:
        """End the guest by ending its process; its own clean-up gets two seconds."""
        for stream in (self._in, self._out):
            try:
                stream.close()
            except OSError:
                pass
        for send in (lambda: None, self.terminate, self.process.kill):
            send()
            try:
                self.process.wait(2)
                return
            except subprocess.TimeoutExpired:
                continue

    def terminate(self) -> None:
        """SIGTERM to the guest's own process (ours is an nsenter that waits for it)."""
        for pid in children(self.process.pid) or [self.process.pid]:
            os.kill(pid, signal.SIGTERM)

    def _answer(self, token: str, command: str, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        while True:
            words = self._line(deadline, command).split()
            # A late answer to an earlier command that ran out of time is not ours.
            if len(words) in (2, 3) and words[0] == f"={token}":
                text = base64.b64decode(words[2]).decode(errors="replace") if words[2:] else ""
                return Answer(command, int(words[1]), text)

    def _line(self, deadline: float, command: str) -> str:
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._out], [], [], left)[0]:
                raise TimeoutError(f"{self.name}: `{command}` ran out of time\n{self.said()}")
            data = os.read(self._out.fileno(), 65536)
            if not data:
                raise GuestError(f"{self.name} went away during `{command}`\n{self.said()}")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")


@dataclass
class Ping:
    """A ping that runs in a guest while the test does something to the segment."""

    guest: Guest
    path: str

    @classmethod
    def start(cls, guest: Guest, target: str, interval: float = 0.1) -> Ping:
        path = f"/tmp/ping-{target}-{time.monotonic_ns()}"
        guest.run(f"ping -i {interval} {target} >{path} 2>&1 & echo $! >{path}.pid")
        ping = cls(guest, path)
        guest.until(f"grep -q seq= {path}", timeout=15)
        return ping

    def stop(self) -> tuple[int, list[int]]:
        """End it; how many were sent, and the sequence numbers that were never answered."""
        # The answer to the last one sent may still be on its way: one more second, then the last
        # second's numbers are not counted.
        self.guest.run(f"sleep 1; kill -INT $(cat {self.path}.pid); sleep 0.3")
        text = self.guest.run(f"cat {self.path}")
        seen = [int(each) for each in re.findall(r"seq=(\d+)", text)]
        if not seen:
            raise GuestError(f"{self.guest.name}: no answer at all:\n{text}")
        assert len(seen) == len(set(seen)), f"duplicates:\n{text}"
        return max(seen) - min(seen) + 1, sorted(set(range(min(seen), max(seen) + 1)) - set(seen))

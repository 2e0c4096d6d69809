"""Two guests go on talking while the daemon is killed and started again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine

GUESTS = ("ga", "gb")
# udhcpc is all that asks for an address in there.
SCRIPT = """#!/bin/sh
[ "$1" != bound ] || { ip addr add "$ip/$mask" dev "$interface"; echo "$ip" >/tmp/address.$interface; }
"""


@pytest.fixture(scope="module")
def addresses(machine: Machine, daemon: Daemon) -> Iterator[list[str]]:
    """The addresses that the guests were given; their veths are put on the bridge by hand."""
    script = machine.path("/tmp/bound")
    script.write_text(SCRIPT)
    script.chmod(0o755)
    found = []
    for name in GUESTS:
        machine.sh(f"ip netns add {name}; ip link add {name} type veth peer name in{name} netns {name};"
                   f" ip link set {name} addrgenmode none master vdenet0 up; ip -n {name} link set in{name} up")
        machine.run(["ip", "netns", "exec", name, "udhcpc", "-i", f"in{name}", "-s", "/tmp/bound",
                     "-q", "-n", "-f", "-T", "1", "-t", "10"])
        found.append(machine.path(f"/tmp/address.in{name}").read_text().strip())
    traces.settle(machine)
    yield found
    for name in GUESTS:
        machine.run(["ip", "netns", "del", name])


def test_nothing_is_lost_and_nothing_is_changed(machine: Machine, daemon: Daemon, addresses: list[str]) -> None:
    before, services = traces.kernel(machine), traces.services(machine)
    ping = machine.popen(["ip", "netns", "exec", GUESTS[0], "ping", "-q", "-i", "0.01", "-c", "400", addresses[1]])
    time.sleep(0.5)
    daemon.kill()
    time.sleep(1)
    with Daemon(machine) as again:
        time.sleep(1)
        assert again.said("vdenet0: as it should be")
        assert not [line for line in again.lines if line.startswith(("+", "-", "~"))]
        assert traces.services(machine) == services
        shown, _none = ping.communicate(timeout=30)
        assert re.search(r"400 packets transmitted, 400 received, 0% packet loss", shown), shown
        assert not traces.difference(before, traces.kernel(machine))
        # The other way to end: an upgrade.
    assert traces.services(machine) == services
    with Daemon(machine) as again:
        assert again.said("vdenet0: as it should be")
        assert traces.services(machine) == services


def test_an_address_changes_under_a_ping(machine: Machine, addresses: list[str]) -> None:
    """The ports are kept, the old address is served on."""
    with Daemon(machine):
        ping = machine.popen(["ip", "netns", "exec", GUESTS[0], "ping", "-q", "-i", "0.01", "-c", "300", addresses[1]])
        time.sleep(0.3)
        machine.run(["tarr-steps", "ip", "10.9.8.1/24"], user="alice")
        shown, _none = ping.communicate(timeout=30)
        assert re.search(r"300 packets transmitted, 300 received, 0% packet loss", shown), shown
        assert machine.run(["tarr-steps", "ip"]).stdout.strip() == "10.9.8.1/24"

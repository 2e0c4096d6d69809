"""`check` against the real Docker, ufw and firewalld: it is right about them, and its commands mend it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from lab import roots
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.outside import Outside

USER = "alice"
# From a guest: has it an address, does it find names, does it get out, does it reach another guest?
GUEST = """
import socket, subprocess, urllib.request
def can(what, *arguments, **more):
    try:
        what(*arguments, **more)
    except OSError:
        return False
    return True
socket.setdefaulttimeout(3)
print("dhcp")
if can(socket.getaddrinfo, "gateway.vdenet.internal", 80): print("dns")
if can(urllib.request.urlopen, "http://%s/whoami", timeout=3): print("out")
if not subprocess.call(["ping", "-qc1", "-W2", "%s"], stdout=subprocess.DEVNULL): print("guest")
"""
ALL = {"dhcp", "dns", "out", "guest"}
FIREWALLS = ("docker-forward-drop", "ufw-forward-drop", "ufw-input-drop", "firewalld-reject",
             "firewall-forward-drop", "firewall-input-drop")


class Host:
    """A machine with the package, an uplink, and a firewall to come."""

    def __init__(self, machine: Machine, outside: Outside) -> None:
        self.machine = machine
        self.outside = outside
        self._peer = ""

    def peer(self) -> str:
        """The address of a guest that stays, for others to reach."""
        shown = self.machine.popen(["tarr-steps", "join", "run", "--quiet", "--", "sh", "-c",
                                    "ip -o -4 address show eth0; exec sleep 600"], user=USER).stdout
        assert shown is not None
        return shown.readline().split()[3].partition("/")[0]

    def works(self) -> set[str]:
        """What a guest can do."""
        self._peer = self._peer or self.peer()
        done = self.machine.run(["tarr-steps", "join", "run", "--quiet", "--", "python3", "-c",
                                 GUEST % (self.outside.address, self._peer)], user=USER, check=False)
        return set(done.stdout.split())

    def findings(self) -> dict[str, dict[str, Any]]:
        """What `check` finds, by code."""
        told = json.loads(self.machine.run(["tarr-steps", "check", "--json"], user=USER, check=False).stdout)
        return {finding["code"]: finding for finding in told["findings"]}

    def firewalls(self) -> dict[str, dict[str, Any]]:
        return {code: found for code, found in self.findings().items() if code in FIREWALLS}

    def mend(self) -> None:
        """Do what the hints say, word for word, but as root already."""
        for found in self.firewalls().values():
            self.machine.run(["sh", "-ec", found["hint"].replace("sudo ", "")])


@contextmanager
def host(suite: str, deb: Path, packages: Sequence[str]) -> Iterator[Host]:
    with ExitStack() as stack:
        machine = stack.enter_context(Machine(roots.root(suite, "depends", extra=packages), cgroup=True))
        outside = stack.enter_context(Outside(machine.pid))
        shutil.copy(deb, machine.path("/srv/vdenet.deb"))
        machine.sh("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d")
        machine.run(["dpkg", "--install", "/srv/vdenet.deb"])
        if os.environ.get("VDENET_TREE"):
            shutil.copytree(roots.REPOSITORY / "src/vdenet", machine.path("/usr/lib/python3/dist-packages/vdenet"),
                            dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        machine.user(USER, member=True)
        # As Docker loads it: then frames between guests pass the firewalls too.
        for name in ("iptables", "ip6tables"):
            machine.sh(f"echo 1 >/proc/sys/net/bridge/bridge-nf-call-{name}")
        yield Host(machine, outside)


FIREWALL_PACKAGES = ("ufw", "firewalld", "iptables")
each_suite = pytest.mark.parametrize("suite", ["trixie", "bookworm"])


@each_suite
def test_ufw(suite: str, deb: Path) -> None:
    with host(suite, deb, FIREWALL_PACKAGES) as here, Daemon(here.machine):
        assert (here.works(), here.firewalls()) == (ALL, {})
        here.machine.run(["ufw", "--force", "enable"])
        found = here.firewalls()
        assert set(found) == {"ufw-forward-drop", "ufw-input-drop"}
        assert all(each["severity"] == "error" for each in found.values())
        assert here.works() == set()
        here.mend()
        assert (here.works(), here.firewalls()) == (ALL, {})
        here.machine.run(["ufw", "--force", "reload"])
        assert (here.works(), here.firewalls()) == (ALL, {})


@each_suite
def test_firewalld(suite: str, deb: Path) -> None:
    with host(suite, deb, FIREWALL_PACKAGES) as here, Daemon(here.machine):
        here.machine.sh("mkdir -p /run/dbus && dbus-daemon --system --fork")
        assert here.works() == ALL
        here.machine.popen(["firewalld", "--nofork"], stdout=None)
        wait_for(lambda: here.machine.run(["firewall-cmd", "--state"], check=False).returncode == 0, 20, "firewalld")
        found = here.firewalls()
        assert set(found) == {"firewalld-reject"}
        assert "traffic between guests" in found["firewalld-reject"]["message"]
        assert here.works() == set()
        here.mend()
        assert (here.works(), here.firewalls()) == (ALL, {})


def docker(machine: Machine) -> None:
    machine.popen(["dockerd"], stdout=None)
    wait_for(lambda: machine.run(["iptables", "-S", "DOCKER-USER"], check=False).returncode == 0
             and machine.path("/run/docker.sock").exists(), 40, "Docker")


def test_docker_before(deb: Path) -> None:
    """Started first, Docker turns forwarding on, and with it drops what it does not know."""
    with host("trixie", deb, ("docker.io", "iptables")) as here:
        docker(here.machine)
        with Daemon(here.machine):
            found = here.firewalls()
            assert set(found) == {"docker-forward-drop"}
            assert "traffic between guests" in found["docker-forward-drop"]["message"]
            assert here.works() == {"dhcp", "dns"}
            here.mend()
            assert (here.works(), here.firewalls()) == (ALL, {})


def test_docker_afterwards(deb: Path) -> None:
    """Where the segment is up already, Docker leaves forwarding alone."""
    with host("trixie", deb, ("docker.io", "iptables")) as here, Daemon(here.machine):
        docker(here.machine)
        assert (here.works(), here.firewalls()) == (ALL, {})


def test_rules_written_by_hand(deb: Path) -> None:
    with host("trixie", deb, FIREWALL_PACKAGES) as here, Daemon(here.machine):
        nft = ["nft", "--file", "-"]
        here.machine.run(nft, input="""
            table inet mine {
                set lan {
                    type ifname
                    elements = { "lo" }
                }
                chain input {
                    type filter hook input priority 0; policy drop
                    ct state established,related accept
                    iifname @lan accept
                    udp dport { 53, 67 } accept
                }
                chain forward {
                    type filter hook forward priority 10
                    ct state vmap { established : accept, related : accept, invalid : drop }
                    iifname "vdenet*" jump guests
                }
                chain guests {
                    ip daddr 192.0.2.0/24 accept
                    reject with icmpx admin-prohibited
                }
            }""")
        found = here.firewalls()
        assert set(found) == {"firewall-forward-drop", "firewall-input-drop"}
        # DHCP and DNS come through, only the host cannot be pinged.
        assert found["firewall-input-drop"]["severity"] == "warning"
        assert here.works() == {"dhcp", "dns"}
        here.mend()
        assert (here.works(), here.firewalls()) == (ALL, {})


def test_a_network_that_came_later(deb: Path) -> None:
    with host("trixie", deb, FIREWALL_PACKAGES) as here, Daemon(here.machine):
        address = json.loads(here.machine.run(["tarr-steps", "ip", "--json"], user=USER).stdout)["address"]
        network = IPv4Interface(address).network
        assert "overlap" not in here.findings()
        here.machine.run(["ip", "route", "add", str(next(network.subnets())), "dev", "eth0"])
        found = here.findings()["overlap"]
        assert found["severity"] == "error" and "eth0" in found["message"]
        here.machine.run(["sh", "-ec", found["hint"]], user=USER)
        assert "overlap" not in here.findings()
        assert here.works() == ALL

"""Every verb in all its spellings, as one member would try them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lab.machine import Entered
from system import scenario

Spellings = tuple[tuple[str, ...], ...]

START: Spellings = (("start",), ("--start",), ("-st",), ("start", "vdenet0"), ("--segment", "vdenet0", "-st"))
STOP: Spellings = (("stop",), ("--stop",), ("-sp",), ("stop", "vdenet0"), ("-sp", "--segment", "vdenet0"))
RELOAD: Spellings = (("reload",), ("--reload",), ("-r",), ("reload", "vdenet0"))
CHECK: Spellings = (("check",), ("--check",), ("-c",), ("check", "vdenet0"))
LIST: Spellings = (("list",), ("--list",), ("--liste",), ("-l",))
SHOW: Spellings = (("ip",), ("--ip",), ("-ip",))
SET: Spellings = (("ip", "{}"), ("--ip", "{}"), ("-ip", "{}"), ("{}", "--ip"), ("{}", "-ip"))


@dataclass(frozen=True)
class Member:
    """Somebody at the keyboard: a fresh login, or one with the groups that it began with."""

    machine: Entered
    user: str
    groups: Sequence[str] | None = None

    def says(self, *arguments: str, exit: int | None = 0) -> str:
        done = scenario.steps(
            self.machine, *arguments, user=self.user, groups=self.groups, exit=exit
        )
        return done.stdout

    @property
    def state(self) -> str:
        return str(scenario.segment(self.machine)["state"])


def every_verb(member: Member, *, spellings: int | None = None) -> None:
    """At most so many spellings of each; leaves the segment up and its address as it was."""
    machine = member.machine
    address = scenario.segment(machine)["address"]

    assert address in member.says()
    for helping in ("-h", "--help"):
        assert "tarr-steps" in member.says(helping)
    version = machine.run(["dpkg-query", "--show", "--showformat=${Version}", "vdenet"]).stdout
    assert version.split("-")[0].split("+")[0] in member.says("--version")

    for words in LIST[:spellings]:
        said = member.says(*words)
        assert "vdenet0" in said and address in said
        assert json.loads(member.says("--json", *words))["segments"][0]["address"] == address
    for words in CHECK[:spellings]:
        assert json.loads(member.says(*words, "--json"))["ok"] is True
    assert address in member.says("check")
    for words in SHOW[:spellings]:
        assert address in member.says(*words)
        shown = json.loads(member.says(*words, "--json"))
        assert {"segment": "vdenet0", "address": address}.items() <= shown.items()
    for words in RELOAD[:spellings]:
        member.says(*words)
        assert member.state == "up"

    for stop, start in zip(STOP[:spellings], START[:spellings], strict=True):
        member.says(*stop)
        assert (state := member.state) == "down", (stop, state)
        assert not _link(machine)
        assert member.says(*stop), f"{stop}: a segment that is down already is said to be"
        member.says(*start)
        assert (state := member.state) == "up", (start, state)
        assert _link(machine)
        assert member.says(*start), f"{start}: a segment that is up already is said to be"
    assert member.says("start", "--quiet") == ""

    network = ipaddress.IPv4Interface(address).network
    for number, words in enumerate(SET[:spellings], 1):
        other = f"{network.network_address + (number + 1)}/{network.prefixlen}"
        member.says(*(word.format(other) for word in words))
        assert scenario.segment(machine)["address"] == other, words
        assert f' {other} ' in _addresses(machine), words
    member.says("ip", address)
    assert scenario.segment(machine)["address"] == address
    assert member.state == "up"

    # A name that somebody has is his until he leaves.
    name = f"box-{member.user}"
    printed = member.says("join", "qemu", "--print", "--name", name)
    assert "vde" in printed and "/run/vdenet/vdenet0/switch" in printed
    member.says("leave", "qemu", name)
    inside = member.says("join", "run", "--name", name, "--", "ip", "-4", "-o", "address")
    got = [word for line in inside.splitlines() if " eth0 " in line for word in line.split()]
    assert any(_within(word, address) for word in got), inside
    assert member.says("join", "run", "--", "id", "-un").strip() == member.user
    member.says("join", "run", "--", "sh", "-c", "exit 7", exit=7)
    machine.wait_for(lambda: not scenario.segment(machine)["guests"], 10, "end of the guests")


def refused(machine: Entered, stranger: str) -> None:
    """Somebody who is in no group of ours changes and sees nothing, and is told how to be let in."""
    before = scenario.segment(machine)
    address = before["address"]
    for words in (*START, *STOP, *RELOAD, *LIST, *SHOW, ("ip", address), ("-ip", "10.9.8.1/24"),
                  ("join", "qemu", "--print"), ("join", "run", "--", "true"), ("leave", "run", "x")):
        done = scenario.steps(machine, *words, user=stranger, exit=4)
        assert done.stderr.startswith("tarr-steps: cannot "), (words, done.stderr)
        assert "vdenet" in done.stderr and "\nhint: " in done.stderr, (words, done.stderr)
    assert scenario.segment(machine) == before


def sees_nothing(machine: Entered, stranger: str) -> None:
    """N can do nothing but see that the socket exists (security.md, promise 1)."""
    script = (
        "find /run/vdenet /etc/vdenet /var/lib/vdenet -mindepth 1"
        " \\( -type f -readable -o -writable -o -type d -executable -path '*/*/*/*/*' \\)"
        " -print 2>/dev/null || :"
    )
    found = machine.sh(script, user=stranger).split()
    assert not found, f"{stranger} can read, write or enter {found}"
    assert "control" in machine.sh("ls /run/vdenet", user=stranger)
    for name in ("/run/vdenet/control", "/run/vdenet/vdenet0/switch/ctl"):
        tried = machine.run(
            ["python3", "-c", "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])",
             name],
            user=stranger, check=False,
        )
        assert "PermissionError" in tried.stderr, (name, tried.stderr)


def services_are_not_root(machine: Entered) -> None:
    """vde_switch and dnsmasq run as their own accounts (security.md, promise 11)."""
    lines = machine.sh("ps -eo user:20,comm --no-headers").splitlines()
    owners = {comm: user for user, comm in (line.split(None, 1) for line in lines)}
    assert owners.get("vde_switch") == "vdenet-switch", owners
    assert owners.get("dnsmasq") == "vdenet-dns", owners


def _link(machine: Entered) -> bool:
    return machine.run(["ip", "link", "show", "vdenet0"], check=False).returncode == 0


def _addresses(machine: Entered) -> str:
    return machine.run(["ip", "-4", "-oneline", "address", "show", "dev", "vdenet0"]).stdout


def _within(word: str, address: str) -> bool:
    try:
        return ipaddress.IPv4Interface(word).ip in ipaddress.IPv4Interface(address).network
    except ValueError:
        return False

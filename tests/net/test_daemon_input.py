"""Bad input to every verb: a clear line on stderr, the exit status of the contract, nothing changed."""

from __future__ import annotations

import hashlib

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine

NOT_THERE, LONG, CONTROL = "nosuch", "n" * 300, "a\nb\x1b[31m"
VERBS = ("start", "stop", "reload", "check", "list", "plan", "ip")

ADDRESSES = {
    "out of range": ("10.9.8.256/24", "IPv4"),
    "no length": ("10.9.8.1", "prefix length"),
    "/33": ("10.9.8.1/33", "prefix length"),
    "/31": ("10.9.8.1/31", "/30"),
    "/8": ("10.9.8.1/8", "/16"),
    "IPv6": ("fd00::1/64", "IPv6"),
    "public": ("8.8.8.8/24", "private"),
    "loopback": ("127.0.0.1/24", "private"),
    "the network's own": ("10.9.8.0/24", "network itself"),
    "broadcast": ("10.9.8.255/24", "broadcast"),
    "a name": ("example", "10.83.14.1/24"),
    "empty": ("", "prefix length"),
    "long": (LONG, ""),
    "control characters": (CONTROL, ""),
    "a newline behind": ("10.9.8.1/24\n", ""),
    "other digits": ("10.9.8.1/２４", ""),
}


def state(machine: Machine) -> traces.Traces:
    config = b"".join(path.read_bytes() for path in sorted(machine.path("/etc/vdenet").iterdir()))
    # Link-local addresses and their routes come when the kernel has looked for duplicates.
    kernel = {name: value for name, value in traces.kernel(machine).items() if "fe80::" not in name}
    return {**kernel, **traces.files(machine, "/etc/vdenet"),
            "configuration": hashlib.sha256(config).hexdigest(),
            **{args: str(pid) for args, pid in traces.services(machine).items()}}


def refused(machine: Machine, argv: list[str], status: int, words: str = "") -> str:
    before = state(machine)
    done = machine.run(["tarr-steps", *argv], user="alice", check=False)
    assert done.returncode == status, done.stderr
    first, *hints = done.stderr.rstrip("\n").split("\n")
    assert first.startswith("tarr-steps: cannot ")
    assert all(line.startswith("hint: ") for line in hints)
    assert "Traceback" not in done.stderr and "\x1b" not in done.stderr
    assert words in first
    assert not traces.difference(before, state(machine))
    return done.stderr


@pytest.mark.parametrize("name", ADDRESSES)
def test_address(machine: Machine, daemon: Daemon, name: str) -> None:
    address, words = ADDRESSES[name]
    refused(machine, ["ip", address], 2, words)


@pytest.mark.parametrize("table", ["254", "100"])
def test_network_of_a_route(machine: Machine, daemon: Daemon, table: str) -> None:
    machine.sh("ip link add away type bridge; ip link set away up")
    machine.sh(f"ip route add 10.9.0.0/16 dev away table {table}")
    try:
        assert "10.9.0.0/16" in refused(machine, ["ip", "10.9.8.1/24"], 1, "overlaps")
    finally:
        machine.sh("ip link del away")


@pytest.mark.parametrize("up", [True, False])
def test_network_of_an_interface(machine: Machine, daemon: Daemon, up: bool) -> None:
    machine.sh("ip link add away type bridge; ip addr add 10.9.8.77/25 dev away")
    if up:
        machine.sh("ip link set away up")
    try:
        refused(machine, ["ip", "10.9.8.1/24"], 1, "overlaps")
    finally:
        machine.sh("ip link del away")


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_segment(machine: Machine, daemon: Daemon, verb: str) -> None:
    refused(machine, [verb, f"--segment={NOT_THERE}"], 2, NOT_THERE)


@pytest.mark.parametrize("segment", [LONG, CONTROL, "../vdenet0", "", "-x"],
                         ids=["long", "control", "path", "empty", "option"])
def test_segment(machine: Machine, daemon: Daemon, segment: str) -> None:
    for verb in ("stop", "ip"):
        refused(machine, [verb, f"--segment={segment}"], 2)


@pytest.mark.parametrize("verb", ["ip", "start", "reload", "list", "check"])
def test_broken_configuration(machine: Machine, daemon: Daemon, verb: str) -> None:
    config = machine.path("/etc/vdenet/vdenet0.toml")
    good = config.read_text()
    try:
        config.write_text(good + "\nbroken = = 1\n")
        line = good.count("\n") + 2
        argv = [verb, "10.9.8.1/24"] if verb == "ip" else [verb]
        before = state(machine)
        done = machine.run(["tarr-steps", *argv], user="alice", check=False)
        assert done.returncode in (1, 2)
        assert f"/etc/vdenet/vdenet0.toml:{line}" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert not traces.difference(before, state(machine))
        assert daemon.alive
    finally:
        config.write_text(good)
    machine.run(["tarr-steps", "reload"], user="alice")


@pytest.mark.parametrize("line", ['address = "10.9.8.1/33"', 'address = "fd00::1/64"', 'mode = "magic"', "mode = 1",
                                  'domain = "a b"', 'domain = "a\\nb"', 'unknown = 1', "mtu = 9000"])
def test_bad_value_in_the_configuration(machine: Machine, daemon: Daemon, line: str) -> None:
    config = machine.path("/etc/vdenet/vdenet0.toml")
    good = config.read_text()
    key = line.split()[0]
    kept = "".join(each for each in good.splitlines(keepends=True) if not each.startswith(f"{key} "))
    try:
        config.write_text(kept + line + "\n")
        number = kept.count("\n") + 1
        assert f"/etc/vdenet/vdenet0.toml:{number}" in refused(machine, ["reload"], 2)
    finally:
        config.write_text(good)
    machine.run(["tarr-steps", "reload"], user="alice")


def test_unknown_verb_and_option(machine: Machine, daemon: Daemon) -> None:
    for argv in (["fly"], ["--fly"], ["list", "--fly"], ["start", "a", "b"]):
        before = state(machine)
        done = machine.run(["tarr-steps", *argv], user="alice", check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert not traces.difference(before, state(machine))

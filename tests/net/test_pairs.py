"""From a configuration to another on a real machine: the same is there as from nothing, and a second time nothing happens.

What tests/unit/model/test_several.py says of very many pairs on a simulated machine, of a handful here.
"""

from __future__ import annotations

import json
import random

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine
from lab.vlans import vlans_possible

SEGMENTS = ("vdenet0", "lab")
ASK = """
import socket, sys
console = socket.socket(socket.AF_UNIX)
console.settimeout(20)
console.connect(sys.argv[1])
def read():
    said = b""
    while not said.endswith(b"\\nvde$ "):
        said += console.recv(65536)
    return said.decode()
read()
console.sendall(sys.argv[2].encode() + b"\\n")
print(read())
"""


def some(draw: random.Random, segment: str, address: str, vlans: bool) -> str:
    """A configuration of any of the modes with an address; another address would be served beside it for a while."""
    mode, access = draw.choice((("nat", ""), ("routed", ""), ("isolated", ""), ("isolated", "host_access = false\n")))
    text = f'address = "{address}"\nmode = "{mode}"\n{access}'
    network = address.rpartition(".")[0]
    other = SEGMENTS[1 - SEGMENTS.index(segment)]
    for line in (f'address6 = "fd5e:8a01:22c4:{SEGMENTS.index(segment)}::1/64"', f'domain = "{segment}.example"',
                 "guard = false", 'open = ["tcp/22", "udp/69"]', f'reach = ["{other}"]'):
        text += f"{line}\n" if draw.random() < 0.5 else ""
    text += draw.choice(("", "[dhcp]\nenabled = false\n", f'[dhcp]\nlease = "2h"\nrange = ["{network}.100", "{network}.120"]\n'))
    for number in range(draw.randrange(3)):
        text += (f'[[host]]\nname = "h{number}"\nmac = "52:54:00:00:00:0{number}"\naddress = "{network}.{50 + number}"\n'
                 f'aliases = ["www{number}"]\n')
    if draw.random() < 0.5:
        text += f'[[record]]\nname = "note"\ntype = "TXT"\nvalue = "pair {draw.randrange(9)}"\n'
    declared = [33, 44][:draw.randrange(3)] if vlans else []
    for vlan in declared:
        text += f"[[vlan]]\nid = {vlan}\n" + draw.choice(("", f'address = "10.{vlan}.{SEGMENTS.index(segment)}.1/24"\n'))
    for number in draw.sample((2, 5, 9), draw.randrange(3)):
        text += "[[port]]\n" f"number = {number}\n" + draw.choice(("", *(f"vlan = {vlan}\n" for vlan in declared)))
    return text


def here(machine: Machine) -> traces.Traces:
    """What is there, whenever and in whichever order it was made."""
    kernel = {name: value for name, value in traces.kernel(machine).items()
              if "fe80::" not in name and not name.startswith("nft ")}
    return {**kernel, **rules(machine), **traces.files(machine, "/etc/vdenet", "/run/vdenet/dns"),
            **{args: "" for args in traces.services(machine)}, **{segment: switch(machine, segment) for segment in SEGMENTS}}


def switch(machine: Machine, segment: str) -> str:
    """What the VDE switch says of its VLANs, and of who may plug in where; not what it counted."""
    said = [line for menu in ("vlan", "port") for line in machine.run(
        ["python3", "-c", ASK, f"/run/vdenet/{segment}/console/socket", f"{menu}/allprint"]).stdout.splitlines()
        if line.startswith(("VLAN ", " -- Port ", "Port ", " Current User: "))]
    return "\n".join(said)


def rules(machine: Machine) -> traces.Traces:
    """By table, as the tables stand in the order in which they were made."""
    found = {}
    for segment in SEGMENTS:
        for family in ("inet", "bridge"):
            found[f"table {family} {segment}"] = machine.run(
                ["nft", "--stateless", "list", "table", family, f"vdenet_{segment}"]).stdout
    return found


def apply(machine: Machine, segment: str, text: str) -> list[str]:
    """The steps that it took."""
    done = machine.run(["tarr-steps", "apply", "-", "--segment", segment, "--json"], input=text, user="root", timeout=120)
    steps: list[str] = json.loads(done.stdout)["steps"]
    return steps


@pytest.fixture(scope="module")
def addresses(machine: Machine, daemon: Daemon) -> dict[str, str]:
    """Of both segments."""
    machine.run(["tarr-steps", "segment", "create", "lab"])
    return {segment: json.loads(machine.run(["tarr-steps", "ip", "--json", "--segment", segment]).stdout)["address"]
            for segment in SEGMENTS}


@pytest.mark.parametrize("seed", range(4))
def test_it_does_not_matter_what_was_before(machine: Machine, addresses: dict[str, str], seed: int) -> None:
    draw, vlans = random.Random(seed), vlans_possible(machine)
    for wanted in ({segment: some(draw, segment, addresses[segment], vlans) for segment in SEGMENTS} for _ in range(2)):
        for segment in SEGMENTS:
            apply(machine, segment, wanted[segment])
    for segment in SEGMENTS:
        checked = machine.run(["tarr-steps", "apply", "--check", "-", "--segment", segment], input=wanted[segment], user="alice")
        assert checked.stdout == f"{segment} is as it should be\n"
        assert apply(machine, segment, wanted[segment]) == []
    traces.settle(machine)
    changed = here(machine)
    assert all("Port 0001" in changed[segment] for segment in SEGMENTS), "the switch has answered"
    for segment in SEGMENTS:
        machine.run(["tarr-steps", "stop", segment])
    for segment in SEGMENTS:
        machine.run(["tarr-steps", "start", segment])
    traces.settle(machine)
    assert not traces.difference(here(machine), changed), wanted

"""Segments side by side: none reaches another's guests, its host address or its names, unless both say so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Inside, Machine, wait_for


class Guest:
    """A program on a segment that waits to be reached."""

    def __init__(self, machine: Machine, segment: str, name: str) -> None:
        self.process: Inside = machine.popen(["tarr-steps", "join", "run", "--segment", segment, "--name", name, "--", "sh", "-c",
                                              "until ip -6 -o addr show eth0 scope global | grep -v tentative; do sleep 0.2; done;"
                                              " sleep 1000"], user="alice")
        assert self.process.stdout is not None
        self.shown = ""
        for line in self.process.stdout:
            self.shown += line
            if "inet6" in line:
                break
        self.address6 = re.findall(r"inet6 (fd[0-9a-f:]+)/", self.shown)[0]
        self.address: str = wait_for(lambda: "".join(
            each["address"] or "" for each in told(machine, segment)["guests"] if each["name"] == name), 60, "its address")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def told(machine: Machine, segment: str) -> dict[str, Any]:
    shown = json.loads(machine.run(["tarr-steps", "list", "--segment", segment, "--json"]).stdout)
    found: dict[str, Any] = shown["segments"][0]
    return found


def from_inside(machine: Machine, segment: str, script: str) -> str:
    """What a shell script on the segment says; it has an address that it may use by then, by IPv6 too if it gets one."""
    return machine.run(["tarr-steps", "join", "run", "--segment", segment, "--quiet", "--", "sh", "-c",
                        "for n in 1 2 3 4 5 6 7 8 9; do ip -6 -o addr show eth0 scope global | grep -vq tentative && break; sleep 1; done;"
                        f" {script}"], user="alice", timeout=180).stdout


def reached(machine: Machine, segment: str, *targets: str) -> set[str]:
    """Which of them answer to a ping; all at once, for what does not answer takes its time."""
    script = " ".join(f"(ping -c 4 -W 3 {one} >/dev/null 2>&1 && echo {one}) &" for one in targets) + " wait; :"
    return set(from_inside(machine, segment, script).split())


@pytest.fixture(scope="module")
def lab(machine: Machine, daemon: Daemon) -> Iterator[dict[str, Guest]]:
    """A second segment, and a guest on each."""
    machine.run(["tarr-steps", "segment", "create", "lab"], user="alice")
    with ExitStack() as stack:
        guests = {}
        for segment, name in (("vdenet0", "one"), ("lab", "two")):
            guests[segment] = Guest(machine, segment, name)
            stack.callback(guests[segment].close)
        yield guests


def configure(machine: Machine, segment: str, mode: str, reach: bool) -> None:
    text = machine.path(f"/etc/vdenet/{segment}.toml").read_text()
    other = "lab" if segment == "vdenet0" else "vdenet0"
    text = re.sub(r"^(mode|reach) = .*\n", "", text, flags=re.MULTILINE)
    head = f'mode = "{mode}"\n' + (f'reach = ["{other}"]\n' if reach else "")
    machine.run(["tarr-steps", "apply", "-", "--segment", segment], input=head + text)


@pytest.mark.parametrize(("mine", "other"), (("nat", "nat"), ("nat", "routed"), ("isolated", "routed")))
@pytest.mark.parametrize("both", (False, True), ids=("one says so", "both say so"))
def test_reach(machine: Machine, lab: dict[str, Guest], mine: str, other: str, both: bool) -> None:
    configure(machine, "vdenet0", mine, True)
    configure(machine, "lab", other, both)
    one, two = lab["vdenet0"], lab["lab"]
    host = told(machine, "lab")["address"].partition("/")[0]
    host6 = str(told(machine, "lab")["address6"]).partition("/")[0]
    mine_dns = told(machine, "vdenet0")["address"].partition("/")[0]
    asked = "; ".join(f"busybox nslookup two.lab.internal {server} 2>&1" for server in (mine_dns, host)) + "; :"
    if not both:
        assert reached(machine, "vdenet0", two.address, two.address6, host, host6) == set()
        assert reached(machine, "lab", one.address, one.address6) == set()
        assert two.address not in from_inside(machine, "vdenet0", asked), "nor does the other's DNS answer"
        return
    six = {two.address6} if mine != "isolated" else set()
    assert reached(machine, "vdenet0", two.address, host, *six) == {two.address, host, *six}
    assert reached(machine, "lab", one.address) == {one.address}
    assert two.address in from_inside(machine, "vdenet0", f"busybox nslookup two.lab.internal {mine_dns}")
    assert one.address in from_inside(machine, "lab", f"busybox nslookup one.vdenet.internal {host}")

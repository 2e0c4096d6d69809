"""A real QEMU machine on the tap that `join qemu --tap` keeps for it, by the arguments that this prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from lab.ground import DOMAIN, SEGMENT, Ground
from lab.guest import Guest
from lab.machine import wait_for

NAME = "qk"


@pytest.fixture(scope="module")
def kept(ground: Ground) -> Iterator[Guest]:
    with contextlib.closing(ground.qemu_kept(NAME)) as guest:
        guest.wait_ready()
        yield guest
    ground.tarr("leave", "qemu", NAME, check=False)


def test_it_has_a_lease_and_the_name_that_it_joined_by(ground: Ground, kept: Guest) -> None:
    address = str(kept.wait_address(ground.network))
    assert ground.lookup(NAME) == address
    told = ground.machine.run(["getent", "ahostsv4", f"{NAME}.{DOMAIN}"]).stdout
    assert told.split()[0] == address
    ground.machine.run(["ping", "-4", "-c", "1", "-W", "5", f"{NAME}.{DOMAIN}"])


@pytest.mark.parametrize("other", ["qb", "ca"])
def test_guests_reach_one_another_by_name(ground: Ground, kept: Guest, other: str) -> None:
    there = ground.guests[other]
    for asker, asked in ((there, kept), (kept, there)):
        asker.run(f"ping -4 -c 1 -W 5 {asked.name}.{DOMAIN} | grep -F '({asked.wait_address(ground.network)})'")


def test_list_says_what_it_is(ground: Ground, kept: Guest) -> None:
    kept.run(f"ping -c 1 -W 5 {ground.gateway}")
    guest = ground.listed()[NAME]
    assert tuple(guest[key] for key in ("kind", "owner", "via", "mac", "address", "joined")) == (
        "qemu", "alice", "tap", kept.mac(), str(kept.wait_address(ground.network)), True)
    assert ground.links()[guest["port"]]["master"] == SEGMENT


def test_its_next_start_is_the_same_guest(ground: Ground, kept: Guest) -> None:
    """The tap is there in between, and nobody else gets the name."""
    port, mac, address = (ground.listed()[NAME][key] for key in ("port", "mac", "address"))
    kept.close()
    wait_for(lambda: "LOWER_UP" not in ground.links()[port]["flags"], 10, "the end of its machine")
    refused = ground.tarr("join", "run", "--name", NAME, "--", "true", user="bob", check=False)
    assert (refused.returncode, f"cannot use the name {NAME}" in refused.stderr) == (1, True)
    with contextlib.closing(ground.qemu_kept(NAME)) as again:
        again.wait_ready()
        assert (again.mac(), str(again.wait_address(ground.network))) == (mac, address)
        assert ground.listed()[NAME]["port"] == port


@pytest.mark.parametrize("runs", [True, False], ids=["running", "off"])
def test_leave_takes_the_tap(ground: Ground, runs: bool) -> None:
    guest = ground.qemu_kept("ql")
    port = ground.listed()["ql"]["port"]
    wait_for(lambda: "LOWER_UP" in ground.links()[port]["flags"], 20, "a machine on the tap")
    if not runs:
        guest.close()
    assert ground.tarr("leave", "qemu", "ql").stdout == f"ql has left {SEGMENT}\n"
    assert port not in ground.links()
    assert "ql" not in ground.listed()
    ground.tarr("join", "run", "--name", "ql", "--", "true", user="bob")
    guest.close()
    assert "is not on" in ground.tarr("leave", "qemu", "ql").stdout

"""Guests that were put on the segment by hand: `list` says what they are, which and whose."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from lab.ground import SEGMENT, SWITCH, Ground
from lab.guest import Guest
from lab.machine import wait_for


def recognised(ground: Ground, name: str) -> dict[str, Any]:
    """The guest as `list` has it, once it has been heard."""
    wait_for(lambda: (ground.listed().get(name) or {}).get("port"), 40, f"{name} on its port")
    return ground.listed()[name]


def what(guest: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(guest[key] for key in ("kind", "guest", "owner", "via", "joined"))


@contextlib.contextmanager
def machine(ground: Ground, name: str, *nic: str, user: str = "alice", called: str | None = None) -> Iterator[Guest]:
    """A QEMU machine started without us, which tells the DHCP server its name."""
    with contextlib.closing(ground.qemu(name, "-name", f"guest={called or name + '-by-hand'},debug-threads=on", *nic,
                                        user=user)) as guest:
        guest.wait_ready()
        guest.wait_address()
        yield guest


def test_a_container_of_lxc(ground: Ground) -> None:
    ground.guests["ca"].run(f"ping -c 1 -W 5 {ground.gateway}")
    assert what(recognised(ground, "ca")) == ("lxc", "ca", "root", "veth", False)


def test_qemu_on_the_switch(ground: Ground) -> None:
    with machine(ground, "hv", "-netdev", f"vde,id=n0,sock={SWITCH}",
                 "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:aa:00:01",
                 user="bob"):
        assert what(recognised(ground, "hv")) == ("qemu", "hv-by-hand", "bob", "vde", False)


def test_a_name_that_is_hostile(ground: Ground) -> None:
    called = "[[[{{{\x1b[31m\n" + "é" * 2000
    with machine(ground, "hn", "-netdev", f"vde,id=n0,sock={SWITCH}",
                 "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:aa:00:03", called=called):
        shown = str(recognised(ground, "hn")["guest"])
        assert shown.startswith("[[[{{{?[31m?é") and len(shown) == 64
        assert "\x1b" not in ground.tarr("list").stdout
        ground.tarr("check", check=False)


def test_qemu_on_a_tap_of_roots_making(ground: Ground) -> None:
    tap = ["ip", "tuntap", "add", "dev", "tap-hand", "mode", "tap", "user", "bob"]
    ground.machine.run(tap)
    try:
        ground.machine.run(["ip", "link", "set", "tap-hand", "master", SEGMENT, "up"])
        with machine(ground, "ht", "-netdev", "tap,id=n0,ifname=tap-hand,script=no,downscript=no",
                     "-device", "virtio-net-pci,netdev=n0", user="bob"):
            assert what(recognised(ground, "ht")) == ("qemu", "ht-by-hand", "bob", "tap", False)
    finally:
        ground.machine.run(["ip", "tuntap", "del", "dev", "tap-hand", "mode", "tap"])


def test_what_a_program_only_says_of_itself(ground: Ground) -> None:
    """Another member's process with the MAC of a guest on its command line does not become that guest."""
    with machine(ground, "hw", "-netdev", f"vde,id=n0,sock={SWITCH}",
                 "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:aa:00:02",
                 user="alice"):
        fake = ground.machine.popen(
            ["bash", "-c", "exec -a qemu-system-x86_64 tail -f /dev/null -- -name evil "
             "-device e1000,netdev=x,mac=52:54:00:aa:00:02"], user="bob")
        try:
            assert what(recognised(ground, "hw")) == ("qemu", "hw-by-hand", "alice", "vde", False)
        finally:
            fake.kill()
            fake.wait()


def test_those_that_joined(ground: Ground) -> None:
    for name, kind in (("qa", "qemu"), ("qb", "qemu"), ("ra", "run")):
        ground.guests[name].run(f"ping -c 1 -W 5 {ground.gateway}")
        guest = recognised(ground, name)
        assert (guest["kind"], guest["owner"], guest["joined"]) == (kind, "alice", True)


def test_silent_guests_are_still_there(ground: Ground) -> None:
    """Bridge and switch forget who is silent for minutes."""
    for name in ("ca", "qb", "va"):
        ground.guests[name].run(f"ping -c 1 -W 5 {ground.gateway}")
    known = {name: what(recognised(ground, name)) for name in ("ca", "qb", "va")}
    ground.machine.sh(f"echo 1 >/sys/class/net/{SEGMENT}/bridge/flush")
    listed = ground.listed()
    assert {name: what(listed[name]) for name in known} == known


def test_what_is_not_known_is_null(ground: Ground) -> None:
    """vde_plug says which account it belongs to, and runs no guest of any kind."""
    ground.guests["va"].run(f"ping -c 1 -W 5 {ground.gateway}")
    assert what(recognised(ground, "va")) == (None, None, "alice", "vde", False)

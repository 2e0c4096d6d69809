"""A real QEMU machine goes on without its port: through `leave`, and when its driver sets the card up again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from lab.ground import SEGMENT, Ground
from lab.guest import Guest
from lab.machine import wait_for

# The driver gives the card up and takes it anew, as it does at a boot.
RESET = "cd /sys/bus/virtio/drivers/virtio_net && card=$(ls -d virtio*) && echo $card >unbind && echo $card >bind"


def left(ground: Ground) -> dict[str, str]:
    """The taps of guests that left while their programs run, and which bridge they are on."""
    return {name: link.get("master", "") for name, link in ground.links().items()
            if link.get("ifalias", "").startswith(f"vdenet:{SEGMENT}:left:")}


@pytest.mark.parametrize("made", [Ground.qemu_tap, Ground.qemu_kept], ids=["descriptor", "kept"])
@pytest.mark.parametrize("early", [False, True], ids=["booted", "early"])
def test_it_goes_on(ground: Ground, made: Callable[[Ground, str], Guest], early: bool) -> None:
    with contextlib.closing(made(ground, "qw")) as guest:
        if not early:
            guest.wait_ready()
            guest.wait_address(ground.network)
            guest.run(f"ping -c 1 -W 5 {ground.gateway}")
        wait_for(lambda: "qw" in ground.listed(), 20, "qw listed")
        port = ground.listed()["qw"]["port"]
        wait_for(lambda: "LOWER_UP" in ground.links()[port]["flags"], 20, "a machine on the tap")
        ground.tarr("leave", "qemu", "qw")
        assert port not in ground.links() and "qw" not in ground.listed()
        assert list(left(ground).values()) == [""]
        if early:
            guest.wait_ready()
        assert guest.try_(f"ping -c 1 -W 2 {ground.gateway}").code != 0
        for _again in range(2):
            guest.run(RESET)
        guest.run("ip link set eth0 up")
        assert guest.try_(f"ping -c 1 -W 2 {ground.gateway}").code != 0
        # Whoever is called so next has the name and the port, while the machine still runs.
        ground.tarr("join", "run", "--name", "qw", "--", "true", user="bob")
        assert len(left(ground)) == 1
    wait_for(lambda: not left(ground), 20, "the end of the tap")

"""A guest that ends or leaves is off the segment within 5 s, with its port; its name is free."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lab.ground import SEGMENT, Ground
from lab.guest import Guest
from lab.machine import wait_for


def ports(ground: Ground) -> set[str]:
    return {name for name, link in ground.links().items() if link.get("master") == SEGMENT}


def gone(ground: Ground, name: str, before: set[str], since: float) -> None:
    wait_for(lambda: name not in ground.listed(), 5, f"list without {name}")
    wait_for(lambda: ports(ground) == before, 5, f"{name}'s port off the bridge")
    assert time.monotonic() - since < 6


def free(ground: Ground, name: str, user: str) -> None:
    """A user gets a name within 5 s: the kernel takes a dead guest's port away when it likes."""
    wait_for(lambda: ground.tarr("join", "run", "--name", name, "--", "true", user=user,
                                 check=False).returncode == 0, 5, f"{name} free for {user}")


def by_its_end(ground: Ground, guest: Guest) -> None:
    guest.close()


def by_kill(ground: Ground, guest: Guest) -> None:
    """SIGKILL to the whole of it: nothing of ours gets to tidy up."""
    ground.machine.run(["pkill", "-KILL", "-u", "alice", "-f", "--", f"[ =]{guest.name}( |$)"],
                       check=False)


def by_leave(kind: str) -> Callable[[Ground, Guest], None]:
    def leave(ground: Ground, guest: Guest) -> None:
        ground.tarr("leave", kind, guest.name)
    return leave


@pytest.mark.parametrize("end", [by_its_end, by_kill, by_leave("run")])
def test_run_is_gone(ground: Ground, end: Callable[[Ground, Guest], None]) -> None:
    before = ports(ground)
    guest = ground.run("rz")
    wait_for(lambda: "rz" in ground.listed(), 5, "rz listed")
    assert len(ports(ground)) == len(before) + 1
    since = time.monotonic()
    end(ground, guest)
    gone(ground, "rz", before, since)
    if end is by_its_end:
        # Its DHCP client had the time to give the lease back; else the lease has to run out.
        assert ground.lookup("rz") is None
    guest.close()
    # Whoever comes next may have the name: another, and then its first owner again.
    free(ground, "rz", "bob")
    free(ground, "rz", "alice")
    wait_for(lambda: ports(ground) == before, 5, "no port")


@pytest.mark.parametrize("end", [by_its_end, by_kill, by_leave("qemu")])
def test_qemu_on_a_tap_is_gone(ground: Ground, end: Callable[[Ground, Guest], None]) -> None:
    """The machine need not boot for it: the port is there when QEMU is."""
    before = ports(ground)
    guest = ground.qemu_tap("qz")
    wait_for(lambda: "qz" in ground.listed(), 10, "qz listed")
    wait_for(lambda: len(ports(ground)) == len(before) + 1, 5, "its port")
    since = time.monotonic()
    end(ground, guest)
    gone(ground, "qz", before, since)
    guest.close()


def test_a_name_in_use_is_refused_and_free_afterwards(ground: Ground) -> None:
    refused = ground.tarr("join", "run", "--name", "qa", "--", "true", user="bob", check=False)
    assert refused.returncode == 1, refused
    assert "qa" in refused.stderr
    ground.tarr("join", "run", "--name", "once", "--", "true", user="bob")
    free(ground, "once", "alice")


def test_another_members_guest_is_out_of_reach(ground: Ground) -> None:
    for kind, name in (("qemu", "qa"), ("run", "ra")):
        refused = ground.tarr("leave", kind, name, user="bob", check=False)
        assert refused.returncode in (1, 4), refused
        assert name in ground.listed()


def test_the_command_decides_the_exit_code(ground: Ground) -> None:
    done = ground.tarr("join", "run", "--", "sh", "-c", "id -un; ip -br addr; exit 7", check=False)
    assert done.returncode == 7, done
    assert "alice" in done.stdout
    assert str(ground.network[0]).rsplit(".", 1)[0] in done.stdout


def test_a_qemu_that_does_not_start(ground: Ground) -> None:
    """What it says and exits with is QEMU's own; nothing stays on the segment."""
    before = ports(ground)
    command = ["qemu-system-x86_64", "-bogus"]
    own = ground.machine.run(command, user="alice", check=False)
    done = ground.tarr("join", "qemu", "--name", "qx", "--", *command, check=False)
    assert own.returncode and "-bogus" in own.stderr
    assert (done.returncode, done.stderr.endswith(own.stderr)) == (own.returncode, True), done
    gone(ground, "qx", before, time.monotonic())
    free(ground, "qx", "bob")


def test_a_lease_that_ended_is_no_port(ground: Ground) -> None:
    """`leave` takes the tap off the bridge although QEMU still holds its descriptor."""
    guest = ground.qemu_tap("qy")
    wait_for(lambda: "qy" in ground.listed(), 10, "qy listed")
    port = ground.listed()["qy"]["port"]
    ground.tarr("leave", "qemu", "qy")
    wait_for(lambda: port not in ports(ground), 5, f"{port} off the bridge")
    guest.close()


def test_every_process_of_join_is_the_members_own(ground: Ground) -> None:
    """No child of the daemon runs as root, and what a member runs is the member's."""
    told = ground.machine.run(["ps", "-eo", "user:32,comm", "--no-headers"]).stdout
    owners = {(line.split()[1], line.split()[0]) for line in told.splitlines()}
    assert ("vde_switch", "vdenet-switch") in owners
    assert ("dnsmasq", "vdenet-dns") in owners
    assert not [each for each in owners if each[0] in ("vde_switch", "dnsmasq")
                and each[1] == "root"]

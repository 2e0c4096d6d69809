"""`reload` is for a segment that runs, or ought to: one that was stopped on purpose waits for `start`."""

from __future__ import annotations

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for

BRIDGE = "vdenet0"


def there(machine: Machine) -> bool:
    return machine.path(f"/sys/class/net/{BRIDGE}").exists()


@pytest.mark.parametrize("user", ["alice", "root"])
def test_one_that_was_stopped_stays_down(machine: Machine, daemon: Daemon, user: str) -> None:
    machine.run(["tarr-steps", "stop"], user="alice")
    for _restarted in range(2):
        done = machine.run(["tarr-steps", "reload"], user=user, check=False)
        assert (done.returncode, done.stdout, done.stderr.splitlines()) == (1, "", [
            "tarr-steps: cannot reload: the segment vdenet0 is down", "hint: tarr-steps start vdenet0"])
        assert not there(machine)
        daemon.stop()
        daemon.__init__(machine)  # type: ignore[misc]
    machine.run(["tarr-steps", "start"], user="alice")
    assert machine.run(["tarr-steps", "reload"], user=user).stdout == "vdenet0 is as it should be\n"


def test_one_that_fell_down_is_brought_up(machine: Machine, daemon: Daemon) -> None:
    machine.sh(f"ip link del {BRIDGE}; ip link del {BRIDGE}-vde")
    machine.run(["tarr-steps", "reload"], user="alice")
    assert there(machine)
    wait_for(lambda: machine.run(["tarr-steps", "plan"], user="alice").stdout.endswith("as it should be\n"),
             20, "a repair")

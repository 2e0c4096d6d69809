"""kill -9 of the daemon at every point of every change: the next start converges and nothing is left behind.

The points are divided between a machine of each release, which work side by side.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import crashing, traces
from lab.daemon import SERVES, Daemon
from lab.machine import Machine, MachineError, wait_for
from lab.peer import Peer
from lab.traces import Traces
from vdenet.wire.channel import Closed

SCRIPT, FUSE = "/usr/local/lib/crashing.py", "/tmp/fuse"


class Case:
    """A machine, and what it is like with the segment up, after a stop, and before anything."""

    def __init__(self, machine: Machine, suite: str) -> None:
        self.machine = machine
        self.suite = suite
        shutil.copy(Path(crashing.__file__), machine.path(SCRIPT))
        # What only the first start makes: modules' settings, kept directories.
        with Daemon(machine):
            machine.run(["tarr-steps", "stop"])
        self.forget()
        self.before = traces.kernel(machine)
        with Daemon(machine):
            self.up = settled(machine)
            machine.run(["tarr-steps", "stop"])
        self.down = traces.everything(machine)
        self.same_kernel("after a stop without any crash")
        self.forget()

    def forget(self) -> None:
        """As after a reboot, and with no lease."""
        self.machine.sh("rm -rf /run/vdenet/* /var/lib/vdenet/*")

    def reset(self) -> None:
        """After a failure, so that the next point has a chance."""
        self.disarm()
        self.machine.sh("set +e; pkill -9 -f vdenetd; pkill -9 -f crashing; vdenetd --down; ip link del vdenet0;"
                        " ip link del vdenet0-vde; nft flush ruleset; rm -rf /run/vdenet/*;"
                        " echo 0 >/proc/sys/net/ipv4/ip_forward;"
                        " echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", check=False)

    def daemon(self) -> Daemon:
        """One that can be blown up."""
        return Daemon(self.machine, ["/usr/bin/python3", "-IB", SCRIPT, FUSE], wait=False)

    def arm(self, point: int) -> None:
        self.machine.path(FUSE).write_text(str(point))

    def disarm(self) -> None:
        self.machine.path(FUSE).unlink(missing_ok=True)

    def same_kernel(self, when: str) -> None:
        same(self.before, traces.kernel(self.machine), when)
        assert not traces.services(self.machine), when


def settled(machine: Machine) -> Traces:
    """All that is there, once duplicate detection is over and the kernel has done its part."""
    last: list[Traces] = [{}]

    def steady() -> bool:
        last.append(traces.everything(machine))
        return last[-1] == last[-2] and "tentative" not in machine.run(["ip", "-6", "address"]).stdout

    wait_for(steady, 15, "steady state", 0.1)
    return last[-1]


def same(expected: Traces, found: Traces, when: str) -> None:
    wrong = traces.difference(expected, found)
    assert not wrong, "\n".join([when, *wrong])


def becomes(expected: Traces, machine: Machine, when: str) -> None:
    """As `same`, with a moment for what the kernel does later (a link-local address, a route)."""
    end = time.monotonic() + 15
    while traces.difference(expected, found := traces.everything(machine)) and time.monotonic() < end:
        time.sleep(0.1)
    same(expected, found, when)


@pytest.fixture(scope="module")
def cases(new_machine: Callable[[str], Machine]) -> list[Case]:
    suites = "trixie", "bookworm"
    machines = [new_machine(suite) for suite in suites]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(Case, machines, suites))


def everywhere(cases: Sequence[Case], work: Callable[[Case, int], bool], least: int, every: int = 1) -> None:
    """`work` in all machines at once, each with its share of the points, or of each `every`th.

    It tells whether the point was reached; the first that is not is the end. A failure is not.
    """
    def each(number: int) -> tuple[int, list[str]]:
        case, failures, done = cases[number], list[str](), 0
        for point in itertools.count(number * every, len(cases) * every):
            try:
                if not work(case, point):
                    break
            except (AssertionError, MachineError, subprocess.TimeoutExpired) as error:
                failures.append(f"{case.suite}, point {point}: {error}")
                case.reset()
            done += 1
        return done, failures

    with ThreadPoolExecutor() as pool:
        shares = list(pool.map(each, range(len(cases))))
    assert not any(failures for _done, failures in shares), "\n\n".join(
        failure for _done, failures in shares for failure in failures)
    assert sum(done for done, _failures in shares) >= least


def killed(daemon: Daemon) -> str:
    """Where; the point is the last thing that it said."""
    assert daemon.wait() == -9, "\n".join(daemon.lines)
    return f"killed before {daemon.lines[-1].removeprefix('point ')!r}"


def killed_while_starting(case: Case) -> str | None:
    """None when it served instead."""
    daemon = case.daemon()
    wait_for(lambda: not daemon.alive or any(SERVES in line for line in daemon.lines), 30)
    if daemon.alive:
        case.disarm()
        daemon.stop()
        return None
    return killed(daemon)


def test_while_starting(cases: list[Case]) -> None:
    def work(case: Case, point: int) -> bool:
        case.forget()
        case.arm(point)
        when = killed_while_starting(case)
        if when is not None:
            with Daemon(case.machine):
                becomes(case.up, case.machine, f"{when}, started")
        case.machine.run(["vdenetd", "--down"])
        case.same_kernel(f"{when}, started, taken down")
        return when is not None

    everywhere(cases, work, 15, every=3)


def test_while_starting_then_taken_down(cases: list[Case]) -> None:
    """Removal of the package after a crash: there is no other start before."""
    def work(case: Case, point: int) -> bool:
        case.forget()
        case.arm(point)
        when = killed_while_starting(case)
        case.machine.run(["vdenetd", "--down"])
        case.same_kernel(f"{when}, taken down")
        return when is not None

    everywhere(cases, work, 15, every=3)


def test_while_stopping(cases: list[Case]) -> None:
    def work(case: Case, point: int) -> bool:
        with case.daemon() as daemon:
            daemon.said(SERVES)
            case.machine.run(["tarr-steps", "start"])
            case.arm(point)
            if case.machine.run(["tarr-steps", "stop"], check=False).returncode == 0:
                case.disarm()
                return False
            when = killed(daemon)
        with Daemon(case.machine):
            # Either it was stopped or it was not.
            stopped = case.machine.path("/run/vdenet/state/vdenet0/stopped").exists()
            becomes(case.down if stopped else case.up, case.machine, f"{when}, started")
            case.machine.run(["tarr-steps", "stop"])
            becomes(case.down, case.machine, f"{when}, started, stopped")
        return True

    for case in cases:
        case.forget()
    everywhere(cases, work, 5, every=2)


ADDRESSES = "10.9.8.1/24", "10.9.9.1/24"


def test_while_changing_the_address(cases: list[Case]) -> None:
    def change(case: Case, check: bool = True) -> int:
        now = case.machine.run(["tarr-steps", "ip"]).stdout.strip()
        other = ADDRESSES[now == ADDRESSES[0]]
        return case.machine.run(["tarr-steps", "ip", other], check=check).returncode

    def work(case: Case, point: int) -> bool:
        config = case.machine.path("/etc/vdenet/vdenet0.toml")
        with case.daemon() as daemon:
            daemon.said(SERVES)
            before = config.read_text()
            case.arm(point)
            if change(case, check=False) == 0:
                case.disarm()
                return False
            when = killed(daemon)
        with Daemon(case.machine):
            assert not steps_left(case.machine), when
            address = case.machine.run(["tarr-steps", "ip"]).stdout.strip()
            assert address in ADDRESSES
            text = config.read_text()
            assert text == before or text.replace(*ADDRESSES) == before.replace(*ADDRESSES), when
            assert f'address = "{address}"' in text
            assert f"inet {address} " in case.machine.sh("ip -o addr show dev vdenet0"), when
            assert not unfinished(case.machine), when
        return True

    for case in cases:
        case.forget()
        with Daemon(case.machine):
            case.machine.run(["tarr-steps", "ip", ADDRESSES[0]])
    everywhere(cases, work, 5, every=2)
    for case in cases:
        case.machine.run(["vdenetd", "--down"])
        case.same_kernel("changed often, taken down")


def test_while_a_guest_joins(cases: list[Case]) -> None:
    def join(case: Case) -> bool:
        with Peer(case.machine) as peer:
            try:
                peer.call("Leave", name="web")
                peer.call("OpenTap", name="web")
            except (Closed, OSError):
                return False
            return True

    def work(case: Case, point: int) -> bool:
        with case.daemon() as daemon:
            daemon.said(SERVES)
            case.arm(point)
            if join(case):
                case.disarm()
                return False
            when = killed(daemon)
        with Daemon(case.machine):
            assert not steps_left(case.machine), when
            assert "vd0-" not in case.machine.sh("ip link"), when
            assert not unfinished(case.machine), when
            assert join(case)
        return True

    for case in cases:
        case.forget()
    everywhere(cases, work, 4, every=2)


def steps_left(machine: Machine) -> list[str]:
    with Peer(machine) as peer:
        steps: list[str] = peer.call("Plan")["steps"]
        return steps


def unfinished(machine: Machine) -> str:
    return machine.sh("find /run/vdenet /etc/vdenet /var/lib/vdenet -name '.*'")

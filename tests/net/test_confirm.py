"""apply --confirm: kept when somebody says so, else taken back, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for

CONFIG, PENDING = "/etc/vdenet/vdenet0.toml", "/var/lib/vdenet/vdenet0/pending.json"
LONG, SHORT = "600", "5"


@pytest.fixture
def good(machine: Machine) -> Iterator[str]:
    """The configuration of a running segment; what a test leaves is cleared away."""
    text = machine.path(CONFIG).read_text()
    yield text
    machine.path(PENDING).unlink(missing_ok=True)
    machine.path(CONFIG).write_text(text)


def isolated(text: str) -> str:
    return "# tried\n" + text.replace('mode = "nat"', 'mode = "isolated"')


def apply(machine: Machine, text: str, seconds: str, user: str = "alice") -> str:
    done = machine.run(["tarr-steps", "apply", "--confirm", seconds, "-", "--json"], user=user, input=text)
    assert json.loads(done.stdout)["confirm"] == int(seconds)
    assert machine.path(CONFIG).read_text() == text
    return done.stdout


def tarr(machine: Machine, *words: str, user: str = "alice") -> "subprocess.CompletedProcess[str]":
    return machine.run(["tarr-steps", *words], user=user, check=False)


def taken_back(machine: Machine, good: str) -> None:
    wait_for(lambda: machine.path(CONFIG).read_text() == good and not machine.path(PENDING).exists(), 60, "a rollback")
    wait_for(lambda: json.loads(tarr(machine, "plan", "--json").stdout).get("steps") == [], 60, "the segment as before")
    assert machine.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"


def test_kept(machine: Machine, good: str) -> None:
    with Daemon(machine):
        apply(machine, isolated(good), LONG)
        assert machine.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
        assert machine.path(PENDING).stat().st_mode & 0o777 == 0o600
        refusal = tarr(machine, "apply", "--confirmed", user="bob")
        assert refusal.returncode == 4 and "another user's" in refusal.stderr
        assert tarr(machine, "apply", "--confirmed").stdout == "the change of vdenet0 stays\n"
        assert machine.path(CONFIG).read_text() == isolated(good) and not machine.path(PENDING).exists()
        again = tarr(machine, "apply", "--confirmed")
        assert again.returncode == 1 and "no change of vdenet0 waits" in again.stderr


def test_nobody_confirms(machine: Machine, good: str) -> None:
    with Daemon(machine) as daemon:
        apply(machine, isolated(good), SHORT)
        taken_back(machine, good)
        assert daemon.said("nobody confirmed the change of vdenet0")


def test_taken_back_at_once(machine: Machine, good: str) -> None:
    with Daemon(machine):
        apply(machine, isolated(good), LONG)
        assert tarr(machine, "apply", "--rollback", user="root").returncode == 0
        taken_back(machine, good)


def test_nothing_else_changes_meanwhile(machine: Machine, good: str) -> None:
    with Daemon(machine):
        apply(machine, isolated(good), LONG)
        for words in (["ip", "10.9.8.1/24"], ["apply", "-"], ["apply", "--confirm", "60", "-"],
                      ["segment", "delete", "vdenet0"]):
            done = machine.run(["tarr-steps", *words], input=good, check=False)
            assert done.returncode == 1 and "s to be confirmed" in done.stderr, words
            assert "hint: tarr-steps apply --confirmed keeps" in done.stderr
        assert "taken back in" in tarr(machine, "check").stdout
        tarr(machine, "apply", "--rollback")


def test_nothing_to_do_waits_for_nothing(machine: Machine, good: str) -> None:
    with Daemon(machine):
        done = machine.run(["tarr-steps", "apply", "--confirm", LONG, "-", "--json"], user="alice", input=good)
        assert json.loads(done.stdout)["confirm"] is None and not machine.path(PENDING).exists()


def test_what_it_gives_up_is_nobodys_until_it_is_confirmed(machine: Machine, good: str) -> None:
    with Daemon(machine):
        machine.run(["tarr-steps", "segment", "create", "lab1"], user="alice")
        try:
            text = tarr(machine, "export", "--segment", "lab1").stdout
            machine.run(["tarr-steps", "apply", "--segment", "lab1", "--confirm", LONG, "-", "--json"], user="alice",
                        input=text.replace('"lab1.internal"', '"other.internal"'))
            done = machine.run(["tarr-steps", "segment", "create", "lab2", "-"], user="bob", check=False,
                               input='domain = "lab1.internal"\n')
            assert (done.returncode, "was lab1's, whose change waits" in done.stderr) == (1, True), done.stderr
            machine.run(["tarr-steps", "apply", "--segment", "lab1", "--rollback"], user="alice")
        finally:
            machine.run(["tarr-steps", "segment", "delete", "--force", "lab1"])


def test_a_file_that_root_edited_meanwhile_stays(machine: Machine, good: str) -> None:
    with Daemon(machine) as daemon:
        apply(machine, isolated(good), SHORT)
        machine.path(CONFIG).write_text(isolated(good) + "# by root\n")
        assert daemon.said("was edited since", timeout=60)
        assert machine.path(CONFIG).read_text().endswith("# by root\n") and not machine.path(PENDING).exists()


@pytest.mark.parametrize("moment", ("before its time", "after its time"))
def test_the_daemon_is_killed(machine: Machine, good: str, moment: str) -> None:
    with Daemon(machine) as daemon:
        apply(machine, isolated(good), SHORT if moment == "after its time" else "15")
        daemon.kill()
        if moment == "after its time":
            wait_for(lambda: json.loads(machine.path(PENDING).read_text())["until"] < uptime(), 30, "its time")
        with Daemon(machine):
            if moment == "before its time":
                assert machine.path(CONFIG).read_text() == isolated(good), "it still waits"
            taken_back(machine, good)


def test_a_reboot_is_no_confirmation(machine: Machine, good: str) -> None:
    with Daemon(machine) as daemon:
        apply(machine, isolated(good), LONG)
        daemon.kill()
    # What a reboot changes: all that is volatile is gone, and the kernel calls the boot otherwise.
    machine.sh("vdenetd --down; rm -rf /run/vdenet/*")
    record = json.loads(machine.path(PENDING).read_text())
    machine.path(PENDING).write_text(json.dumps({**record, "boot": "another"}))
    with Daemon(machine):
        assert machine.path(CONFIG).read_text() == good, "before the segment comes up"
        taken_back(machine, good)


@pytest.mark.parametrize("record", ("", "{}", "null", '{"before": 1, "after": "", "uid": [], "boot": "", "until": 0}',
                                    "[" * 10_000))
def test_a_damaged_record(machine: Machine, good: str, record: str) -> None:
    machine.path(PENDING).write_text(record)
    with Daemon(machine) as daemon:
        wait_for(lambda: not machine.path(PENDING).exists(), 30)
        assert machine.path(CONFIG).read_text() == good and daemon.alive


def uptime() -> float:
    import time

    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Terminal:
    """`apply --confirm` on a terminal of its own."""

    def __init__(self, machine: Machine, text: str, seconds: str) -> None:
        machine.path("/tmp/tried").write_text(text)
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            machine.command(["tarr-steps", "apply", "--confirm", seconds, "/tmp/tried"], user="alice"),
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.shown = ""

    def until(self, words: str) -> None:
        def there() -> bool:
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 4096).decode()
            return words in self.shown

        wait_for(there, 60, words)

    def close(self) -> int:
        status = self.process.wait(60)
        os.close(self.master)
        return status


def test_enter_keeps_it(machine: Machine, good: str) -> None:
    with Daemon(machine):
        terminal = Terminal(machine, isolated(good), LONG)
        terminal.until("press Enter to keep it, Ctrl-C to take it back: ")
        os.write(terminal.master, b"\n")
        terminal.until("the change of vdenet0 stays")
        assert terminal.close() == 0
        assert machine.path(CONFIG).read_text() == isolated(good) and not machine.path(PENDING).exists()


def test_an_interrupt_takes_it_back(machine: Machine, good: str) -> None:
    with Daemon(machine):
        terminal = Terminal(machine, isolated(good), LONG)
        terminal.until("press Enter")
        os.kill(next(iter(_children(terminal.process.pid))), signal.SIGINT)
        terminal.until("vdenet0 is as it was before the change")
        assert terminal.close() == 1
        taken_back(machine, good)


def test_a_terminal_that_goes_away(machine: Machine, good: str) -> None:
    with Daemon(machine):
        terminal = Terminal(machine, isolated(good), "8")
        terminal.until("press Enter")
        os.killpg(terminal.process.pid, signal.SIGKILL)
        taken_back(machine, good)
        terminal.close()


def _children(pid: int) -> list[int]:
    from lab.machine import children

    return children(pid)

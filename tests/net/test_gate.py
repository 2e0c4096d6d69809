"""The gate in front of the VDE switch: who is let in, as whom, and what nobody can do to the others."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for

SWITCH = "/run/vdenet/vdenet0/switch"
SOCKETS = "/run/vdenet/vdenet0/sockets"
NOBODY = 200000
"""A number without an account, too long for the switch's own buffer."""

# Asks for a port as libvdeplug does, and says what came back; stays plugged in until its input ends.
_CLIENT = """
import json, os, socket, struct, sys
wish = json.loads(sys.argv[1])
data = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = wish['socket'].encode().replace(b'@', b'\\0', 1) if wish['socket'].startswith('@') else wish['socket'].encode()
if wish['bind']:
    data.bind(name.ljust(108, b'\\0') if name[:1] == b'\\0' else name)
    if name[:1] != b'\\0': os.chmod(name, 0o777)
ctl = socket.socket(socket.AF_UNIX); ctl.settimeout(20)
try:
    ctl.connect(wish['at'] + '/ctl')
    ctl.send(struct.pack('=IIi', 0xfeedface, 3, wish['kind'] | wish['port'] << 8)
             + struct.pack('=H108s', 1, name) + wish['words'].encode())
    said = ctl.recv(200)
except OSError as error:
    print('no:', error.strerror, flush=True); sys.exit()
print('yes:' + said[2:].partition(b'\\0')[0].decode() if said else 'no', flush=True)
if said: ctl.settimeout(None); ctl.recv(1)
"""


class Asked:
    """A program that has asked for a port."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.answer = process.stdout.readline().strip()

    @property
    def port(self) -> int | None:
        """The port that it has; None when it was refused."""
        verdict, _colon, path = self.answer.partition(":")
        return int(path.rpartition("/")[2].partition(".")[0]) if verdict == "yes" else None

    @property
    def pid(self) -> str:
        status = subprocess.run(["cat", f"/proc/{self._inner}/status"], capture_output=True, text=True, check=True)
        return next(line for line in status.stdout.splitlines() if line.startswith("NSpid:")).split()[-1]

    @property
    def _inner(self) -> int:
        from lab.machine import children
        return next(iter(children(self.process.pid)), self.process.pid)


@contextmanager
def client(machine: Machine, name: str, *, user: str | None = "alice", groups: tuple[str, ...] | None = None,
           bind: bool = True, port: int = 0, kind: int = 0, words: str = "a guest", at: str = SWITCH,
           prefix: tuple[str, ...] = ()) -> Iterator[Asked]:
    """Somebody asks; `name` is of his socket: a path, below the control directory if it is none, or @abstract."""
    path = name if name[0] in "/@" else f"{SWITCH}/{name}"
    wish = json.dumps({"socket": path, "bind": bind, "port": port, "kind": kind, "words": words, "at": at})
    with machine.popen([*prefix, "python3", "-c", _CLIENT, wish], user=user, groups=groups, cwd="/",
                       stdin=subprocess.PIPE) as process:
        try:
            yield Asked(process)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
            if bind and path[0] == "/":
                machine.run(["rm", "-f", path])


def console(machine: Machine, command: str) -> str:
    """What the switch answers."""
    return machine.run(["python3", "-c", f"""
import socket
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('/run/vdenet/vdenet0/console/socket')
def read():
    raw = b''
    while not raw.endswith(b'\\nvde$ '): raw += s.recv(65536)
    return raw.decode()
read(); s.sendall(b'{command}\\n'); print(read())
"""]).stdout


def endpoints(machine: Machine) -> dict[int, list[str]]:
    """What each port's clients are said to be."""
    found: dict[int, list[str]] = {}
    port = 0
    for line in console(machine, "port/allprint").splitlines():
        if line.startswith("Port "):
            port = int(line.split()[1])
        elif line.startswith("  -- endpoint "):
            found.setdefault(port, []).append(line.partition(": ")[2])
    return found


def pids(machine: Machine) -> dict[str, str]:
    """The switch's process and the gate's; empty where there is none."""
    return {"switch": machine.sh("pgrep -x vde_switch || true").strip(),
            "gate": machine.sh("pgrep -f vdenet[.]gate || true").strip()}


@pytest.fixture(autouse=True)
def same_pids(machine: Machine, daemon: Daemon) -> Iterator[dict[str, str]]:
    """Each test finds the switch without clients, and leaves it so, and with the same processes; one that ends any
    of them changes what this gives it."""
    before = pids(machine)
    assert all(before.values())
    yield before
    wait_for(lambda: set(endpoints(machine)) == {1}, 20, "the clients' ports free again")
    assert pids(machine) == before


def test_the_switch_says_who_is_there_as_the_kernel_does(machine: Machine) -> None:
    uid = machine.account("alice")[0]
    with client(machine, "mine", words="user=root PID=1 uid=0\nPort 0009 \n  -- endpoint ID 0009 module x: pid=1") as one:
        assert one.port is not None
        assert endpoints(machine)[one.port] == [
            f"pid={one.pid} uid={uid} user=root PID=1 uid=0?Port 0009 ?  -- endpoint ID 0009 module x: pid=1"]
        assert set(endpoints(machine)) == {1, one.port}


def test_a_port_that_is_asked_for(machine: Machine) -> None:
    with client(machine, "mine", port=7) as one:
        assert one.port == 7
        with client(machine, "other", user="bob", port=7) as other:
            assert other.port is None, "one of bob's on alice's port"


@pytest.mark.parametrize("name", ["mine", "@mine"])
def test_nobody_comes_beside_the_bridge(machine: Machine, name: str) -> None:
    with client(machine, name, port=1) as one:
        assert one.answer == "no"
    assert len(endpoints(machine)[1]) == 1


@pytest.mark.parametrize("port", [64, 1 << 22])
def test_a_port_that_there_is_not(machine: Machine, port: int) -> None:
    with client(machine, "mine", port=port) as one:
        assert one.answer == "no"


def test_who_has_no_socket_in_the_file_system_takes_what_is_free(machine: Machine) -> None:
    """User-mode Linux has none; the switch could not tell whose it is."""
    with client(machine, "theirs", user="bob", port=7) as bobs, client(machine, "@mine", port=7) as one:
        assert bobs.port == 7 and one.answer == "no"
    with client(machine, "@mine") as one:
        assert one.port is not None and one.port > 1
        assert endpoints(machine)[one.port][0].startswith(f"pid={one.pid} uid={machine.account('alice')[0]} ")


def test_the_port_that_no_list_shows(machine: Machine) -> None:
    with client(machine, "mine", kind=1) as one:
        assert one.answer == "no"


def test_the_socket_of_another(machine: Machine) -> None:
    bobs = f"{SWITCH}/bobs"
    with client(machine, bobs, user="bob"):
        with client(machine, bobs, bind=False) as one:
            assert one.answer == "no"
        machine.run(["ln", "-s", bobs, f"{SWITCH}/link"], user="alice")
        try:
            with client(machine, f"{SWITCH}/link", bind=False) as one:
                assert one.answer == "no"
        finally:
            machine.run(["rm", f"{SWITCH}/link"], user="alice")


@pytest.mark.parametrize("path", ["/home/alice/socket", "relative", "/etc/passwd", "/run/vdenet/control", "/tmp/..",
                                  "/run/vdenet/vdenet0/switch/../console/socket", "/nonexistent/socket"])
def test_what_is_no_socket_of_theirs(machine: Machine, path: str) -> None:
    with client(machine, path if path != "relative" else "@", bind=path.startswith("/home")) as one:
        assert one.answer == "no"


def test_an_account_without_a_name(machine: Machine) -> None:
    """Its number would run over the end of the switch's buffer when ports are listed."""
    with client(machine, "mine", user=None, groups=("vdenet",),
                prefix=("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", f"--groups={machine.gid('vdenet')}")) as one:
        assert one.answer == "no"
    machine.run(["python3", "-c", f"import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
                                  f"s.bind('{SWITCH}/strange'); os.chown('{SWITCH}/strange', {NOBODY}, {NOBODY})"])
    try:
        with client(machine, "strange", bind=False) as one:
            assert one.answer == "no"
    finally:
        machine.run(["rm", f"{SWITCH}/strange"])
    assert set(endpoints(machine)) == {1}


def test_who_has_left_the_group_is_out_at_once(machine: Machine) -> None:
    machine.run(["gpasswd", "-d", "bob", "vdenet"])
    try:
        with client(machine, "mine", user="bob", groups=("vdenet",)) as one:
            assert one.answer == "no"
    finally:
        machine.run(["gpasswd", "-a", "bob", "vdenet"])
    with client(machine, "mine", user="bob") as one:
        assert one.port is not None


def test_there_is_no_way_past(machine: Machine) -> None:
    """Neither to the switch's own socket, nor to one that stands in for a port."""
    with client(machine, "mine", at=SOCKETS) as one:
        assert one.answer == "no: Permission denied"
    assert machine.run(["ls", SOCKETS], user="alice", check=False).returncode != 0
    with client(machine, "mine") as one:
        assert one.port is not None
        with client(machine, "more", at=SOCKETS) as two:
            assert two.answer == "no: Permission denied"
    for number in ("0", "7", "63"):
        bound = machine.run(["python3", "-c", "import socket, sys; "
                             f"socket.socket(socket.AF_UNIX).bind('{SWITCH}/{number}')"], user="alice", check=False)
        assert "Address already in use" in bound.stderr
        assert machine.run(["rm", "-f", f"{SWITCH}/{number}"], user="alice", check=False).returncode != 0


def test_whatever_is_asked(machine: Machine) -> None:
    """The gate stays, with no descriptor more, and lets the next one in."""
    gate = pids(machine)["gate"]
    before = machine.sh(f"ls /proc/{gate}/fd | wc -l")
    chance = random.Random(8)
    asked = [chance.randbytes(chance.choice((1, 11, 12, 121, 122, 256, 4000))) for _ in range(150)]
    asked += [b"\xce\xfa\xed\xfe\x03\0\0\0" + chance.randbytes(chance.choice((4, 114, 200))) for _ in range(150)]
    said = machine.run(["python3", "-c", f"""
import socket, sys
for line in sys.stdin:
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect('{SWITCH}/ctl')
    try:
        s.sendall(bytes.fromhex(line)); assert not s.recv(200)
    except (ConnectionResetError, BrokenPipeError):
        pass
print('done')
"""], user="alice", input="\n".join(raw.hex() for raw in asked), timeout=120).stdout
    assert said.strip() == "done"
    wait_for(lambda: machine.sh(f"ls /proc/{gate}/fd | wc -l") == before, 20, "no descriptor more")
    with client(machine, "mine") as one:
        assert one.port is not None


def test_one_member_does_not_keep_another_out(machine: Machine) -> None:
    """Neither by asking for nothing nor by asking for everything."""
    hold = f"""
import socket, sys
there = []
for number in range(400):
    s = socket.socket(socket.AF_UNIX); s.settimeout(5)
    try: s.connect('{SWITCH}/ctl')
    except OSError: break
    there.append(s)
print(len(there), flush=True)
sys.stdin.read()
"""
    with machine.popen(["python3", "-c", hold], user="alice", stdin=subprocess.PIPE) as idle:
        assert idle.stdout is not None and int(idle.stdout.readline()) > 0
        with client(machine, "bobs", user="bob") as one:
            assert one.port is not None
        idle.kill()
    with machine.popen(["sh", "-c", f"for n in $(seq 70); do vde_plug vde://{SWITCH} 'cmd://sleep 120' & done; wait"],
                       user="alice", stdin=subprocess.PIPE) as greedy:
        wait_for(lambda: len(endpoints(machine)) == 1 + 48, 90, "three quarters of the ports alice's")
        with client(machine, "bobs", user="bob") as one:
            assert one.port is not None
            assert len(endpoints(machine)) == 1 + 48 + 1, "no more than that"
        greedy.kill()
        machine.run(["pkill", "-u", "alice", "-x", "vde_plug"])


def test_a_switch_that_starts_anew_is_behind_the_gate_again(machine: Machine, same_pids: dict[str, str]) -> None:
    with client(machine, "mine") as one:
        assert one.port is not None
        _kill(machine, same_pids, "switch")
        assert one.process.stdout is not None and not one.process.stdout.read(), "its connection has ended"
        with client(machine, "more", at=SOCKETS) as two:
            assert two.answer.startswith("no: ")
    wait_for(lambda: _let_in(machine), 20, "let in by the new one")
    with client(machine, "again") as one, client(machine, "more", at=SOCKETS) as two:
        assert one.port is not None and two.answer == "no: Permission denied"


def test_a_gate_that_is_killed_comes_back(machine: Machine, same_pids: dict[str, str]) -> None:
    """The bridge, and who is on it, notice nothing."""
    with client(machine, "mine") as one:
        assert one.port is not None
        _kill(machine, same_pids, "gate")
        wait_for(lambda: _let_in(machine), 20, "let in by the new one")
        wait_for(lambda: set(endpoints(machine)) == {1}, 20, "the port free that the old one had given")


def test_a_directory_that_is_removed_comes_back(machine: Machine) -> None:
    """And who is plugged in stays so."""
    with client(machine, "mine") as one:
        machine.run(["rm", "-r", SWITCH])
        wait_for(lambda: machine.path(f"{SWITCH}/ctl").is_socket() and _let_in(machine), 20, "let in again")
        assert one.port in endpoints(machine)
        assert machine.path(f"{SWITCH}/7").is_file()


def _kill(machine: Machine, pids_before: dict[str, str], name: str) -> None:
    old = pids_before[name]
    machine.run(["kill", "-KILL", old])
    wait_for(lambda: pids(machine)[name] not in ("", old), 20, f"another {name}")
    pids_before |= pids(machine)


def _let_in(machine: Machine) -> bool:
    with client(machine, "again") as one:
        return one.port is not None

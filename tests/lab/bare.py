"""An emulated machine with Debian's own kernel and no systemd, vdenet on it, and guests on the segment."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import roots
from .emulated import BARE, KERNEL, Emulated
from .guest import UDHCPC_SCRIPT, GuestError

LONG = 900
"""Seconds that anything may take: emulated, on a busy machine."""
ADDRESS = "10.83.14.1"
PATIENCE = 120
"""Seconds of the emulated machine's own time, which runs by its instructions: however busy this one is, what waits
there for so many seconds gets as much done."""
CLOCK = ("-accel", "tcg,thread=single", "-icount", "shift=1")
SWITCH = "/run/vdenet/vdenet0/switch"
_ASK = """import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect('/run/vdenet/vdenet0/console/socket')
def read():
    raw = b''
    while not raw.endswith(b'\\nvde$ '): raw += s.recv(65536)
    return raw.decode()
read()
for command in sys.argv[1:]: s.sendall(command.encode() + b'\\n'); print(read())
"""


class Lab:
    """The machine, and guests on it. A guest is known by a process in its network: its pid is under /run/lab."""

    def __init__(self, machine: Emulated) -> None:
        self.machine = machine
        self._sleeps = 1000000
        self.run("mkdir -p /run/lab && chmod 1777 /run/lab")
        self.write("/srv/udhcpc", UDHCPC_SCRIPT, 755)  # not below /run: nothing there can be executed
        self.write("/run/lab/ask", _ASK)

    def run(self, command: str) -> str:
        return self.machine.run(command, timeout=LONG)

    def until(self, command: str) -> str:
        """Wait in the machine: asking it again and again would be most of what it does."""
        return self.run(f"for _ in $(seq {PATIENCE}); do {{ {command}; }} && exit 0; sleep 1; done; exit 1")

    def write(self, path: str, text: str, mode: int = 644) -> None:
        self.run(f"cat >{path} <<'X'\n{text}X\nchmod {mode} {path}")

    def tarr(self, *argv: str, user: str = "alice") -> Any:
        """What `tarr-steps --json` of a member says, whatever it comes to."""
        # Who logs in has a home, and there tarr-steps remembers how a guest was.
        command = f"HOME=~{user} {shlex.join(['runuser', '-u', user, '--', 'tarr-steps', '--json', *argv])}"
        said = self.machine.try_(command, LONG).output
        try:
            return json.loads(said)
        except ValueError:
            raise GuestError(f"`tarr-steps {shlex.join(argv)}` said {said!r}") from None

    def apply(self, text: str) -> None:
        """Have a member apply a file."""
        self.write("/tmp/wished.toml", text)
        applied = self.tarr("apply", "/tmp/wished.toml")
        assert "error" not in applied, applied

    # --- guests ---

    def veths(self, guests: Mapping[str, Iterable[str]]) -> dict[str, str]:
        """`join run` with options for each; their addresses, empty where nobody gives one."""
        waits = {}
        for name, options in guests.items():
            self._sleeps += 1
            waits[name] = f"sleep {self._sleeps}"
            join = shlex.join(["tarr-steps", "join", "run", "--name", name, *options, "--", *waits[name].split()])
            self.run(f"(runuser -u alice -- {join}; echo ended) >/run/lab/{name}.log 2>&1 &")
        found = {}
        for name, command in waits.items():
            self.until(f"pgrep -xf '{command}' >/run/lab/{name}.pid || grep ended /run/lab/{name}.log")
            said = self.run(f"cat /run/lab/{name}.log")
            address = re.search(r"joined as \S+, (without an address|[0-9.]+)$", said.strip())
            assert address is not None, said
            found[name] = address[1].removeprefix("without an address")
        return found

    def tap(self, name: str, *options: str) -> None:
        """A tap with a name, and a program that holds it as a hypervisor does."""
        told = self.tarr("join", "qemu", "--tap", name, *options)
        self._start(name, f"python3 /srv/bare_station.py tap {told['port']} {told['mac']}")

    def plug(self, name: str, port: int | None = None, mac: str = "") -> None:
        """vde_plug to the switch."""
        where = SWITCH if port is None else f"{SWITCH}[{port}]"
        self._start(name, f"python3 /srv/bare_station.py vde 'vde://{where}' alice {mac}")

    def _start(self, name: str, command: str) -> None:
        self.run(f"{command} >/run/lab/{name}.log 2>&1 & echo $! >/run/lab/{name}.pid")
        self.until(f"p=$(cat /run/lab/{name}.pid); [ $(readlink /proc/$p/ns/net) != $(readlink /proc/1/ns/net) ] && "
                   "nsenter -n -t $p ip link show up dev eth0 | grep -q LOWER_UP")

    def end(self, *names: str) -> None:
        for name in names:
            self.run(f"pkill -P $(cat /run/lab/{name}.pid); kill $(cat /run/lab/{name}.pid); true")

    def inside(self, name: str, command: str) -> str:
        """A command in a guest's network."""
        return self.run(f"nsenter -n -t $(cat /run/lab/{name}.pid) {command}")

    def dhcp(self, name: str, interface: str = "eth0", patience: int = 60) -> str:
        """The address that DHCP gives it; empty when nobody answers."""
        self.machine.try_(f"nsenter -n -t $(cat /run/lab/{name}.pid) busybox udhcpc -i {interface} -n -q -t "
                          f"{patience // 3} -T 3 -s /srv/udhcpc", timeout=LONG)
        found = re.search(r"inet ([0-9.]+)/", self.inside(name, f"ip -4 -o addr show dev {interface}"))
        return found[1] if found else ""

    # --- who hears whom ---

    def heard(self, stations: Iterable[str], forged: Iterable[str] = ()) -> dict[str, set[tuple[int, str]]]:
        """Everybody speaks to all, and everybody listens: what each has heard, with its tag, 0 for none.

        A station is NAME, NAME:INTERFACE, or :INTERFACE for one of the host's own. `forged` are tags that each
        but the host's tries, too; what it says behind them is NAME>TAGS.
        """
        words = []
        for station in stations:
            name = station.partition(":")[0]
            words.append(f"{station}=$(cat /run/lab/{name}.pid)" if name else f"{station}=")
        said = json.loads(self.run(f"python3 /srv/bare_station.py hear '{','.join(forged)}' {' '.join(words)}"))
        return {name: {(tag, word) for tag, word in what} for name, what in said.items()}

    def ping(self, source: str, target: str) -> None:
        """Begin to ping an address."""
        self.run(f"nsenter -n -t $(cat /run/lab/{source}.pid) ping -n -i 0.5 {target} >/run/lab/{source}.ping 2>&1 & "
                 f"echo $! >/run/lab/{source}.pinging")
        self.until(f"grep -q icmp_seq=3 /run/lab/{source}.ping")

    def lost(self, *sources: str) -> dict[str, int]:
        """End it: how many before the last answer were never answered."""
        pids = " ".join(f"$(cat /run/lab/{source}.pinging)" for source in sources)
        self.run(f"sleep 3; kill -INT {pids}; sleep 1")
        result = {}
        for source in sources:
            said = self.run(f"cat /run/lab/{source}.ping")
            answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)}
            result[source] = max(answered) - len(answered)
        return result

    # --- what is there ---

    def ask_switch(self, *commands: str) -> str:
        return self.run(f"python3 /run/lab/ask {shlex.join(commands)}")

    def vlans_of(self, port: str) -> set[int]:
        """Those of a port of the bridge."""
        return {one["vlan"] for told in json.loads(self.run(f"bridge -j vlan show dev {port}")) for one in told["vlans"]}

    def state(self) -> str:
        """All of the kernel's and the switch's that has to do with VLANs and ports."""
        switch = self.ask_switch("vlan/print", "vlan/allprint", "port/allprint")
        links = self.run("ip -d -o link show")
        kept = [re.sub(r"^\d+: |\b(\w+_timer|fdb_n_learned) +\S+", "", line) for line in links.splitlines()]
        return "\n".join([self.run("bridge vlan show"), *sorted(kept),
                          *(line for line in switch.splitlines() if not re.match(r" *(IN|OUT):", line)),
                          self.run("ip -4 -o addr show; ip route")])

    def settled(self, state: str) -> str:
        """Wait until all is as it was; how it is."""
        end = time.monotonic() + LONG
        while (now := self.state()) != state and time.monotonic() < end:
            time.sleep(1)
        return now


@contextmanager
def booted(deb: Path, *extra: str, memory: int = 1024) -> Iterator[Lab]:
    """The machine with the package `deb` and those of Debian that are `extra`; its daemon runs. `memory`: MiB."""
    root = roots.root("trixie", "installed", deb=deb, extra=("vdeplug", "busybox", *extra, *KERNEL))
    station = Path(__file__).with_name("bare_station.py")
    with Emulated(root, files=[station], memory=memory, command_line=BARE, clock=CLOCK) as machine:
        machine.run("useradd -m alice && useradd -m bob && usermod -aG vdenet alice && usermod -aG vdenet bob", timeout=LONG)
        found = Lab(machine)
        found.write("/etc/vdenet/vdenet0.toml", f'address = "{ADDRESS}/24"\n')
        # There is no init here that would start it.
        found.run("setsid vdenetd >/var/log/vdenetd.log 2>&1 </dev/null &")
        found.until("grep -q ' serves ' /var/log/vdenetd.log")
        yield found

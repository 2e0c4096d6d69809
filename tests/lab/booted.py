"""A throw-away machine with its own init as pid 1, systemd or sysvinit, booted by systemd-nspawn.

nspawn runs in mount, network and pid namespaces of its own. The network namespace plays the
outside: the machine's uplink `host0` is a veth whose other end is there, before its init starts.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from lab.machine import PATH, Entered, MachineError, children, wait_for

UPLINK = "192.0.2.2/24"
GATEWAY = "192.0.2.1"
# The uplink's other end, which nspawn names after the machine.
_LINK = "ve-lab"
# A stranger on the internet, as the machine sees it.
FAR = "198.51.100.7"

# $1 the root, $2 an empty directory, $3 the name, $4... the control groups to live in.
# Exit status 133 is how nspawn says that the machine asked for a reboot.
_SET_UP = r"""
set -e
root=$1 scratch=$2 name=$3
shift 3
for group; do echo 0 >"$group/cgroup.procs"; done
mount -t tmpfs -o mode=755 lab "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
new="$scratch/root"
mount -t overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" \
    overlay "$new" 2>/dev/null || { cp -a "$root/." "$new"; mount --bind "$new" "$new"; }
mknod -m 666 "$scratch/tun" c 10 200
# nspawn leaves directories there.
mount -t tmpfs -o mode=755 run /run
ip link set lo up
ip address add 198.51.100.7/32 dev lo
read -r _ </dev/stdin
while :; do
    status=0
    systemd-nspawn --quiet --directory="$new" --machine=lab --hostname="$name" --boot \
        --register=no --keep-unit \
        --private-network --network-veth --bind="$scratch/tun:/dev/net/tun" --resolv-conf=off --timezone=off \
        --link-journal=no --console=pipe </dev/null || status=$?
    [ "$status" = 133 ] || exit "$status"
done
"""


class Booted(Entered):
    """A booted machine; `with Booted(root("trixie", "systemd")) as machine:`."""

    def __init__(
        self, root: Path, name: str = "lab", *, files: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        # sysvinit has a program of this name, systemd a link.
        self.systemd = (root / "sbin/init").is_symlink()
        self._scratch = tempfile.mkdtemp(prefix="vdenet-booted-")
        self._groups = _control_groups(Path(self._scratch).name)
        self._log = tempfile.NamedTemporaryFile("w+", prefix="vdenet-console-")
        self._process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig=KILL",
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                _SET_UP,
                "sh",
                str(root),
                self._scratch,
                name,
                *map(str, self._groups),
            ],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                "PATH": PATH,
                # systemd 256 and later refuse the old hierarchy, which this host may have.
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            },
            start_new_session=True,
        )
        _open.add(self)
        self._holder = wait_for(lambda: next(iter(children(self._process.pid)), 0), 10, "holder")
        self._new = Path(f"/proc/{self._holder}/root{self._scratch}/root")
        wait_for(lambda: (self._new / "etc").is_dir() or self._process.poll() is not None, 60)
        try:
            own = _systemd_files() if self.systemd else _SYSV_FILES
            self._write({**_identity_files(name), **own, **(files or {})})
            self._enable()
            assert self._process.stdin is not None
            self._process.stdin.write("go\n")
            self._process.stdin.close()
            self._up()
        except BaseException:
            self.close()
            raise

    def _write(self, files: Mapping[str, str]) -> None:
        for inside, text in files.items():
            place = self._new / inside.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.write_text(text)

    def _enable(self) -> None:
        """What `systemctl enable` and `chmod` would do for the uplink."""
        if self.systemd:
            wants = self._new / "etc/systemd/system/multi-user.target.wants"
            wants.mkdir(parents=True, exist_ok=True)
            link = wants / "systemd-networkd.service"
            if not link.is_symlink():
                link.symlink_to("/lib/systemd/system/systemd-networkd.service")
        else:
            (self._new / "etc/uplink").chmod(0o755)

    def _up(self, former: int = 0) -> None:
        """Wait until the machine has booted, and set up the outside's end of its uplink.

        `former` is that of the boot before: it may be there for a moment after the machine has gone down.
        """
        wait_for(lambda: self._uplink() not in (0, former) or self._ended(), 30, "uplink")
        self.outside(["ip", "address", "replace", f"{GATEWAY}/24", "dev", _LINK])
        self.outside(["ip", "link", "set", _LINK, "up"])
        self.pid = wait_for(self._leader, 30, "pid 1 of the machine")
        self.state = self._booted_by_systemd() if self.systemd else self._booted_by_sysv()
        if self.state not in ("running", "degraded"):
            raise MachineError(f"{self.name} is {self.state!r} after booting:\n{self.console()}")
        # networkd is done with the uplink a moment after the boot.
        wait_for(lambda: f"via {GATEWAY}" in self.sh("ip route"), 30, "default route")

    def _booted_by_systemd(self) -> str:
        wait_for(lambda: self.path("/run/systemd/private").exists(), 60, "systemd")
        return self.run(
            ["systemctl", "is-system-running", "--wait"], check=False, timeout=120
        ).stdout.strip()

    def _booted_by_sysv(self) -> str:
        wait_for(lambda: self.path("/run/booted").exists(), 60, "runlevel 2")
        return "running"

    def _ended(self) -> bool:
        if self._process.poll() is not None:
            raise MachineError(f"{self.name} ended at boot:\n{self.console()}")
        return False

    def _uplink(self) -> int:
        """The index of the uplink's end outside, 0 while there is none."""
        shown = self.outside(["ip", "-oneline", "link", "show", _LINK], check=False)
        return int(shown.stdout.partition(":")[0]) if shown.returncode == 0 else 0

    def _leader(self) -> int:
        """The pid of the machine's init: the only child of nspawn that is pid 1 in there."""
        self._ended()
        for nspawn in children(self._holder):
            for pid in children(nspawn):
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                    where = os.readlink(f"/proc/{pid}/exe")
                except OSError:
                    continue
                numbers = next(li for li in status.splitlines() if li.startswith("NSpid:")).split()
                # Until it has executed the init, the child is still nspawn's own code.
                if numbers[-1] == "1" and len(numbers) > 3 and where.endswith(_INITS):
                    return pid
        return 0

    def outside(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this host in the network namespace that plays the outside."""
        return subprocess.run(
            ["nsenter", f"--target={self._holder}", "--net", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
            timeout=timeout,
        )

    def reboot(self) -> None:
        """Reboot by the machine's own init, and wait until it is up again."""
        old, uplink = self.pid, self._uplink()
        self._tell("reboot")
        wait_for(lambda: not Path(f"/proc/{old}").exists(), 90, "shutdown")
        self._up(uplink)

    def poweroff(self) -> None:
        self._tell("poweroff")
        self._process.wait(timeout=90)

    def _tell(self, what: str) -> None:
        self.run(["systemctl", "--no-block", what] if self.systemd else [what])

    def journal(self, *arguments: str) -> str:
        return self.run(["journalctl", "--no-pager", "--boot", *arguments], check=False).stdout

    def console(self) -> str:
        """What the machine wrote to its console since it was made."""
        return Path(self._log.name).read_text(errors="replace")[-8000:]

    def close(self) -> None:
        if self._process.poll() is None:
            # The holder is init of the outer pid namespace: everything goes with it.
            os.kill(getattr(self, "_holder", self._process.pid), signal.SIGKILL)
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        for group in self._groups:
            _remove_group(group)
        _open.discard(self)

    def __enter__(self) -> Booted:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_INITS = ("/systemd", "/sbin/init")

_SYSV_FILES = {
    "/etc/uplink": f"""#!/bin/sh
ip link set lo up
ip link set host0 up
ip address replace {UPLINK} dev host0
ip route replace default via {GATEWAY}
""",
    # Without terminals, with the uplink before the services, and a mark at the end.
    "/etc/inittab": """id:2:initdefault:
si::sysinit:/etc/init.d/rcS
ul::sysinit:/etc/uplink
l0:0:wait:/etc/init.d/rc 0
l2:2:wait:/etc/init.d/rc 2
l6:6:wait:/etc/init.d/rc 6
up:2:once:/usr/bin/touch /run/booted
""",
}


def _systemd_files() -> dict[str, str]:
    return {
        "/etc/machine-id": uuid.uuid4().hex + "\n",
        "/etc/systemd/network/10-uplink.network": (
            "[Match]\nName=host0\n\n"
            f"[Network]\nAddress={UPLINK}\nGateway={GATEWAY}\nLinkLocalAddressing=ipv6\n"
            "LLMNR=no\nMulticastDNS=no\nIPv6AcceptRA=no\n"
        ),
    }


def _identity_files(name: str) -> dict[str, str]:
    return {
        "/etc/hostname": name + "\n",
        "/etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {name}\n",
    }


def _control_groups(name: str) -> list[Path]:
    """A control group of its own in each hierarchy that systemd uses.

    nspawn makes `payload` and `supervisor` below the group that it is in: two machines in the same
    group would be one to systemd.
    """
    top = Path("/sys/fs/cgroup")
    made = []
    for hierarchy in (top, top / "unified", top / "systemd"):
        if (hierarchy / "cgroup.procs").exists():
            group = hierarchy / name
            group.mkdir(exist_ok=True)
            made.append(group)
    if not made:
        raise MachineError("no control group hierarchy is mounted at /sys/fs/cgroup")
    return made


def _remove_group(group: Path) -> None:
    def empty() -> bool:
        for place, directories, _ in os.walk(group, topdown=False):
            for directory in directories:
                try:
                    os.rmdir(os.path.join(place, directory))
                except OSError:
                    return False
        try:
            group.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    # The last processes leave a moment after they were killed.
    wait_for(empty, 20, f"end of control group {group}")


_open: weakref.WeakSet[Booted] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for machine in list(_open):
        machine.close()

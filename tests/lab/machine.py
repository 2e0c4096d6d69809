"""A throw-away machine: a root under an overlay, in namespaces of its own, without systemd.

Its mount, network, pid, uts and ipc namespaces belong to one small init. When that init dies, the
kernel takes every process, mount and interface of the machine with it, and nothing is left here.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

Result = TypeVar("Result")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs as pid 1 of the new namespaces, still on this machine's root: $1 the root, $2 an empty
# directory, $3 the machine's name, $4 whether it gets this machine's control groups.
# /proc/sys is read-only but for net: the rest of it would be this machine's own.
_SET_UP = r"""
set -e
mount -t tmpfs -o mode=755 lab "$2"
mkdir "$2/upper" "$2/work" "$2/root"
new="$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$new" 2>/dev/null ||
    { cp -a "$1/." "$new"; mount --bind "$new" "$new"; }
mount -t tmpfs -o mode=755 dev "$new/dev"
for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229"; do
    set -- "$1" "$2" "$3" "$4" $n
    mknod -m 666 "$new/dev/$5" c $6 $7
done
mkdir "$new/dev/net" "$new/dev/pts" "$new/dev/shm"
mknod -m 666 "$new/dev/net/tun" c 10 200
for n in vhost-net kvm; do
    [ ! -c "/dev/$n" ] || cp -a "/dev/$n" "$new/dev/$n"
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$new/dev/pts"
mount -t tmpfs -o mode=1777 shm "$new/dev/shm"
ln -s pts/ptmx "$new/dev/ptmx"
ln -s /proc/self/fd "$new/dev/fd"
for n in "0 stdin" "1 stdout" "2 stderr"; do
    ln -s "/proc/self/fd/${n% *}" "$new/dev/${n#* }"
done
mount -t sysfs sysfs "$new/sys"
[ "$4" = 0 ] || mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$new/run"
mkdir -m 1777 "$new/run/lock"
read -r pid rest </proc/self/stat
mount -t proc proc "$new/proc"
mount --bind "$new/proc/sys" "$new/proc/sys"
mount --bind "$new/proc/sys/net" "$new/proc/sys/net"
mount -o remount,bind,ro "$new/proc/sys"
hostname "$3"
echo "$3" >"$new/etc/hostname"
grep -q "[[:space:]]$3\$" "$new/etc/hosts" 2>/dev/null ||
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$3" >>"$new/etc/hosts"
ip link set lo up
mkdir -p "$new/.old"
cd "$new"
pivot_root . .old
exec chroot . sh -c 'umount -l /.old; rmdir /.old; echo "$0"; exec </dev/null >/dev/null 2>&1
    while :; do sleep 86400 & wait; done' "$pid"
"""


class MachineError(Exception):
    """A machine could not be started, or something waited for did not come."""


class Inside(subprocess.Popen[str]):
    """A process in a machine. Signals go to it, not to the nsenter that waits for it."""

    @property
    def inner(self) -> int | None:
        """The pid of the command itself, as this machine sees it."""
        return next(iter(children(self.pid)), None)

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            inner = self.inner
            os.kill(inner if inner is not None else self.pid, sig)


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def wait_for(
    predicate: Callable[[], Result], timeout: float = 10, what: str = "", step: float = 0.05
) -> Result:
    """The first true value of `predicate`, asked until the time is over."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise MachineError(
                f"no {what or getattr(predicate, '__name__', 'result')} in {timeout} s"
            )
        time.sleep(step)


class Entered:
    """What can be done in a machine whose pid 1 is known; how it is started is its child's part."""

    name: str
    pid: int

    def command(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> list[str]:
        """The command line that runs `argv` in here, as this machine has to call it.

        A user comes in as by a fresh login; `groups` are the supplementary groups of an older one.
        """
        line = [
            "nsenter",
            f"--target={self.pid}",
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--ipc",
            "--root",
        ]
        account = self.account(user or "root")
        line += [
            f"--wd=/proc/{self.pid}/root{cwd or (account[2] if user else '/')}",
            "setpriv",
            "--pdeathsig=KILL",
        ]
        if user is not None:
            line += [f"--reuid={account[0]}", f"--regid={account[1]}", "--inh-caps=-all"]
            if groups is None:
                line.append("--init-groups")
            elif groups:
                line.append("--groups=" + ",".join(str(self.gid(group)) for group in groups))
            else:
                line.append("--clear-groups")
        variables = {
            "PATH": PATH,
            "HOME": account[2],
            "USER": user or "root",
            "LOGNAME": user or "root",
            "SHELL": account[3],
            "LANG": "C.UTF-8",
            **(env or {}),
        }
        line += ["env", "-i", *(f"{key}={value}" for key, value in variables.items())]
        return [*line, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        check: bool = True,
        input: str | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, stdout and stderr apart; a failure shows both."""
        done = subprocess.run(
            self.command(argv, user=user, groups=groups, env=env, cwd=cwd),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{self.name}: {' '.join(argv)} (as {user or 'root'}) -> {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def popen(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.STDOUT,
    ) -> Inside:
        """Start a command and come back at once; it dies with the machine at the latest."""
        return Inside(
            self.command(argv, user=user, groups=groups, env=env, cwd=cwd),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def sh(
        self,
        script: str,
        *,
        user: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> str:
        """Run a shell script; its stdout."""
        return self.run(["sh", "-ec", script], user=user, check=check, timeout=timeout).stdout

    def path(self, inside: str) -> Path:
        """Where a file of the machine lies for us (an absolute link in it leads astray)."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def account(self, user: str) -> tuple[int, int, str, str]:
        """uid, gid, home and shell of an account inside."""
        for line in self.path("/etc/passwd").read_text().splitlines():
            field = line.split(":")
            if field[0] == user:
                return int(field[2]), int(field[3]), field[5], field[6]
        raise MachineError(f"{self.name}: no account {user!r}")

    def gid(self, group: str) -> int:
        for line in self.path("/etc/group").read_text().splitlines():
            field = line.split(":")
            if field[0] == group:
                return int(field[2])
        raise MachineError(f"{self.name}: no group {group!r}")

    def user(self, name: str, *, member: bool = False) -> str:
        """Make an account with a home (once); a member is put into the group vdenet."""
        try:
            self.account(name)
        except MachineError:
            self.run(["useradd", "--create-home", "--user-group", "--shell=/bin/bash", name])
        if member:
            self.run(["usermod", "--append", "--groups=vdenet", name])
        return name

    def wait_for(
        self, predicate: Callable[[], Result], timeout: float = 10, what: str = ""
    ) -> Result:
        return wait_for(predicate, timeout, f"{what or 'result'} in {self.name}")


class Machine(Entered):
    """A machine without an init system; `with Machine(root("trixie", "installed")) as machine:`."""

    def __init__(self, root: Path, name: str = "lab", *, cgroup: bool = False) -> None:
        self.name = name
        self._scratch = tempfile.mkdtemp(prefix="vdenet-machine-")
        self._process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig=KILL",
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _SET_UP,
                "sh",
                str(root),
                self._scratch,
                name,
                "1" if cgroup else "0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": PATH},
            # Not in our group: a ^C is for the tests, which close their machines themselves.
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        said = self._process.stdout.readline().strip()
        if not said.isdigit():
            why = self._process.stderr.read()
            self.close()
            raise MachineError(f"{name} did not start from {root}: {why.strip()}")
        self.pid = int(said)
        # It was mounted over there, and is not reached by this name any more.
        os.rmdir(self._scratch)
        _open.add(self)

    def close(self) -> None:
        """End the machine; its kernel objects go with its init."""
        if self._process.poll() is None:
            # The init, not unshare: so it is unshare that reaps it, at once, and then ends.
            os.kill(getattr(self, "pid", self._process.pid), signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        _open.discard(self)

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_open: weakref.WeakSet[Machine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for machine in list(_open):
        machine.close()

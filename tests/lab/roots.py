"""Debian roots, made once by mmdebstrap and kept in a cache.

A root is a directory that nobody writes to after it is made: a machine puts an overlay on it.
Variants build on one another, and each is keyed by what it is made from:

    plain       minbase and apt; the dependencies of the package lie in apt's cache, not installed
    systemd     plain, and systemd with dbus as init (in trixie with systemd-resolved)
    depends     plain with the dependencies installed
    sysv        plain with sysvinit, without systemd, and the dependencies installed
    installed   depends with the package itself, services not started

So `apt install ./vdenet.deb` works in each of them without any network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SUITES = ("bookworm", "trixie", "sid")
# VirtualBox is in sid's contrib only.
COMPONENTS = {"sid": "main contrib"}
# Its index is valid for a week, and mirrors that are frozen or slow serve older ones.
OLD = {"sid": ('Acquire::Check-Valid-Until "false";',)}
# Raised when the way a root is made changes, so that no old one is taken for a new one.
RECIPE = 5
REPOSITORY = Path(__file__).resolve().parents[2]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What the scenarios use inside and the package does not depend on.
TOOLS = ("iputils-ping", "iproute2", "procps")
SYSTEMD = {
    "bookworm": ("systemd", "systemd-sysv", "dbus"),
    "trixie": ("systemd", "systemd-sysv", "dbus", "systemd-resolved", "libnss-resolve"),
}
SYSV = ("sysvinit-core", "sysv-rc", "initscripts", "insserv", "systemd-standalone-sysusers")
KEEP = 2
_in_use: dict[Path, int] = {}


class RootError(Exception):
    """A root could not be made."""


def cache() -> Path:
    return Path(os.environ.get("VDENET_TEST_CACHE", "/var/cache/vdenet-tests"))


def package() -> Path | None:
    """The .deb under test: VDENET_DEB, else the newest one that `make deb` left."""
    named = os.environ.get("VDENET_DEB")
    if named:
        return Path(named).resolve()
    built = sorted(REPOSITORY.glob("dist/vdenet_*_all.deb"), key=lambda deb: deb.stat().st_mtime)
    return built[-1] if built else None


def dependencies() -> str:
    """What the package depends on, for `apt-get satisfy`.

    debian/control says it, and pyproject.toml for ${python3:Depends}; so roots can be made, and
    kept, while the package itself is being changed.
    """
    text = re.sub(r"(?m)^#.*\n", "", (REPOSITORY / "debian/control").read_text())
    found = re.search(r"(?ms)^Package: vdenet\n.*?^Depends:(.*?)(?=^\S|\Z)", text)
    if not found:
        raise RootError("debian/control: no Depends of package vdenet")
    wanted = [clause.strip() for clause in found[1].split(",")]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]]
    python = ["debconf", "python3", *(f"python3-{name.lower()}" for name in names)]
    return ", ".join([*(clause for clause in wanted if clause and clause[0] != "$"), *python])


def root(
    suite: str, variant: str = "plain", *, deb: Path | None = None, extra: Sequence[str] = ()
) -> Path:
    """The directory of a root; `extra` packages are installed on top of the variant."""
    if suite not in SUITES:
        raise RootError(f"unknown suite {suite!r}")
    if extra and variant != "installed":
        below = root(suite, variant, deb=deb)
        name = f"{suite}-{variant}+{_digest(*extra)}"
        return _cached(name, [below.name], lambda part: _add(below, part, extra))
    if variant == "plain":
        key = [RECIPE, _sources(suite), TOOLS, dependencies()]
        return _cached(f"{suite}-plain", key, lambda part: _bootstrap(suite, part))
    if variant == "systemd":
        below = root(suite)
        key = [below.name, SYSTEMD[suite]]
        return _cached(f"{suite}-systemd", key, lambda part: _systemd(suite, below, part))
    if variant == "sysv":
        below = root(suite)
        return _cached(f"{suite}-sysv", [below.name, SYSV], lambda part: _sysv(below, part))
    if variant == "depends":
        below = root(suite)
        return _cached(f"{suite}-depends", [below.name], lambda part: _satisfy(below, part))
    if variant == "installed":
        found = deb or package()
        if found is None:
            raise RootError("no .deb to install: run `make deb`, or set VDENET_DEB")
        chosen: Path = found
        # What is extra is kept from one build of the package to the next.
        below = root(suite, "depends", extra=extra)
        name = f"{suite}-installed" + (f"+{_digest(*extra)}" if extra else "")
        key = [below.name, hashlib.sha256(chosen.read_bytes()).hexdigest()]
        return _cached(name, key, lambda part: _install(below, part, chosen))
    raise RootError(f"unknown variant {variant!r}")


def _bootstrap(suite: str, part: Path) -> None:
    _run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--skip=cleanup/apt",
        f"--keyring={KEYRING}",
        f"--include={','.join(TOOLS)}",
        *(f"--aptopt={line}" for line in (*_proxies(), *OLD.get(suite, ()))),
        suite,
        str(part),
        *_sources(suite),
    )
    # The maker's resolver and name have no place in a machine of its own.
    (part / "etc/resolv.conf").write_text("")
    (part / "etc/hostname").write_text("lab\n")
    # The dependencies wait in apt's cache, and apt keeps them there.
    (part / "etc/apt/apt.conf.d/99lab").write_text(
        "".join(f"{line}\n" for line in ('APT::Keep-Downloaded-Packages "true";', *OLD.get(suite, ()))))
    _apt(part, "satisfy", "--download-only", dependencies(), network=True)


def _add(below: Path, part: Path, packages: Sequence[str]) -> None:
    _copy(below, part)
    _apt(part, "update", network=True)
    _apt(part, "install", "--download-only", *packages, network=True)
    _apt(part, "install", *packages)


def _systemd(suite: str, below: Path, part: Path) -> None:
    _add(below, part, SYSTEMD[suite])
    if "systemd-resolved" in SYSTEMD[suite]:
        # As its postinst leaves it on a machine whose resolv.conf is not being used to build it.
        (part / "etc/resolv.conf").unlink()
        (part / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _sysv(below: Path, part: Path) -> None:
    _add(below, part, SYSV)
    _apt(part, "satisfy", dependencies())


def _satisfy(below: Path, part: Path) -> None:
    _copy(below, part)
    _apt(part, "satisfy", dependencies())


def _install(below: Path, part: Path, deb: Path) -> None:
    _copy(below, part)
    shutil.copy(deb, part / "tmp/vdenet.deb")
    _apt(part, "install", "/tmp/vdenet.deb")
    (part / "tmp/vdenet.deb").unlink()


def _copy(below: Path, part: Path) -> None:
    _run("cp", "-a", "--reflink=auto", str(below), str(part))


def _apt(part: Path, *arguments: str, network: bool = False) -> None:
    """apt-get in a root, by default without any network, and never starting a service.

    A maintainer script that starts a daemon must not meet this machine's own interfaces.
    """
    policy = part / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    resolver = part / "etc/resolv.conf"
    before = os.readlink(resolver) if resolver.is_symlink() else None
    resolver.unlink(missing_ok=True)
    resolver.write_text(Path("/etc/resolv.conf").read_text() if network else "")
    inside = [
        'mount -t proc proc "$0/proc"',
        'mount -t sysfs sysfs "$0/sys"',
        'mount -t tmpfs -o mode=755 tmpfs "$0/run"',
        'mount -t tmpfs -o mode=755 tmpfs "$0/dev"',
        'for n in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do'
        ' set -- $n; mknod -m 666 "$0/dev/$1" c 1 $2; done',
        'ln -s /proc/self/fd "$0/dev/fd"',
    ]
    command = ["apt-get", "--yes", "--quiet", "--no-install-recommends"]
    options = [f"--option={line}" for line in _proxies()] if network else []
    # Held in a variable, since `set` above takes the arguments' place.
    script = " && ".join([*inside, f'exec chroot "$0" {shlex.join([*command, *options, *arguments])}'])
    try:
        _run(
            "unshare",
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
            *([] if network else ["--net"]),
            "sh",
            "-c",
            script,
            str(part),
        )
    finally:
        policy.unlink()
        if before is None and not resolver.is_symlink():
            resolver.write_text("")
        elif before is not None:
            resolver.unlink(missing_ok=True)
            resolver.symlink_to(before)


def _run(*argv: str) -> None:
    # locales, terminals and preferences of whoever runs the tests stay outside
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
    }
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise RootError(f"{argv[0]} failed ({done.returncode}):\n{done.stdout[-4000:]}")


def _proxies() -> list[str]:
    shown = subprocess.run(
        ["apt-config", "dump", "--format", '%F "%v";%n', "Acquire::http", "Acquire::https"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line for line in shown.splitlines() if not line.endswith('"";')]


def _sources(suite: str) -> list[str]:
    """The machine's own Debian mirrors, as one-line sources of another suite."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    own = release.get("VERSION_CODENAME", "").strip('"')
    lines = []
    for uri, name in _mirrors():
        base, dash, pocket = name.partition("-")
        if base in (own, "stable", "testing") and pocket in ("", "updates", "security"):
            if suite == "sid" and pocket:
                continue  # it has no pockets
            components = COMPONENTS.get(suite, "main")
            line = f"deb [signed-by={KEYRING}] {uri} {suite}{dash}{pocket} {components}"
            if line not in lines:
                lines.append(line)
    if not lines:
        raise RootError(f"apt's sources name no mirror for {own!r}: cannot make a root")
    return lines


def _mirrors() -> Iterator[tuple[str, str]]:
    """(URI, suite) of each source with a component `main`, in both of apt's formats."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        if not place.is_file():
            continue
        if place.suffix == ".list":
            for line in place.read_text().splitlines():
                found = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
                if found and "main" in found[3].split() and _is_debian(found[1]):
                    yield found[1], found[2]
        elif place.suffix == ".sources":
            for paragraph in re.split(r"\n\s*\n", place.read_text()):
                field = {
                    key.strip().lower(): value.split()
                    for key, _, value in (
                        line.partition(":")
                        for line in paragraph.splitlines()
                        if not line.startswith("#")
                    )
                }
                if "deb" in field.get("types", []) and "main" in field.get("components", []):
                    for uri in filter(_is_debian, field.get("uris", [])):
                        for name in field.get("suites", []):
                            yield uri, name


def _is_debian(uri: str) -> bool:
    return re.search(r"/debian(-security)?/?$", uri) is not None


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _cached(name: str, key: Sequence[object], make: Callable[[Path], None]) -> Path:
    """The root of this name and key; made under a lock, so that two test runs make it once."""
    directory = cache()
    directory.mkdir(parents=True, exist_ok=True)
    place = directory / f"{name}.{_digest(*key)}"
    if place in _in_use:
        return place
    lock = os.open(directory / f"{place.name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    # Exclusive only to make it: others hold their share for as long as their machines live.
    fcntl.flock(lock, fcntl.LOCK_SH)
    if not place.exists():
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not place.exists():
        part = directory / f"{place.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            make(part)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        part.rename(place)
        _prune(directory, name, place)
    os.utime(place, (time.time(), time.time()))
    # Shared for as long as this process lives: the root is not pruned under a machine.
    fcntl.flock(lock, fcntl.LOCK_SH)
    _in_use[place] = lock
    return place


def _prune(directory: Path, name: str, made: Path) -> None:
    old = [p for p in directory.glob(f"{name}.*") if p.is_dir() and p != made]
    for place in sorted(old, key=lambda p: p.stat().st_mtime)[: -KEEP or None]:
        with _unused(place) as unused:
            if unused:
                shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _unused(place: Path) -> Iterator[bool]:
    lock = os.open(f"{place}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        taken = False
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = True
        yield taken
    finally:
        os.close(lock)

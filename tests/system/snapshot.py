"""What a machine is like: its kernel's network state, its accounts, and every file that it has."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.machine import Entered

# Written by the running system all the time, or not the machine's own.
_NOT_FILES = (
    "/dev",
    "/proc",
    "/sys",
    "/tmp",
    "/run/host",
    "/run/systemd",
    "/run/log",
    "/run/lock",
    "/run/user",
    "/run/credentials",
    "/run/udev",
    "/run/utmp",
    "/var/log",
    "/var/tmp",
    "/var/lib/apt",
    "/var/cache/apt",
    "/var/lib/systemd/timers",
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom",
)
# Compared entry by entry: the accounts of services may stay.
_ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid")
# Counters, and what the kernel makes up for itself.
_NOT_SYSCTLS = re.compile(
    r"/(nf_conntrack_count|random|stable_secret|tcp_fastopen_key|route/flush|bpf_jit_limit"
    r"|nf_conntrack_(max|buckets)|tcp_mem|udp_mem|dev_weight)$|/unix/"
)


def of_packages(machine: Entered) -> set[str]:
    """Every path that an installed package brought."""
    found = set()
    for listed in machine.path("/var/lib/dpkg/info").glob("*.list"):
        for path in listed.read_text().splitlines():
            top = path.split("/", 2)[1] if path.count("/") > 1 else ""
            found.add(f"/usr{path}" if top in ("bin", "sbin", "lib", "lib64") else path)
    return found


@dataclass(frozen=True)
class Snapshot:
    """Named things in sections; equal machines have equal snapshots."""

    sections: dict[str, dict[str, str]]

    def difference(self, later: Snapshot) -> list[str]:
        """One line for each thing that is gone, new or changed since."""
        lines = []
        for section, before in self.sections.items():
            after = later.sections[section]
            for name in sorted({*before, *after}):
                if name not in after:
                    lines.append(f"{section}: gone: {name}")
                elif name not in before:
                    lines.append(f"{section}: new: {name} {after[name][:200]}")
                elif before[name] != after[name]:
                    lines.append(f"{section}: changed: {name}: {before[name]} -> {after[name]}")
        return lines


def take(machine: Entered) -> Snapshot:
    # Until duplicate detection is over, the kernel itself goes on changing addresses and routes.
    machine.wait_for(
        lambda: "tentative" not in _kernel(machine, "ip", "-6", "address"), 10, "settled addresses"
    )
    return Snapshot(
        {
            "links": _links(machine),
            "addresses": _lines(_kernel(machine, "ip", "-oneline", "address"), _address),
            "routes": _lines(
                _kernel(machine, "ip", "-4", "route", "show", "table", "all")
                + _kernel(machine, "ip", "-6", "route", "show", "table", "all"),
                _route,
            ),
            "rules": _lines(
                _kernel(machine, "ip", "-4", "rule") + _kernel(machine, "ip", "-6", "rule"), str
            ),
            "nft": _lines(_kernel(machine, "nft", "list", "ruleset"), str),
            "sysctls": _sysctls(machine),
            "accounts": _accounts(machine),
            "files": dict(_files(machine)),
        }
    )


def _kernel(machine: Entered, *argv: str) -> str:
    """This host's tool in the machine's network: a bare machine has no nft."""
    return subprocess.run(
        ["nsenter", f"--target={machine.pid}", "--net", *argv],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _lines(text: str, clean: Callable[[str], str]) -> dict[str, str]:
    return {clean(line): "" for line in text.splitlines() if line.strip()}


def _address(line: str) -> str:
    return re.sub(r"^\d+:|valid_lft.*", "", line).strip()


def _route(line: str) -> str:
    return re.sub(r" expires \S+", "", line).strip()


def _links(machine: Entered) -> dict[str, str]:
    links = json.loads(_kernel(machine, "ip", "-json", "link"))
    return {
        link["ifname"]: f"{link['address']} mtu {link['mtu']} master {link.get('master')}"
        f" {sorted(link['flags'])}"
        for link in links
    }


def _sysctls(machine: Entered) -> dict[str, str]:
    # Some can be written and not read.
    shown = machine.sh("grep -r '' /proc/sys/net 2>/dev/null || :")
    found: dict[str, str] = {}
    for line in shown.splitlines():
        name, _, value = line.partition(":")
        if not _NOT_SYSCTLS.search(name):
            found[name] = " ".join([found[name], value]) if name in found else value
    return found


def _accounts(machine: Entered) -> dict[str, str]:
    found = {}
    for place in _ACCOUNTS:
        path = machine.path(place)
        if path.exists():
            for line in path.read_text().splitlines():
                name, _, rest = line.partition(":")
                found[f"{place}:{name}"] = rest
    return found


def _files(machine: Entered) -> Iterable[tuple[str, str]]:
    """(path, what it is) of everything below /, links not followed."""
    top = machine.path("/")
    for place, directories, names in os.walk(top):
        relative = os.path.relpath(place, top)
        inside = "" if relative == "." else f"/{relative}"
        directories[:] = [name for name in directories if f"{inside}/{name}" not in _NOT_FILES]
        for name in (*directories, *names):
            path = f"{inside}/{name}"
            if path.removesuffix("-") in _ACCOUNTS or path in _NOT_FILES:
                continue
            if not path.endswith(".pyc"):
                described = _describe(Path(place, name))
                if described:
                    yield path, described


def _describe(path: Path) -> str:
    try:
        found = path.lstat()
        kind = stat.filemode(found.st_mode)
        owner = f"{kind} {found.st_uid}:{found.st_gid}"
        if stat.S_ISLNK(found.st_mode):
            return f"{owner} -> {os.readlink(path)}"
        if stat.S_ISREG(found.st_mode):
            return f"{owner} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        return owner
    except FileNotFoundError:  # gone between listing and looking
        return ""

"""What a segment leaves in a machine: kernel objects, settings, files, processes; to be compared."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.machine import Machine

Traces = dict[str, str]
"""A line for each thing, by what it is."""

# Counters and clocks, and what the kernel makes up for itself.
_NOT_SYSCTLS = re.compile(r"/(nf_conntrack_count|random|stable_secret|tcp_fastopen_key|route/flush)$")
# What is written there differs from run to run: numbers of processes, moments.
_CONTENT_VARIES = re.compile(r"/(\w+\.json|\w+\.log|leases)$")


def kernel(machine: Machine) -> Traces:
    """Interfaces, addresses, routes, rules of routing and of the packet filter, settings."""
    found: Traces = {}
    for link in _json(machine, "ip", "-json", "-details", "link"):
        name, kind = link["ifname"], link.get("linkinfo", {}).get("info_kind", "")
        # A tap's own MAC is made up when it is made.
        mac = link["address"] if kind not in ("tun", "tap") else "some MAC"
        flags = " ".join(sorted(set(link["flags"]) & {"UP", "NOARP", "PROMISC"}))
        found[f"link {name}"] = (f"{kind} {mac} mtu {link['mtu']} {flags} master {link.get('master')} "
                                 f"alias {link.get('ifalias')}")
    for link in _json(machine, "ip", "-json", "address"):
        for address in link["addr_info"]:
            found[f"address {link['ifname']} {address['local']}/{address['prefixlen']}"] = address["scope"]
    for family in "-4", "-6":
        for line in _lines(machine, "ip", family, "route", "show", "table", "all"):
            found[f"route {re.sub(r' (linkdown|expires .*)', '', line)}"] = ""
        for line in _lines(machine, "ip", family, "rule"):
            found[f"rule {line}"] = ""
    for number, line in enumerate(_lines(machine, "nft", "--stateless", "list", "ruleset")):
        found[f"nft {number}"] = line
    for line in machine.sh("grep -r '' /proc/sys/net 2>/dev/null || :").splitlines():
        key, _, value = line.partition(":")
        if not _NOT_SYSCTLS.search(key):
            found[f"sysctl {key}"] = value
    return found


def files(machine: Machine, *places: str) -> Traces:
    """Everything below these places."""
    found: Traces = {}
    for place in places:
        top = machine.path(place)
        for path in _walk(top):
            found[f"file {place}{str(path).removeprefix(str(top))}"] = _describe(path)
    return found


def services(machine: Machine) -> dict[str, int]:
    """The processes of the segments' accounts: command line to pid, as the machine sees it."""
    found: dict[str, int] = {}
    for line in _lines(machine, "ps", "-eo", "user:32,pid,stat,args"):
        user, pid, state, args = line.split(None, 3)
        if user.startswith("vdenet-") and not state.startswith("Z"):
            found[args] = int(pid)
    return found


def everything(machine: Machine) -> Traces:
    """All that vdenetd could leave behind."""
    return {**kernel(machine), **files(machine, "/run/vdenet", "/var/lib/vdenet", "/etc/vdenet"),
            **{f"process {args}": "" for args in services(machine)}}


def settle(machine: Machine, bridge: str = "vdenet0") -> None:
    """Wait for what comes by itself after a start: the kernel's link-local address, the daemon's last look."""
    machine.wait_for(lambda: "fe80:" in (shown := machine.run(["ip", "-6", "address", "show", "dev", bridge]).stdout)
                     and "tentative" not in shown, 15, "a link-local address")
    machine.wait_for(lambda: not json.loads(machine.run(["tarr-steps", "plan", "--json"]).stdout)["steps"], 40,
                     "a segment as it should be")


def difference(before: Traces, after: Traces) -> list[str]:
    """A line for each thing that is gone, new or changed."""
    return [f"{name}: {before.get(name, 'absent')!r} -> {after.get(name, 'absent')!r}"
            for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


def _walk(top: Path) -> Iterator[Path]:
    if not top.exists():
        return
    yield top
    for place, directories, names in os.walk(top):
        for name in (*directories, *names):
            yield Path(place, name)


def _describe(path: Path) -> str:
    try:
        status = path.lstat()
        shown = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
        if stat.S_ISREG(status.st_mode) and not _CONTENT_VARIES.search(str(path)):
            shown += " " + hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return shown
    except FileNotFoundError:
        return "absent"


def _json(machine: Machine, *argv: str) -> list[dict[str, Any]]:
    # An older ip prints empty objects for interfaces that it left out.
    return [entry for entry in json.loads(machine.run(argv).stdout or "[]") if entry]


def _lines(machine: Machine, *argv: str) -> list[str]:
    return [line.strip() for line in machine.run(argv).stdout.splitlines() if line.strip()]

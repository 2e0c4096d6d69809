"""Which resolver the host itself asks, told from what lies in the file system."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from vdenet.probe import regular
from vdenet.text import resolver as text

RESOLVED = "systemd-resolved"
NETWORKMANAGER = "networkmanager-dnsmasq"
DNSMASQ = "dnsmasq"
DNSMASQ_BY_HAND = "dnsmasq, by hand"
"""The host's dnsmasq where no systemd could start it anew: what vdenetd itself starts has no more rights
than vdenetd, and the host would be left without its DNS."""
RESOLVCONF = "resolvconf"
NONE = "none"
DNSMASQ_DIRECTORY = Path("/etc/dnsmasq.d")
DNSMASQ_UNREAD = (".dpkg-dist", ".dpkg-old", ".dpkg-new")
"""How names of files end that it does not read there (CONFIG_DIR in /etc/default/dnsmasq)."""
_LIMIT = 64 * 1024


def kind(root: Path = Path("/")) -> str:
    """The one that decides where names are looked up; `none` when no program does that by domain."""
    servers, target = _resolv_conf(root)
    stub = {"127.0.0.53", "127.0.0.54"} & servers or "/run/systemd/resolve/" in target
    if (root / "run/systemd/resolve/stub-resolv.conf").exists() and (stub or _uses_nss_resolve(root)):
        return RESOLVED
    # NetworkManager's dnsmasq listens where the system's would: 127.0.0.1, formerly 127.0.1.1.
    if {"127.0.0.1", "127.0.1.1"} & servers and (root / "run/NetworkManager/dnsmasq.pid").exists() \
            and (root / "etc/NetworkManager/dnsmasq.d").is_dir():
        return NETWORKMANAGER
    if "127.0.0.1" in servers and (root / "run/dnsmasq/dnsmasq.pid").exists() \
            and (root / "etc/dnsmasq.d").is_dir():
        return DNSMASQ if systemd(root) else DNSMASQ_BY_HAND
    tool = shutil.which("resolvconf", path=":".join(str(root / part) for part in ("usr/sbin", "sbin", "usr/bin")))
    # systemd-resolved's package has a resolvconf of its own, which is resolvectl by another name.
    if tool is not None and Path(tool).resolve().name != "resolvectl" \
            and ("resolvconf" in target or _says_resolvconf(root)):
        return RESOLVCONF
    return NONE


def search_domains(root: Path = Path("/")) -> tuple[str, ...]:
    """The domains that the host searches; none when nobody says."""
    try:
        return text.search_domains((root / "etc/resolv.conf").read_text(errors="replace"))
    except OSError:
        return ()


def servers(root: Path = Path("/")) -> set[IPv4Address]:
    """The name servers that the host asks, and those that its systemd-resolved asks."""
    found = set()
    for path in ("etc/resolv.conf", "run/systemd/resolve/resolv.conf"):
        for line in regular.text(root / path, _LIMIT).splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1:
                with suppress(ValueError):
                    found.add(IPv4Address(words[1]))
    return found


def systemd(root: Path = Path("/")) -> bool:
    """Whether systemd runs this host."""
    return (root / "run/systemd/system").is_dir()


def dnsmasq_runs(root: Path = Path("/")) -> bool:
    """Whether the system's dnsmasq does, be it the host's resolver or for others."""
    pid = regular.text(root / "run/dnsmasq/dnsmasq.pid", 32).strip()
    return pid.isdigit() and (root / "proc" / pid).exists()


def dnsmasq_excepts(link: str, root: Path = Path("/")) -> bool:
    """Whether files of the system's dnsmasq's say that it leaves this interface alone."""
    return text.is_excepted(link, _dnsmasq_says(root))


def _dnsmasq_says(root: Path) -> list[str]:
    """The directives in its configuration, as Debian's service has it read them."""
    directory = root / DNSMASQ_DIRECTORY.relative_to("/")
    with suppress(OSError):
        names = sorted(name for name in os.listdir(directory)
                       if not name.startswith((".", "#")) and not name.endswith(("~", *DNSMASQ_UNREAD)))
        return [line for path in (root / "etc/dnsmasq.conf", *(directory / name for name in names))
                for line in text.directives(regular.text(path, _LIMIT))]
    return []


def _resolv_conf(root: Path) -> tuple[set[str], str]:
    path = root / "etc/resolv.conf"
    try:
        target = str(path.readlink()) if path.is_symlink() else ""
        text = path.read_text(errors="replace")
    except OSError:
        return set(), ""
    if target.startswith("../"):
        target = "/" + target.lstrip("./")
    words = [line.split() for line in text.splitlines()]
    return {line[1] for line in words if len(line) > 1 and line[0] == "nameserver"}, target


def _uses_nss_resolve(root: Path) -> bool:
    try:
        lines = (root / "etc/nsswitch.conf").read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("hosts:") and "resolve" in line.split() for line in lines)


def _says_resolvconf(root: Path) -> bool:
    try:
        head = (root / "etc/resolv.conf").read_text(errors="replace")[:300]
    except OSError:
        return False
    return "generated by resolvconf" in head.lower()

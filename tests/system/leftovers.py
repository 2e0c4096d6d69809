"""What a machine has that it had not before, apart from what other packages brought."""

from __future__ import annotations

import re

from lab.machine import Entered
from system import snapshot

# What installing the dependencies writes, besides the files that are in them.
_WRITTEN_FOR_OTHERS = re.compile(
    r"(?!.*vdenet.*)("
    r"/etc/(ld\.so\.cache|inputrc|networks|(alternatives|sgml|python3)(/.*)?|python3\.\d+(/.*)?)"
    r"|/var/lib/(dpkg|python|sgml-base)(/.*)?"
    r"|/var/lib/systemd/deb-systemd-helper-enabled/nftables\.service\.dsh-also"
    r"|/var/cache/(adduser|debconf|ldconfig)(/.*)?"
    r"|/usr/local/(lib/python3\.\d+|share/sgml)(/.*)?|/usr/.*/__pycache__|/run/(dnsmasq|adduser))"
    r"|/root/[^/]*\.deb"
)


def find(machine: Entered, before: snapshot.Snapshot) -> list[str]:
    """Everything that differs and was done by us, one line each."""
    others = snapshot.of_packages(machine)
    return [
        line
        for line in before.difference(snapshot.take(machine))
        if not _is_of_others(line, others) and not _is_account(line)
    ]


def _is_of_others(line: str, others: set[str]) -> bool:
    """The dependencies stay installed, with their files and what they keep in caches."""
    section, what, path, *_ = line.split()
    if section != "files:":
        return line.startswith("accounts: new: ") and line.split(":")[3].split()[0] == "dnsmasq"
    path = path.rstrip(":")
    return (what == "new:" and path in others) or bool(_WRITTEN_FOR_OTHERS.fullmatch(path))


def _is_account(line: str) -> bool:
    """An account may stay: a file of its that was copied elsewhere keeps its owner."""
    return re.match(r"accounts: new: /etc/\w+:vdenet(-switch|-dns|-plug)?( |$)", line) is not None

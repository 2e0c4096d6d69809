"""The system's own dnsmasq: the files that it reads, and its restart.

With `bind-interfaces` it takes port 53 of every address that is there when it starts, and ends when somebody else has
one of them: the host would lose its DNS to a segment. With `bind-dynamic` it takes each new address at once, and with
`bind-interfaces` it was seen to, as well: then the segment would have no DHCP. `except-interface` keeps it off; it is
read at the start only, not at SIGHUP (dnsmasq(8)).
"""

from __future__ import annotations

import os
from pathlib import Path

from vdenet.effect import files, run
from vdenet.errors import DnsmasqInTheWay, ToolFailed
from vdenet.probe import links, regular, resolvers
from vdenet.text import resolver as text

DIRECTORY = resolvers.DNSMASQ_DIRECTORY


def has_place() -> bool:
    """Whether files can be written that it reads, be it there or yet to be installed."""
    return os.access(DIRECTORY, os.W_OK)


def keep_off(link: str) -> None:
    """Have it leave the bridge `link` alone, now and whenever it starts.

    Raises `Refused`, `ToolFailed`, and `DnsmasqInTheWay` where nobody but root can start it anew.
    """
    unaware = resolvers.dnsmasq_runs() and not resolvers.dnsmasq_excepts(link)
    # A segment that is up (an earlier version's, or somebody removed the file) has its address already.
    if unaware and not resolvers.systemd() and links.link(link) is None:
        raise DnsmasqInTheWay(link=link)
    files.write(_file(link), text.keep_off(link), 0o644, "root")
    if unaware and resolvers.systemd():
        start_anew(f"keep the system's dnsmasq off {link}")


def let_on(link: str) -> None:
    """Take that back. It reads so when it starts next: until then it does without what is no more."""
    files.remove(_file(link))


def kept_off(link: str) -> bool | None:
    """Whether our file is there and says so; None where there is none."""
    return regular.text(_file(link), 4096) == text.keep_off(link) if os.path.lexists(_file(link)) else None


def start_anew(what: str) -> None:
    """Have systemd restart it if it runs; `what` is for messages. Raises `ToolFailed`, `ToolMissing`.

    Waited for: who looks in between would think that the host asks nobody.
    """
    try:
        run.run(["systemctl", "--quiet", "is-active", "dnsmasq.service"], what=what)
    except ToolFailed:
        return
    # systemd gives up a service that starts often: not this one because a member starts and stops a segment.
    run.run(["systemctl", "reset-failed", "dnsmasq.service"], what=what)
    # By PID 1, never as a child of ours: it would have our few rights.
    run.run(["systemctl", "try-restart", "dnsmasq.service"], what=what)


def _file(link: str) -> Path:
    """No segment has a hyphen in its name, so this is no other file of ours."""
    return DIRECTORY / f"vdenet-off-{link}.conf"

"""The system's own dnsmasq: the files that it reads, and its restart.

With `bind-interfaces` it takes port 53 of every address that is there when it starts, and ends when somebody else has
one of them: the host would lose its DNS to a segment. With `bind-dynamic` it takes each new address at once, and with
`bind-interfaces` it was seen to, as well: then the segment would have no DHCP. `except-interface` keeps it off; it is
read at the start only, not at SIGHUP (dnsmasq(8)).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePath

from vdenet.effect import files, run
from vdenet.errors import ToolFailed
from vdenet.probe import regular, resolvers
from vdenet.text import resolver as text

DIRECTORY = resolvers.DNSMASQ_DIRECTORY


def has_place() -> bool:
    """Whether files can be written that it reads, be it there or yet to be installed."""
    return os.access(DIRECTORY, os.W_OK)


def keep_off(link: str, pending: PurePath) -> None:
    """Have it leave the bridge `link` alone, now where systemd runs it, and whenever it starts.

    `pending` is there while it is not told yet. Raises `Refused`.
    """
    told = all(map(resolvers.dnsmasq_excepts, (link, f"{link}.1"))) and not os.path.lexists(pending)
    if told or not resolvers.dnsmasq_runs():
        files.write(_file(link), text.keep_off(link), 0o644, "root")
        files.remove(pending)
        return
    files.write(pending, "", 0o600, "root")
    files.write(_file(link), text.keep_off(link), 0o644, "root")
    if resolvers.systemd():
        # One that cannot be restarted is no reason to do without the segment: what comes of it, `check` finds.
        with contextlib.suppress(ToolFailed):
            start_anew(f"keep the system's dnsmasq off {link}")
    files.remove(pending)


def let_on(link: str, pending: PurePath) -> None:
    """Take that back. It reads so when it starts next: until then it does without what is no more."""
    files.remove(_file(link))
    files.remove(pending)


def kept_off(link: str, pending: PurePath) -> bool | None:
    """Whether our file is there, says so and was read if need be; None where there is none."""
    if not os.path.lexists(_file(link)):
        return None
    return regular.text(_file(link), 4096) == text.keep_off(link) and not os.path.lexists(pending)


def start_anew(what: str) -> None:
    """Have systemd restart it if it runs; `what` is for messages. Raises `ToolFailed`, `ToolMissing`.

    Waited for: who looks in between would think that the host asks nobody. With a mistake in its files it would end,
    and not come back: then it runs on as it is.
    """
    try:
        run.run(["systemctl", "--quiet", "is-active", "dnsmasq.service"], what=what)
    except ToolFailed:
        return
    run.run(["dnsmasq", "--test", "--conf-dir", f"{DIRECTORY},{','.join(resolvers.DNSMASQ_UNREAD)}"], what=what)
    # systemd gives up a service that starts often: not this one because a member makes and deletes segments.
    run.run(["systemctl", "reset-failed", "dnsmasq.service"], what=what)
    # By PID 1, never as a child of ours: it would have our few rights.
    run.run(["systemctl", "try-restart", "dnsmasq.service"], what=what)


def _file(link: str) -> Path:
    """No segment has a hyphen in its name, so this is no other file of ours."""
    return DIRECTORY / f"vdenet-off-{link}.conf"

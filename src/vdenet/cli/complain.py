"""Exception -> message, hint, exit status: the one place where this is decided."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from vdenet.errors import VdenetError, printable
from vdenet.i18n import N_, _

PROGRAM = "tarr-steps"

DONE = 0
REFUSED = 1
WRONG_USAGE = 2
UNREACHABLE = 3
NOT_PERMITTED = 4
TOOL = 5
SIGNALLED = 128
"""And a signal's number, as a shell reports it."""
INTERRUPTED = 130
"""By SIGINT."""
BROKEN_PIPE = 141
"""By SIGPIPE."""

STATUS = {
    "usage": WRONG_USAGE,
    "bad-value": WRONG_USAGE,
    "bad-config": WRONG_USAGE,
    "bad-import": WRONG_USAGE,
    "unknown-segment": WRONG_USAGE,
    "unknown-operation": WRONG_USAGE,
    "daemon-unreachable": UNREACHABLE,
    "not-permitted": NOT_PERMITTED,
    "tool-missing": TOOL,
    "tool-failed": TOOL,
    "tool-timed-out": TOOL,
}
"""By the error's code; what is not here is a refusal."""


HINTS = {
    "bad-value": (N_("declare it in the segment's file by [[vlan]] with id = {undeclared} (man vdenet.toml): "
                     "tarr-steps export --segment {segment} >FILE, edit it, "
                     "tarr-steps apply --segment {segment} FILE"),),
    "bad-config": (N_("man vdenet.toml tells what it may hold"),),
    "usage": (N_("{command} --help"),),
    "unknown-segment": (N_("tarr-steps list shows the segments that there are"),),
    "bad-policy": (N_("only root may until the file is mended; man vdenet-policy.toml tells what it may hold"),),
    "not-permitted": (N_("sudo adduser {account} vdenet"), N_("root may, and may allow it in {policy}")),
    "daemon-unreachable": ("{start}",),
    "segment-down": (N_("tarr-steps start {segment}"),),
    "no-such-guest": (N_("tarr-steps list shows the guests"),),
    "name-taken": (N_("tarr-steps leave {kind} {guest} --segment {segment} frees it"),
                   N_("tarr-steps leave {kind} {guest} frees it"), "{hint}",
                   N_("choose another with {option}"), N_("choose another with --name")),
    "mac-taken": (N_("tarr-steps leave {kind} {guest} --segment {segment} frees it"),
                  N_("tarr-steps leave {kind} {guest} frees it"),
                  N_("give it another MAC address, or where you gave none, another name")),
    "overlap": (N_("choose another network; ip route shows those in use"),),
    "collision": ("{hint}", N_("rename or remove it, and do it again")),
    "tool-missing": (N_("sudo apt install {package}"),),
}
"""By the error's code; the first whose words are all among the error's data is the one."""


class WrongUsage(VdenetError):
    """A command line that makes no sense; `command` is the one whose help tells more."""

    code = "usage"
    sentence = N_("cannot understand the command: {why}")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a person or a script is told about an error."""

    code: str
    message: str
    hint: str | None
    status: int

    def json(self) -> dict[str, dict[str, str | None]]:
        """The document of `--json` in place of the result."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


def complaint(error: Exception) -> Complaint:
    """What to say about `error`, and the status to exit with."""
    if isinstance(error, VdenetError) and error.code != "internal":
        return Complaint(error.code, str(error), _hint(error), STATUS.get(error.code, REFUSED))
    if isinstance(error, OSError) and error.strerror:
        what = printable(os.fsdecode(error.filename)) + ": " if error.filename else ""
        return Complaint("system", _("cannot go on: {why}").format(why=what + error.strerror),
                         None, REFUSED)
    why = str(error) if isinstance(error, VdenetError) else f"{type(error).__name__}: {error}"
    return Complaint("internal", _("cannot go on: {why}").format(why=printable(why)), _(
        "this is a fault of vdenet; please report it with what VDENET_DEBUG=1 {program} … shows"
    ).format(program=PROGRAM), REFUSED)


def show(told: Complaint) -> None:
    """The complaint on stderr, behind what was said before it: one line, and the hint if there is one."""
    sys.stdout.flush()
    lines = [f"{PROGRAM}: {told.message}"]
    if told.hint:
        lines.append(_("hint: {hint}").format(hint=told.hint))
    print("\n".join(lines), file=sys.stderr)


def _hint(error: VdenetError) -> str | None:
    """The first hint of the error's code for which the error has all the words."""
    words = {key: printable(str(value)) for key, value in error.data.items() if value is not None}
    for hint in (*HINTS.get(error.code, ()), "{hint}"):
        try:
            return _(hint).format(**words)
        except (KeyError, IndexError):
            continue
    return None

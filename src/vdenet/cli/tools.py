"""Other people's programs, run for the user: the one place of the CLI that starts processes.

Argument lists only, no standard input but what is given, a time limit. `replace` hands the terminal over for good.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from vdenet.cli import interruption
from vdenet.errors import ToolFailed, ToolMissing, ToolTimedOut, printable
from vdenet.i18n import _


def find(tool: str, path: str | None = None, package: str | None = None, hint: str | None = None) -> str:
    """The program's path, looked up in `path` or the user's.

    Raises `ToolMissing`: Debian has it in `package`, or else `hint` says where it comes from.
    """
    found = shutil.which(tool, path=path)
    if found is None:
        raise ToolMissing(tool=tool, package=package, hint=hint)
    return found


def ask(argv: Sequence[str], seconds: float = 10.0, input: str = "", inherit: Sequence[int] = ()) -> str:
    """What a program prints, in no language of people's; `input` is what it can read, `inherit` what
    descriptors it gets. While something is taken back it hears neither ^C nor the end of the terminal, and can ask
    nobody there.

    Raises `ToolMissing`, `ToolFailed`, `ToolTimedOut`.
    """
    try:
        done = subprocess.run(  # noqa: S603  a list, no shell; the program is the user's own choice
            [find(argv[0]), *argv[1:]], input=input, capture_output=True,
            encoding="utf-8", errors="replace", timeout=seconds, check=False,
            pass_fds=tuple(inherit), start_new_session=interruption.is_kept_out(),
            env={**os.environ, "LC_ALL": "C.UTF-8"})
    except subprocess.TimeoutExpired:
        raise ToolTimedOut(what=_("run the command"), tool=argv[0],
                          why=_("no end within {seconds} s").format(seconds=round(seconds))) from None
    except OSError as error:
        raise _failed(argv, error.strerror or str(error)) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        # Some say the error first and where it came from after (VBoxManage), most say it last; virsh says first
        # what could not be done, then why.
        reasons = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        said = reasons[-1:] or [line for line in said if "error:" in line.lower()][:1] or said
        raise _failed(argv, said[-1] if said else _("exit status {status}").format(
            status=done.returncode))
    return done.stdout


def replace(argv: Sequence[str], inherit: Sequence[int] = ()) -> NoReturn:
    """Become another program, which gets the descriptors `inherit`. Does not return.

    Raises `ToolMissing`, `ToolFailed`.
    """
    path = find(argv[0])
    for fd in inherit:
        os.set_inheritable(fd, True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these two; an ignored signal stays ignored through exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(path, list(argv))
    except OSError as error:
        raise _failed(argv, error.strerror or str(error)) from None


def spawn(argv: Sequence[str], *, quiet: bool = False, session: bool = False, stdin: int | None = None,
          environment: Mapping[str, str] | None = None, inherit: Sequence[int] = ()
          ) -> subprocess.Popen[bytes]:
    """Start a program beside us, with our terminal and our inheritable descriptors.

    `quiet`: neither input nor output, and of the descriptors only `inherit`; `session`: away from the
    terminal and its signals; `stdin`: a descriptor to be its standard input all the same. Raises
    `ToolMissing`, `ToolFailed`.
    """
    stream = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.Popen(  # noqa: S603  a list, no shell
            [find(argv[0]), *argv[1:]], stdin=stream if stdin is None else stdin,
            stdout=stream, stderr=stream, close_fds=quiet, pass_fds=tuple(inherit), start_new_session=session,
            env=environment)
    except OSError as error:
        raise _failed(argv, error.strerror or str(error)) from None


def _failed(argv: Sequence[str], why: str) -> ToolFailed:
    return ToolFailed(what=_("run the command"), tool=argv[0], why=printable(why))

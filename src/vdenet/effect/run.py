"""The one door through which the daemon starts other programs.

Argument lists only, standard input given or closed, a small environment, the program looked up on a fixed
path. A program that needs less than the daemon runs as its own account by setpriv(1).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vdenet.errors import ToolFailed, ToolMissing
from vdenet.model.wanted import Service

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}


def find(tool: str) -> str:
    """The absolute path of a program. Raises `ToolMissing`."""
    path = shutil.which(tool, path=PATH)
    if path is None:
        raise ToolMissing(tool=tool)
    return path


def as_account(argv: Sequence[str], account: str, groups: Sequence[str] = (),
               capabilities: Sequence[str] = ()) -> list[str]:
    """`argv` to be run as `account`, with these capabilities and no way to more."""
    capability_list = ",".join(["-all", *(f"+{capability}" for capability in capabilities)])
    return [find("setpriv"), "--reuid", account, "--regid", account,
            *(["--groups", ",".join([account, *groups])] if groups else ["--clear-groups"]),
            "--inh-caps", capability_list, "--ambient-caps", capability_list,
            "--no-new-privs", "--", find(argv[0]), *argv[1:]]


def run(argv: Sequence[str], *, what: str, stdin: str = "", account: str | None = None,
        timeout: float = 20, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed.

    `what` says for messages what it is run for; `timeout` is in seconds. Raises `ToolMissing`, `ToolFailed`.
    """
    line = [find(argv[0]), *argv[1:]] if account is None else as_account(argv, account)
    try:
        done = subprocess.run(line, input=stdin, capture_output=True, text=True, errors="replace",
                              timeout=timeout, check=False, cwd="/",
                              env={**ENVIRONMENT, **(environment or {})})
    except OSError as error:
        raise ToolFailed(what=what, tool=argv[0], why=error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(what=what, tool=argv[0], why=f"no end after {timeout:g} s") from None
    if done.returncode != 0:
        raise ToolFailed(what=what, tool=argv[0], why=said(done.stderr) or f"exit status {done.returncode}")
    return done.stdout


def said(text: str) -> str:
    """The lines that matter of what a program complained about, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^~\t")]
    return "; ".join(lines[:3])


def spawn(service: Service, log: Path) -> subprocess.Popen[bytes]:
    """Start a service that outlives the daemon; what it prints goes to the file `log`.

    A pipe to the daemon would break with the daemon and take the service along.
    """
    argv = as_account(service.argv, service.account, service.groups, service.capabilities)
    reader, writer = os.pipe()
    try:
        with open(log, "wb") as output:
            return subprocess.Popen(
                argv, stdin=reader if service.holds_stdin else subprocess.DEVNULL,
                stdout=output, stderr=output, cwd="/", env=ENVIRONMENT, start_new_session=True,
                # The service itself holds the writing end: it reads its end of input only when it ends.
                pass_fds=(writer,) if service.holds_stdin else ())
    except OSError as error:
        raise ToolFailed(what=f"start {service.name}", tool=service.argv[0],
                         why=error.strerror or str(error)) from None
    finally:
        os.close(reader)
        os.close(writer)

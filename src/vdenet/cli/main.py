"""The way in, and every way out: an exit status and one line, never a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from vdenet.cli import complain
from vdenet.cli.interruption import Terminated
from vdenet.cli.spelling import normalise


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name); the status to exit with."""
    words = sys.argv[1:] if argv is None else list(argv)
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        # A locale that cannot write a character gets its escape, not an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return complain.INTERRUPTED
    except Terminated as error:
        return complain.SIGNALLED + error.number
    except BrokenPipeError:
        # The reader has gone: tarr-steps list | head -1
        _abandon_stdout()
        return complain.BROKEN_PIPE
    except Exception as error:
        if os.environ.get("VDENET_DEBUG") == "1":
            import traceback

            traceback.print_exc()
        return _complain(error, words)


def _open_closed() -> None:
    """A standard stream that we were started without (`>&-`) is /dev/null: nothing that is opened later, as the
    control socket, is taken for it by us or by a guest's own command."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        fd = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: its own
        os.set_inheritable(fd, True)
        setattr(sys, name, open(fd, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def _run(words: Sequence[str]) -> int:
    line = normalise(words)
    from vdenet.cli import app

    try:
        return app.run(line)
    except app.Abort:
        return complain.INTERRUPTED
    except app.UsageError as error:
        raise _usage(error) from error


def _usage(error: Exception) -> complain.WrongUsage:
    """click's error as ours."""
    context = getattr(error, "ctx", None)
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return complain.WrongUsage(
        command=context.command_path if context else complain.PROGRAM,
        why=(text[:1].lower() + text[1:]).rstrip("."))


def _complain(error: Exception, words: Sequence[str]) -> int:
    told = complain.complaint(error)
    ours = words[: words.index("--")] if "--" in words else words
    try:
        if "--json" in ours:
            import json

            print(json.dumps(told.json(), indent=2))
        sys.stdout.flush()
    except OSError:
        _abandon_stdout()
    with suppress(OSError):  # nobody listens: the status is what is left to say
        complain.show(told)
    return told.status


def _abandon_stdout() -> None:
    """What could not be written is dropped; else Python's flush at exit fails once more, and says so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""plan, apply, export: the segment as a file; what a file would change, changed, and out again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import typer

from vdenet.cli import answers, confirmation, options
from vdenet.cli.client import Client, connect
from vdenet.cli.complain import REFUSED, WrongUsage
from vdenet.cli.output import Output
from vdenet.errors import BadConfig, BadValue, Refused, UnknownSegment
from vdenet.i18n import _
from vdenet.model.names import segment_name
from vdenet.text import reports

MAX_SIZE = 256 * 1024
"""Bytes of a configuration file that the daemon takes."""

_GIVEN = "given"
"""What the daemon calls the text, as it never learns a path."""

FILE = typer.Argument(None, show_default=False, help=_("The wanted configuration; - is standard input."))
CHECK = typer.Option(False, "--check", help=_("Change nothing; exit 1 if something would change."))
CONFIRM = typer.Option(None, "--confirm", metavar="SECONDS", show_default=False, min=5, max=3600, help=_(
    "Take the change back unless it is confirmed within this time."))
CONFIRMED = typer.Option(False, "--confirmed", help=_("Keep the change that waits to be confirmed."))
ROLLBACK = typer.Option(False, "--rollback", help=_("Take the change that waits back at once."))
CANONICAL = typer.Option(False, "--canonical", help=_("Without comments and defaults, in a fixed order."))


def plan(file: Optional[str] = FILE, segment: Optional[str] = options.SEGMENT_OF_FILE,
         json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`plan`: what `apply` would do."""
    text = None if file is None else given(file)
    with connect() as daemon:
        name, steps = _planned(daemon, file, text, segment)
    _show(name, steps, Output(json, quiet))


def apply(file: Optional[str] = FILE, segment: Optional[str] = options.SEGMENT_OF_FILE, check: bool = CHECK,
          confirm: Optional[int] = CONFIRM, confirmed: bool = CONFIRMED, rollback: bool = ROLLBACK,
          json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`apply`: make the file the segment's configuration, or the segment what its configuration says."""
    output = Output(json, quiet)
    _one_at_a_time(file, check, confirm, confirmed, rollback)
    if confirmed or rollback:
        _settle(options.chosen(segment), confirmed, output)
        return
    text = None if file is None else given(file)
    with connect() as daemon:
        if check:
            name, steps = _planned(daemon, file, text, segment)
            _show(name, steps, output)
            if steps:
                raise typer.Exit(REFUSED)
            return
        name = _segment(daemon, segment, file)
        with called(file):
            done = daemon.call("Reload", segment=name).parameters if text is None else \
                daemon.call("ApplyConfig", segment=name, text=text, confirm=confirm).parameters
    waits = done.get("confirm")
    seconds = waits if isinstance(waits, int) else None
    _report(done, seconds, output)
    if seconds is not None and not json and file != "-" and sys.stdin.isatty() and sys.stdout.isatty():
        raise typer.Exit(confirmation.ask(answers.text(done, "segment"), seconds))


def export(segment: Optional[str] = options.SEGMENT, canonical: bool = CANONICAL,
           json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`export`: the configuration, as `apply` takes it."""
    with connect() as daemon:
        told = daemon.call("Export", segment=options.chosen(segment), canonical=canonical).parameters
    text = answers.text(told, "text")
    Output(json, quiet).result(text.removesuffix("\n"), {"segment": answers.text(told, "segment"), "text": text})


def given(file: str) -> str:
    """What stands in FILE, or comes on standard input for `-`. Raises `BadValue`, `Refused`."""
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(MAX_SIZE + 1)
        else:
            with Path(file).open("rb") as opened:
                raw = opened.read(MAX_SIZE + 1)
        if len(raw) > MAX_SIZE:
            raise BadValue(what=_("file"), value=file, why=_("it is too large"))
        return raw.decode()
    except UnicodeDecodeError:
        raise BadValue(what=_("file"), value=file, why=_("it is not UTF-8")) from None
    except OSError as error:
        raise Refused(what=_("read {file}").format(file=file), why=error.strerror or str(error)) from None


@contextmanager
def called(file: str | None) -> Iterator[None]:
    """A mistake in the text is shown in the file that it came from."""
    try:
        yield
    except BadConfig as error:
        where = str(error.data.get("where"))
        if file is None or where.partition(":")[0] != _GIVEN:
            raise
        shown = _("standard input") if file == "-" else file
        raise BadConfig(where=shown + where.removeprefix(_GIVEN), why=error.data.get("why")) from None


def _segment(daemon: Client, asked: str | None, file: str | None) -> str:
    """The segment to work on: the one that was asked for, or the one after which FILE is called."""
    if asked is None and file is not None and file.endswith(".toml"):
        try:
            name = segment_name(Path(file).stem)
            daemon.call("GetAddress", segment=name)
            return name
        except (BadValue, UnknownSegment):
            pass
        except BadConfig:  # it is there, and FILE may be what mends it
            return name
    return options.chosen(asked)


def _planned(daemon: Client, file: str | None, text: str | None, segment: str | None) -> tuple[str, list[str]]:
    name = _segment(daemon, segment, file)
    with called(file):
        told = daemon.call("Plan", segment=name).parameters if text is None else \
            daemon.call("PlanConfig", segment=name, text=text).parameters
    return answers.text(told, "segment"), answers.texts(told, "steps")


def _show(name: str, steps: list[str], output: Output) -> None:
    text = reports.steps(steps)
    if not output.quiet:
        text = _("{segment} would change:").format(segment=name) + "\n" + text if steps \
            else _("{segment} is as it should be").format(segment=name)
    output.result(text, {"segment": name, "steps": steps})


def _report(done: dict[str, object], seconds: int | None, output: Output) -> None:
    name, steps = answers.text(done, "segment"), answers.texts(done, "steps")
    lines = [(_("{segment} was changed:") if steps else _("{segment} is as it should be")).format(segment=name)]
    if steps:
        lines.append(reports.steps(steps))
    if seconds is not None:
        lines.append(_("it is taken back in {seconds} s unless you keep it: tarr-steps apply --confirmed --segment "
                       "{segment}").format(seconds=seconds, segment=name))
    output.remark("\n".join(lines), {"segment": name, "changed": bool(steps), "steps": steps, "confirm": seconds})


def _settle(name: str, keep: bool, output: Output) -> None:
    with connect() as daemon:
        daemon.call("Confirm" if keep else "RollBack", segment=name)
    told = _("the change of {segment} stays") if keep else _("{segment} is as it was before the change")
    output.remark(told.format(segment=name), {"segment": name, "confirmed": keep})


def _one_at_a_time(file: str | None, check: bool, confirm: int | None, confirmed: bool, rollback: bool) -> None:
    told = [word for word, there in (("--check", check), ("--confirm", confirm is not None),
                                     ("--confirmed", confirmed), ("--rollback", rollback)) if there]
    command = "tarr-steps apply"
    if len(told) > 1:
        raise WrongUsage(command=command, why=_("{one} or {other}: one at a time").format(one=told[0], other=told[1]))
    if confirm is not None and file is None:
        raise WrongUsage(command=command, why=_("--confirm needs the FILE to apply"))
    if (confirmed or rollback) and file is not None:
        raise WrongUsage(command=command, why=_("{option} takes no FILE").format(option=told[0]))

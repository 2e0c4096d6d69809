"""The command line, put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Optional

# Up to typer 0.15, importing it imports rich where that is installed, for boxes and tracebacks that
# this tool does not draw. So typer has to be imported here first.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]

import typer  # noqa: E402
from typer.core import TyperGroup  # noqa: E402

from vdenet import __version__  # noqa: E402
from vdenet.cli import (
    address,
    checking,
    existing,
    importing,
    joining,
    kinds,
    lifecycle,
    options,
    planning,
    segments,
    show,
)  # noqa: E402
from vdenet.cli.complain import DONE, PROGRAM  # noqa: E402
from vdenet.cli.output import Output  # noqa: E402
from vdenet.cli.spelling import VERBS  # noqa: E402
from vdenet.i18n import _  # noqa: E402

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""click's; newer typers carry their own click, so it is taken from typer itself."""

_PLAIN: dict[str, Any] = {"rich_markup_mode": None} if "rich_markup_mode" in \
    typer.Typer.__init__.__annotations__ else {}
_GUESTS_COMMAND = {"allow_interspersed_args": False}
VERSION = typer.Option(False, "--version", help=_("Show the version."))
Abort = typer.Abort


def run(line: Sequence[str]) -> int:
    """Carry out a command line in the parser's spelling. Raises `UsageError`, `Abort`, and our errors.

    Not by click's own `main`: that answers a broken pipe and Ctrl-C in its own way.
    """
    command = typer.main.get_command(build())
    try:
        with command.make_context(PROGRAM, list(line)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return DONE


def build() -> typer.Typer:
    """The whole application."""
    app = _group(invoke_without_command=True, help=_(
        "One Ethernet segment for the guests of every hypervisor on this machine. "
        "Without a verb: the state of the segments, and the verb that helps next."),
        epilog=_("The verbs of the first tarr-steps work as before: "
                 "-st, -sp, -r, -c, -l, -ip [ADDR/LEN], and --start to --ip. "
                 "See tarr-steps(1)."))
    app.callback()(_no_verb)
    verbs: tuple[tuple[str, Callable[..., None], str], ...] = (
        ("start", lifecycle.start, _("Bring the segment up.")),
        ("stop", lifecycle.stop, _("Take it down until the next start or boot.")),
        ("reload", lifecycle.reload, _("Apply the configuration to the running segment.")),
        ("check", checking.check, _("Verify every part, and say how to mend what is wrong.")),
        ("list", show.list_, _("Show the segments, their addresses and guests.")),
        ("ip", address.ip, _("Show the address of the segment, or change it.")),
        ("leave", joining.leave, _("Take a guest off the segment.")),
        ("plan", planning.plan, _("Show what apply would change.")),
        ("apply", planning.apply, _("Make the segment as FILE, or its configuration, wants it.")),
        ("export", planning.export, _("Print the configuration of the segment.")),
        ("import", importing.import_, _("Make a configuration of another program's.")),
    )
    for name, function, text in verbs:
        app.command(name, help=text)(function)
    app.add_typer(_join(), name="join", help=_("Put a guest on the segment."))
    app.add_typer(_segment(), name="segment", help=_("Create, delete and show segments."))
    return app


def _join() -> typer.Typer:
    join = _group()
    join.command("qemu", context_settings=_GUESTS_COMMAND, help=_(
        "Run a QEMU command with one NIC more: a tap on the segment."))(joining.join_qemu)
    join.command("run", context_settings=_GUESTS_COMMAND, help=_(
        "Run any command in its own network namespace on the segment."))(joining.join_run)
    for kind in kinds.TABLE:
        join.command(kind, help=_("Put an existing {kind} guest on the segment.").format(kind=kind))(
            existing.join(kind))
    return join


def _segment() -> typer.Typer:
    segment = _group()
    segment.command("list", help=_("Show the segments without their guests."))(show.segments)
    segment.command("create", help=_("Make one more segment."))(segments.create)
    segment.command("delete", help=_("Take a segment down and forget it."))(segments.delete)
    return segment


class _InOrder(TyperGroup):
    """A group whose help has the verbs in the contract's order, and other words as they were added."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(self.commands, key=lambda name: VERBS.index(name) if name in VERBS else -1)


def _group(**settings: Any) -> typer.Typer:
    return typer.Typer(cls=_InOrder, add_completion=False, pretty_exceptions_enable=False,
                       context_settings={"help_option_names": ["-h", "--help"]},
                       **_PLAIN, **settings)


def _no_verb(context: typer.Context, segment: Optional[str] = options.SEGMENT_OF_ALL,
             json: bool = options.JSON, quiet: bool = options.QUIET, version: bool = VERSION) -> None:
    output = Output(json, quiet)
    if version:
        output.result(f"{PROGRAM} {__version__}", {"version": __version__})
    elif context.invoked_subcommand is None:
        show.state(segment, output)

"""What every verb takes. The objects are Typer's default values, shared by the verbs."""

from __future__ import annotations

import typer

from vdenet.cli.complain import PROGRAM, WrongUsage
from vdenet.i18n import _
from vdenet.model.names import DEFAULT_SEGMENT, segment_name
from vdenet.model.vlans import FIRST, LAST

SEGMENT = typer.Option(
    None, "--segment", metavar="NAME", show_default=False,
    help=_("The segment; {name} when not given.").format(name=DEFAULT_SEGMENT))
SEGMENT_OF_ALL = typer.Option(
    None, "--segment", metavar="NAME", show_default=False, help=_("The segment; all of them when not given."))
"""For verbs that show: `asked` in place of `chosen`."""
SEGMENT_OF_FILE = typer.Option(
    None, "--segment", metavar="NAME", show_default=False,
    help=_("The segment; when not given, the one after which FILE is called, else {name}.").format(
        name=DEFAULT_SEGMENT))
JSON = typer.Option(False, "--json", help=_("One JSON document on standard output."))
QUIET = typer.Option(False, "--quiet", "-q", help=_("No remarks: only what was asked for, and errors."))
VLAN = typer.Option(None, "--vlan", metavar="ID", min=FIRST, max=LAST, show_default=False,
                    help=_("Into this VLAN of the segment, which its configuration declares."))
SEGMENT_ARGUMENT = typer.Argument(None, show_default=False, help=_("The same as --segment."))


def chosen(option: str | None, argument: str | None = None) -> str:
    """The segment to work on. Raises `BadValue`, `WrongUsage`."""
    return asked(option, argument) or DEFAULT_SEGMENT


def asked(option: str | None, argument: str | None = None) -> str | None:
    """The segment that was asked for, if any. Raises `BadValue`, `WrongUsage`."""
    if option is not None and argument is not None and option != argument:
        raise WrongUsage(command=PROGRAM, why=_("{one} or {other}: one segment at a time").format(
            one=option, other=argument))
    given = argument if option is None else option
    return None if given is None else segment_name(given)

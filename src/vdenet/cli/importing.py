"""import: another program's network as a segment's configuration, and what of it is missing there."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from vdenet.cli import answers, options, planning
from vdenet.cli.client import connect
from vdenet.cli.output import Output
from vdenet.errors import BadValue, Refused, printable
from vdenet.i18n import _
from vdenet.model.names import segment_address
from vdenet.model.segment import Segment

FORMATS = ("vde", "lxc-net", "libvirt")
"""The names in `vdenet.text.foreign.FORMATS`, which no other verb has to import."""

FILE = typer.Argument(..., show_default=False, help=_("What to import; - is standard input."))
FORMAT = typer.Option(None, "--from", metavar="FORMAT", show_default=False, help=_(
    "{formats}; found out when not given.").format(formats=", ".join(FORMATS)))
OUTPUT = typer.Option(None, "--output", metavar="FILE", show_default=False, help=_(
    "Write the configuration there, instead of on standard output."))
ADDRESS = typer.Option(None, "--address", metavar="ADDR/LEN", show_default=False, help=_(
    "The host's address on the segment, where the file names none."))


def import_(file: str = FILE, format: Optional[str] = FORMAT, to: Optional[str] = OUTPUT,
            address: Optional[str] = ADDRESS, segment: Optional[str] = options.SEGMENT,
            json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`import`: a configuration made of a file that another program has for its network."""
    from vdenet.text import config, foreign

    output = Output(json, quiet)
    name = options.chosen(segment)
    if format is not None and format not in FORMATS:
        raise BadValue(what=_("format"), value=format, why=_("expected one of {formats}").format(
            formats=", ".join(FORMATS)))
    given = None if address is None else segment_address(address)
    text = planning.given(file)
    where = _("standard input") if file == "-" else file
    kind = format or foreign.recognise(text, where)
    base = _present(name) if kind == foreign.SWITCH and given is None else Segment(name, given)
    imported = foreign.read(kind, text, where, base, given)
    made = config.emit(imported.segment, _comment(where, kind, imported.title))
    if to is not None:
        _write(to, made)
    left_out = [{"line": one.line, "what": one.what, "why": one.why} for one in imported.left_out]
    document = {"segment": name, "file": file, "from": kind, "output": to, "text": made, "left_out": left_out}
    if to is None:
        output.result(made.removesuffix("\n"), document)
    else:
        output.remark(_("{file} is written; what it would change: tarr-steps plan {file} --segment {segment}").format(
            file=to, segment=name), document)
    for one in imported.left_out:
        output.aside(_("{where}:{line}: left out: {what}: {why}").format(
            where=printable(where), line=one.line, what=printable(one.what), why=printable(one.why)))


def _present(name: str) -> Segment:
    """The segment as it is configured: a script of the switch's says nothing of the rest."""
    from vdenet.text import config

    with connect() as daemon:
        told = daemon.call("Export", segment=name, canonical=True).parameters
    return config.parse(answers.text(told, "text"), name, name)


def _comment(where: str, kind: str, title: str | None) -> str:
    shown = printable(f"{where}, {kind}" + (f" {title}" if title else ""))
    return _("Imported from {what}.").format(what=shown)


def _write(to: str, text: str) -> None:
    try:
        Path(to).write_text(text)
    except OSError as error:
        raise Refused(what=_("write {file}").format(file=to), why=error.strerror or str(error)) from None

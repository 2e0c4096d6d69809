"""segment create, segment delete."""

from __future__ import annotations

from typing import Optional

import typer

from vdenet.cli import answers, options, planning
from vdenet.cli.client import connect
from vdenet.cli.complain import WrongUsage
from vdenet.cli.output import Output
from vdenet.i18n import _
from vdenet.model.names import segment_address, segment_name
from vdenet.text import reports

NAME = typer.Argument(..., show_default=False, help=_("1 to 11 lower-case letters and digits, a letter first."))
ADDRESS = typer.Option(None, "--address", metavar="ADDR/LEN", show_default=False, help=_(
    "The host's address on it; chosen when not given."))
MODE = typer.Option(None, "--mode", metavar="MODE", show_default=False, help=_(
    "How it meets the world outside; nat when not given."))
FORCE = typer.Option(False, "--force", help=_("Also while guests are on it or have joined it."))


def create(name: str = NAME, file: Optional[str] = planning.FILE, address: Optional[str] = ADDRESS,
           mode: Optional[str] = MODE, json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`segment create`: one more segment, up, as FILE describes it or with what is chosen for it."""
    name = segment_name(name)
    if file is not None and (address is not None or mode is not None):
        raise WrongUsage(command="tarr-steps segment create", why=_(
            "FILE or {option}: the file says what the segment is").format(
                option="--mode" if address is None else "--address"))
    text = None if file is None else planning.given(file)
    wanted = None if address is None else str(segment_address(address))
    with connect() as daemon, planning.called(file):
        made = daemon.call("CreateSegment", segment=name, text=text, address=wanted, mode=mode).parameters
    told, domain = answers.text(made, "address"), answers.text(made, "domain")
    Output(json, quiet).remark("\n".join((
        _("{segment} is up: {address}, {domain}").format(segment=name, address=told, domain=domain),
        _("put a guest on it: tarr-steps join … --segment {segment}").format(segment=name))),
        {"segment": name, "address": told, "domain": domain, "owner": answers.maybe(made, "owner"),
         "steps": answers.texts(made, "steps")})


def delete(name: str = NAME, force: bool = FORCE, json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`segment delete`: down, and its configuration and leases gone."""
    name = segment_name(name)
    with connect() as daemon:
        gone = daemon.call("DeleteSegment", segment=name, force=force).parameters
    guests = answers.texts(gone, "guests")
    lines = [_("{segment} is deleted").format(segment=name)]
    if guests:
        lines.append(_("guests that lost it: {names}").format(names=reports.names(guests)))
    Output(json, quiet).remark("\n".join(lines), {
        "segment": name, "changed": True, "steps": answers.texts(gone, "steps"), "guests": guests})

"""ip: the segment's address, shown and changed."""

from __future__ import annotations

from typing import Optional

import typer

from vdenet.cli import answers, options
from vdenet.cli.client import connect
from vdenet.cli.output import Output
from vdenet.i18n import _
from vdenet.model.names import segment_address
from vdenet.model.report import State

ADDRESS = typer.Argument(None, show_default=False, help=_("The new address, such as 10.9.8.1/24."))


def ip(address: Optional[str] = ADDRESS, segment: Optional[str] = options.SEGMENT,
       json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`ip`: without a value show the address; with one change it, persistently and live."""
    output = Output(json, quiet)
    name = options.chosen(segment)
    if address is None:
        with connect() as daemon:
            shown = daemon.call("GetAddress", segment=name).parameters
        text = answers.maybe(shown, "address")
        none = _("none: a bridged segment has no address of its own")
        output.result(text or none, {"segment": answers.text(shown, "segment"), "address": text})
        return
    wanted = str(segment_address(address))
    with connect() as daemon:
        done = daemon.call("SetAddress", segment=name, address=wanted).parameters
        down = answers.segment(daemon.call("List", segment=name).parameters).state is State.DOWN
    now, old = answers.text(done, "address"), answers.maybe(done, "retiring")
    name, changed = answers.text(done, "segment"), bool(done.get("changed"))
    lines = [(_("{segment} will have the address {address} when it is up") if down
              else _("{segment} has the address {address} now") if changed
              else _("{segment} has the address {address} already")
              ).format(segment=name, address=now)]
    if old:
        lines.append(_("{address} stays until the guests have renewed their leases").format(
            address=old))
    output.remark("\n".join(lines), {
        "segment": name, "address": now, "changed": changed,
        "steps": answers.texts(done, "steps"), "retiring": old})

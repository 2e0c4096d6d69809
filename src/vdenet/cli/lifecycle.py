"""start, stop, reload: a segment up, down, and as its configuration wants it."""

from __future__ import annotations

from typing import Optional

from vdenet.cli import answers, options
from vdenet.cli.client import connect
from vdenet.cli.output import Output
from vdenet.i18n import _, ngettext
from vdenet.text import reports

def start(segment: Optional[str] = options.SEGMENT_ARGUMENT, named: Optional[str] = options.SEGMENT,
          json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`start`: say whether it was up already."""
    name = options.chosen(named, segment)
    with connect() as daemon:
        done = daemon.call("Start", segment=name).parameters
    Output(json, quiet).remark(_state(
        done, _("{segment} is up"), _("{segment} is up already")), _document(done))


def stop(segment: Optional[str] = options.SEGMENT_ARGUMENT, named: Optional[str] = options.SEGMENT,
         json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`stop`: name the guests that lose the segment."""
    name = options.chosen(named, segment)
    with connect() as daemon:
        done = daemon.call("Stop", segment=name).parameters
    guests = answers.texts(done, "guests")
    lines = [_state(done, _("{segment} is down until the next start or boot"),
                    _("{segment} is down already"))]
    if guests:
        lines.append(ngettext("{count} guest lost it: {names}", "{count} guests lost it: {names}",
                              len(guests)).format(count=len(guests), names=reports.names(guests)))
    Output(json, quiet).remark("\n".join(lines), {**_document(done), "guests": guests})


def reload(segment: Optional[str] = options.SEGMENT_ARGUMENT, named: Optional[str] = options.SEGMENT,
           json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`reload`: carry out what the configuration asks for, and say what that was."""
    name = options.chosen(named, segment)
    with connect() as daemon:
        done = daemon.call("Reload", segment=name).parameters
    _applied(done, Output(json, quiet))


def _applied(done: dict[str, object], output: Output) -> None:
    lines = [_state(done, _("{segment} was changed:"), _("{segment} is as it should be"))]
    if done.get("changed"):
        lines.append(reports.steps(answers.texts(done, "steps")))
    output.remark("\n".join(line for line in lines if line), _document(done))


def _state(done: dict[str, object], changed: str, unchanged: str) -> str:
    return (changed if done.get("changed") else unchanged).format(
        segment=answers.text(done, "segment"))


def _document(done: dict[str, object]) -> dict[str, object]:
    return {"segment": answers.text(done, "segment"), "changed": bool(done.get("changed")),
            "steps": answers.texts(done, "steps")}

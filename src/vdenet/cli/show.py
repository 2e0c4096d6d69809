"""list, segment list, and the answer to no verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import typer

from vdenet.cli import answers, complain, options
from vdenet.cli.client import connect
from vdenet.cli.output import Output
from vdenet.cli.unreadable import unreadable
from vdenet.errors import BadConfig
from vdenet.model.places import Places
from vdenet.model.report import SegmentReport
from vdenet.text import reports
from vdenet.text.reports import Style


def list_(segment: Optional[str] = options.SEGMENT_OF_ALL, json: bool = options.JSON,
          quiet: bool = options.QUIET) -> None:
    """`list`: every segment with its guests."""
    _show(segment, Output(json, quiet), reports.listing)


def state(segment: str | None, output: Output) -> None:
    """No verb: the state in a few lines, and the verb that helps next."""
    _show(segment, output, reports.summary)


def segments(segment: Optional[str] = options.SEGMENT_OF_ALL, json: bool = options.JSON,
             quiet: bool = options.QUIET) -> None:
    """`segment list`: the segments without their guests."""
    _show(segment, Output(json, quiet), reports.segment_names)


def _show(asked: str | None, output: Output,
          report: Callable[[list[SegmentReport], Style], str]) -> None:
    found, broken = _segments(options.asked(asked))
    if found or not broken:
        output.result(report(found, output.style()),
                      {"segments": [segment.json() for segment in found]})
        for error in broken:
            complain.show(complain.complaint(error))
    if broken:
        if not found:
            raise broken[0]
        raise typer.Exit(complain.complaint(broken[0]).status)


def _segments(asked: str | None) -> tuple[list[SegmentReport], list[BadConfig]]:
    """The segments, and why those that are missing are."""
    with connect() as daemon:
        found = answers.segments(daemon.call("List", segment=asked).parameters)
        broken = {} if asked else unreadable(daemon, found, Places())
    return found, list(broken.values())

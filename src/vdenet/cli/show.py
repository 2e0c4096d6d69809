"""list, segment list, and the answer to no verb."""

from __future__ import annotations

from typing import Optional

from vdenet.cli import answers, options
from vdenet.cli.client import connect
from vdenet.cli.output import Output
from vdenet.model.report import SegmentReport
from vdenet.text import reports


def list_(segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
          quiet: bool = options.QUIET) -> None:
    """`list`: every segment with its guests."""
    output = Output(json, quiet)
    found = _segments(options.asked(segment))
    output.result(reports.listing(found, output.style()), _document(found))


def state(segment: str | None, output: Output) -> None:
    """No verb: the state in a few lines, and the verb that helps next."""
    found = _segments(options.asked(segment))
    output.result(reports.summary(found, output.style()), _document(found))


def segments(segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
             quiet: bool = options.QUIET) -> None:
    """`segment list`: the segments without their guests."""
    output = Output(json, quiet)
    found = _segments(options.asked(segment))
    output.result(reports.segment_names(found, output.style()), _document(found))


def _segments(segment: str | None) -> list[SegmentReport]:
    with connect() as daemon:
        return answers.segments(daemon.call("List", segment=segment).parameters)


def _document(found: list[SegmentReport]) -> dict[str, object]:
    return {"segments": [segment.json() for segment in found]}

"""check: what the daemon finds, and what the caller sees without it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Optional

import typer

from vdenet.cli import complain, options
from vdenet.cli.output import Output
from vdenet.model.report import is_ok
from vdenet.text import reports


def check(segment: Optional[str] = options.SEGMENT_ARGUMENT, named: Optional[str] = options.SEGMENT_OF_ALL,
          json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`check`: look at every part; exit 1 if one of them is broken."""
    from vdenet.cli.checkup import Checkup

    output = Output(json, quiet)
    checkup = Checkup(options.asked(named, segment))
    checkup.run()
    good = is_ok(checkup.findings)
    refusal = checkup.refusal
    # For people the refusal stands below, as in any verb.
    told = [one for one in checkup.findings if refusal is None or one.code != refusal.code]
    output.result(
        reports.checklist(checkup.passed, told, output.style(), verdict=refusal is None),
        {"ok": good, "findings": [asdict(one) for one in checkup.findings],
         "passed": [asdict(one) for one in checkup.passed]})
    if refusal is not None:
        complaint = complain.complaint(refusal)
        complain.show(complaint)
        raise typer.Exit(complaint.status)
    if not good:
        raise typer.Exit(complain.REFUSED)

"""check: what the daemon finds, and what the caller sees without it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Optional

import typer

from vdenet.cli import options
from vdenet.cli.complain import REFUSED, complaint, show
from vdenet.cli.output import Output
from vdenet.model.report import is_ok
from vdenet.text import reports


def check(segment: Optional[str] = options.SEGMENT_ARGUMENT, named: Optional[str] = options.SEGMENT,
          json: bool = options.JSON, quiet: bool = options.QUIET) -> None:
    """`check`: look at every part; exit 1 if one of them is broken."""
    from vdenet.cli.checkup import Checkup

    output = Output(json, quiet)
    checkup = Checkup(options.asked(named, segment))
    checkup.run()
    good = is_ok(checkup.findings)
    told = [finding for finding in checkup.findings
            # For people that one stands below, as any refusal does.
            if checkup.refusal is None or finding.code != checkup.refusal.code]
    output.result(reports.checklist(checkup.passed, told, output.style()), {
        "ok": good, "findings": [asdict(finding) for finding in checkup.findings],
        "passed": [asdict(part) for part in checkup.passed]})
    if checkup.refusal is not None:
        told_why = complaint(checkup.refusal)
        show(told_why)
        raise typer.Exit(told_why.status)
    if not good:
        raise typer.Exit(REFUSED)

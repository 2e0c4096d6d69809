"""The reports for people, whole, as they appear on a screen.

VDENET_GOLDEN=write writes what is there now; look at the difference before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vdenet.model.report import Finding, GuestReport, SegmentReport, Severity, State
from vdenet.text import reports
from vdenet.text.reports import Passed, Style

HERE = Path(__file__).parent / "reports"

GUESTS = (
    GuestReport("web", "52:54:00:12:34:56", "10.83.14.23", "web.vdenet.internal", "tap", "vd0-web", None,
                "alice", "qemu"),
    GuestReport("debian9", "08:00:27:aa:bb:cc", "10.83.14.77", "debian9.vdenet.internal", "vde",
                "vdenet0-vde", 12, "bob", None),
    GuestReport(None, "52:54:00:00:00:01"),
    # Nothing that a guest calls itself moves the cursor, and a wide character takes its two columns.
    GuestReport("\x1b[2Jевл\n漢字", "52:54:00:00:00:02", None, None, "veth", None, None, "alice", "run"),
)
UP = SegmentReport("vdenet0", State.UP, "10.83.14.1/24", "fd5e:8a01:22c4:1::1/64", "nat", "vdenet.internal",
                   "vdenet0", "vdenet0-vde", "/run/vdenet/vdenet0/switch", GUESTS)
LAB = SegmentReport("lab", State.DOWN, "172.20.0.1/16", None, "isolated", "lab.internal", "lab", "lab-vde",
                    "/run/vdenet/lab/switch")
EMPTY = SegmentReport("vdenet0", State.UP, "10.83.14.1/24", None, "nat", "vdenet.internal", "vdenet0",
                      "vdenet0-vde", "/run/vdenet/vdenet0/switch")
BROKEN = SegmentReport("lab", State.DEGRADED, "172.20.0.1/16", None, "routed", "lab.internal", "lab",
                       "lab-vde", "/run/vdenet/lab/switch", GUESTS[:1])
PASSED = [Passed("daemon", None, "vdenetd answers (version 0.1.0)"),
          Passed("bridge", "vdenet0", "the bridge vdenet0 is up")]
FINDINGS = [
    Finding("docker-forward-drop", Severity.ERROR, "vdenet0", "Docker drops what is forwarded",
            "sudo iptables -I DOCKER-USER -i vdenet0 -j ACCEPT"),
    Finding("resolver", Severity.WARNING, "vdenet0", "this host does not resolve vdenet.internal"),
    Finding("qemu-vde", Severity.INFO, None, "qemu-system-x86_64 is built without VDE", "take a\ntap"),
]

TERMINAL = Style(colour=True, width=80)
NARROW = Style(width=60)
QUIET = Style(bare=True)

REPORTS = {
    "list": reports.listing([UP, LAB]),
    "list-terminal": reports.listing([UP, LAB], TERMINAL),
    "list-narrow": reports.listing([UP, LAB], NARROW),
    "list-quiet": reports.listing([UP, LAB], QUIET),
    "list-nothing": reports.listing([]),
    "state-guests": reports.summary([UP, LAB]),
    "state-up": reports.summary([UP]),
    "state-empty": reports.summary([EMPTY]),
    "state-degraded": reports.summary([LAB, BROKEN], TERMINAL),
    "state-quiet": reports.summary([UP], QUIET),
    "segments": reports.segment_names([UP, LAB]),
    "check": reports.checklist(PASSED, FINDINGS),
    "check-terminal": reports.checklist(PASSED, FINDINGS, TERMINAL),
    "check-quiet": reports.checklist(PASSED, FINDINGS, QUIET),
    "check-ok": reports.checklist(PASSED, []),
    "steps": reports.steps(["create the bridge vdenet0", "load the\nfirewall"]),
}


@pytest.mark.parametrize("name", REPORTS)
def test_report(name: str) -> None:
    path, text = HERE / f"{name}.txt", REPORTS[name] + "\n"
    if os.environ.get("VDENET_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_no_report_is_left_over() -> None:
    assert {path.stem for path in HERE.iterdir()} == set(REPORTS)

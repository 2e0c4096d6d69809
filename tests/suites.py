#!/usr/bin/python3
"""Run suites of tests side by side, each in a pytest of its own, and say how long each took.

    tests/suites.py [SUITE]...      without a name: every directory here that has tests, but the slow ones

Each suite's output goes to dist/tests/SUITE.log; it is shown in full when the suite failed. The last
line is `N passed, N failed` and, where a test was skipped, `, N skipped`: in CI that is a failure.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent
OUT = TESTS.parent / "dist/tests"
# The slow ones first, so that the quick ones fill up what is left of the time.
FIRST = ("system", "hypervisors", "vlans", "net", "guests", "netboot", "packaging")
# Targets of their own: minutes of emulation for one machine.
SLOW = ("emulated", "virtualbox")
JOBS = int(os.environ.get("VDENET_TEST_JOBS", os.cpu_count() or 1))
LIMIT = int(os.environ.get("VDENET_TEST_LIMIT", 60 * 60))
"""Seconds after which a suite is ended."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a suite ended."""

    passed: int
    failed: int
    skipped: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.passed:5} {self.failed:6} {self.skipped:7} {self.seconds:7.0f} s"


class Suite:
    """A directory of tests, being run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.log = OUT / f"{name}.log"
        self.report = OUT / f"{name}.xml"
        self.report.unlink(missing_ok=True)
        self.begun = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "pytest",
                    "-p", "no:cacheprovider",
                    "--durations=10",
                    f"--junitxml={self.report}",
                    str(TESTS / name),
                ],
                cwd=TESTS.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def result(self) -> Result | None:
        """None while it runs."""
        if self.process.poll() is None:
            if self.seconds < LIMIT:
                return None
            self.end()
        counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        if self.report.exists():
            for suite in ElementTree.parse(self.report).iter("testsuite"):
                for key in counts:
                    counts[key] += int(suite.get(key, 0))
        failed = counts["failures"] + counts["errors"]
        if self.process.returncode and not failed:
            failed = 1  # collected nothing, was ended, or pytest itself broke
        passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
        return Result(max(passed, 0), failed, counts["skipped"], self.seconds)

    def end(self) -> None:
        """Let pytest tidy up, then end what is left of it."""
        for number, patience in ((signal.SIGINT, 60), (signal.SIGKILL, 10)):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue


def found() -> list[str]:
    names = sorted({path.parent.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
                   - set(SLOW))
    return [*(name for name in FIRST if name in names), *(name for name in names if name not in FIRST)]


def run(names: list[str]) -> dict[str, Result]:
    waiting, running, results = list(names), list[Suite](), dict[str, Result]()
    try:
        while waiting or running:
            while waiting and len(running) < JOBS:
                running.append(Suite(waiting.pop(0)))
                print(f"-- {running[-1].name}: running", flush=True)
            time.sleep(0.2)
            for suite in list(running):
                result = suite.result()
                if result is not None:
                    running.remove(suite)
                    results[suite.name] = result
                    show(suite, result)
    finally:
        for suite in running:
            suite.end()
    return results


def show(suite: Suite, result: Result) -> None:
    text = suite.log.read_text(errors="replace")
    if result.failed:
        print(text)
    last = text.strip().rpartition("\n")[2].strip("= ") or "no output"
    print(f"-- {suite.name}: {last}", flush=True)


def main(names: list[str]) -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        # Whoever starts this in the background ignores them, and so would all that the tests start.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    begun = time.monotonic()
    results = run(names or found())
    print(f"\n{'suite':12} passed failed skipped    time")
    for name, result in results.items():
        print(f"{name:12} {result}")
    total = Result(
        sum(result.passed for result in results.values()),
        sum(result.failed for result in results.values()),
        sum(result.skipped for result in results.values()),
        time.monotonic() - begun,
    )
    print(f"{'all':12} {total}\n")
    line = f"{total.passed} passed, {total.failed} failed"
    if total.skipped:
        line += f", {total.skipped} skipped"
    (OUT / "summary").write_text(f"{line}\n")
    print(line, flush=True)
    return 1 if total.failed or not total.passed or (total.skipped and os.environ.get("CI")) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

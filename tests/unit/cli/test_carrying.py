"""Files and commands of a join: carried out and taken back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from vdenet.cli import carrying, interruption, tools
from vdenet.cli.interruption import Terminated
from vdenet.errors import Refused, ToolFailed, ToolTimedOut
from vdenet.model.joining import EditFile, RunTool


def test_a_link_stays_a_link(tmp_path: Path, box: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(box)
    carrying.perform([EditFile(str(link), "off, as it was\n", "bytes \udcff\n")])
    assert link.is_symlink()
    assert box.read_bytes() == b"bytes \xff\n"


def test_a_file_that_somebody_changed_is_left_alone(box: Path) -> None:
    with pytest.raises(Refused):
        carrying.perform([EditFile(str(box), "something else", "new")])
    assert box.read_text() == "off, as it was\n"


def test_commands_are_taken_back_in_reverse(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def ask(argv: tuple[str, ...], seconds: float = 0, input: str = "") -> str:  # noqa: ARG001
        ran.append(" ".join(argv) + input)
        if argv == ("c",):
            raise ToolFailed(what="run", tool="c", why="no")
        return ""

    monkeypatch.setattr(tools, "ask", ask)
    with pytest.raises(ToolFailed):
        carrying.perform([RunTool(("a",), ("not", "a")), RunTool(("x",)),
                        RunTool(("b",), ("not", "b"), " in", " out"), RunTool(("c",), ("z",))])
    assert ran == ["a", "x", "b in", "c", "not b out", "not a"]


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The tools that were run, and what becomes of some of them."""
    made = Ran()
    monkeypatch.setattr(tools, "ask", made.ask)
    return made


class Ran(list[str]):
    def __init__(self) -> None:
        super().__init__()
        self.then: dict[str, Callable[[], object]] = {}
        self.apart: list[str] = []

    def ask(self, argv: tuple[str, ...], seconds: float = 0, input: str = "") -> str:  # noqa: ARG002
        command = " ".join(argv)
        self.append(command)
        if interruption.is_kept_out():
            self.apart.append(command)
        self.then.get(command, lambda: None)()
        return ""


BOTH = [RunTool(("pause",), ("resume",)), RunTool(("null",), ("not", "null"))]


@pytest.mark.parametrize("number", SIGNALS)
def test_what_was_interrupted_is_taken_back_whatever_comes(ran: Ran, number: int) -> None:
    """Also the command that it hit, which may have done its work; more of them change nothing, nor do they reach the
    tools that take it back."""
    def hit() -> None:
        for each in SIGNALS:
            signal.raise_signal(each)

    ran.then = {"null": lambda: signal.raise_signal(number), "not null": hit}
    before, said = [signal.getsignal(each) for each in SIGNALS], list[str]()
    with pytest.raises((KeyboardInterrupt, Terminated)) as raised:
        carrying.perform(BOTH, said.append)
    assert ran == ["pause", "null", "not null", "resume"] and ran.apart == ["not null", "resume"]
    assert getattr(raised.value, "number", signal.SIGINT) == number
    assert said == ["taking back what was done"]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_all_around_a_change_it_is_one_signal_that_counts(ran: Ran) -> None:
    """What the caller takes back after that is left in peace, too."""
    ran.then = {"null": lambda: signal.raise_signal(signal.SIGHUP)}
    with pytest.raises(Terminated), interruption.raised_once():
        try:
            carrying.perform(BOTH)
        finally:
            for each in SIGNALS:
                signal.raise_signal(each)
            ran.append("given back")
    assert ran[-3:] == ["not null", "resume", "given back"]


def test_a_failure_is_taken_back_though_a_signal_comes(ran: Ran) -> None:
    def fail() -> None:
        raise ToolFailed(what="run the command", tool="null", why="no")

    ran.then = {"null": fail, "resume": lambda: signal.raise_signal(signal.SIGTERM)}
    with pytest.raises(ToolFailed):
        carrying.perform(BOTH)
    assert ran == ["pause", "null", "resume"]


def test_what_cannot_be_taken_back_is_said(ran: Ran) -> None:
    def fail() -> None:
        raise ToolFailed(what="run the command", tool="resume", why="no")

    ran.then, said = {"null": lambda: signal.raise_signal(signal.SIGINT), "not null": fail, "resume": fail}, list[str]()
    with pytest.raises(KeyboardInterrupt):
        carrying.perform(BOTH, said.append)
    why = "cannot run the command: resume failed: no"
    left = f"could not be taken back: {why}\nby hand: resume"
    assert said[1:] == [f"may not have been taken back: {why}\nby hand: not null", left]
    ran.then["null"] = fail
    said.clear()
    with pytest.raises(ToolFailed):
        carrying.perform(BOTH, said.append)
    assert said == [left]


def test_what_is_to_be_done_by_hand_is_whole(ran: Ran, box: Path) -> None:
    """A tool with what it reads; and a file that somebody else changed meanwhile stays theirs."""
    def fail() -> None:
        box.write_text("theirs")
        raise ToolFailed(what="run the command", tool="x", why="no")

    ran.then, said = {"null": fail, "detach": fail}, list[str]()
    with pytest.raises(ToolFailed):
        carrying.perform([RunTool(("attach",), ("detach",), "<new/>\n", "<old/>\n"),
                          EditFile(str(box), box.read_text(), "new"), BOTH[1]], said.append)
    assert said == [f"could not be taken back: cannot change {box}: somebody else changed it meanwhile",
                    "could not be taken back: cannot run the command: x failed: no\n"
                    "by hand: detach <<'END'\n<old/>\nEND"]
    assert box.read_text() == "theirs"


def test_a_hangup_that_is_ignored_is_ignored(ran: Ran) -> None:
    ran.then = {"pause": lambda: signal.raise_signal(signal.SIGHUP)}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        carrying.perform(BOTH)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ran == ["pause", "null"]


def test_a_file_that_a_signal_cut_off_is_taken_back(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, replace = box.read_text(), os.replace

    def hit(*paths: str) -> None:
        replace(*paths)
        if box.read_text() == "new":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "replace", hit)
    with pytest.raises(Terminated):
        carrying.perform([EditFile(str(box), before, "new")])
    assert box.read_text() == before


@pytest.mark.parametrize(("error", "back"), ((ToolTimedOut, ["not null", "resume"]), (ToolFailed, ["resume"])))
def test_a_command_that_took_too_long_may_have_done_its_work(ran: Ran, error: type[ToolFailed], back: list[str]) -> None:
    def fail() -> None:
        raise error(what="run the command", tool="null", why="no")

    ran.then = {"null": fail}
    with pytest.raises(error):
        carrying.perform(BOTH)
    assert ran == ["pause", "null", *back]


def test_a_command_with_its_input_is_one_for_a_shell() -> None:
    assert str(RunTool(("cat", "a b"), input="<x/>\n")) == "cat 'a b' <<'END'\n<x/>\nEND"

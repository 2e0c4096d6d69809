"""Files and commands of a join: carried out and taken back."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from vdenet.cli import carrying, tools
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


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_what_was_interrupted_is_taken_back_whatever_comes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Also the command that it hit, which may have done its work; and another one changes nothing."""
    ran: list[str] = []

    def ask(argv: tuple[str, ...], seconds: float = 0, input: str = "") -> str:  # noqa: ARG001
        ran.append(" ".join(argv))
        if argv in (("null",), ("not", "null")):
            signal.raise_signal(number)
        return ""

    monkeypatch.setattr(tools, "ask", ask)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises((KeyboardInterrupt, Terminated)) as raised:
        carrying.perform([RunTool(("pause",), ("resume",)), RunTool(("null",), ("not", "null"))])
    assert ran == ["pause", "null", "not null", "resume"]
    assert getattr(raised.value, "number", signal.SIGINT) == number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_hangup_that_is_ignored_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "ask", lambda *_words, **_more: signal.raise_signal(signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        carrying.perform([RunTool(("pause",), ("resume",))])
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("error", "back"), ((ToolTimedOut, ["not a"]), (ToolFailed, [])))
def test_a_command_that_took_too_long_may_have_done_its_work(monkeypatch: pytest.MonkeyPatch, error: type[ToolFailed],
                                                             back: list[str]) -> None:
    ran: list[str] = []

    def ask(argv: tuple[str, ...], seconds: float = 0, input: str = "") -> str:  # noqa: ARG001
        ran.append(" ".join(argv))
        raise error(what="run the command", tool=argv[0], why="no")

    monkeypatch.setattr(tools, "ask", ask)
    with pytest.raises(error):
        carrying.perform([RunTool(("a",), ("not", "a"))])
    assert ran == ["a", *back]


def test_a_command_with_its_input_is_one_for_a_shell() -> None:
    assert str(RunTool(("cat", "a b"), input="<x/>\n")) == "cat 'a b' <<'END'\n<x/>\nEND"

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import pytest

from unit.cli.conftest import SEGMENT, Daemon, TarrSteps
from vdenet import __version__
from vdenet.cli import main, show
from vdenet.cli.spelling import VERBS
from vdenet.model.places import Places

TOP = Path(__file__).parents[3]


@pytest.mark.parametrize("words", [
    "lst", "list --foo", "start a b", "start vdenet0 --segment lab", "--segment", "-st -sp", "join", "join qemu",
    "join run", "join run --name", "join foo", "leave", "leave qemu", "leave foo web", "segment",
    "segment foo", "list vdenet0", "ip 10.9.8.1/24 10.9.9.1/24", "-z", "join qemu --model a,b -- qemu",
    "join qemu --name -x- -- qemu", "join qemu --mac 01:00:00:00:00:00 -- qemu", "--verbose", "-q",
])
def test_wrong_usage(daemon: Daemon, tarr_steps: TarrSteps, words: str) -> None:
    if words == "-q":  # a sound command, so that the list above cannot be wrong about everything
        daemon.answers["List"] = {"segments": [SEGMENT]}
        assert tarr_steps(words).status == 0
        return
    done = tarr_steps(*words.split())
    lines = done.err.splitlines()
    assert (done.status, done.out) == (2, "")
    assert lines[0].startswith("tarr-steps: cannot ")
    assert not lines[0].endswith(".")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert not daemon.calls


@pytest.mark.parametrize("words", ["--help", "-h", *(f"{verb} --help" for verb in VERBS),
                                   "-ip -h", "--json -h -l", "join qemu -h", "join run -h",
                                   "segment list -h"])
def test_help(tarr_steps: TarrSteps, words: str) -> None:
    done = tarr_steps(*words.split())
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Usage: tarr-steps")
    assert max(map(len, done.out.splitlines())) <= 80


def test_help_names_every_verb(tarr_steps: TarrSteps) -> None:
    shown = tarr_steps("--help").out
    for verb in VERBS:
        assert f"\n  {verb} " in shown


def test_version(tarr_steps: TarrSteps) -> None:
    assert tarr_steps("--version").out == f"tarr-steps {__version__}\n"
    assert json.loads(tarr_steps("--version", "--json").out) == {"version": __version__}


def test_an_error_in_json_is_one_document(places: Places, tarr_steps: TarrSteps) -> None:
    done = tarr_steps("list", "--json")
    assert done.status == 3
    assert json.loads(done.out)["error"]["code"] == "daemon-unreachable"
    assert done.err.startswith("tarr-steps: cannot reach vdenetd at ")


def test_the_guests_json_is_not_ours(places: Places, tarr_steps: TarrSteps,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert tarr_steps("join", "qemu", "--", "qemu", "--json").out == ""


def test_the_unexpected(monkeypatch: pytest.MonkeyPatch, tarr_steps: TarrSteps) -> None:
    def broken(*_given: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(show, "_segments", broken)
    done = tarr_steps("list")
    assert done.status == 1
    assert done.err.startswith("tarr-steps: cannot go on: ZeroDivisionError: boom\nhint: ")
    assert "Traceback" not in done.err
    monkeypatch.setenv("VDENET_DEBUG", "1")
    assert "Traceback" in tarr_steps("list").err


def test_interrupted(monkeypatch: pytest.MonkeyPatch, tarr_steps: TarrSteps) -> None:
    def interrupted(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "_segments", interrupted)
    done = tarr_steps("list")
    assert (done.status, done.out, done.err) == (130, "", "")


def test_nobody_reads(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.answers["List"] = {"segments": [SEGMENT]}
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8", closefd=False) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main.main(["list"]) == 141
    os.close(writer)


def test_closed_streams(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """`>&-`: Python has None in their place."""
    daemon.answers["List"] = {"segments": [SEGMENT]}
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main.main(["list"]) == 0
    assert main.main(["lst"]) == 2


def test_interrupted_while_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_given: object) -> None:
            if name == "vdenet.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "vdenet.cli.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOP / "bin/tarr-steps"), run_name="__main__")
    assert end.value.code == 130


def test_a_full_disk(daemon: Daemon, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["List"] = {"segments": [SEGMENT]}
    fd = os.open("/dev/full", os.O_WRONLY)
    with open(fd, "w", encoding="utf-8", closefd=False) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main.main(["list"]) == 1
    os.close(fd)
    assert capsys.readouterr().err == "tarr-steps: cannot go on: No space left on device\n"


def test_a_screen_without_the_characters(daemon: Daemon, monkeypatch: pytest.MonkeyPatch,
                                         tmp_path_factory: pytest.TempPathFactory) -> None:
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": []}]}
    place = tmp_path_factory.mktemp("out") / "stdout"
    with place.open("w", encoding="ascii") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main.main([]) == 0
    assert "tarr-steps join qemu" in place.read_text(encoding="ascii")

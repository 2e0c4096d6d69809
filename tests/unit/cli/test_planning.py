"""plan, apply, export and segment: what is sent, what is shown, and whose file a mistake is in."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from unit.cli.conftest import Daemon, TarrSteps
from vdenet.errors import BadConfig, BadPolicy, NotPermitted, Refused, UnknownSegment

TEXT = 'address = "10.83.14.1/24"\n'
CHANGED = {"segment": "vdenet0", "changed": True, "steps": ["~ one"], "confirm": None}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "wanted"
    path.write_text(TEXT)
    return str(path)


def calls(daemon: Daemon) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in daemon.calls if call[0] != "GetAddress"]


def test_plan_of_a_file(daemon: Daemon, tarr_steps: TarrSteps, file: str) -> None:
    daemon.answers["PlanConfig"] = {"segment": "vdenet0", "steps": ["~ one"]}
    assert tarr_steps("plan", file).out == "vdenet0 would change:\n  ~ one\n"
    assert calls(daemon) == [("PlanConfig", {"segment": "vdenet0", "text": TEXT})]
    assert json.loads(tarr_steps("plan", file, "--json").out) == {"segment": "vdenet0", "steps": ["~ one"]}


@pytest.mark.parametrize("words", ("apply {}", "{} apply", "apply --segment vdenet0 {}"))
def test_apply_a_file(daemon: Daemon, tarr_steps: TarrSteps, file: str, words: str) -> None:
    daemon.answers["ApplyConfig"] = CHANGED
    done = tarr_steps(*words.format(file).split())
    assert (done.status, done.out) == (0, "vdenet0 was changed:\n  ~ one\n"), done.err
    assert calls(daemon) == [("ApplyConfig", {"segment": "vdenet0", "text": TEXT})]


def test_apply_from_standard_input(daemon: Daemon, tarr_steps: TarrSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.answers["ApplyConfig"] = {**CHANGED, "changed": False, "steps": []}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert tarr_steps("apply", "-").out == "vdenet0 is as it should be\n"
    assert calls(daemon) == [("ApplyConfig", {"segment": "vdenet0", "text": TEXT})]


@pytest.mark.parametrize(("steps", "status"), (([], 0), (["~ one"], 1)))
def test_apply_check(daemon: Daemon, tarr_steps: TarrSteps, file: str, steps: list[str], status: int) -> None:
    daemon.answers["PlanConfig"] = daemon.answers["Plan"] = {"segment": "vdenet0", "steps": steps}
    for words in (["apply", "--check", file], ["apply", file, "--check"], ["apply", "--check"]):
        done = tarr_steps(*words)
        assert (done.status, done.err) == (status, "")
    assert {method for method, _given in calls(daemon)} == {"PlanConfig", "Plan"}


def test_a_change_that_waits(daemon: Daemon, tarr_steps: TarrSteps, file: str) -> None:
    daemon.answers["ApplyConfig"] = {**CHANGED, "confirm": 60}
    shown = tarr_steps("apply", "--confirm", "60", file).out
    assert "taken back in 60 s unless you keep it: tarr-steps apply --confirmed --segment vdenet0" in shown
    assert calls(daemon)[-1][1]["confirm"] == 60
    assert json.loads(tarr_steps("apply", "--confirm=60", file, "--json").out)["confirm"] == 60
    daemon.answers["Confirm"] = daemon.answers["RollBack"] = {"segment": "vdenet0"}
    assert tarr_steps("apply", "--confirmed").out == "the change of vdenet0 stays\n"
    assert tarr_steps("apply", "--rollback").out == "vdenet0 is as it was before the change\n"
    assert [method for method, _given in calls(daemon)][-2:] == ["Confirm", "RollBack"]


@pytest.mark.parametrize("words", (
    "apply --confirm 60", "apply --confirm 4 {}", "apply --confirm 3601 {}", "apply --confirm soon {}",
    "apply --confirmed {}", "apply --rollback {}", "apply --check --confirm 60 {}", "apply --confirmed --rollback",
    "plan --confirm 60 {}", "apply {} {}", "segment create lab {} --mode nat", "segment create lab {} --address 10.9.8.1/24",
    "segment create lab --address 10.9.8.1", "segment create Lab", "segment delete", "segment create", "export {}",
))
def test_wrong_usage(daemon: Daemon, tarr_steps: TarrSteps, file: str, words: str) -> None:
    done = tarr_steps(*words.format(file, file).split())
    assert (done.status, done.out) == (2, ""), done.err
    assert done.err.startswith("tarr-steps: cannot ") and not daemon.calls


def test_a_mistake_is_shown_in_the_file_that_was_given(daemon: Daemon, tarr_steps: TarrSteps, file: str,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("PlanConfig", "ApplyConfig", "CreateSegment"):
        daemon.answers[method] = BadConfig(where="given:3:5", why="mode: no")
    for words in (["plan", file], ["apply", file], ["segment", "create", "lab", file]):
        done = tarr_steps(*words)
        assert (done.status, done.err.splitlines()[0]) == (2, f"tarr-steps: cannot read {file}:3:5: mode: no")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "cannot read standard input:3:5: mode" in tarr_steps("apply", "-").err
    daemon.answers["ApplyConfig"] = BadConfig(where="/etc/vdenet/vdenet0.toml:3:5", why="mode: no")
    assert "cannot read /etc/vdenet/vdenet0.toml:3:5: mode" in tarr_steps("apply", file).err


def test_the_file_of_a_segment_is_for_that_segment(daemon: Daemon, tarr_steps: TarrSteps, tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(TEXT)
    daemon.answers["ApplyConfig"] = CHANGED
    daemon.answers["GetAddress"] = {"segment": "lab", "address": "10.83.14.1/24"}
    tarr_steps("apply", str(path))
    assert calls(daemon)[-1][1]["segment"] == "lab"
    tarr_steps("apply", str(path), "--segment", "vdenet0")
    assert calls(daemon)[-1][1]["segment"] == "vdenet0"
    daemon.answers["GetAddress"] = UnknownSegment(segment="lab")
    tarr_steps("apply", str(path))
    assert calls(daemon)[-1][1]["segment"] == "vdenet0", "a file of any other name is for the default"
    daemon.answers["GetAddress"] = BadConfig(where="/etc/vdenet/lab.toml:1", why="x")
    tarr_steps("apply", str(path))
    assert calls(daemon)[-1][1]["segment"] == "lab", "it may mend the segment's own file"


def test_export(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["Export"] = {"segment": "vdenet0", "text": TEXT}
    assert tarr_steps("export").out == TEXT
    assert calls(daemon)[-1] == ("Export", {"segment": "vdenet0", "canonical": False})
    assert json.loads(tarr_steps("export", "--canonical", "--json").out) == {"segment": "vdenet0", "text": TEXT}
    assert calls(daemon)[-1][1]["canonical"] is True


def test_segment_create_and_delete(daemon: Daemon, tarr_steps: TarrSteps, file: str) -> None:
    daemon.answers["CreateSegment"] = {"segment": "lab", "address": "10.9.8.1/24", "domain": "lab.internal",
                                       "owner": "alice", "steps": ["+ one"]}
    assert tarr_steps("segment", "create", "lab").out.startswith("lab is up: 10.9.8.1/24, lab.internal\n")
    assert calls(daemon)[-1] == ("CreateSegment", {"segment": "lab"})
    tarr_steps("segment", "create", "lab", "--address", "10.9.8.1/24", "--mode", "isolated")
    assert calls(daemon)[-1][1] == {"segment": "lab", "address": "10.9.8.1/24", "mode": "isolated"}
    tarr_steps("segment", "create", "lab", file)
    assert calls(daemon)[-1][1] == {"segment": "lab", "text": TEXT}
    daemon.answers["DeleteSegment"] = {"segment": "lab", "steps": ["- one"], "guests": ["web"]}
    assert tarr_steps("segment", "delete", "lab", "--force").out == "lab is deleted\nguests that lost it: web\n"
    assert calls(daemon)[-1][1] == {"segment": "lab", "force": True}


def test_hints(daemon: Daemon, tarr_steps: TarrSteps, file: str) -> None:
    daemon.answers["ApplyConfig"] = NotPermitted(what="change vdenet0", why="mode: no", policy="/etc/vdenet/policy.toml")
    done = tarr_steps("apply", file)
    assert (done.status, done.err) == (4, "tarr-steps: cannot change vdenet0: mode: no\n"
                                       "hint: root may, and may allow it in /etc/vdenet/policy.toml\n")
    daemon.answers["ApplyConfig"] = BadPolicy(where="/etc/vdenet/policy.toml:1:1", why="pools: no")
    done = tarr_steps("apply", file)
    assert done.status == 1 and "man vdenet-policy.toml" in done.err
    daemon.answers["ApplyConfig"] = Refused(what="change vdenet0", why="a change waits", hint="tarr-steps apply --confirmed")
    assert "hint: tarr-steps apply --confirmed\n" in tarr_steps("apply", file).err

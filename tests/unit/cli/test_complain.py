from __future__ import annotations

import pytest

from vdenet import errors
from vdenet.cli import access, complain
from vdenet.errors import VdenetError
from vdenet.model.vlans import undeclared


def family(base: type[VdenetError]) -> set[type[VdenetError]]:
    return {base}.union(*(family(child) for child in base.__subclasses__()))


@pytest.mark.parametrize(("error", "status"), [
    (errors.BadValue(what="address", value="x", why="y"), 2),
    (errors.BadConfig(where="f:3", why="y"), 2),
    (errors.UnknownSegment(segment="lab"), 2),
    (errors.UnknownOperation(operation="x"), 2),
    (complain.WrongUsage(command="tarr-steps", why="x"), 2),
    (errors.Refused(what="x", why="y"), 1),
    (errors.Overlap(network="10.0.0.0/8", other="eth0"), 1),
    (errors.Collision(name="vdenet0", what="a bridge"), 1),
    (errors.SegmentDown(what="join", segment="vdenet0"), 1),
    (errors.QuotaExceeded(what="join", limit=32, unit="taps"), 1),
    (errors.NoSuchGuest(guest="web", segment="vdenet0"), 1),
    (errors.NameTaken(name="web", why="x"), 1),
    (errors.StepFailed(step="x", why="y"), 1),
    (errors.ProtocolError(why="x"), 1),
    (errors.DaemonUnreachable(socket="/s", why="x"), 3),
    (errors.NotPermitted(what="x", why="y"), 4),
    (errors.ToolMissing(tool="qemu"), 5),
    (errors.ToolFailed(what="x", tool="qemu", why="y"), 5),
    (VdenetError(why="x"), 1),
    (ValueError("x"), 1),
    (OSError(28, "No space left on device"), 1),
])
def test_the_status_is_the_contracts(error: Exception, status: int) -> None:
    told = complain.complaint(error)
    assert told.status == status
    assert told.message.startswith("cannot ")
    assert not told.message.endswith(".")


def test_every_error_has_been_thought_of() -> None:
    ours = {kind.code for kind in family(VdenetError) if kind.__module__.startswith("vdenet.")}
    refusals = {"internal", "refused", "overlap", "collision", "segment-down", "quota", "no-such-guest", "no-guest",
                "bad-policy", "name-taken", "mac-taken", "step-failed", "protocol"}
    assert ours == set(complain.STATUS) | refusals


@pytest.mark.parametrize(("error", "hint"), [
    (access.refusal(access.Account("alice", member=False, effective=False)),
     "sudo adduser alice vdenet"),
    (errors.DaemonUnreachable(socket="/s", why="x", start="sudo systemctl start vdenetd"),
     "sudo systemctl start vdenetd"),
    (errors.DaemonUnreachable(socket="/s", why="x"), None),
    (errors.SegmentDown(what="join", segment="lab"), "tarr-steps start lab"),
    (errors.Collision(name="lab", what="an interface"), "rename or remove it, and do it again"),
    (errors.Collision(name="lab", what="an interface", hint="choose another"), "choose another"),
    (errors.NameTaken(name="web", why="x"), "choose another with --name"),
    (errors.NameTaken(name="web", why="x", option="--tap"), "choose another with --tap"),
    (errors.NameTaken(name="52:54:00:00:00:07", why="x", hint="give it another"), "give it another"),
    (errors.NameTaken(name="web", why="x", kind="lxc", guest="web", segment=None), "tarr-steps leave lxc web frees it"),
    (errors.NameTaken(name="web", why="x", kind="lxc", guest="web", segment="lab"),
     "tarr-steps leave lxc web --segment lab frees it"),
    (errors.ToolMissing(tool="udhcpc", package="udhcpc"), "sudo apt install udhcpc"),
    (errors.ToolMissing(tool="qemu", package=None), None),
    (errors.Refused(what="x", why="y", hint="do z"), "do z"),
    (undeclared("lab", 33, []), "declare it in the segment's file by [[vlan]] with id = 33 (man vdenet.toml): "
     "tarr-steps export --segment lab >FILE, edit it, tarr-steps apply --segment lab FILE"),
    (undeclared("lab", 1, [33]), None),
    (errors.Refused(what="x", why="y"), None),
    (errors.NotPermitted(what="x", why="y"), None),
])
def test_hints(error: VdenetError, hint: str | None) -> None:
    assert complain.complaint(error).hint == hint


def test_one_line_whatever_the_values_hold(capsys: pytest.CaptureFixture[str]) -> None:
    complain.show(complain.complaint(errors.BadValue(what="x", value="a\nb\x1b[2J\udcff", why="y")))
    assert capsys.readouterr().err == "tarr-steps: cannot use x a\\nb\\x1b[2J\\udcff: y\n"


def test_the_unexpected_asks_for_a_report() -> None:
    told = complain.complaint(ZeroDivisionError("by\nzero"))
    assert told.message == "cannot go on: ZeroDivisionError: by\\nzero"
    assert told.hint is not None
    assert "report" in told.hint

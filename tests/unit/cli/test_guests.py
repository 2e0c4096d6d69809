"""The way that all kinds share, with a kind whose guests are files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps, memories, methods
from unit.cli.files import RESERVED, Files
from vdenet.cli import carrying, guests, kinds, leaving, memory
from vdenet.errors import ToolMissing, UnknownSegment
from vdenet.model.joining import EditFile, Found, Leaving, Where
from vdenet.model.places import Places


def test_join_and_leave(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    box.chmod(0o640)
    assert "box joins vdenet0 as box.vdenet.internal" in tarr_steps("join", "lxc", "box").out
    assert box.read_text() == "on 52:54:00:aa:bb:cc\n"
    assert "already" in tarr_steps("join", "lxc", "box").out
    assert "has left" in tarr_steps("leave", "lxc", "box").out
    assert (box.read_text(), box.stat().st_mode & 0o777) == ("off, as it was\n", 0o640)
    assert memories(box) == []
    assert methods(daemon) == ["List", "Reserve", "List", "Reserve", "List", "Leave"]
    assert [path.name for path in box.parent.iterdir()] == ["box"]


def test_a_guest_that_takes_a_tap(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "tap", True)
    daemon.answers["KeepTap"] = {key: value for key, value in RESERVED.items() if key != "switch"} | {"port": "vd0-box"}
    assert "+on vd0-box" in tarr_steps("join", "lxc", "box", "--dry-run").out
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [{**GUEST, "name": "other", "port": "vd0-box"}]}]}
    assert "+on vd0-box-2" in tarr_steps("join", "lxc", "box", "--dry-run").out
    assert tarr_steps("join", "lxc", "box").out.endswith("\nby the way\n")
    assert box.read_text() == "on vd0-box\n"
    monkeypatch.setattr(Files, "fails", True)
    box.write_text("off\n")
    assert tarr_steps("join", "lxc", "box").status == 1
    assert [method for method in methods(daemon) if method != "List"] == ["KeepTap", "KeepTap", "Leave"]


@pytest.mark.parametrize(("live", "why", "hint"), [
    (True, "what runs in it has not let go of the card", "leave again when it has, or when it is off"),
    (False, "its configuration is as before, but the card cannot be taken out while it runs", "leave again when it is off")])
def test_a_running_guest_may_hold_on_to_its_card(daemon: Daemon, tarr_steps: TarrSteps, box: Path, live: bool, why: str,
                                                 hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name, and the tap that it may have, are its own until it has let go."""
    def leave(self: Files, _where: Where, _memory: object) -> Leaving:
        return Leaving((EditFile(self.id, self.text, self.text),), live=live, lingers=True)

    tarr_steps("join", "lxc", "box")
    monkeypatch.setattr(leaving, "_PATIENCE", 2)
    with monkeypatch.context() as patched:
        patched.setattr(Files, "leave", leave)
        done = tarr_steps("leave", "lxc", "box")
        assert (done.status, done.err) == (1, f"tarr-steps: cannot take box off the segment: {why}\nhint: {hint}\n")
    assert ("Leave" in methods(daemon), len(memories(box))) == (False, 1)
    assert "has left" in tarr_steps("leave", "lxc", "box").out
    assert ("Leave" in methods(daemon), len(memories(box))) == (True, 0)


def test_one_that_has_left_and_runs_on_is_not_said_to_be_away(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    assert tarr_steps("leave", "lxc", "box").out == "box is not on vdenet0\n"
    seen = {**GUEST, "name": "box", "kind": "lxc", "guest": "box", "port": "veth1", "joined": False}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [seen]}]}
    assert tarr_steps("leave", "lxc", "box").out == "box has left vdenet0, and is there until it ends\n"
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [{**seen, "name": "renamed", "joined": True}]}]}
    assert tarr_steps("leave", "lxc", "box").out == "box is not on vdenet0\n"


def test_no_connection_is_kept_while_others_work(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """An account has eight, and the daemon closes one that says nothing for a minute."""
    kept: list[str] = []

    def noted(where: str) -> None:
        end = time.monotonic() + 5
        while daemon.talking and time.monotonic() < end:
            time.sleep(0.01)
        kept.extend([where] * daemon.talking)

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        noted("look_up")
        return Files(guest)

    @contextlib.contextmanager
    def alone(kind: str) -> Iterator[None]:
        noted("alone")
        with real(kind):
            yield

    real = memory.alone
    monkeypatch.setattr(memory, "alone", alone)
    monkeypatch.setattr(kinds, "look_up", look_up)
    monkeypatch.setattr(carrying, "_do", lambda action: [noted(str(action))] and [])
    for verb in ("join", "leave"):
        assert tarr_steps(verb, "lxc", "box").status == 0
        box.write_text("on\n")
    assert not kept


def test_dry_run(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    assert "+on " in tarr_steps("join", "lxc", "box", "--dry-run").out
    assert not json.loads(tarr_steps("join", "lxc", "box", "--dry-run", "--json").out)["changed"]
    assert tarr_steps("leave", "lxc", "box", "--dry-run").out == "nothing to do\n"
    assert box.read_text() == "off, as it was\n"
    assert set(methods(daemon)) == {"List"}
    assert memories(box) == []


def test_what_fails_half_way_is_taken_back(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "fails", True)
    done = tarr_steps("join", "lxc", "box")
    assert (done.status, "somebody else changed it meanwhile" in done.err) == (1, True)
    assert box.read_text() == "off, as it was\n"
    assert methods(daemon) == ["List", "Reserve", "Leave"]
    assert memories(box) == []


@pytest.mark.parametrize(("number", "status"), ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)))
def test_a_name_that_was_being_given_is_given_back(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                   monkeypatch: pytest.MonkeyPatch, number: int, status: int) -> None:
    """The daemon gives it though nobody waits for it any more."""
    def reserve(*given: Any) -> Any:
        reserved = real(*given)
        signal.raise_signal(number)
        return reserved

    real = guests._reserve
    monkeypatch.setattr(guests, "_reserve", reserve)
    assert tarr_steps("join", "lxc", "box").status == status
    assert methods(daemon) == ["List", "Reserve", "Leave"]
    assert (box.read_text(), memories(box)) == ("off, as it was\n", [])


def test_a_segment_that_is_down(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    tarr_steps("join", "lxc", "box")
    daemon.answers["List"] = {"segments": [{**SEGMENT, "state": "down", "guests": []}]}
    assert "tarr-steps start vdenet0" in tarr_steps("join", "lxc", "box").err
    assert tarr_steps("leave", "lxc", "box").status == 0
    assert box.read_text() == "off, as it was\n"


def test_a_segment_that_was_deleted(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """What join changed in the guest is still there, and keeps it from starting."""
    seen: list[Where] = []

    def leave(self: Files, where: Where, memory: Any) -> Leaving:
        seen.append(where)
        return plain(self, where, memory)

    plain = Files.leave
    monkeypatch.setattr(Files, "leave", leave)
    daemon.answers["List"] = {"segments": [{**SEGMENT, "name": "lab", "bridge": "br7", "switch": "/run/lab/switch"}]}
    daemon.answers["Reserve"] = {**RESERVED, "segment": "lab"}
    assert tarr_steps("join", "lxc", "box", "--segment", "lab").status == 0
    (box.parent / "other").write_text("on\n")
    daemon.answers |= {"List": UnknownSegment(segment="lab"), "Leave": UnknownSegment(segment="lab")}
    assert tarr_steps("leave", "lxc", "other", "--segment", "lab").status == 2
    assert tarr_steps("leave", "lxc", "nothing", "--segment", "lab").status == 1
    assert "-on " in tarr_steps("leave", "lxc", "box", "--segment", "lab", "--dry-run").out
    done = tarr_steps("leave", "lxc", "box", "--segment", "lab")
    assert (done.status, done.out, done.err) == (0, "box has left lab\n", "")
    assert set(seen) == {Where("lab", "br7", "/run/lab/switch")}
    assert (box.read_text(), memories(box)) == ("off, as it was\n", [])
    assert tarr_steps("leave", "lxc", "box", "--segment", "lab").status == 2
    assert ("Leave" in methods(daemon), (box.parent / "other").read_text()) == (False, "on\n")


def test_a_deleted_segment_by_the_memory_of_an_older_version(
        daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which noted neither bridge nor switch: they are called as usual."""
    tarr_steps("join", "lxc", "box")
    known = json.loads(memories(box)[0].read_text())
    memories(box)[0].write_text(json.dumps({key: known[key] for key in known if key not in ("bridge", "switch")}))
    daemon.answers["List"] = UnknownSegment(segment="vdenet0")
    seen: list[Where] = []
    monkeypatch.setattr(Files, "leave", lambda _self, where, _memory: seen.append(where) or Leaving((), live=False))
    assert tarr_steps("leave", "lxc", "box").status == 0
    assert seen == [Where("vdenet0", "vdenet0", "/run/vdenet/vdenet0/switch")]
    assert memories(box) == []


def test_a_port_that_nobody_keeps_any_more(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon takes it away, and the guest joins as one that has none."""
    mine = {**GUEST, "name": "box", "kind": "podman", "mac": RESERVED["mac"]}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [mine]}]}
    found = Found("box", None, running=True, joined=False, stale=RESERVED["mac"])
    monkeypatch.setattr(Files, "found", lambda *_given: found)
    assert tarr_steps("join", "podman", "box", "--dry-run").status == 0
    assert methods(daemon) == ["List"]
    assert tarr_steps("join", "podman", "box").status == 0
    assert [(method, given["name"]) for method, given in daemon.calls[2:]] == [("Leave", "box"), ("Reserve", "box")]


@pytest.mark.parametrize("verb", ["join", "leave"])
def test_where_nothing_can_be_remembered(daemon: Daemon, tarr_steps: TarrSteps, box: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    done = tarr_steps(verb, "lxc", "box")
    assert done.status == 1
    assert done.err.startswith("tarr-steps: cannot remember how guests were before they joined: ")
    assert done.err.endswith("Not a directory\nhint: set XDG_STATE_HOME to a directory of yours\n")
    assert daemon.calls == []


@pytest.mark.parametrize("verb", ["join", "leave"])
def test_who_cannot_reach_the_daemon_hears_that_first(tarr_steps: TarrSteps, places: Places, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert tarr_steps(verb, "lxc", "box").status == 3


def test_a_guest_whose_hypervisor_is_installed_no_more(
        daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is free again; of the guest nobody says that it was changed."""
    def missing(_kind: str, _guest: str, _uri: str | None) -> Files:
        raise ToolMissing(tool="lxc-info", package="lxc")

    tarr_steps("join", "lxc", "box")
    monkeypatch.setattr(kinds, "look_up", missing)
    assert tarr_steps("leave", "lxc", "other").status == 5
    for more, out in (["--dry-run"], "box leaves vdenet0\n"), ([], "box has left vdenet0\n"):
        done = tarr_steps("leave", "lxc", "box", *more)
        assert (done.status, done.out) == (0, out)
        assert done.err == "what joining changed in box stays, since lxc-info is not installed\n"
    assert daemon.calls[-1] == ("Leave", {"segment": "vdenet0", "name": "box", "kind": "lxc"})
    assert (memories(box), box.read_text()) == ([], "on 52:54:00:aa:bb:cc\n")
    assert tarr_steps("leave", "lxc", "box").status == 5


def test_a_guest_that_another_member_has_joined(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may change it, as the administrators of a server of Incus; but its name is the other's."""
    his = {**GUEST, "name": "box", "mac": RESERVED["mac"], "kind": "lxc", "owner": "nobody-else"}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [his]}]}
    monkeypatch.setattr(Files, "mac", RESERVED["mac"])
    box.write_text("on\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = tarr_steps("leave", "lxc", "box")
    assert (done.status, "it was joined by nobody-else" in done.err) == (4, True)
    assert (box.read_text(), methods(daemon)) == ("on\n", ["List"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert tarr_steps("leave", "lxc", "box").status == 0
    assert daemon.calls[-1][1]["name"] == "box"


def test_only_who_joined_knows_how_it_was(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """Root would take out a card that was only moved; but it may when nobody can be asked any more."""
    his = {**GUEST, "name": "box", "mac": RESERVED["mac"], "kind": "libvirt", "owner": "daemon"}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [his]}]}
    monkeypatch.setattr(Files, "mac", RESERVED["mac"])
    box.write_text("on\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for more, same in ([], ""), (["--dry-run"], ""), (
            ["--connect", "qemu:///system", "--segment", "lab"], " --connect qemu:///system --segment lab"):
        done = tarr_steps("leave", "libvirt", "box", *more)
        assert (done.status, "only that account knows" in done.err) == (1, True)
        assert done.err.endswith(f"hint: sudo -u daemon tarr-steps leave libvirt box{same}\n")
    assert (box.read_text(), set(methods(daemon))) == ("on\n", {"List"})
    his["owner"] = "nobody-there"
    assert tarr_steps("leave", "libvirt", "box").status == 0
    assert box.read_text() == "off\n"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"segment": 1}', "[" * 100_000])
def test_a_memory_that_cannot_be_understood(tarr_steps: TarrSteps, box: Path, text: str) -> None:
    tarr_steps("join", "lxc", "box")
    memories(box)[0].write_text(text)
    assert tarr_steps("leave", "lxc", "box").status == 0
    assert box.read_text() == "off\n"

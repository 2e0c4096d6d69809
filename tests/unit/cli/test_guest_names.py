"""Whose a name is: of guests that are off, moved, renamed, made anew, or another member's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps, memories, methods
from unit.cli.files import RESERVED, Files
from vdenet.cli import carrying, existing, kinds
from vdenet.errors import NameTaken, NoGuest, ToolFailed
from vdenet.model.joining import Found


@pytest.mark.parametrize("label", ["ns", "host", "gateway", "12h"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_name_that_no_guest_may_have(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                       monkeypatch: pytest.MonkeyPatch, label: str, more: list[str]) -> None:
    monkeypatch.setattr(Files, "found", lambda *_given: Found(label, None, running=False, joined=False))
    done = tarr_steps("join", "lxc", "box", *more)
    assert (done.status, f"cannot use guest name {label}" in done.err) == (2, True)
    assert done.err.endswith("hint: choose another with --name\n")
    assert (methods(daemon), memories(box)) == (["List"], [])
    assert tarr_steps("join", "lxc", "box", "--name", "shop", *more).status == 0


def test_a_name_is_one_guests_of_the_user_even_while_it_is_off(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    (box.parent / "other").write_text("off\n")
    tarr_steps("join", "lxc", "box")
    for kind in ("lxc", "virtualbox"):
        done = tarr_steps("join", kind, "other", "--name", "box")
        assert (done.status, "your lxc guest box has it" in done.err) == (1, True)
    assert methods(daemon).count("Reserve") == 1
    assert (box.parent / "other").read_text() == "off\n"


def test_a_guest_that_was_made_anew_has_its_predecessors_name(
        daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two with the same name by turns: what tells them apart is the id, by which the first is not found again."""
    tarr_steps("join", "vmware", "box")
    ids = iter(["new", "new", "new"])

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        if guest == str(box):
            raise NoGuest(kind="vmware", guest=guest, why="gone")
        made = Files(guest)
        made.id = f"{box.parent}/{next(ids)}"
        return made

    monkeypatch.setattr(kinds, "look_up", look_up)
    monkeypatch.setattr(carrying, "_replace", lambda _path, _before, after: box.write_text(after))
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [{**GUEST, "name": "box", "kind": "vmware"}]}]}
    box.write_text("off\n")
    assert tarr_steps("join", "vmware", "box").status == 0
    assert len(memories(box)) == 1
    assert "already" in tarr_steps("join", "vmware", "box").out


@pytest.mark.parametrize("verbs", [["leave"], ["join", "leave"]])
def test_a_guest_that_was_moved(daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch,
                                verbs: list[str]) -> None:
    """Its owner calls it as before. It is as join left it, and leave puts back what was there before that."""
    before, after = (box.parent / name / f"{name}.vmx" for name in ("Debian 12", "my Debian 12"))
    before.parent.mkdir()
    box.rename(before)
    place = [before]

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        return Files(str(place[0]) if guest == "box" else guest)

    monkeypatch.setattr(kinds, "look_up", look_up)
    assert tarr_steps("join", "vmware", "box").status == 0
    before.parent.rename(after.parent)
    (after.parent / before.name).rename(after)
    place[0] = after
    for verb in verbs:
        done = tarr_steps(verb, "vmware", "box")
        assert (done.status, done.err) == (0, "")
        assert len(memories(box)) == (verb == "join")
    assert after.read_text() == "off, as it was\n"
    assert [given["name"] for method, given in daemon.calls if method == "Leave"] == ["box"]


def test_each_name_that_a_guest_has_joined_by(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that is renamed is who it was; an older version remembered one name only."""
    called = ["one"]

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        if guest not in (called[0], str(box)):
            raise NoGuest(kind="podman", guest=guest, why="nobody is called so")
        return Files("box")

    monkeypatch.setattr(kinds, "look_up", look_up)
    for word in ("one", "two", "three", "two", "three"):
        called[0] = word
        assert tarr_steps("join", "podman", word, "--name", "box").status == 0
    (file,) = memories(box)
    kept = json.loads(file.read_text())
    assert (kept["guest"], kept["formerly"]) == ("three", ["two", "one"])
    for word in ("one", "two", "three"):
        assert tarr_steps("leave", "podman", word).out == f"{word} has left vdenet0\n"
        assert (memories(box), daemon.calls[-1][1]["name"]) == ([], "box")
        file.write_text(json.dumps(kept))
    for odd in (None, "one", [1, "four"]):
        file.write_text(json.dumps({**kept, "formerly": odd}))
        assert tarr_steps("leave", "podman", "one").status == 1
    assert tarr_steps("leave", "podman", "four").status == 0


@pytest.mark.parametrize("known", [False, True])
def test_what_a_guests_id_begins_with_is_nobodys_name(
        tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """Who joined by that word, and is called otherwise now, comes first; unless the one of the id did, too."""
    other = box.parent / "other"
    other.write_text("off, too\n")
    called = {"word": "box", str(box): "box", "other": "other"}

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        found = Files(called[guest])
        found.abbreviated = called[guest] == "other" and guest == "word"  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(kinds, "look_up", look_up)
    assert tarr_steps("join", "podman", "word", "--name", "first").status == 0
    called["word"] = "other"
    assert tarr_steps("join", "podman", "word" if known else "other", "--name", "second").status == 0
    assert "has left" in tarr_steps("leave", "podman", "word").out
    assert (box.read_text(), other.read_text())[known] == ("off, too\n" if known else "off, as it was\n")
    assert len(memories(box)) == 1
    assert "has left" in tarr_steps("leave", "podman", "word").out
    assert (box.read_text(), other.read_text()) == ("off, as it was\n", "off, too\n")


@pytest.mark.parametrize("state", ["moved", "copied", "unknown"])
def test_a_guest_that_is_its_name_and_was_renamed(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                  monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """It is known by its MAC address, once nobody is called so any more; a copy may have the same."""
    monkeypatch.setattr(Files, "mac", RESERVED["mac"])
    tarr_steps("join", "lxc", "box")
    new = box.parent / "s"  # what the names of directories have in them
    new.write_text(box.read_text())
    if state != "copied":
        box.unlink()

    def look_up(_kind: str, guest: str, _uri: str | None = None) -> Files:
        if state == "unknown" and guest == "box":
            raise ToolFailed(what="look", tool="lxc-info", why="it does not answer")
        return Files(guest)

    monkeypatch.setattr(kinds, "look_up", look_up)
    done = tarr_steps("leave", "lxc", "s")
    assert (done.out, done.err, new.read_text()) == (
        "s has left vdenet0\n", "", "off, as it was\n" if state == "moved" else "off\n")
    assert [given["name"] for method, given in daemon.calls if method == "Leave"] == ["box"] * (state == "moved")
    assert len(memories(box)) == (state != "moved")


@pytest.mark.parametrize(("kind", "told"), [("lxc", True), ("podman", False)])
def test_a_guest_that_nobody_knows_may_have_been_renamed(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                         kind: str, told: bool) -> None:
    """Where it cannot be found by an id, whoever takes it off by its old name is told what that does not do."""
    tarr_steps("join", kind, "box")
    box.unlink()
    done = tarr_steps("leave", kind, "box")
    assert (done.status, done.out) == (0, "box has left vdenet0\n")
    assert ("stays until it leaves by its new name" in done.err, bool(done.err)) == (told, told)
    assert (daemon.calls[-1][0], memories(box)) == ("Leave", [])


def test_a_guest_that_was_made_anew_and_did_not_join(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """leave frees the name of the one before; what was remembered of that one says nothing of it."""
    tarr_steps("join", "virtualbox", "box")
    box.write_text("on by hand\n")

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        if guest == str(box):
            raise NoGuest(kind="virtualbox", guest=guest, why="gone")
        made = Files(guest)
        made.id = "another"
        return made

    monkeypatch.setattr(kinds, "look_up", look_up)
    monkeypatch.setattr(carrying, "_replace", lambda _path, _before, after: box.write_text(after))
    assert tarr_steps("leave", "virtualbox", "box").out == "box has left vdenet0\n"
    assert (box.read_text(), memories(box)) == ("off\n", [])
    assert daemon.calls[-1] == ("Leave", {"segment": "vdenet0", "name": "box", "kind": "virtualbox"})


@pytest.mark.parametrize("kind", ["incus", "lxc"])
def test_a_guest_that_cannot_be_looked_up_by_its_id_is_alive(
        daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """As one of another project of Incus', which is called the same: both would get one MAC address."""
    ids = iter(["one/box", "two/box"])

    def look_up(_kind: str, guest: str, _uri: str | None) -> Files:
        made = Files(guest)  # which raises for an id
        made.id = next(ids)
        return made

    monkeypatch.setattr(kinds, "look_up", look_up)
    monkeypatch.setattr(carrying, "_replace", lambda _path, _before, _after: None)
    tarr_steps("join", kind, "box")
    done = tarr_steps("join", kind, "box")
    assert (done.status, f"your {kind} guest box has it" in done.err) == (1, True)
    assert methods(daemon).count("Reserve") == 1


def test_another_name_is_a_change(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    tarr_steps("join", "lxc", "box")
    daemon.answers["Reserve"] = {**RESERVED, "name": "shop", "fqdn": "shop.vdenet.internal"}
    said = "box is called shop.vdenet.internal from now on\n"
    assert tarr_steps("join", "lxc", "box", "--name", "shop", "--dry-run").out == said
    done = json.loads(tarr_steps("join", "lxc", "box", "--name", "shop", "--json").out)
    assert (done["changed"], done["name"]) == (True, "shop")
    assert "already" in tarr_steps("join", "lxc", "box").out
    daemon.answers["Reserve"] = RESERVED
    assert tarr_steps("join", "lxc", "box", "--name", "box").out == said.replace("shop", "box")


def test_the_name_asked_for_first_stays(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    daemon.answers["Reserve"] = {**RESERVED, "name": "shop"}
    tarr_steps("join", "lxc", "box", "--name", "shop")
    tarr_steps("join", "lxc", "box")
    tarr_steps("leave", "lxc", "box")
    assert [given["name"] for method, given in daemon.calls if method != "List"] == ["shop", "shop", "shop"]


def test_a_name_that_the_daemon_refuses(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    daemon.answers["Reserve"] = NameTaken(name="box", why="another user's guest has it")
    assert tarr_steps("join", "lxc", "box").status == 1
    assert box.read_text() == "off, as it was\n"


def test_another_guest_of_ones_own_keeps_its_name(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [{**GUEST, "name": "box"}]}]}
    assert tarr_steps("join", "lxc", "box").status == 1
    assert methods(daemon) == ["List"]
    assert box.read_text() == "off, as it was\n"


def test_a_name_that_a_guest_has_by_dhcp_only_is_taken(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    """Also where the guest is recognised."""
    by_hand = {**GUEST, "name": "box", "kind": "lxc", "guest": "box", "joined": False}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [by_hand]}]}
    assert tarr_steps("join", "lxc", "box").status == 0


def test_a_guest_that_is_no_more_gives_back_its_name(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    tarr_steps("join", "lxc", "box")
    box.unlink()
    assert "has left" in tarr_steps("leave", "lxc", "box").out
    assert daemon.calls[-1] == ("Leave", {"segment": "vdenet0", "name": "box", "kind": "lxc"})
    assert memories(box) == []
    assert tarr_steps("leave", "lxc", "box").status == 1


def test_a_name_that_is_another_members_by_now(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    """Nobody takes that one's guest off, not even root."""
    tarr_steps("join", "lxc", "box")
    his = {**GUEST, "name": "box", "kind": "lxc", "owner": "nobody-else"}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [his]}]}
    daemon.answers["Reserve"] = {**RESERVED, "name": "other"}
    assert tarr_steps("join", "lxc", "box", "--name", "other").status == 0
    tarr_steps("leave", "lxc", "box")
    assert [given["name"] for method, given in daemon.calls if method == "Leave"] == ["other"]
    tarr_steps("join", "lxc", "box")
    assert tarr_steps("leave", "lxc", "box").status == 0
    assert box.read_text() == "off, as it was\n"
    assert memories(box) == []
    assert len([method for method in methods(daemon) if method == "Leave"]) == 1


@pytest.mark.parametrize("guest", ["", "-v", "--help", "a\nb", "a\x1b[2J", "x" * 256])
def test_what_no_guest_is_called(guest: str) -> None:
    with pytest.raises(Exception, match="expected the name"):
        existing.checked(guest)

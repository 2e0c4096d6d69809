"""The way that all kinds share, with a kind whose guests are files; what VirtualBox refuses while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps
from unit.text.test_virtualbox import HUMAN, READABLE
from vdenet.cli import access, carrying, existing, kinds, leaving, memory, tools, tunnelling
from vdenet.cli.kinds import virtualbox
from vdenet.errors import NameTaken, NoGuest, Refused, ToolFailed, ToolMissing, UnknownSegment
from vdenet.model.joining import Action, EditFile, Found, Joining, Leaving, Place, RunTool, Where, Wish
from vdenet.model.places import Places
from vdenet.text.virtualbox import Nic

MAC = "52:54:00:aa:bb:cc"
RESERVED = {"segment": "vdenet0", "mac": MAC, "name": "box", "fqdn": "box.vdenet.internal",
            "switch": "/run/vdenet/vdenet0/switch"}


class Files:
    """A guest that is a file; it is on the segment when that says so."""

    place = Path()
    fails = False
    tap = False
    handed = False
    mac: str | None = None

    def __init__(self, guest: str) -> None:
        self.file = self.place / guest
        if not self.file.exists():
            raise NoGuest(kind="file", guest=guest, why="no such file")
        self.text = self.file.read_text()
        self.id = str(self.file)

    def found(self, wish: Wish, _where: Where) -> Found:
        return Found("box", None, running=False, joined=self.text.startswith("on"), tap=self.tap,
                     handed=self.handed and wish.vlan is not None)

    def join(self, _wish: Wish, place: Place) -> Joining:
        if self.text.startswith("on"):
            return Joining((), "file", "so", live=False)
        actions = [EditFile(self.id, self.text, f"on {place.port or place.mac}\n")]
        if self.fails:
            actions.append(EditFile(self.id, "what is not there", "never"))
        return Joining(tuple(actions), "file", "so", live=False, memory={"was": self.text}, note="by the way")

    def leave(self, _where: Where, memory: Any) -> Leaving:
        if not self.text.startswith("on"):
            return Leaving((), live=False)
        return Leaving((EditFile(self.id, self.text, memory["was"] if memory else "off\n"),), live=False,
                       mac=self.mac)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, daemon: Daemon) -> Path:
    """A guest called box, not on the segment; the daemon answers."""
    monkeypatch.setattr(kinds, "look_up", lambda _kind, guest, _connect: Files(guest))
    monkeypatch.setattr(Files, "place", tmp_path / "guests")
    monkeypatch.setattr(Files, "fails", False)
    monkeypatch.setattr(Files, "tap", False)
    monkeypatch.setattr(Files, "handed", False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    daemon.answers |= {"List": {"segments": [SEGMENT]}, "Reserve": RESERVED, "Leave": {"left": True}}
    Files.place.mkdir()
    (Files.place / "box").write_text("off, as it was\n")
    return Files.place / "box"


def methods(daemon: Daemon) -> list[str]:
    return [method for method, _parameters in daemon.calls]


def memories(box: Path) -> list[Path]:
    return sorted((box.parents[1] / "state").rglob("*.json"))


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


@dataclass
class Tunnelled:
    """A running guest in a tunnel; `stays` is what its hypervisor makes of a failure to let go: it is there still."""

    port: int = 29207
    fails: bool = False
    stays: bool = True
    ended: bool | None = None
    """Whether the daemon had ended the tunnel when the hypervisor was told to let go."""


@pytest.fixture
def tunnelled(daemon: Daemon, box: Path, monkeypatch: pytest.MonkeyPatch) -> Tunnelled:
    """The guest box, in a tunnel, and with a name."""
    state = Tunnelled()
    guest = {**GUEST, "name": "box", "kind": "virtualbox", "mac": MAC, "vlan": 33, "owner": access.account().name}
    daemon.answers |= {"List": {"segments": [{**SEGMENT, "guests": [guest]}]},
                       "KeepTunnel": {**RESERVED, "guest_port": state.port}}

    def found(self: Files, _wish: Wish, _where: Where) -> Found:
        return Found("box", MAC, running=True, joined=True, tunnelled=self.text == "on\n", guest_port=state.port)

    def leave(self: Files, _where: Where, _memory: object) -> Leaving:
        return Leaving((EditFile(self.id, self.text, "off\n"),), live=True, running=True, mac=MAC, guest_port=state.port)

    def join(self: Files, _wish: Wish, _place: Place) -> Joining:
        return Joining((EditFile(self.id, self.text, "on the bridge\n"),), "bridge", "so", live=True)

    def perform(actions: Sequence[Action]) -> list[str]:
        state.ended = {"Leave", "Reserve"} & set(methods(daemon)) != set()
        if state.fails:
            if not state.stays:
                carry_out(actions)
            raise ToolFailed(what="let go", tool="VBoxManage", why="it failed")
        return carry_out(actions)

    carry_out = carrying.perform
    monkeypatch.setattr(carrying, "perform", perform)
    monkeypatch.setattr(Files, "found", found)
    monkeypatch.setattr(Files, "join", join)
    monkeypatch.setattr(Files, "leave", leave)
    box.write_text("on\n")
    return state


BACK = ("KeepTunnel", {"segment": "vdenet0", "name": "box", "mac": MAC, "kind": "virtualbox", "vlan": 33, "back": True})


def test_a_tunnel_ends_before_its_hypervisor_lets_go(daemon: Daemon, tarr_steps: TarrSteps, tunnelled: Tunnelled) -> None:
    done = tarr_steps("leave", "virtualbox", "box")
    assert (done.status, done.out, tunnelled.ended) == (0, "box has left vdenet0\n", True)
    assert methods(daemon) == ["List", "Leave"]


def test_a_port_that_the_hypervisor_has_lost(tarr_steps: TarrSteps, tunnelled: Tunnelled, box: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is told, by whichever way the guest goes."""
    monkeypatch.setattr(tunnelling, "_listens", lambda port: port == tunnelled.port)
    said = "VirtualBox listens at UDP port 29207 until the machine ends"
    assert said in tarr_steps("join", "virtualbox", "box").err
    box.write_text("on\n")
    assert said in json.loads(tarr_steps("leave", "virtualbox", "box", "--json").out)["notes"][0]
    box.write_text("on\n")
    assert said in tarr_steps("leave", "virtualbox", "box").out


@pytest.mark.parametrize("verb", ["leave", "join"])
def test_a_tunnel_that_is_not_left_is_back(daemon: Daemon, tarr_steps: TarrSteps, tunnelled: Tunnelled, verb: str) -> None:
    tunnelled.fails = True
    done = tarr_steps(verb, "virtualbox", "box")
    assert (done.status, tunnelled.ended) == (5, True)
    method, given = daemon.calls[-1]
    # A join knows the VLAN by what the guest asked for, and this one has not asked.
    assert (method, given) == (BACK[0], BACK[1] if verb == "leave" else {
        key: value for key, value in BACK[1].items() if key != "vlan"})
    assert "join it again" not in done.err


@pytest.mark.parametrize("verb", ["leave", "join"])
def test_a_tunnel_that_was_left_after_all_stays_so(daemon: Daemon, tarr_steps: TarrSteps, tunnelled: Tunnelled,
                                                   verb: str) -> None:
    """What the daemon sent there would be the end of the machine."""
    tunnelled.fails, tunnelled.stays = True, False
    done = tarr_steps(verb, "virtualbox", "box")
    assert (done.status, "KeepTunnel" in methods(daemon)) == (5, False)
    assert "the tunnel of box has ended: join it again" in done.err


def test_a_tunnel_with_other_ends_is_none(daemon: Daemon, tarr_steps: TarrSteps, tunnelled: Tunnelled) -> None:
    tunnelled.fails = True
    daemon.answers["KeepTunnel"] = {**RESERVED, "guest_port": 29208}
    done = tarr_steps("leave", "virtualbox", "box")
    assert (done.status, methods(daemon)[-2:]) == (5, ["KeepTunnel", "Leave"])
    assert "the tunnel of box has ended: join it again" in done.err


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


VLANS = {"segments": [{**SEGMENT, "vlans": [33, 44]}]}


def test_a_guest_that_goes_into_a_vlan(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "handed", True)
    daemon.answers |= {"List": VLANS, "Reserve": {**RESERVED, "vlan": 33, "port": "vd0-box"}}
    assert "+on vd0-box" in tarr_steps("join", "lxc", "box", "--vlan", "33", "--dry-run").out
    assert methods(daemon) == ["List"]
    assert "joins VLAN 33 of vdenet0 as box" in tarr_steps("join", "lxc", "box", "--vlan", "33").out
    assert daemon.calls[-1] == ("Reserve", {"segment": "vdenet0", "name": "box", "kind": "lxc", "vlan": 33, "handed": True})
    assert box.read_text() == "on vd0-box\n"
    assert json.loads(tarr_steps("join", "lxc", "box", "--vlan", "33", "--json").out)["vlan"] == 33
    assert json.loads(memories(box)[0].read_text())["vlan"] == 33
    assert "already" in tarr_steps("join", "lxc", "box", "--vlan", "33").out
    daemon.answers["Reserve"] = {**RESERVED, "vlan": 44, "port": "vd0-box"}
    assert tarr_steps("join", "lxc", "box", "--vlan", "44").out == "box moves to VLAN 44 of vdenet0\n"
    daemon.answers["Reserve"] = {**RESERVED, "vlan": None, "port": None}
    moved = json.loads(tarr_steps("join", "lxc", "box", "--json").out)
    assert (moved["vlan"], moved["changed"]) == (None, True)


def test_a_join_into_another_vlan_that_fails(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """It is back in the VLAN where it was."""
    daemon.answers |= {"List": VLANS, "Reserve": {**RESERVED, "vlan": 33}}
    tarr_steps("join", "lxc", "box", "--vlan", "33")

    def fail(_self: Files, _wish: Wish, _place: Place) -> Joining:
        raise Refused(what="join", why="no")

    monkeypatch.setattr(Files, "join", fail)
    assert tarr_steps("join", "lxc", "box", "--vlan", "44").status == 1
    assert [given["vlan"] for method, given in daemon.calls if method == "Reserve"] == [33, 44, 33]


@pytest.mark.parametrize(("known", "after"), [
    (None, [("Leave", "box")]), ("box", []), ("shop", [("Reserve", "shop")])])
def test_a_guest_on_the_segment_by_hand_whose_join_fails(
        daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch, known: str | None,
        after: list[tuple[str, str]]) -> None:
    """It keeps the name only that it had before."""
    def fail(_self: Files, _wish: Wish, _place: Place) -> Joining:
        raise Refused(what="join", why="no")

    mine = {**GUEST, "name": known, "mac": RESERVED["mac"], "kind": "lxc"}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [mine] if known else []}]}
    found = replace(Files("box").found(Wish(), WHERE), mac=RESERVED["mac"], joined=True)
    monkeypatch.setattr(Files, "found", lambda *_given: found)
    monkeypatch.setattr(Files, "join", fail)
    assert tarr_steps("join", "lxc", "box").status == 1
    assert [(method, given["name"]) for method, given in daemon.calls if method != "List"][1:] == after


def test_a_vlan_that_the_file_gives(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the way that leads there, which only the daemon's answer says is needed."""
    monkeypatch.setattr(Files, "handed", True)
    daemon.answers |= {"List": VLANS, "Reserve": {**RESERVED, "vlan": 33, "port": "vd0-box"}}
    assert tarr_steps("join", "lxc", "box").status == 0
    assert [given.get("handed") for method, given in daemon.calls if method == "Reserve"] == [None, True]
    assert box.read_text() == "on vd0-box\n"
    assert json.loads(memories(box)[0].read_text())["vlan"] is None


BY_FILE = """address = "10.9.8.1/24"
[[vlan]]
id = 33
[[host]]
{host}
vlan = 33
"""


def test_a_vlan_that_the_file_gives_in_a_dry_run(daemon: Daemon, tarr_steps: TarrSteps, box: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "handed", True)
    for host, vlan, port in ('name = "box"', 33, "+on vd0-box"), ('name = "other"', None, "+on 52:54:"):
        daemon.answers |= {"List": VLANS, "Export": {"segment": "vdenet0", "text": BY_FILE.format(host=host)}}
        assert json.loads(tarr_steps("join", "lxc", "box", "--dry-run", "--json").out)["vlan"] == vlan
        assert port in tarr_steps("join", "lxc", "box", "--dry-run").out
    assert (set(methods(daemon)), memories(box)) == ({"List", "Export"}, [])


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_vlan_that_the_file_gives_a_mac_that_the_guest_has_not_there(
        daemon: Daemon, tarr_steps: TarrSteps, box: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    """As with nspawn, whose veths each have their own: it must not be in the segment's own network unasked."""
    first, second = "da:fb:5c:16:4a:cc", "da:fb:5c:16:4a:dd"
    macs = iter([(first, {"vlan": 33}), (second, {"vlan": None})])

    def found(self: Files, wish: Wish, _where: Where) -> Found:
        mac, given = next(macs)
        daemon.answers["Reserve"] = {**RESERVED, "mac": mac, **given}
        return Found("box", mac, running=False, joined=False, handed=wish.vlan is not None)

    monkeypatch.setattr(Files, "found", found)
    daemon.answers |= {"List": VLANS, "Export": {"segment": "vdenet0", "text": BY_FILE.format(
        host=f'name = "web"\nmac = "{first}"')}}
    done = tarr_steps("join", "nspawn", "box", *more)
    assert (done.status, f"puts the MAC address {first} into VLAN 33" in done.err) == (1, True)
    assert done.err.endswith(f'hint: write that into its [[host]]: mac = "{second}"\n')
    assert (box.read_text(), memories(box)) == ("off, as it was\n", [])
    assert (daemon.calls[-1][0] == "Leave") is not bool(more)


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


@pytest.mark.parametrize(("kind", "vlans", "why"), [
    ("lxc", [], "vdenet0 has no VLANs"), ("virtualbox", [33, 44], "vdenet0 has the VLANs 33, 44"),
    ("nspawn", None, "vdenet0 has no VLANs")])
def test_a_vlan_that_there_is_not(daemon: Daemon, tarr_steps: TarrSteps, box: Path, kind: str, vlans: list[int] | None,
                                  why: str) -> None:
    """An older daemon has none to tell of."""
    daemon.answers["List"] = {"segments": [SEGMENT if vlans is None else {**SEGMENT, "vlans": vlans}]}
    for more in ([], ["--dry-run"]):
        done = tarr_steps("join", kind, "box", "--vlan", "7", *more)
        assert (done.status, why in done.err) == (2, True)
        assert "\nhint: declare it in the segment's file by [[vlan]] with id = 7 " in done.err
    assert (methods(daemon), memories(box), box.read_text()) == (["List", "List"], [], "off, as it was\n")


def test_a_port_of_the_switch_has_its_vlan_from_the_file(tarr_steps: TarrSteps, box: Path) -> None:
    done = tarr_steps("join", "virtualbox", str(box), "--vlan", "33", "--port", "5")
    assert (done.status, "--port or --vlan" in done.err) == (2, True)


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


def test_the_name_asked_for_first_stays(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    daemon.answers["Reserve"] = {**RESERVED, "name": "shop"}
    tarr_steps("join", "lxc", "box", "--name", "shop")
    tarr_steps("join", "lxc", "box")
    tarr_steps("leave", "lxc", "box")
    assert [given["name"] for method, given in daemon.calls if method != "List"] == ["shop", "shop", "shop"]


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


def test_a_guest_that_is_no_more_gives_back_its_name(daemon: Daemon, tarr_steps: TarrSteps, box: Path) -> None:
    tarr_steps("join", "lxc", "box")
    box.unlink()
    assert "has left" in tarr_steps("leave", "lxc", "box").out
    assert daemon.calls[-1] == ("Leave", {"segment": "vdenet0", "name": "box", "kind": "lxc"})
    assert memories(box) == []
    assert tarr_steps("leave", "lxc", "box").status == 1


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


@pytest.mark.parametrize("text", ["", "{", "[]", '{"segment": 1}', "[" * 100_000])
def test_a_memory_that_cannot_be_understood(tarr_steps: TarrSteps, box: Path, text: str) -> None:
    tarr_steps("join", "lxc", "box")
    memories(box)[0].write_text(text)
    assert tarr_steps("leave", "lxc", "box").status == 0
    assert box.read_text() == "off\n"


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


def test_a_command_with_its_input_is_one_for_a_shell() -> None:
    assert str(RunTool(("cat", "a b"), input="<x/>\n")) == "cat 'a b' <<'END'\n<x/>\nEND"


@pytest.mark.parametrize("guest", ["", "-v", "--help", "a\nb", "a\x1b[2J", "x" * 256])
def test_what_no_guest_is_called(guest: str) -> None:
    with pytest.raises(Exception, match="expected the name"):
        existing.checked(guest)


# --- VirtualBox, as it answers for a machine that runs ---------------------------------------------

@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> virtualbox.VirtualBox:
    def ask(argv: list[str], _seconds: float) -> str:
        return READABLE.replace("poweroff", "running") if "--machinereadable" in argv else HUMAN

    monkeypatch.setattr(tools, "find", lambda tool, **_named: f"/usr/bin/{tool}")
    monkeypatch.setattr(tools, "ask", ask)
    monkeypatch.setattr(virtualbox, "FILTER", Path(os.devnull))
    return virtualbox.VirtualBox("my web")


def off(monkeypatch: pytest.MonkeyPatch) -> virtualbox.VirtualBox:
    """The same machine, switched off."""
    monkeypatch.setattr(tools, "ask", lambda argv, _seconds: READABLE if "--machinereadable" in argv else HUMAN)
    return virtualbox.VirtualBox("my web")


WHERE = Where("vdenet0", "vdenet0", SEGMENT["switch"])
PLACE = Place("vdenet0", "vdenet0", SEGMENT["switch"], "box", "52:54:00:aa:bb:cc")


def test_a_running_machine_takes_an_adapter_that_is_enabled(running: virtualbox.VirtualBox) -> None:
    joining = running.join(Wish(), PLACE)
    assert [str(action).split(" ", 3)[-1] for action in joining.actions] == ["nic5 bridged vdenet0"]
    assert joining.live


@pytest.mark.parametrize(("before", "said"), [
    (Nic(3, "none"), True), (Nic(3, "null"), False), (Nic(3, "nat"), False), (None, True)])
def test_a_running_machine_keeps_an_adapter_that_was_disabled(
        running: virtualbox.VirtualBox, before: Nic | None, said: bool) -> None:
    """It becomes one that is attached to nothing: what is left to do is said."""
    leaving = running.leave(Where("lan", "eth0", ""), {"before": asdict(before)} if before else None)
    assert str(leaving.actions[0]).split(" ", 3)[-1] == ("nic3 nat" if before and before.kind == "nat" else "nic3 null")
    assert (leaving.note or "").endswith("VBoxManage modifyvm 'my web' --nic3 none") is said


def test_a_second_adapter_is_not_asked_for_an_address_by_itself(running: virtualbox.VirtualBox) -> None:
    """One that the guest has in use already, it has set up."""
    assert "told to ask for an address" in (running.join(Wish(), PLACE).note or "")
    assert running.join(Wish(nic=1), PLACE).note is None


@pytest.mark.parametrize(("wish", "speaks_vde", "bridges", "hint"), [
    (Wish(via="udp"), True, True, "switch it off first, or --via bridge"),
    (Wish(via="udp"), True, False, "switch it off first, or --via vde"),
    (Wish(), False, False, "switch it off first"),
    (Wish(vlan=33), False, True, "switch it off first")])
def test_a_running_machine_is_not_plugged_into_a_tunnel(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch, wish: Wish, speaks_vde: bool, bridges: bool,
        hint: str) -> None:
    """Nor into another one than it is in."""
    monkeypatch.setattr(virtualbox, "_speaks_vde", lambda: speaks_vde)
    monkeypatch.setattr(virtualbox, "FILTER", Path(os.devnull if bridges else "/nowhere"))
    for look in (running.found, running.join):
        with pytest.raises(Refused, match="into a UDP tunnel while it runs") as caught:
            look(wish, replace(PLACE, ports=("29201", "513")))
        assert caught.value.data["hint"] == hint
    assert off(monkeypatch).found(wish, PLACE).tunnel


def test_a_running_machine_does_not_enable_one(running: virtualbox.VirtualBox) -> None:
    with pytest.raises(Refused, match="disabled"):
        running.join(Wish(nic=4), PLACE)


@pytest.mark.parametrize(("speaks_vde", "plug", "tunnel"), [(True, True, False), (False, False, True)])
def test_a_machine_gets_into_a_vlan_by_a_port_of_its_own(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch, speaks_vde: bool, plug: bool, tunnel: bool) -> None:
    """Though the bridge is there, and quicker."""
    monkeypatch.setattr(virtualbox, "_speaks_vde", lambda: speaks_vde)
    machine = off(monkeypatch) if tunnel else running
    found = machine.found(Wish(vlan=33), PLACE)
    assert (found.plug, found.tunnel) == (plug, tunnel)
    place = replace(PLACE, vlan=33, vde_port="31" if plug else None, ports=("4001", "4002") if tunnel else None)
    done = machine.join(Wish(vlan=33), place)
    if plug:
        assert f"nicproperty5 'network={SEGMENT['switch']}[31]'" in str(done.actions[0])
    assert done.via == ("vde" if plug else "udp")
    with pytest.raises(Refused, match="no port there is theirs") as refused:
        running.found(Wish(via="bridge", vlan=33), PLACE)
    assert refused.value.data["hint"] == f"--via {done.via}"

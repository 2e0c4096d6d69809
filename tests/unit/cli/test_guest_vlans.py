"""join of a guest into a VLAN, asked for or given by the segment's file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps, memories, methods
from unit.cli.files import RESERVED, Files
from vdenet.errors import Refused
from vdenet.model.joining import Found, Joining, Place, Where, Wish

WHERE = Where("vdenet0", "vdenet0", SEGMENT["switch"])
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

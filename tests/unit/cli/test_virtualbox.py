"""What VirtualBox refuses while it runs, and what gets a machine of it into a VLAN."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from unit.cli.conftest import SEGMENT
from unit.text.test_virtualbox import HUMAN, READABLE
from vdenet.cli import tools
from vdenet.cli.kinds import virtualbox
from vdenet.errors import Refused
from vdenet.model.joining import Place, Where, Wish
from vdenet.text.virtualbox import Nic


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
    return shown(monkeypatch, READABLE)


PLACE = Place("vdenet0", "vdenet0", SEGMENT["switch"], "box", "52:54:00:aa:bb:cc")


def test_a_running_machine_takes_an_adapter_that_is_enabled(running: virtualbox.VirtualBox) -> None:
    joining = running.join(Wish(), PLACE)
    assert [str(action).split(" ", 3)[-1] for action in joining.actions] == ["nic5 bridged vdenet0"]
    assert joining.live


VIRTIO = READABLE.replace('nic5="null"', 'nic5="null"\nnictype5="virtio"').replace(
    'nic3="bridged"', 'nic3="bridged"\nnictype3="virtio"')
NOWHERE = "its adapter 3 is on a network of its own now, which leads nowhere; to take it from there, when the machine is " \
    "off: VBoxManage modifyvm 'my web' --nic3 "


@pytest.mark.parametrize(("before", "attached", "said"), [
    (Nic(3, "none"), "null", "its adapter 3 is attached to nothing now; to disable it, when the machine is off: "
                             "VBoxManage modifyvm 'my web' --nic3 none"),
    (Nic(3, "null"), "null", None), (Nic(3, "nat"), "nat", None)])
@pytest.mark.parametrize("driver", [True, False])
def test_a_running_machine_keeps_an_adapter_that_was_disabled(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch, before: Nic, attached: str, said: str | None,
        driver: bool) -> None:
    """It becomes one that is attached to nothing: what is left to do is said. So for a virtio card where there are no
    internal networks."""
    monkeypatch.setattr(virtualbox, "DRIVER", Path(os.devnull if driver else "/nowhere"))
    machine = running if driver else shown(monkeypatch, VIRTIO.replace("poweroff", "running"))
    leaving = machine.leave(Where("lan", "eth0", ""), {"before": asdict(before)})
    assert [str(action).split(" ", 3)[-1] for action in leaving.actions] == [f"nic3 {attached}"]
    assert leaving.note == said


@pytest.mark.parametrize(("before", "as_it_was"), [
    (Nic(3, "none"), "none"), (Nic(3, "null"), "null"), (None, "none"),
    (Nic(3, "null", cable=False), "null --cableconnected3 off")])
def test_a_virtio_card_of_a_running_machine_leaves_to_where_nobody_is(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch, before: Nic | None, as_it_was: str) -> None:
    """With the cable in: its frames have to go somewhere."""
    monkeypatch.setattr(virtualbox, "DRIVER", Path(os.devnull))
    machine = shown(monkeypatch, VIRTIO.replace("poweroff", "running"))
    tokens = set()
    for _again in range(2):
        leaving = machine.leave(Where("lan", "eth0", ""), {"before": asdict(before)} if before else None)
        action, = leaving.actions
        aside, token = str(action).split(" ", 3)[-1].rsplit("-", 1)
        kind, _space, out = as_it_was.partition(" ")
        assert aside == f"nic3 intnet vdenet-unplugged-{kind}{'+out' if out else ''}-lan"
        assert leaving.note == NOWHERE + as_it_was
        tokens.add(token)
    assert len(tokens) == 2 and all(len(token) == 32 for token in tokens)


def shown(monkeypatch: pytest.MonkeyPatch, readable: str) -> virtualbox.VirtualBox:
    """The machine that the tool shows so."""
    monkeypatch.setattr(tools, "ask", lambda argv, _seconds: readable if "--machinereadable" in argv else HUMAN)
    return virtualbox.VirtualBox("my web")


def test_an_adapter_that_left_is_the_next_to_join(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before one that is attached to nothing; and what a later `leave` brings back is what was there at first."""
    for kind in ("none", "null"):
        aside = VIRTIO.replace('intnet6="lab"', f'intnet6="vdenet-unplugged-{kind}+out-vdenet0-{"0a" * 16}"')
        back = shown(monkeypatch, aside.replace("poweroff", "running")).join(Wish(), PLACE)
        assert [str(action).split(" ", 3)[-1] for action in back.actions] == ["nic6 bridged vdenet0"]
        assert back.memory["before"]["kind"] == kind and back.memory["before"]["target"] is None
        assert not any("switch the machine off and on" in note for note in back.notes)
        # When it is off, leave does what it could not do before.
        where = Where("vdenet0", "vdenet0", SEGMENT["switch"])
        leaving = shown(monkeypatch, aside).leave(where, None)
        assert [str(action).split(" ", 3)[-1] for action in leaving.actions] == [f"--nic6 {kind} --cableconnected6 off"]
        assert not shown(monkeypatch, aside).leave(Where("lab", "lab", ""), None).actions, "it left another segment"
        for state in ("running", "saved", "settingup"):
            assert not shown(monkeypatch, aside.replace("poweroff", state)).leave(where, None).actions


def test_a_virtio_card_that_was_attached_to_nothing_may_be_silent(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch) -> None:
    there = VIRTIO.replace("poweroff", "running")
    for text, warns in ((there, True), (VIRTIO, False), (READABLE.replace("poweroff", "running"), False),
                        (there.replace('cableconnected5="on"', 'cableconnected5="off"'), False)):
        notes = shown(monkeypatch, text).join(Wish(nic=5), PLACE).notes
        assert any("switch the machine off and on" in note for note in notes) is warns


def test_a_second_adapter_is_not_asked_for_an_address_by_itself(running: virtualbox.VirtualBox) -> None:
    """One that the guest has in use already, it has set up."""
    assert "told to ask for an address" in running.join(Wish(), PLACE).notes[0]
    assert running.join(Wish(nic=1), PLACE).notes == ()


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


def test_a_machine_that_virtualbox_is_at_work_on_is_left_alone(
        running: virtualbox.VirtualBox, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = shown(monkeypatch, READABLE.replace("poweroff", "deletingsnapshot"))
    with pytest.raises(Refused) as refused:
        machine.join(Wish(), PLACE)
    assert str(refused.value) == "cannot join my web: VirtualBox is at work on it (deletingsnapshot)"

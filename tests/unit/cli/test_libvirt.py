"""A domain on an adopted bridge, which is called otherwise than the segment; virsh is a double."""

from __future__ import annotations

import pytest

from unit.text.test_libvirt import CONFIGURED
from vdenet.cli import virsh
from vdenet.cli.kinds.libvirt import Libvirt
from vdenet.cli.virsh import Virsh
from vdenet.errors import Refused
from vdenet.model.joining import Place, RunTool, Where, Wish

UUID = "60645a2a-c5d1-4f8a-9280-a7c086e55b0b"
MAC = "52:54:00:aa:bb:cc"
WHERE = Where("vdenet0", "lan0", "")
PLACE = Place("vdenet0", "lan0", "", "web", MAC, "vd0-web")
MEMORY = {"added": MAC}


def domain(monkeypatch: pytest.MonkeyPatch, card: str = "") -> Libvirt:
    """A domain of the user's own libvirt that is off, with one more card."""
    text = CONFIGURED.replace("<memballoon", f"{card}<memballoon")

    def look(_self: Virsh, verb: str, *_words: str) -> str:
        return "Persistent: yes\n" if verb == "dominfo" else text

    monkeypatch.setattr(virsh, "find", lambda _guest, _connect: (Virsh("qemu:///session"), UUID, "web"))
    monkeypatch.setattr(Virsh, "look", look)
    return Libvirt("web")


def test_its_tap_is_called_after_the_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    action, = domain(monkeypatch).join(Wish(), PLACE).actions
    assert isinstance(action, RunTool)
    joined = domain(monkeypatch, action.input)
    assert joined.found(Wish(), WHERE).joined
    assert joined.join(Wish(), PLACE).actions == ()
    action, = joined.leave(WHERE, MEMORY).actions
    assert isinstance(action, RunTool)
    assert ("detach-device" in action.argv, MAC in action.input) == (True, True)


def test_a_second_card_is_not_asked_for_an_address_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the domain has already, its guest has set up."""
    joining = domain(monkeypatch).join(Wish(), PLACE)
    assert "told to ask for an address" in joining.notes[0]
    action, = joining.actions
    assert isinstance(action, RunTool)
    assert domain(monkeypatch, action.input).join(Wish(), PLACE).notes == ()
    assert domain(monkeypatch).join(Wish(nic=1), PLACE).notes == ()


def test_a_card_that_was_added_and_is_not_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    card = f"<interface type='ethernet'><mac address='{MAC}'/><target dev='tap7' managed='no'/></interface>"
    with pytest.raises(Refused, match="tap7") as raised:
        domain(monkeypatch, card).leave(WHERE, MEMORY)
    assert f"--mac {MAC} --config" in str(raised.value.data["hint"])
    assert domain(monkeypatch, card).leave(WHERE, None).actions == ()
    assert domain(monkeypatch).leave(WHERE, MEMORY).actions == ()  # taken out by hand

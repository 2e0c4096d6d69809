"""join and leave of a guest that comes by a UDP tunnel: the tunnel ends first, and is back when nothing came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps, methods
from unit.cli.files import MAC, RESERVED, Files
from vdenet.cli import access, carrying, tunnelling
from vdenet.errors import ToolFailed
from vdenet.model.joining import Action, EditFile, Found, Joining, Leaving, Place, Where, Wish


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

    def perform(actions: Sequence[Action], _tell: object) -> list[str]:
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

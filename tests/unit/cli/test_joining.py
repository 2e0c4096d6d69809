from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps
from vdenet.cli import access, joining, joinrun, memory, tools
from vdenet.cli.memory import Entry
from vdenet.errors import NameTaken, SegmentDown, ToolMissing, UnknownSegment
from vdenet.model.names import derived_mac
from vdenet.probe import links
from vdenet.text import qemu

JOINED: dict[str, Any] = {"segment": "vdenet0", "port": "vd0-web", "mac": "52:54:00:aa:bb:cc", "name": "web",
          "fqdn": "web.vdenet.internal", "mtu": 1500, "vhost": False}
NIC = "virtio-net-pci,netdev=vdenet0,mac=52:54:00:aa:bb:cc"


class Became(BaseException):
    """In place of exec, which does not return."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The command that took our place; its descriptors are open and inheritable by then."""
    seen: list[list[str]] = []

    def execv(path: str, argv: list[str]) -> None:
        assert path == f"/usr/bin/{argv[0]}"
        for word in argv[argv.index("-netdev") + 1].split(","):
            key, _equals, value = word.partition("=")
            if key in ("fd", "vhostfd"):
                assert os.get_inheritable(int(value))
                os.close(int(value))
        assert signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL
        seen.append(argv)
        raise Became

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(shutil, "which", lambda tool, **_named: f"/usr/bin/{tool}")
    before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    yield seen
    for number, action in before.items():
        signal.signal(number, action)


@pytest.fixture
def tap() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        os.close(fd)


def test_qemu_gets_a_tap(daemon: Daemon, tarr_steps: TarrSteps, became: list[list[str]],
                         tap: tuple[int, int]) -> None:
    daemon.answers["OpenTap"], daemon.fds = JOINED, tap[:1]
    with pytest.raises(Became):
        tarr_steps("join", "qemu", "--name", "Web", "--", "qemu", "-l", "a b", "--", "")
    [argv] = became
    assert argv[:5] == ["qemu", "-l", "a b", "--", ""]
    assert argv[5] == "-netdev"
    assert argv[6].startswith("tap,id=vdenet0,fd=")
    assert argv[7:] == ["-device", NIC]
    assert daemon.calls == [("OpenTap", {"segment": "vdenet0", "name": "web", "kind": "qemu"})]


def test_qemu_gets_vhost_where_there_is_one(daemon: Daemon, tarr_steps: TarrSteps,
                                            became: list[list[str]], tap: tuple[int, int]) -> None:
    daemon.answers["OpenTap"], daemon.fds = {**JOINED, "vhost": True}, tap
    with pytest.raises(Became):
        tarr_steps("join", "qemu", "qemu", "-nographic")  # the dashes may be left out
    assert ",vhost=on,vhostfd=" in became[0][3]


@pytest.mark.parametrize(("words", "name"), [
    (["-name", "web"], "web"), (["-name", "guest=My VM,debug-threads=on"], "my-vm"),
    (["-name", "web,process=x"], "web"), (["-name", "debug-threads=on"], None), (["-name"], None),
    (["-name", "…"], None), ([], None), (["--name", "a_b"], "a-b"), (["-name", "x" * 80], "x" * 63),
])
def test_the_name_comes_from_the_command(daemon: Daemon, tarr_steps: TarrSteps, became: list[list[str]],
                                         tap: tuple[int, int], words: list[str], name: str | None) -> None:
    daemon.answers["OpenTap"], daemon.fds = JOINED, tap[:1]
    with pytest.raises(Became):
        tarr_steps("join", "qemu", "--mac", "52-54-00-AA-BB-CC", "--", "qemu", *words)
    given = {"segment": "vdenet0", "mac": "52:54:00:aa:bb:cc", "kind": "qemu"}
    assert daemon.calls == [("OpenTap", given if name is None else {**given, "name": name})]


def test_it_says_as_what_it_joins(daemon: Daemon, tarr_steps: TarrSteps, became: list[list[str]],
                                  tap: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["OpenTap"], daemon.fds = JOINED, tap[:1]
    for option, out, err in (
        ("--name=web", "", "web joins vdenet0 as web.vdenet.internal, 52:54:00:aa:bb:cc\n"),
        ("--quiet", "", ""),
    ):
        with pytest.raises(Became):
            tarr_steps("join", "qemu", option, "--", "qemu")
        assert capsys.readouterr() == (out, err)
    with pytest.raises(Became):
        tarr_steps("join", "qemu", "--json", "--", "qemu")
    assert json.loads(capsys.readouterr().out)["port"] == "vd0-web"
    assert became


def test_no_port_is_taken_for_a_command_that_is_not_there(
        daemon: Daemon, tarr_steps: TarrSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    done = tarr_steps("join", "qemu", "--", "qemu-system-x86_64")
    assert (done.status, done.out) == (5, "")
    assert done.err.startswith("tarr-steps: cannot run qemu-system-x86_64: it is not installed\n")
    assert not daemon.calls


def test_the_segment_is_down(daemon: Daemon, tarr_steps: TarrSteps, became: list[list[str]]) -> None:
    daemon.answers["OpenTap"] = SegmentDown(what="join", segment="vdenet0")
    done = tarr_steps("join", "qemu", "--", "qemu")
    assert done.status == 1
    assert "hint: tarr-steps start vdenet0\n" in done.err
    assert not became


@pytest.fixture
def no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.fixture
def qemu_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda tool, **_named: f"/usr/bin/{tool}")
    monkeypatch.setattr(tools, "ask", lambda _argv, **_named: "vde\n")


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who calls; nothing is remembered of her guests yet."""
    monkeypatch.setattr(access, "account", lambda: access.Account("alice", True, True))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def listed(daemon: Daemon, *guests: dict[str, Any], **more: Any) -> None:
    """What the daemon shows: these guests, beside nobody."""
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [{**GUEST, **one} for one in guests], **more}]}


REHEARSED = [["--name", "web", "--", "qemu"], ["--print", "--name", "web"], ["--tap", "web"]]
each_way = pytest.mark.parametrize("words", REHEARSED, ids=["run", "print", "tap"])


def test_dry_run_shows_the_command(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None, alice: None) -> None:
    listed(daemon)
    done = tarr_steps("join", "qemu", "--dry-run", "--mac", "52:54:00:aa:bb:cc", "--", "qemu", "a b")
    assert shlex.split(done.out) == ["qemu", "a b", "-netdev", "tap,id=vdenet0,fd=3", "-device", NIC]
    assert [method for method, _given in daemon.calls] == ["List"]


@each_way
def test_dry_run_without_the_daemon(places: object, tarr_steps: TarrSteps, qemu_there: None, words: list[str]) -> None:
    done = tarr_steps("join", "qemu", "--dry-run", *words)
    assert (done.status, done.out) == (3, "")


@each_way
@pytest.mark.parametrize(("more", "status", "why"), [
    ({"state": "down"}, 1, "cannot join: the segment vdenet0 is down"),
    ({"vlans": [33]}, 2, "cannot use VLAN 9: vdenet0 has the VLANs 33"),
    ({"guests": [{**GUEST, "owner": "bob"}]}, 1, "cannot use the name web: another user's guest has it"),
    ({"guests": [{**GUEST, "kind": "lxc"}]}, 1, "cannot use the name web: your lxc guest of that name has it"),
], ids=["down", "vlan", "anothers", "other kind"])
def test_dry_run_refuses_what_is_refused(
        daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None, alice: None, words: list[str], more: dict[str, Any],
        status: int, why: str) -> None:
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [], **more}]}
    vlan = ["--vlan", "9"] if "vlans" in more else []
    done = tarr_steps("join", "qemu", "--dry-run", *vlan, *words)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"tarr-steps: {why}\n")
    if "another user's" in why:
        assert done.err.endswith(f"hint: choose another with {words[0] if words[0] == '--tap' else '--name'}\n")
    assert {method for method, _given in daemon.calls} == {"List"}


@each_way
def test_dry_run_on_a_segment_that_is_not_there(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None,
                                                words: list[str]) -> None:
    daemon.answers["List"] = UnknownSegment(segment="lab")
    assert tarr_steps("join", "qemu", "--segment", "lab", "--dry-run", *words).status == 2


def test_dry_run_of_a_command_that_is_not_there(daemon: Daemon, tarr_steps: TarrSteps, no_qemu: None) -> None:
    done = tarr_steps("join", "qemu", "--dry-run", "--", "nosuchqemu")
    assert (done.status, done.out) == (5, "")


def test_dry_run_of_a_guest_that_is_there(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None, alice: None,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """The tap that stays is the same one; a second guest of that name there cannot be, but one that comes by itself is
    itself."""
    listed(daemon, {"port": "vd0-web-2"})
    monkeypatch.setattr(links, "stays", lambda _port: False)
    done = tarr_steps("join", "qemu", "--dry-run", "--tap", "web")
    assert done.err.startswith("tarr-steps: cannot use the name web: your guest of that name is on the segment already\n")
    monkeypatch.setattr(links, "stays", lambda port: port == "vd0-web-2")
    done = tarr_steps("join", "qemu", "--dry-run", "--tap", "web")
    assert (done.status, f"mac={GUEST['mac']}" in done.out, ",ifname=vd0-web-2," in done.out) == (0, True, True)
    for name, mac, why in (("web", JOINED["mac"], "name web: your guest of that name is on the segment already"),
                           ("shop", GUEST["mac"], f"MAC address {GUEST['mac']}: your guest web has it")):
        for words in ["--print"], ["--", "qemu"]:
            done = tarr_steps("join", "qemu", "--dry-run", "--name", name, "--mac", mac, *words)
            assert done.err.startswith(f"tarr-steps: cannot use the {why}\n")
    listed(daemon, {"port": "vdenet0-vde", "via": "vde"})
    for words in REHEARSED:
        assert tarr_steps("join", "qemu", "--dry-run", *words).status == 0
    listed(daemon, {"owner": "bob"})
    done = tarr_steps("join", "qemu", "--dry-run", "--tap", "shop", "--mac", GUEST["mac"])
    assert done.err == (f"tarr-steps: cannot use the MAC address {GUEST['mac']}: another user's guest has it\n"
                        "hint: give it another MAC address, or where you gave none, another name\n")


@each_way
def test_dry_run_knows_guests_of_the_callers_that_are_off(
        daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None, alice: None, words: list[str]) -> None:
    listed(daemon)
    with memory.alone("lxc"):
        memory.save("lxc", Entry("vdenet0", "/var/lib/lxc/box/config", "box", "web", None))
    done = tarr_steps("join", "qemu", "--dry-run", *words)
    assert (done.status, done.err.splitlines()[0]) == (
        1, "tarr-steps: cannot use the name web: your lxc guest box has it")


def test_dry_run_has_the_vlan_of_the_file(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None, alice: None) -> None:
    listed(daemon, vlans=[33])
    daemon.answers["Export"] = {"segment": "vdenet0", "text": (
        'address = "10.83.14.1/24"\n[[vlan]]\nid = 33\n[[host]]\nname = "web"\nvlan = 33\n')}
    shown = json.loads(tarr_steps("--json", "join", "qemu", "--dry-run", "--print", "--name", "web").out)
    assert (shown["vlan"], shown["fqdn"]) == (33, "web.vdenet.internal")
    assert ",port=PORT" in shown["arguments"][1]


def test_print(daemon: Daemon, tarr_steps: TarrSteps, no_qemu: None) -> None:
    daemon.answers["Reserve"] = {**JOINED, "switch": "/run/vdenet/vdenet0/switch"}
    expected = ["-netdev", "vde,id=vdenet0,sock=/run/vdenet/vdenet0/switch", "-device", NIC]
    assert shlex.split(tarr_steps("join", "qemu", "--print").out) == expected
    assert daemon.calls[-1] == ("Reserve", {"segment": "vdenet0", "kind": "qemu", "plug": True})
    shown = json.loads(tarr_steps("join", "qemu", "--print", "--json", "--name", "web").out)
    assert shown["arguments"] == expected
    assert daemon.calls[-1][1]["name"] == "web"


def test_print_warns_a_late_member(daemon: Daemon, tarr_steps: TarrSteps, no_qemu: None,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "account", lambda: access.Account("alice", True, False))
    daemon.answers["Reserve"] = {**JOINED, "switch": "/s"}
    done = tarr_steps("join", "qemu", "--print")
    assert done.out.startswith("-netdev vde,")
    assert "log out and in again" in done.err
    assert tarr_steps("join", "qemu", "--print", "-q").err == ""


def test_print_looks_at_the_build_of_qemu(daemon: Daemon, tarr_steps: TarrSteps,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.answers["Reserve"] = {**JOINED, "switch": "/s"}
    monkeypatch.setattr(tools, "ask", lambda _argv, **_named: "Available netdev backend types:\nuser\nvde\n")
    assert tarr_steps("join", "qemu", "--print", "--name", "web", "--", "qemu").status == 0
    monkeypatch.setattr(tools, "ask", lambda _argv, **_named: "user\nvdevice\n")
    done = tarr_steps("join", "qemu", "--print", "--name", "web", "--", "qemu")
    assert done.status == 5
    assert "built without VDE" in done.err
    assert "hint: take a tap: tarr-steps join qemu -- qemu … or tarr-steps join qemu --tap NAME\n" in done.err


def test_print_looks_at_the_hosts_own_qemu(daemon: Daemon, tarr_steps: TarrSteps,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(argv: list[str], **_named: object) -> str:
        asked.extend(argv)
        return "user\n"

    monkeypatch.setattr(tools, "find", lambda tool, **_named: f"/usr/bin/{tool}")
    monkeypatch.setattr(tools, "ask", ask)
    done = tarr_steps("join", "qemu", "--print")
    assert (done.status, daemon.calls) == (5, [])
    assert asked == [f"qemu-system-{os.uname().machine}", "-netdev", "help"]
    assert "built without VDE" in done.err


@pytest.mark.parametrize(("machine", "program"), [
    ("x86_64", "qemu-system-x86_64"), ("i686", "qemu-system-i386"), ("aarch64", "qemu-system-aarch64")])
def test_the_hosts_own_qemu(machine: str, program: str) -> None:
    assert qemu.program(machine) == program


def test_a_tap_that_stays(daemon: Daemon, tarr_steps: TarrSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.answers["KeepTap"] = JOINED
    monkeypatch.setattr(joining, "VHOST", "/nonexistent")
    done = tarr_steps("join", "qemu", "--tap", "Web")
    netdev = "tap,id=vdenet0,ifname=vd0-web,script=no,downscript=no"
    assert shlex.split(done.out) == ["-netdev", netdev, "-device", NIC]
    assert done.err == "web has the tap vd0-web on vdenet0, as web.vdenet.internal, until: tarr-steps leave qemu web\n"
    assert daemon.calls == [("KeepTap", {"segment": "vdenet0", "name": "web", "kind": "qemu"})]
    done = tarr_steps("join", "qemu", "--tap", "web", "--segment", "lab")
    assert done.err.endswith("until: tarr-steps leave qemu web --segment lab\n")
    monkeypatch.setattr(joining, "VHOST", os.devnull)
    shown = json.loads(tarr_steps("--json", "join", "qemu", "--tap", "web", "--model", "e1000").out)
    assert (shown["port"], shown["name"], shown["mac"]) == ("vd0-web", "web", JOINED["mac"])
    assert shown["arguments"] == ["-netdev", f"{netdev},vhost=on", "-device", NIC.replace("virtio-net-pci", "e1000")]


def test_a_tap_that_would_stay(daemon: Daemon, tarr_steps: TarrSteps, alice: None) -> None:
    listed(daemon)
    done = tarr_steps("join", "qemu", "--tap", "a-long-name-indeed", "--dry-run", "--mac", JOINED["mac"])
    assert ",ifname=vd0-a-long-name," in done.out
    assert [method for method, _given in daemon.calls] == ["List"]


@pytest.mark.parametrize("words", [["--tap", "web"], ["--print", "--name", "web"]])
def test_what_is_there_already_is_no_change(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None,
                                            words: list[str]) -> None:
    for method in "KeepTap", "Reserve":
        daemon.answers[method] = {**JOINED, "switch": "/s", "changed": False}
    assert json.loads(tarr_steps("--json", "join", "qemu", *words).out)["changed"] is False
    for method in "KeepTap", "Reserve":
        daemon.answers[method] = {**JOINED, "switch": "/s", "changed": True}
    assert json.loads(tarr_steps("--json", "join", "qemu", *words).out)["changed"] is True


@pytest.mark.parametrize("words", [["--print"], ["--name", "web"], ["--", "qemu"]])
def test_a_tap_that_stays_stands_alone(daemon: Daemon, tarr_steps: TarrSteps, words: list[str]) -> None:
    assert tarr_steps("join", "qemu", "--tap", "web", *words).status == 2
    assert tarr_steps("join", "qemu", "--tap", "-x").status == 2
    assert not daemon.calls


def test_a_comma_in_the_path_is_doubled() -> None:
    from vdenet.text.qemu import vde_nic

    assert "sock=/a,,b" in vde_nic("lab", "m", "/a,b", "e1000")[1]


def test_leave(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["Leave"] = {"segment": "vdenet0", "name": "web", "left": True}
    assert tarr_steps("leave", "qemu", "Web").out == "web has left vdenet0\n"
    assert daemon.calls == [("Leave", {"segment": "vdenet0", "name": "web", "kind": "qemu"})]
    daemon.answers["Leave"] = {"segment": "vdenet0", "name": "web", "left": False}
    listed(daemon)
    done = tarr_steps("--json", "leave", "run", "web")
    assert done.status == 0
    assert json.loads(done.out) == {
        "segment": "vdenet0", "kind": "run", "guest": "web", "name": "web", "left": False, "live": False,
        "actions": [], "notes": []}


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["done", "dry run"])
def test_leave_of_a_guest_of_another_kind(daemon: Daemon, tarr_steps: TarrSteps, alice: None, dry_run: list[str]) -> None:
    daemon.answers["Leave"] = {"segment": "vdenet0", "name": "web", "left": False}
    listed(daemon, {"kind": "podman", "guest": "web1"})
    done = tarr_steps("leave", "qemu", "web", *dry_run)
    assert (done.status, done.out) == (1, "")
    refusal = "tarr-steps: cannot take the qemu guest web off the segment: the guest of that name is of the kind podman\n"
    assert done.err == refusal + "hint: tarr-steps leave podman web1\n"
    listed(daemon, {"kind": "podman", "owner": "bob"})
    assert tarr_steps("leave", "qemu", "web", *dry_run).err == refusal
    listed(daemon, {"kind": "run"})
    assert "hint: tarr-steps leave run web\n" in tarr_steps("leave", "qemu", "web", *dry_run).err
    listed(daemon, {"kind": None, "joined": False})  # it only calls itself so
    assert tarr_steps("leave", "qemu", "web", *dry_run).status == 0


def test_leave_dry_run_of_anothers(daemon: Daemon, tarr_steps: TarrSteps, alice: None,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    listed(daemon, {"owner": "bob"})
    done = tarr_steps("leave", "qemu", "web", "--dry-run")
    assert (done.status, done.out) == (4, "")
    assert done.err.startswith("tarr-steps: cannot remove web: it belongs to another user\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert tarr_steps("leave", "qemu", "web", "--dry-run").status == 0


def test_leave_dry_run(daemon: Daemon, tarr_steps: TarrSteps, alice: None) -> None:
    """It looks, and says what it can see."""
    daemon.answers["List"] = {"segments": [SEGMENT]}
    assert tarr_steps("leave", "qemu", "web", "--dry-run").out == "web leaves vdenet0\n"
    done = tarr_steps("leave", "run", "shop", "--dry-run")
    assert done.out == "shop is not to be seen on vdenet0: only its name is freed, if it has joined\n"
    shown = json.loads(tarr_steps("leave", "qemu", "web", "--dry-run", "--json").out)
    assert (shown["kind"], shown["left"], shown["live"]) == ("qemu", False, True)
    assert {method for method, _given in daemon.calls} == {"List"}
    daemon.answers["List"] = UnknownSegment(segment="lab")
    assert tarr_steps("leave", "qemu", "web", "--segment", "lab", "--dry-run").status == 2


ALWAYS = {"segment", "kind", "guest", "name", "mac", "fqdn", "vlan", "via", "nic", "why", "changed", "live", "running",
          "actions", "warnings", "notes"}


def test_every_way_to_join_has_the_same_keys(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None,
                                             alice: None) -> None:
    listed(daemon)
    daemon.answers |= {"Reserve": {**JOINED, "switch": "/s"}, "KeepTap": JOINED}
    for more in ["--tap", "web"], ["--print"], ["--dry-run", "--", "qemu"], ["--tap", "web", "--dry-run"]:
        shown = json.loads(tarr_steps("--json", "join", "qemu", *more).out)
        assert ALWAYS <= shown.keys()
        assert (shown["kind"], shown["changed"]) == ("qemu", "--dry-run" not in more)


def test_a_dry_run_knows_the_mac_of_a_name(daemon: Daemon, tarr_steps: TarrSteps, qemu_there: None,
                                           alice: None) -> None:
    """What the daemon makes of the name, it makes of it always; without one, it chooses."""
    listed(daemon)
    mac = derived_mac("vdenet0", str(os.getuid()), "web")
    for words in ["--name", "web", "--", "qemu"], ["--", "qemu", "-name", "web"], ["--print", "--name", "web"]:
        assert f",mac={mac}" in tarr_steps("join", "qemu", "--dry-run", *words).out
    done = tarr_steps("join", "qemu", "--dry-run", "--", "qemu")
    assert (",mac=MAC" in done.out, "vdenetd chooses one" in done.err) == (True, True)
    assert {method for method, _given in daemon.calls} == {"List"}


def test_print_dry_run_reserves_nothing(daemon: Daemon, tarr_steps: TarrSteps, no_qemu: None, alice: None) -> None:
    listed(daemon, vlans=[33])
    done = tarr_steps("join", "qemu", "--print", "--dry-run", "--mac", JOINED["mac"], "--vlan", "33")
    assert shlex.split(done.out) == [
        "-netdev", "vde,id=vdenet0,sock=/run/vdenet/vdenet0/switch,port=PORT", "-device", NIC]
    assert [method for method, _given in daemon.calls] == ["List"]


def test_run_hands_over_to_its_module(daemon: Daemon, tarr_steps: TarrSteps,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    def join_run(_client: object, *given: object, **_named: object) -> int:
        seen.append(given)
        return 42

    monkeypatch.setattr(joinrun, "join_run", join_run)
    assert tarr_steps("join", "run", "--name", "A", "--", "sh", "-l").status == 42
    assert seen == [("vdenet0", "a", None, ["sh", "-l"])]


def test_errors_of_run_are_told(daemon: Daemon, tarr_steps: TarrSteps,
                                monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in ((NameTaken(name="a", why="b"), 1), (ToolMissing(tool="unshare"), 5)):
        def join_run(*_given: object, error: Exception = error, **_named: object) -> int:
            raise error

        monkeypatch.setattr(joinrun, "join_run", join_run)
        assert tarr_steps("join", "run", "--", "sh").status == status

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, ip_interface
from pathlib import Path
from typing import Any

import pytest

from unit.cli.conftest import SEGMENT, Daemon, TarrSteps
from vdenet.cli import access, checkup, nameserver, tools
from vdenet.errors import BadConfig, ToolFailed, ToolMissing, UnknownSegment
from vdenet.model.observed import Link
from vdenet.model.places import Places
from vdenet.model.report import Finding, Severity
from vdenet.probe import addresses, conflicts, links, resolvers
from vdenet.text import dnsquery


class Machine:
    """What the probes see: all as it should be, until a test changes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, places: Places) -> None:
        self.links = {
            "vdenet0": Link(name="vdenet0", ifindex=5, kind="bridge", mac="02:00:00:00:00:01", mtu=1500,
                            up=True, carrier=True, master=None, alias="", owner=None),
            "vdenet0-vde": Link(name="vdenet0-vde", ifindex=6, kind="tap", mac="02:00:00:00:00:02",
                                mtu=1500, up=True, carrier=True, master="vdenet0", alias="", owner=None),
        }
        self.addresses = {"10.83.14.1/24", "fd5e:1::1/64"}
        self.named: list[str] | Exception = ["10.83.14.1"]
        self.resolved = "10.83.14.1     STREAM vdenet0.vdenet.internal\n"
        self.conflicts: list[Finding] = []
        self.netdevs: str | Exception = "user\nvde\n"
        self.segment = {**SEGMENT, "switch": str(places.switch("vdenet0"))}
        monkeypatch.setattr(links, "link", self.links.get)
        monkeypatch.setattr(addresses, "of", lambda _name: frozenset(map(ip_interface, self.addresses)))
        monkeypatch.setattr(nameserver, "addresses", self._name)
        monkeypatch.setattr(tools, "ask", self._ask)
        monkeypatch.setattr(checkup, "_TUN", Path("/dev/null"))
        monkeypatch.setattr(resolvers, "kind", lambda: resolvers.NONE)
        monkeypatch.setattr(conflicts, "conflicts", lambda _segment: list(self.conflicts))
        monkeypatch.setattr(access, "account", lambda: access.Account("alice", True, True))
        leases = Path(places.leases("vdenet0"))
        leases.parent.mkdir(parents=True)
        leases.touch()

    def _name(self, server: str, name: str) -> list[IPv4Address]:
        assert (server, name) == ("10.83.14.1", "vdenet0.vdenet.internal")
        if isinstance(self.named, Exception):
            raise self.named
        return [IPv4Address(one) for one in self.named]

    def _ask(self, argv: Sequence[str], **_named: object) -> str:
        answer = {"qemu-system-x86_64": self.netdevs, "getent": self.resolved}[argv[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, places: Places) -> Iterator[Machine]:
    found = Machine(monkeypatch, places)
    switch = Path(places.switch("vdenet0"))
    switch.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{switch}/ctl")
        listener.listen()
        yield found


@pytest.fixture
def served(daemon: Daemon, machine: Machine) -> Daemon:
    daemon.answers.update(List={"segments": [machine.segment]}, Check={"ok": True, "findings": []},
                          Version={"version": "0.1.0"})
    return daemon


def configured(places: Places, text: str = 'address = "10.83.14.1/24"\n') -> None:
    Path(places.config("vdenet0")).write_text(text)


def codes(text: str) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in json.loads(text)["findings"]}


def test_all_is_well(served: Daemon, tarr_steps: TarrSteps) -> None:
    done = tarr_steps("check")
    assert (done.status, done.err) == (0, "")
    assert all(line.startswith("ok ") for line in done.out.splitlines()[:-2])
    assert done.out.endswith("\n\neverything is as it should be\n")
    shown = json.loads(tarr_steps("-c", "--json").out)
    assert (shown["ok"], shown["findings"]) == (True, [])
    assert {part["code"] for part in shown["passed"]} == {
        "daemon", "member", "tun", "qemu-vde", "bridge", "address", "tap", "switch", "leases", "dns",
        "resolver"}
    assert tarr_steps("check", "vdenet0", "--quiet").out == ""


def change_link(machine: Machine, name: str, **values: Any) -> None:
    import dataclasses

    machine.links[name] = dataclasses.replace(machine.links[name], **values)


@pytest.mark.parametrize(("break_it", "code", "severity"), [
    (lambda m, _p: m.links.pop("vdenet0"), "bridge-missing", "error"),
    (lambda m, _p: change_link(m, "vdenet0", kind="other"), "bridge-foreign", "error"),
    (lambda m, _p: change_link(m, "vdenet0", up=False), "bridge-down", "error"),
    (lambda m, _p: m.addresses.discard("10.83.14.1/24"), "address-missing", "error"),
    (lambda m, _p: m.addresses.discard("fd5e:1::1/64"), "address-missing", "error"),
    (lambda m, _p: m.links.pop("vdenet0-vde"), "tap-missing", "error"),
    (lambda m, _p: change_link(m, "vdenet0-vde", master=None), "tap-elsewhere", "error"),
    (lambda m, _p: change_link(m, "vdenet0-vde", carrier=False), "tap-no-carrier", "error"),
    (lambda _m, p: Path(f"{p.switch('vdenet0')}/ctl").unlink(), "switch-unreachable", "error"),
    (lambda _m, p: Path(p.leases("vdenet0")).unlink(), "leases-missing", "warning"),
    (lambda m, _p: setattr(m, "named", nameserver.NoAnswer("no answer")), "dns-silent", "error"),
    (lambda m, _p: setattr(m, "named", []), "dns-wrong", "error"),
    (lambda m, _p: setattr(m, "resolved", "10.9.9.9 STREAM x\n"), "resolver-none",
     "warning"),
    (lambda m, _p: setattr(m, "resolved", ToolFailed(what="x", tool="getent", why="2")),
     "resolver-none", "warning"),
    (lambda m, _p: setattr(m, "netdevs", "user\n"), "qemu-vde", "info"),
    (lambda m, _p: setattr(m, "netdevs", ToolFailed(what="x", tool="q", why="y")), "tool-failed", "error"),
])
def test_each_part_is_missed(served: Daemon, machine: Machine, places: Places, tarr_steps: TarrSteps,
                             break_it: Any, code: str, severity: str) -> None:
    break_it(machine, places)
    done = tarr_steps("check", "--json")
    assert codes(done.out) == {code: severity}
    assert done.status == (1 if severity == "error" else 0)
    [finding] = json.loads(done.out)["findings"]
    assert finding["hint"] or code == "tool-failed"
    shown = tarr_steps("check")
    assert finding["message"] in shown.out


def test_who_has_no_qemu_needs_none(served: Daemon, machine: Machine, tarr_steps: TarrSteps) -> None:
    machine.netdevs = ToolMissing(tool="qemu-system-x86_64")
    done = tarr_steps("check")
    assert done.status == 0
    assert "VDE\n" not in done.out


def test_no_tun(served: Daemon, tarr_steps: TarrSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/nonexistent", "/proc/version"):
        monkeypatch.setattr(checkup, "_TUN", Path(path))
        assert codes(tarr_steps("check", "--json").out) == {"tun-missing": "error"}


def test_the_daemons_findings_come_too_and_once(served: Daemon, machine: Machine,
                                                tarr_steps: TarrSteps) -> None:
    machine.links.clear()
    found = {"code": "bridge-missing", "severity": "error", "segment": "vdenet0", "message": "gone",
             "hint": "mend it"}
    other = {"code": "docker-forward-drop", "severity": "warning", "segment": "vdenet0",
             "message": "Docker drops", "hint": None}
    served.answers["Check"] = {"ok": False, "findings": [found, other]}
    done = tarr_steps("--check", "--json")
    assert json.loads(done.out)["findings"] == [found, other]
    assert done.status == 1
    assert tarr_steps("check", "-q").out == (
        "warning  Docker drops\nerror    gone\n         hint: mend it\n")


def test_a_segment_that_is_down(served: Daemon, machine: Machine, tarr_steps: TarrSteps) -> None:
    machine.segment["state"] = "down"
    done = tarr_steps("check", "--json")
    assert codes(done.out) == {"segment-down": "error"}
    assert done.status == 1


@pytest.mark.parametrize(("kind", "hint"), [
    (resolvers.NONE, "apt install systemd-resolved"), (resolvers.RESOLVED, "tarr-steps reload vdenet0")])
def test_how_to_mend_the_resolver(served: Daemon, machine: Machine, tarr_steps: TarrSteps,
                                  monkeypatch: pytest.MonkeyPatch, kind: str, hint: str) -> None:
    monkeypatch.setattr(resolvers, "kind", lambda: kind)
    machine.resolved = ""
    assert hint in tarr_steps("check").out


def test_a_resolver_that_was_made_to_work(served: Daemon, machine: Machine, tarr_steps: TarrSteps) -> None:
    served.answers["Check"] = {"ok": True, "findings": [
        {"code": "resolver-none", "severity": "warning", "segment": "vdenet0", "message": "m", "hint": "h"}]}
    assert codes(tarr_steps("check", "--json").out) == {}
    machine.resolved = ""
    shown = tarr_steps("check", "--json").out
    assert [finding["message"] for finding in json.loads(shown)["findings"]] == ["m"]


def test_a_login_that_is_older_than_the_membership(
        served: Daemon, machine: Machine, tarr_steps: TarrSteps, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.connect

    def denied(self: socket.socket, address: str) -> None:
        if str(address).endswith("ctl"):
            raise PermissionError(13, "Permission denied")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", denied)
    assert codes(tarr_steps("check", "--json").out) == {"switch-closed": "error"}
    monkeypatch.setattr(access, "account", lambda: access.Account("alice", True, False))
    assert codes(tarr_steps("check", "--json").out) == {"login-old": "warning"}


def test_conflicts_are_seen_without_the_daemon(machine: Machine, places: Places,
                                               tarr_steps: TarrSteps) -> None:
    configured(places)
    machine.conflicts = [Finding("br-netfilter", Severity.WARNING, "vdenet0", "m", "h")]
    assert codes(tarr_steps("check", "--json").out) == {
        "daemon-unreachable": "error", "br-netfilter": "warning"}


def test_every_segment_is_asked_for(served: Daemon, machine: Machine, tarr_steps: TarrSteps) -> None:
    down = {**machine.segment, "name": "lab", "state": "down"}
    served.answers["List"] = {"segments": [machine.segment, down]}
    tarr_steps("check")
    assert [call for call in served.calls if call[0] == "Check"] == [
        ("Check", {"segment": "vdenet0"}), ("Check", {"segment": "lab"})]


def test_without_the_daemon(machine: Machine, places: Places, tarr_steps: TarrSteps) -> None:
    machine.segment.clear()
    configured(places)
    done = tarr_steps("check", "--json")
    assert codes(done.out) == {"daemon-unreachable": "error"}
    assert {"bridge", "address", "tap", "switch", "leases", "dns", "resolver"} <= {
        part["code"] for part in json.loads(done.out)["passed"]}
    assert done.status == 1


def test_without_the_daemon_a_stopped_segment_is_down(machine: Machine, places: Places,
                                                      tarr_steps: TarrSteps) -> None:
    configured(places)
    Path(places.records("vdenet0")).mkdir(parents=True)
    Path(places.stopped("vdenet0")).touch()
    assert codes(tarr_steps("check", "--json").out) == {
        "daemon-unreachable": "error", "segment-down": "error"}


def test_without_the_daemon_the_file_is_read(machine: Machine, places: Places,
                                             tarr_steps: TarrSteps) -> None:
    configured(places, 'address = "10.83.14.1/24"\nmode = nat\n')
    done = tarr_steps("check")
    assert "vdenet0.toml:2" in done.out
    assert done.status == 1


def test_the_daemon_cannot_read_a_file(served: Daemon, places: Places, tarr_steps: TarrSteps) -> None:
    configured(places)
    Path(places.config("lab")).touch()
    served.answers["GetAddress"] = BadConfig(where="/etc/vdenet/lab.toml:16:8", why="invalid value")
    done = tarr_steps("check", "--json")
    [finding] = json.loads(done.out)["findings"]
    assert (finding["code"], finding["segment"]) == ("bad-config", "lab")
    assert done.status == 1


def test_without_the_daemon_an_unknown_segment(machine: Machine, places: Places,
                                               tarr_steps: TarrSteps) -> None:
    configured(places)
    assert tarr_steps("check", "lab").status == 2


def test_with_the_daemon_an_unknown_segment(served: Daemon, tarr_steps: TarrSteps) -> None:
    served.answers["List"] = UnknownSegment(segment="lab")
    assert tarr_steps("check", "lab").status == 2


def test_who_may_not_talk_to_it_sees_the_rest(machine: Machine, places: Places, tarr_steps: TarrSteps,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    configured(places)
    real = socket.socket.connect  # the fixture's, which refuses the rest of the machine

    def denied(self: socket.socket, address: str) -> None:
        if str(address).endswith("control"):
            raise PermissionError(13, "Permission denied")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", denied)
    monkeypatch.setattr(access, "account", lambda: access.Account("bob", False, False))
    done = tarr_steps("check")
    assert done.status == 4
    assert "the bridge vdenet0 is up" in done.out
    assert "as it should be" not in done.out
    assert done.err == ("tarr-steps: cannot talk to vdenetd: bob is not a member of the group vdenet\n"
                        "hint: sudo adduser bob vdenet\n")
    shown = tarr_steps("check", "--json")
    assert (shown.status, codes(shown.out)) == (4, {"not-permitted": "error"})


@pytest.mark.parametrize(("answer", "expected"), [("10.9.8.1", ["10.9.8.1"]), (None, []), (b"x", None)])
def test_a_question_to_a_name_server(answer: str | bytes | None, expected: list[str] | None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def serve() -> None:
            asked, whom = server.recvfrom(512)
            assert asked[2:] == dnsquery.query("vdenet0.vdenet.internal", 0)[2:]
            record = b"" if answer is None else (
                b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + IPv4Address(str(answer)).packed
                if isinstance(answer, str) else b"")
            reply = asked[:2] + b"\x81\x80\0\1" + bytes([0, bool(record)]) + b"\0\0\0\0" + asked[12:] + record
            server.sendto(answer if isinstance(answer, bytes) else reply, whom)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        try:
            if expected is None:
                with pytest.raises(nameserver.NoAnswer, match="no DNS server"):
                    nameserver.addresses("127.0.0.1", "vdenet0.vdenet.internal", port=port)
            else:
                found = nameserver.addresses("127.0.0.1", "vdenet0.vdenet.internal", port=port)
                assert [str(one) for one in found] == expected
        finally:
            thread.join(5)


def test_a_name_server_that_is_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        with pytest.raises(nameserver.NoAnswer, match="no answer"):
            nameserver.addresses("127.0.0.1", "a.b", seconds=0.1, port=server.getsockname()[1])

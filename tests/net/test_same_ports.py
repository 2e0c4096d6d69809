"""Two segments whose guests' ports may have the same names: `lab` and `xaa81j1` both begin them `vda511-`.

Nobody gets such a pair any more. One that is there, as from before that was so, does each other no harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Machine
from lab.peer import Peer
from vdenet.daemon.quota import MAX_TAPS
from vdenet.errors import NameTaken, QuotaExceeded, VdenetError

LAB, ALIKE, PORT = "lab", "xaa81j1", "vda511-web"


def tarr(machine: Machine, *argv: str, user: str = "alice") -> Any:
    return json.loads(machine.run(["tarr-steps", "--json", *argv], user=user, check=False).stdout)


def port(machine: Machine, name: str = PORT) -> dict[str, Any]:
    said = machine.run(["ip", "-json", "link", "show", "dev", name], check=False).stdout
    return dict(json.loads(said)[0]) if said.strip() else {}


def listed(machine: Machine, segment: str) -> dict[str, Any]:
    return dict(tarr(machine, "list", "--segment", segment)["segments"][0])


def codes(machine: Machine, segment: str) -> set[str]:
    return {finding["code"] for finding in tarr(machine, "check", "--segment", segment)["findings"]}


@pytest.fixture
def kept(machine: Machine, daemon: Daemon) -> Iterator[dict[str, Any]]:
    """A tap of alice's that is kept on `lab`, her segment."""
    assert tarr(machine, "segment", "create", LAB)["owner"] == "alice"
    tap = tarr(machine, "join", "qemu", "--tap", "web", "--segment", LAB)
    assert tap["port"] == PORT
    yield tap
    for segment in (ALIKE, LAB, "vd0"):
        machine.run(["tarr-steps", "segment", "delete", "--force", segment], check=False)
        machine.path(f"/etc/vdenet/{segment}.toml").unlink(missing_ok=True)


@pytest.mark.parametrize("stopped", [False, True])
def test_such_a_segment_is_not_to_be_had(machine: Machine, kept: dict[str, Any], stopped: bool) -> None:
    if stopped:
        tarr(machine, "stop", LAB)
    for name, other in ((ALIKE, LAB), ("vda511", LAB), ("vd0", "vdenet0")):
        for user in ("bob", "root"):
            said = machine.run(["tarr-steps", "segment", "create", name], user=user, check=False)
            assert said.returncode == 1, said.stdout
            assert said.stderr.splitlines() == [
                f"tarr-steps: cannot create {name}: the ports of its guests could have the same names "
                f"as those of {other}",
                "hint: choose another name"]
    assert not machine.path(f"/etc/vdenet/{ALIKE}.toml").exists()


@pytest.mark.parametrize("stopped", [False, True])
def test_an_administrators_file_of_such_a_segment_is_not_brought_up(
        machine: Machine, daemon: Daemon, kept: dict[str, Any], stopped: bool) -> None:
    """Also not after a boot, though its name comes first by the alphabet."""
    if stopped:
        tarr(machine, "stop", LAB)
    alike = "aaadd8d"
    path = machine.path(f"/etc/vdenet/{alike}.toml")
    path.write_text('address = "10.71.3.1/24"\n')
    try:
        for _again in range(2):
            said = machine.run(["tarr-steps", "start", alike], check=False)
            assert said.returncode == 1, said.stdout
            assert f"cannot bring up {alike}: the ports of its guests could have the same names as those of lab" \
                in said.stderr
            assert {"same-ports", "segment-down"} <= codes(machine, alike)
            assert "same-ports" in codes(machine, LAB)
            assert not port(machine, alike) and not port(machine, f"{alike}-vde")
            daemon.kill()
            machine.sh("pkill -KILL vde_switch; pkill -KILL dnsmasq; nft flush ruleset; rm -rf /run/vdenet/*; "
                       f"for link in lab lab-vde vdenet0 vdenet0-vde {PORT}; do ip link del $link || true; done")
            daemon.__init__(machine)  # type: ignore[misc]
            assert port(machine)["master"] == LAB
        assert tarr(machine, "reload", LAB)["changed"] is False
    finally:
        path.unlink()


@pytest.fixture
def pair(machine: Machine, daemon: Daemon, kept: dict[str, Any]) -> None:
    """Both, up: bob's was made while nobody knew of the other."""
    file = machine.path(f"/etc/vdenet/{LAB}.toml")
    text = file.read_text()
    file.unlink()
    assert tarr(machine, "segment", "create", ALIKE, user="bob")["owner"] == "bob"
    file.write_text(text)
    for segment in ("vdenet0", LAB, ALIKE):
        machine.run(["tarr-steps", "reload", segment])
    assert listed(machine, LAB)["state"] == listed(machine, ALIKE)["state"] == "up"


def test_two_that_are_there_stay_and_get_ports_of_their_own(machine: Machine, pair: None) -> None:
    mine = port(machine)
    assert {"same-ports"} <= codes(machine, LAB) & codes(machine, ALIKE)
    for stopped in (False, True):
        if stopped:
            tarr(machine, "stop", LAB)
            assert not port(machine)
        theirs = tarr(machine, "join", "qemu", "--tap", "web", "--segment", ALIKE, user="bob")
        assert theirs["port"] == f"{PORT}-2"
        assert port(machine, theirs["port"])["master"] == ALIKE
        assert tarr(machine, "leave", "qemu", "web", "--segment", ALIKE, user="bob")["left"]
        assert port(machine).get("ifindex") == (None if stopped else mine["ifindex"])
    assert "same names as those of xaa81j1" in tarr(machine, "start", LAB)["error"]["message"], "that one is up"
    tarr(machine, "stop", ALIKE, user="bob")
    assert tarr(machine, "start", LAB)["changed"]
    assert port(machine)["master"] == LAB


@pytest.mark.parametrize("flag", ["kept", "handed"])
def test_a_tap_of_the_other_is_nobody_elses_whatever_the_book_says(
        machine: Machine, daemon: Daemon, pair: None, flag: str) -> None:
    """As a book of before has it."""
    tarr(machine, "join", "qemu", "--print", "--name", "web", "--segment", ALIKE, user="bob")
    daemon.stop()
    book = machine.path(f"/var/lib/vdenet/{ALIKE}/guests.json")
    guests = json.loads(book.read_text())
    guests["guests"][0] |= {flag: True, "port": PORT, "by_itself": False}
    book.write_text(json.dumps(guests))
    daemon.__init__(machine)  # type: ignore[misc]
    before = port(machine)
    for segment, there in ((ALIKE, []), (LAB, ["web"])):
        assert [guest["name"] for guest in listed(machine, segment)["guests"]] == there
        assert ("port-taken" in codes(machine, segment)) is (segment == ALIKE)
    assert tarr(machine, "reload", ALIKE, user="bob")["changed"] is False
    if flag == "kept":
        said = tarr(machine, "join", "qemu", "--tap", "web", "--segment", ALIKE, user="bob")["error"]
        assert (said["code"], PORT in said["message"]) == ("name-taken", True)
    assert tarr(machine, "leave", "qemu", "web", "--segment", ALIKE, user="bob")["left"]
    assert port(machine) == before and before["master"] == LAB
    assert tarr(machine, "join", "qemu", "--tap", "web", "--segment", ALIKE, user="bob")["port"] == f"{PORT}-2"
    assert listed(machine, LAB)["state"] == "up"


def test_ports_that_are_kept_on_a_segment_that_is_stopped_count(machine: Machine, daemon: Daemon) -> None:
    tarr(machine, "segment", "create", LAB)
    tarr(machine, "stop", LAB)
    daemon.stop()
    uid, _gid, _home, _shell = machine.account("alice")
    book = machine.path(f"/var/lib/vdenet/{LAB}/guests.json")
    book.write_text(json.dumps({"guests": [
        {"name": f"g{number}", "mac": f"52:54:00:00:01:{number:02x}", "kind": "qemu", "uid": uid, "kept": True,
         "port": f"vda511-g{number}"} for number in range(MAX_TAPS)]}))
    daemon.__init__(machine)  # type: ignore[misc]
    try:
        with Peer(machine, "alice") as alice, Peer(machine, "bob") as bob:
            for method in ("OpenTap", "KeepTap"):
                with pytest.raises(QuotaExceeded):
                    alice.call(method, name="more")
            bob.call("KeepTap", name="bobs")
            bob.call("Leave", name="bobs")
            alice.call("Leave", segment=LAB, name="g0")
            alice.call("KeepTap", name="more")
            alice.call("KeepTap", name="more")
            alice.call("Leave", name="more")
    finally:
        machine.run(["tarr-steps", "segment", "delete", "--force", LAB])


VLANS = """
[[vlan]]
id = 33

[[host]]
name = "web"
vlan = 33
"""


@pytest.fixture
def divided(machine: Machine, daemon: Daemon) -> Iterator[None]:
    """A file with a VLAN, which this kernel need not have: what is refused before, is."""
    path = machine.path("/etc/vdenet/vdenet0.toml")
    plain = path.read_text()
    path.write_text(plain + VLANS)
    yield
    path.write_text(plain)
    machine.run(["tarr-steps", "reload"])


def test_a_members_share_of_the_switchs_ports(machine: Machine, daemon: Daemon, divided: None) -> None:
    uid, _gid, _home, _shell = machine.account("alice")
    book = machine.path("/var/lib/vdenet/vdenet0/guests.json")
    before = book.read_text() if book.exists() else json.dumps({"guests": []})
    daemon.stop()
    book.write_text(json.dumps({"guests": [
        {"name": f"g{number}", "mac": f"52:54:00:00:01:{number:02x}", "kind": "qemu", "uid": uid, "by_itself": True,
         "vlan": 33, "vde_port": 63 - number} for number in range(8)]}))
    daemon.__init__(machine)  # type: ignore[misc]
    try:
        with Peer(machine, "alice") as alice, Peer(machine, "bob") as bob, Peer(machine, "root") as root:
            for peer, name, full in ((alice, "more", True), (alice, "g0", False), (bob, "bobs", False),
                                     (root, "roots", False)):
                said = ""
                try:
                    peer.call("Reserve", name=name, vlan=33, plug=True)
                except VdenetError as error:  # this kernel may have no VLANs
                    said = str(error)
                assert (said == "cannot join: the limit of 8 ports of the VDE switch per user is reached") is full, said
    finally:
        daemon.stop()
        book.write_text(before)
        daemon.__init__(machine)  # type: ignore[misc]


def test_a_tap_that_is_nobodys_is_not_moved_by_a_members_word(machine: Machine, divided: None) -> None:
    """libvirt's for the whole host has no owner; its MAC is the guest's but for the first octet."""
    machine.sh("ip tuntap add vnet0 mode tap && ip link set vnet0 address fe:54:00:aa:bb:cc master vdenet0 up")
    try:
        said = tarr(machine, "join", "qemu", "--print", "--name", "web", "--mac", "52:54:00:aa:bb:cc")["error"]
        assert said["message"] == "cannot put web into a VLAN: 52:54:00:aa:bb:cc is on vnet0 already, and whose that " \
            "is cannot be told"
    finally:
        machine.sh("ip link del vnet0")


@pytest.mark.parametrize("user", ["root", "alice"])
def test_a_container_that_has_left_has_its_mac_while_it_runs(machine: Machine, daemon: Daemon, user: str) -> None:
    """As LXC's, which the daemon does not make: here a veth that was put on the bridge, and its other end."""
    name = f"web-{user}"
    with Peer(machine, user) as peer:
        mac = peer.call("Reserve", name=name, kind="lxc")["mac"]
        machine.sh(f"ip link add veth7 type veth peer name inner; ip link set inner address {mac}; "
                   "ip link set veth7 master vdenet0 up; ip link set inner up; ip addr add 192.0.2.1/24 dev inner; "
                   "ping -c 1 -W 1 -I inner 192.0.2.2 >/dev/null || true")
        try:
            assert peer.call("Leave", name=name, kind="lxc")["left"]
            said = machine.run(["tarr-steps", "join", "run", "--name", name, "--", "true"], user=user, check=False)
            assert said.returncode == 1 and said.stderr.splitlines()[0] == \
                f"tarr-steps: cannot use the name {name}: a guest on veth7 runs with its MAC address {mac} until " \
                "that one ends"
            with pytest.raises(NameTaken):
                peer.call("OpenTap", name=name)
            assert peer.call("Reserve", name=name, kind="lxc")["mac"] == mac
            assert peer.call("Leave", name=name, kind="lxc")["left"]
            other = "bob" if user == "alice" else "alice"
            machine.run(["tarr-steps", "join", "run", "--name", name, "--", "true"], user=other)
            machine.run(["tarr-steps", "leave", "run", name], user=other)  # the book may not have noticed its end
        finally:
            machine.sh("ip link del veth7")
        machine.run(["tarr-steps", "join", "run", "--name", name, "--", "true"], user=user)

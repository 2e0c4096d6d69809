"""A segment that the package's own file does not name, beside the system's dnsmasq: both serve, in whatever order they start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import booted, roots
from lab.booted import Booted
from lab.machine import Entered, Machine

_OFF = "vdenet-off-lan.conf"
_UPLINK = booted.UPLINK.partition("/")[0]


@pytest.fixture(scope="module", params=["bookworm bind-interfaces", "trixie bind-dynamic"])
def machine(request: pytest.FixtureRequest, deb: Path) -> Iterator[Booted]:
    """The first asks its dnsmasq itself; that of the second is there for others."""
    suite, how = request.param.split()
    with Booted(roots.root(suite, "depends", extra=("systemd", "systemd-sysv", "dbus", "dnsmasq")), suite) as machine:
        if how == "bind-interfaces":
            machine.sh("rm -f /etc/resolv.conf && echo nameserver 127.0.0.1 >/etc/resolv.conf")
        else:
            machine.path("/etc/dnsmasq.d/own.conf").write_text("bind-dynamic\n")
        machine.run(["systemctl", "restart", "dnsmasq"], timeout=120)
        _install(machine, deb)
        yield machine


@pytest.fixture(scope="module")
def bare(deb: Path) -> Iterator[Machine]:
    """Without an init, so nobody starts dnsmasq anew but root."""
    with Machine(roots.root("trixie", "depends", extra=("dnsmasq",))) as machine:
        machine.run(["service", "dnsmasq", "start"], timeout=120)
        _install(machine, deb)
        yield machine


def _install(machine: Entered, deb: Path) -> None:
    shutil.copy(deb, machine.path("/srv/vdenet.deb"))
    machine.run(["dpkg", "--install", "/srv/vdenet.deb"], timeout=600)
    machine.user("alice", member=True)


def _serve_both(machine: Booted) -> None:
    """The host's and the segment's, each its own addresses, as `check` finds too."""
    wanted = {"127.0.0.1": "dnsmasq", _address(machine, "lan"): "vdenet-dns", _address(machine, "vdenet0"): "vdenet-dns"}
    # The uplink may come after dnsmasq at boot, which then does without it. A segment's starts anew for a moment when
    # its neighbours change.
    machine.wait_for(lambda: {**_listeners(machine), _UPLINK: "dnsmasq"} == {**wanted, _UPLINK: "dnsmasq"}, 60,
                     f"listeners {wanted}")
    assert machine.run(["systemctl", "is-active", "dnsmasq"], check=False).stdout == "active\n"
    machine.run(["tarr-steps", "check", "--segment", "lan"], timeout=120)


def _listeners(machine: Entered) -> dict[str, str]:
    """The accounts that listen on port 53, by IPv4 address."""
    found = {}
    for line in machine.sh("ss -Hlntp4 'sport = :53'").splitlines():
        pid = line.partition("pid=")[2].partition(",")[0]
        found[line.split()[3].rpartition(":")[0]] = machine.sh(f"ps -o user:32= -p {pid} || true").strip()
    return found


def _address(machine: Entered, segment: str) -> str:
    told = json.loads(machine.run(["tarr-steps", "ip", "--segment", segment, "--json"], timeout=120).stdout)
    return str(told["address"]).partition("/")[0]


def _files(machine: Entered) -> set[str]:
    return {path.name for path in machine.path("/etc/dnsmasq.d").iterdir()}


def test_a_members_segment_and_the_hosts_dns_do_not_end_one_another(machine: Booted) -> None:
    before = _files(machine)
    machine.run(["tarr-steps", "segment", "create", "lan"], user="alice", timeout=120)
    assert _OFF in _files(machine)
    _serve_both(machine)
    machine.run(["systemctl", "restart", "dnsmasq"], timeout=120)
    _serve_both(machine)
    ours = "systemctl show --property=MainPID dnsmasq"
    pid = machine.sh(ours)
    machine.run(["tarr-steps", "stop", "lan"], user="alice", timeout=120)
    machine.run(["tarr-steps", "start", "lan"], user="alice", timeout=120)
    _serve_both(machine)
    # Where the host asks it, it is told of the segment's names, and starts anew for that.
    assert (machine.sh(ours) == pid) is ("own.conf" in before)
    for _time in range(3):  # more often than systemd starts a service in ten seconds
        machine.run(["tarr-steps", "segment", "delete", "lan"], user="alice", timeout=120)
        assert _files(machine) == before
        machine.run(["tarr-steps", "segment", "create", "lan"], user="alice", timeout=120)
    _serve_both(machine)


def test_one_with_a_mistake_in_its_files_runs_on(machine: Booted) -> None:
    mistake = machine.path("/etc/dnsmasq.d/mistake.conf")
    machine.run(["tarr-steps", "segment", "delete", "lan"], user="alice", timeout=120)
    mistake.write_text("no-such-option\n")
    try:
        machine.run(["tarr-steps", "segment", "create", "lan"], user="alice", check=False, timeout=120)
        assert machine.run(["systemctl", "is-active", "dnsmasq"], check=False).stdout == "active\n"
    finally:
        mistake.unlink()
    machine.run(["tarr-steps", "segment", "delete", "lan"], user="alice", check=False, timeout=120)
    machine.run(["systemctl", "restart", "dnsmasq"], timeout=120)
    machine.run(["tarr-steps", "segment", "create", "lan"], user="alice", timeout=120)
    _serve_both(machine)


def test_what_was_interrupted_is_finished(machine: Booted) -> None:
    ours = "systemctl show --property=MainPID dnsmasq"
    pid = machine.sh(ours)
    machine.path("/run/vdenet/state/lan/dnsmasq-pending").write_text("")
    machine.run(["tarr-steps", "reload", "lan"], user="alice", timeout=120)
    assert machine.sh(ours) != pid
    assert not machine.path("/run/vdenet/state/lan/dnsmasq-pending").exists()
    _serve_both(machine)


def test_the_hosts_part_in_a_vlan_is_left_alone(machine: Booted) -> None:
    """Its name is all that dnsmasq goes by."""
    machine.sh("ip link add lan.33 type bridge && ip address add 10.33.0.1/24 dev lan.33 && ip link set lan.33 up")
    machine.run(["systemctl", "restart", "dnsmasq"], timeout=120)
    machine.wait_for(lambda: _listeners(machine).get("127.0.0.1") == "dnsmasq", 60, "the host's DNS")
    listening = _listeners(machine)
    machine.sh("ip link delete lan.33")
    assert "10.33.0.1" not in listening


def test_both_are_there_after_a_boot(machine: Booted) -> None:
    machine.path(f"/etc/dnsmasq.d/{_OFF}").unlink()  # as a version before this one left it
    machine.reboot()
    machine.wait_for(lambda: _OFF in _files(machine), 120, _OFF)
    _serve_both(machine)


def test_nothing_of_it_stays(machine: Booted) -> None:
    machine.run(["dpkg", "--purge", "vdenet"], timeout=600)
    assert _files(machine) <= {"README", "own.conf"}
    machine.run(["systemctl", "restart", "dnsmasq"], timeout=120)
    # As it was before the package: the first listened on every address.
    own = {"127.0.0.1", _UPLINK} if "own.conf" in _files(machine) else {"0.0.0.0"}
    assert _listeners(machine) == dict.fromkeys(own, "dnsmasq")


def test_where_only_root_can_start_it_anew(bare: Machine) -> None:
    """The segment comes all the same, and is left alone from the next start on."""
    bare.run(["tarr-steps", "segment", "create", "lan"], user="alice", timeout=120)
    assert _OFF in _files(bare)
    for _time in range(2):
        bare.run(["service", "dnsmasq", "restart"], timeout=120)
        bare.run(["tarr-steps", "stop", "lan"], user="alice", timeout=120)
        bare.run(["tarr-steps", "start", "lan"], user="alice", timeout=120)
        assert _listeners(bare)[_address(bare, "lan")] == "vdenet-dns"
    bare.run(["tarr-steps", "check", "--segment", "lan"], timeout=120)


def test_another_server_on_the_segments_address_is_named(bare: Machine) -> None:
    address = _address(bare, "lan")
    bare.run(["service", "vdenetd", "stop"], timeout=120)
    bare.sh("kill $(pgrep -u vdenet-dns -f dns/lan/)")
    other = bare.popen(["python3", "-c", "import socket, time; "
                        f"s = socket.create_server(({address!r}, 53)); print('there', flush=True); time.sleep(600)"])
    assert other.stdout is not None and other.stdout.readline() == "there\n"
    bare.run(["service", "vdenetd", "start"], check=False, timeout=120)
    said = bare.run(["tarr-steps", "check", "--segment", "lan", "--json"], check=False, timeout=120).stdout
    other.kill()
    found, = (one for one in json.loads(said)["findings"] if one["code"] == "dns-taken")
    assert found["severity"] == "error" and "account root" in found["message"] and address in found["hint"]
    bare.run(["tarr-steps", "reload", "lan"], timeout=120)
    assert _listeners(bare)[address] == "vdenet-dns"

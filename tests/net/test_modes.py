"""The modes of a segment, and what becomes of the guests and of the host's own network when one follows another."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab import roots
from lab.daemon import Daemon
from lab.machine import Inside, Machine
from lab.outside import Outside

MODES = {
    "nat": 'mode = "nat"',
    "routed": 'mode = "routed"',
    "isolated": 'mode = "isolated"',
    "guests only": 'mode = "isolated"\nhost_access = false',
}


@pytest.fixture
def daemon(machine: Machine) -> Iterator[Daemon]:
    with Daemon(machine) as running:
        yield running
        # Whatever a test that failed left.
        for path in machine.path("/etc/vdenet").glob("la?.toml") if running.alive else ():
            remove(machine, path.stem)
    machine.sh("for link in br9 other taken nic eth0; do ip link delete $link 2>/dev/null || true; done")


def configure(machine: Machine, name: str, text: str) -> None:
    machine.path(f"/etc/vdenet/{name}.toml").write_text(text)


def remove(machine: Machine, name: str) -> None:
    machine.run(["tarr-steps", "stop", name])
    machine.path(f"/etc/vdenet/{name}.toml").unlink()
    machine.path(f"/run/vdenet/state/{name}/stopped").unlink()


def segment(machine: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.run(["tarr-steps", "list", "--segment", name, "--json"]).stdout)
    return next(one for one in found["segments"] if one["name"] == name)


def address(machine: Machine, name: str, guest: str) -> str | None:
    return next((one["address"] for one in segment(machine, name)["guests"] if one["name"] == guest), None)


def join(machine: Machine, name: str, guest: str, script: str) -> Inside:
    machine.path("/home/alice/done").unlink(missing_ok=True)
    return machine.popen(["tarr-steps", "join", "run", "--segment", name, "--name", guest, "--", "sh", "-c", script],
                         user="alice")


DONE = "touch ~/done; sleep 60"
"""How the script of a guest ends that stays until the test has seen it."""


def told(machine: Machine, guest: Inside) -> str:
    """What the guest said; it is ended when its script has come to `DONE`, and not before."""
    done = machine.path("/home/alice/done")
    machine.wait_for(done.exists, 30, "the end of the guest's script")
    done.unlink()
    guest.send_signal(15)
    return guest.communicate(timeout=20)[0]


def addresses(machine: Machine, link: str) -> set[str]:
    shown = json.loads(machine.sh(f"ip -4 -json address show {link}"))
    return {f"{one['local']}/{one['prefixlen']}" for one in (shown[0]["addr_info"] if shown else ())}


def routes(machine: Machine) -> set[tuple[str, str, str]]:
    return {(one["dst"], one.get("gateway", ""), one["dev"]) for one in json.loads(machine.sh("ip -4 -json route"))
            if one["dev"] != "vdenet0"}


def lost(output: str) -> int:
    """How many of the pings of a summary had no answer."""
    found = re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", output)
    assert found, output
    return int(found[1]) - int(found[2])


# --- with an address of its own -----------------------------------------------------------------------

def test_guests_notice_no_change_of_mode(machine: Machine, daemon: Daemon) -> None:
    path = machine.path("/etc/vdenet/vdenet0.toml")
    before = path.read_text()
    try:
        stay = join(machine, "vdenet0", "stay", "sleep 300")
        machine.wait_for(lambda: address(machine, "vdenet0", "stay"), 20, "an address")
        at = address(machine, "vdenet0", "stay")
        talk = join(machine, "vdenet0", "talk", f"trap 'kill -INT $p' TERM; ping -n -i 0.05 -q {at} & p=$!; wait $p; wait $p")
        machine.wait_for(lambda: address(machine, "vdenet0", "talk"), 20, "an address")
        for text in (*MODES.values(), *reversed(MODES.values())):
            path.write_text(before.replace('mode = "nat"', text))
            machine.run(["tarr-steps", "reload"], user="alice")
            reached = machine.run(["ping", "-c1", "-W2", str(at)], check=False).returncode == 0
            assert reached == ("host_access" not in text)
        talk.send_signal(15)
        said = talk.communicate(timeout=20)[0]
        assert lost(said) == 0 and int(said.split(" packets")[0].split()[-1]) > 10
        stay.send_signal(15)
        stay.wait(20)
    finally:
        path.write_text(before)
        machine.run(["tarr-steps", "reload"])


@pytest.mark.parametrize("mode", MODES)
def test_who_reaches_whom(machine: Machine, daemon: Daemon, mode: str) -> None:
    configure(machine, "lab", f'address = "10.77.1.1/24"\naddress6 = "fd77:1::1/64"\n{MODES[mode]}\n')
    try:
        with Outside(machine.pid) as outside:
            machine.run(["tarr-steps", "start", "lab"], user="alice")
            outside.run("ip", "route", "add", "10.77.1.0/24", "via", outside.uplink)
            guest = join(machine, "lab", "web", f"""
                for at in 10.77.1.1 {outside.address}; do ping -qn -c2 -i0.2 -W2 $at >/dev/null && echo reached $at; done
                getent hosts web.lab.internal >/dev/null && echo name
                {DONE}""")
            machine.wait_for(lambda: address(machine, "lab", "web"), 20, "an address")
            at = str(address(machine, "lab", "web"))
            inward = "0 received" not in _pinged(outside, at)
            host = machine.run(["ping", "-qn", "-c2", "-i0.2", "-W2", at], check=False).returncode == 0
            said = set(told(machine, guest).splitlines())
            assert "name" in said
            assert (f"reached {outside.address}" in said) == (mode in ("nat", "routed"))
            assert ("reached 10.77.1.1" in said) == host == (mode != "guests only")
            assert inward == (mode == "routed")
    finally:
        remove(machine, "lab")


def _pinged(outside: Outside, at: str) -> str:
    done = subprocess.run(["nsenter", "-t", str(outside.pid), "-n", "ping", "-qn", "-c2", "-i0.2", "-W2", at],
                          capture_output=True, text=True, timeout=20)
    return done.stdout


# --- bridged ------------------------------------------------------------------------------------------

@contextmanager
def serving(outside: Outside) -> Iterator[None]:
    """DHCP of the network outside."""
    base = outside.address.rpartition(".")[0]
    server = subprocess.Popen(
        ["nsenter", "-t", str(outside.pid), "-n", "dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground",
         "--pid-file=", "--port=0", "--interface=out0", "--bind-dynamic", "--no-ping", "--leasefile-ro",
         f"--dhcp-range={base}.100,{base}.150,1h", "--user=root"], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.kill()
        server.wait()


@contextmanager
def pinging(outside: Outside, at: str) -> Iterator[list[int]]:
    """From outside, all the time; how many were lost, at the end."""
    found: list[int] = []
    ping = subprocess.Popen(["nsenter", "-t", str(outside.pid), "-n", "ping", "-qn", "-i", "0.02", at],
                            stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        ping.send_signal(2)
        found.append(lost(ping.communicate(timeout=20)[0]))


def test_the_uplink_becomes_a_port_and_the_host_keeps_its_network(machine: Machine, daemon: Daemon) -> None:
    with Outside(machine.pid) as outside, serving(outside):
        machine.sh(f"ip address add 198.18.1.77/32 dev eth0; ip route add 203.0.113.0/24 via {outside.address} metric 7; "
                   "ip route add 203.0.114.0/24 via 172.31.255.1 dev eth0 onlink; "
                   "ip address add 198.18.1.78/32 dev eth0 valid_lft 3000 preferred_lft 2000")
        host, before = addresses(machine, "eth0"), routes(machine)
        configure(machine, "lan", 'mode = "bridged"\nuplink = "eth0"\n')
        with pinging(outside, outside.uplink) as gone:
            machine.run(["tarr-steps", "start", "lan"], user="alice")
            assert addresses(machine, "lan") == host and addresses(machine, "eth0") == set()
            assert routes(machine) == {(dst, gateway, dev.replace("eth0", "lan")) for dst, gateway, dev in before}
            shown = machine.sh("ip -4 -oneline address show dev lan to 198.18.1.78/32")
            assert re.search(r"valid_lft (3000|2\d{3})sec preferred_lft (2000|1\d{3})sec", shown), shown
            assert segment(machine, "lan")["state"] == "up" and segment(machine, "lan")["address"] is None
            assert machine.run(["tarr-steps", "plan", "--segment", "lan"]).stdout.count("~") == 0
            guest = join(machine, "lan", "web", "ip -4 -oneline address show eth0 >~/at; "
                         f"ping -qn -c3 -i0.2 {outside.address}; {DONE}")
            said = machine.path("/home/alice/at")
            machine.wait_for(lambda: said.exists() and "inet" in said.read_text(), 20, "an address from outside")
            at = said.read_text().split("inet ")[1].split("/")[0]
            assert at.startswith(outside.address.rpartition(".")[0])
            assert lost(_pinged(outside, at)) == 0
            # A DHCP client that knows nothing of the bridge renews its lease.
            machine.sh(f"ip address add {outside.uplink}/24 dev eth0")
            machine.wait_for(lambda: addresses(machine, "eth0") == set(), 20, "the address on the bridge")
            # The guest has the host's address by no means.
            assert lost(told(machine, guest)) == 0
            machine.run(["tarr-steps", "stop", "lan"], user="alice")
            assert addresses(machine, "eth0") == host and routes(machine) == before
            assert "lan" not in machine.sh("ip -oneline link").replace("vdenet", "")
        assert gone[0] <= 2, "frames on their way while the interface changed its place"
        # In this order: the daemon would bring up what is configured and not stopped.
        machine.path("/etc/vdenet/lan.toml").unlink()
        machine.path("/run/vdenet/state/lan/stopped").unlink()


def test_who_deletes_the_bridge_does_not_cut_the_host_off(machine: Machine, daemon: Daemon) -> None:
    with Outside(machine.pid):
        host, before = addresses(machine, "eth0"), routes(machine)
        configure(machine, "lan", 'mode = "bridged"\nuplink = "eth0"\n')
        machine.run(["tarr-steps", "start", "lan"])
        there = routes(machine)
        machine.sh("ip link delete lan")
        machine.wait_for(lambda: routes(machine) == there, 20, "the host's routes")
        assert addresses(machine, "lan") == host
        daemon.kill()
        machine.sh("ip link delete lan")
        machine.run(["vdenetd", "--down"])
        assert (addresses(machine, "eth0"), routes(machine)) == (host, before)
        machine.path("/etc/vdenet/lan.toml").unlink()


@pytest.mark.parametrize(("name", "why"), [
    ("nic9", "there is no interface nic9"), ("vdenet0", "vdenet0 is a bridge"),
    ("vdenet0-vde", "vdenet0-vde cannot be a port"), ("taken", "taken is a port of other already")])
def test_uplinks_that_are_refused(machine: Machine, daemon: Daemon, name: str, why: str) -> None:
    machine.sh("ip link add other type bridge; ip link add taken type veth peer name untaken; ip link set taken master other")
    configure(machine, "lan", f'mode = "bridged"\nuplink = "{name}"\n')
    done = machine.run(["tarr-steps", "start", "lan"], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"tarr-steps: cannot join lan to the network outside: {why}"), done.stderr
    machine.sh("ip link delete other; ip link delete taken")
    remove(machine, "lan")


def test_a_route_that_cannot_be_moved_leaves_the_host_its_network(machine: Machine, daemon: Daemon) -> None:
    with Outside(machine.pid) as outside:
        machine.sh(f"ip link add nic9 type veth peer name plug9; ip link set nic9 up; ip address add 198.18.9.1/24 dev nic9; "
                   f"ip route add 203.0.115.0/24 nexthop via {outside.address} dev eth0 nexthop via 198.18.9.2 dev nic9")
        host, before = addresses(machine, "eth0"), machine.sh("ip -4 route")
        configure(machine, "lan", 'mode = "bridged"\nuplink = "eth0"\n')
        done = machine.run(["tarr-steps", "start", "lan"], check=False)
        assert (done.returncode, "through eth0 and others at once" in done.stderr) == (1, True), done.stderr
        assert addresses(machine, "eth0") == host and machine.sh("ip -4 route") == before
        machine.sh("ip link delete nic9")
        remove(machine, "lan")


def test_an_interface_that_another_program_manages_is_refused(machine: Machine, daemon: Daemon) -> None:
    machine.sh("ip link add nic type veth peer name plug; mkdir -p /run/systemd/netif/links; "
               "echo ADMIN_STATE=configured > /run/systemd/netif/links/$(cat /sys/class/net/nic/ifindex)")
    configure(machine, "lan", 'mode = "bridged"\nuplink = "nic"\n')
    done = machine.run(["tarr-steps", "start", "lan"], check=False)
    assert done.stderr == (
        "tarr-steps: cannot join lan to the network outside: systemd-networkd gives nic its addresses, and would give "
        "them again\nhint: let systemd-networkd make a bridge with nic as its port, and name that bridge: adopt\n")
    machine.sh("ip link delete nic; rm -r /run/systemd/netif")
    remove(machine, "lan")


def test_another_programs_bridge_is_the_segment(machine: Machine, daemon: Daemon) -> None:
    """As lxcbr0 or virbr0: with the host's address and the other program's DHCP."""
    machine.sh("ip link add br9 address 02:00:00:00:00:99 type bridge; ip address add 10.0.9.1/24 dev br9; ip link set br9 up")
    server = machine.popen(["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--pid-file=", "--interface=br9",
                            "--bind-dynamic", "--except-interface=lo", "--no-ping", "--leasefile-ro", "--no-resolv",
                            "--dhcp-range=10.0.9.100,10.0.9.150,1h", "--user=root"])
    before = machine.sh("ip -details link show br9; ip -4 address show br9")
    try:
        configure(machine, "lab", 'mode = "bridged"\nadopt = "br9"\n')
        machine.run(["tarr-steps", "start", "lab"], user="alice")
        shown = segment(machine, "lab")
        assert (shown["state"], shown["bridge"], shown["switch"]) == ("up", "br9", "/run/vdenet/lab/switch")
        guest = join(machine, "lab", "web", f"ping -qn -c3 -i0.2 10.0.9.1; {DONE}")
        machine.wait_for(lambda: address(machine, "lab", "web"), 20, "an address of the other program's")
        assert str(address(machine, "lab", "web")).startswith("10.0.9.1")
        # From its own bridge to the other's and back, with the guest on it.
        configure(machine, "lab", 'address = "10.77.1.1/24"\nmode = "isolated"\n')
        machine.run(["tarr-steps", "reload", "lab"])
        assert "-web" in machine.sh("ls /sys/class/net/lab/brif") and not machine.sh("ls /sys/class/net/br9/brif")
        configure(machine, "lab", 'mode = "bridged"\nadopt = "br9"\n')
        machine.run(["tarr-steps", "reload", "lab"])
        assert "-web" in machine.sh("ls /sys/class/net/br9/brif")
        assert not machine.path("/sys/class/net/lab").exists() or "lab" not in machine.sh("ls /sys/class/net").split()
        assert lost(told(machine, guest)) == 0
    finally:
        remove(machine, "lab")
        server.send_signal(15)
        server.wait(10)
    assert _without_counters(machine.sh("ip -details link show br9; ip -4 address show br9")) == _without_counters(before)
    machine.sh("ip link delete br9")


def _without_counters(text: str) -> str:
    """Without the timers of the bridge, and the state of its carrier, which its ports make."""
    return re.sub(r"(_timer|timer)\s+[\d.]+|<[A-Z,_-]*>|state \w+|topology_change\w* \d|\w+_max_size \d+", "", text)


def test_a_bridge_that_is_not_there(machine: Machine, daemon: Daemon) -> None:
    configure(machine, "lab", 'mode = "bridged"\nadopt = "br9"\n')
    done = machine.run(["tarr-steps", "start", "lab"], check=False)
    assert (done.returncode, done.stderr) == (1, "tarr-steps: cannot join lab to the network outside: there is no "
                                              "bridge br9\nhint: the program that it belongs to makes it\n")
    machine.sh("ip link add br9 type bridge")
    machine.wait_for(lambda: segment(machine, "lab")["state"] == "up", 40, f"the segment {daemon.lines}")
    remove(machine, "lab")
    machine.sh("ip link delete br9")


# --- Open vSwitch -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def switching(deb: Path) -> Iterator[Machine]:
    """A machine with Open vSwitch, whose bridge is in user space: the kernel here has no module for it."""
    with Machine(roots.root("trixie", "depends", extra=("openvswitch-switch",))) as machine:
        shutil.copy(deb, machine.path("/tmp/vdenet.deb"))
        machine.run(["apt-get", "-qq", "install", "/tmp/vdenet.deb"], timeout=180, env={"DEBIAN_FRONTEND": "noninteractive"})
        machine.user("alice", member=True)
        yield from _with_open_vswitch(machine)


def _with_open_vswitch(machine: Machine) -> Iterator[Machine]:
    machine.sh("mkdir -p /var/run/openvswitch /etc/openvswitch; "
               "ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema; "
               "ovsdb-server --remote=punix:/var/run/openvswitch/db.sock --pidfile --detach; "
               "ovs-vsctl --no-wait init; ovs-vswitchd --pidfile --detach --log-file=/dev/null; "
               "ovs-vsctl add-br ovs0 -- set bridge ovs0 datapath_type=netdev; ip link set ovs0 up; "
               "ip address add 10.66.0.1/24 dev ovs0")
    yield machine
    machine.sh("ovs-appctl -t ovs-vswitchd exit; ovs-appctl -t ovsdb-server exit")


def test_one_ethernet_with_an_open_vswitch_bridge(switching: Machine) -> None:
    machine = switching
    configure(machine, "lab", 'mode = "bridged"\nopenvswitch = "ovs0"\n')
    server = machine.popen(["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--pid-file=", "--interface=ovs0",
                            "--bind-dynamic", "--except-interface=lo", "--no-ping", "--leasefile-ro", "--no-resolv",
                            "--dhcp-range=10.66.0.100,10.66.0.150,1h", "--user=root"])
    try:
        machine.run(["tarr-steps", "start", "lab"], user="alice")
        assert machine.sh("ovs-vsctl list-ports ovs0").split() == ["lab-ovs"]
        guest = join(machine, "lab", "web", "ping -qn -c30 -i0.3 10.66.0.1")
        machine.wait_for(lambda: address(machine, "lab", "web"), 30, "an address from beyond the patch")
        assert lost(guest.communicate(timeout=60)[0]) == 0
        machine.sh("ovs-vsctl del-port lab-ovs")
        machine.run(["tarr-steps", "reload", "lab"])
        assert machine.sh("ovs-vsctl list-ports ovs0").split() == ["lab-ovs"]
        machine.sh("ip link delete lab-p")
        machine.wait_for(lambda: "lab-p" in machine.sh("ls /sys/class/net").split(), 20, "the patch")
    finally:
        remove(machine, "lab")
        server.send_signal(15)
        server.wait(10)
    assert machine.sh("ovs-vsctl list-ports ovs0").split() == []
    assert not {"lab", "lab-p", "lab-ovs", "lab-vde"} & set(machine.sh("ls /sys/class/net").split())


def test_an_open_vswitch_bridge_that_is_not_there(switching: Machine) -> None:
    configure(switching, "lab", 'mode = "bridged"\nopenvswitch = "ovs9"\n')
    done = switching.run(["tarr-steps", "start", "lab"], check=False)
    assert (done.returncode, done.stderr) == (1, "tarr-steps: cannot plug lab-ovs into the Open vSwitch bridge ovs9: "
                                              "there is no such bridge\nhint: ovs-vsctl add-br ovs9\n")
    remove(switching, "lab")


def test_without_open_vswitch(machine: Machine, daemon: Daemon) -> None:
    configure(machine, "lab", 'mode = "bridged"\nopenvswitch = "ovs0"\n')
    done = machine.run(["tarr-steps", "start", "lab"], check=False)
    assert (done.returncode, done.stderr) == (1, "tarr-steps: cannot plug lab-ovs into the Open vSwitch bridge ovs0: "
                                              "Open vSwitch is not installed\nhint: apt install openvswitch-switch\n")
    remove(machine, "lab")

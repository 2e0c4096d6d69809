"""A lab whose DHCP server is a guest: real dnsmasq and udhcpd as servers, real clients, and ears on every other wire."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface

import pytest
from lab.daemon import Daemon
from lab.leaks import nothing_leaks
from lab.machine import Inside, Machine, wait_for
from lab.outside import Outside
from lab.peer import Peer
from lab.station import Station

CONFIG = "/etc/vdenet/vdenet0.toml"
OTHER = """address = "10.199.7.1/24"
mode = "isolated"
"""
SERVER, CLIENT, ROGUE = (f"52:54:00:bb:00:{number:02x}" for number in (1, 2, 3))
# What only the guest's server gives out.
GIVEN = "10.66.6."


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[[str], Machine]) -> Machine:
    """With an uplink, a second segment and a card that belongs to nobody."""
    made = new_machine(request.param)
    made.path("/etc/vdenet/other.toml").write_text(OTHER)
    made.sh("ip link add spare0 type veth peer name spare1; ip link set spare0 up; ip link set spare1 up")
    return made


@pytest.fixture(scope="module")
def outside(machine: Machine) -> Iterator[Outside]:
    with Outside(machine.pid) as made:
        yield made


def configure(machine: Machine, host: str) -> None:
    path = machine.path(CONFIG)
    plain = re.sub(r'(?ms)^dhcp = .*', "", path.read_text())
    path.write_text(plain + ('dhcp = "guest"\n[[host]]\ndhcp_server = true\n' + host if host else ""))
    machine.run(["tarr-steps", "reload"])


@pytest.fixture
def lab(machine: Machine, outside: Outside, daemon: Daemon) -> Iterator[Machine]:
    configure(machine, f'mac = "{SERVER}"\n')
    yield machine
    configure(machine, "")


def serve(station: Station, program: str = "dnsmasq") -> Inside:
    """A DHCP server in the guest, for a network of its own."""
    station.run("ip", "addr", "replace", f"{GIVEN}1/24", "dev", "eth0")
    if program == "dnsmasq":
        return station.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
                             "--bind-dynamic", "--interface=eth0", "--no-ping", "--pid-file=", "--log-facility=-",
                             f"--dhcp-leasefile=/tmp/{station.name}.served", f"--dhcp-range={GIVEN}10,{GIVEN}20,10m",
                             "--dhcp-authoritative")
    conf = f"/tmp/{station.name}.udhcpd"
    station.machine.path(conf).write_text(
        f"start {GIVEN}30\nend {GIVEN}40\ninterface eth0\nlease_file {conf}.leases\npidfile {conf}.pid\n"
        "opt subnet 255.255.255.0\n")
    station.machine.path(f"{conf}.leases").write_text("")
    return station.start("busybox", "udhcpd", "-f", conf)


def end(server: Inside) -> None:
    server.terminate()
    server.communicate(timeout=20)


def guard(machine: Machine) -> str:
    return machine.run(["nft", "list", "table", "bridge", "vdenet_vdenet0"]).stdout


def opened(machine: Machine, port: str, mac: str = SERVER) -> bool:
    """nft puts what it compares in an order of its own."""
    rules = [line for line in guard(machine).splitlines() if line.endswith("udp dport 68 accept")]
    assert len(rules) < 2, rules
    return any(f'iifname "{port}"' in rule and f"ether saddr {mac}" in rule for rule in rules)


def quiet(machine: Machine, outside: Outside) -> contextlib.AbstractContextManager[None]:
    """Nothing of the guests, and nothing of their server's network, on any other wire of the host."""
    own = IPv4Interface(re.findall(r'^address = "(.*)"$', machine.path(CONFIG).read_text(), re.MULTILINE)[0])
    return nothing_leaks(machine, outside, "vdenet0", (f"{GIVEN}0/24", str(own.network)), (SERVER, CLIENT, ROGUE))


def test_our_own_is_off_and_names_go_on(lab: Machine) -> None:
    with Station(lab, "c", CLIENT) as client:
        assert client.lease(tries=3) is None
        address = IPv4Interface(re.findall(r'^address = "(.*)"$', lab.path(CONFIG).read_text(), re.MULTILINE)[0])
        client.run("ip", "addr", "add", f"{address.network[9]}/{address.network.prefixlen}", "dev", "eth0")
        assert str(address.ip) in client.run("busybox", "nslookup", "-type=a", "gateway.vdenet.internal",
                                             str(address.ip))
    assert "udp dport 67" not in lab.run(["nft", "list", "table", "inet", "vdenet_vdenet0"]).stdout


def test_the_server_serves_and_nothing_leaks(lab: Machine, outside: Outside) -> None:
    with Station(lab, "s", SERVER) as server, Station(lab, "c", CLIENT) as client, quiet(lab, outside):
        running = serve(server)
        # It is known by where it is heard: at its first frame, and by a look within 15 s.
        server.run("ping", "-c", "1", "-W", "1", f"{GIVEN}2", check=False)
        wait_for(lambda: opened(lab, "p-s"), 30, "the guard to open")
        given = client.lease()
        assert given is not None and given.startswith(GIVEN), given
        # It may be asked again, and by unicast.
        client.run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-t", "5", "-T", "1", "-s", "/bin/true", "-r", given)
        end(running)


def test_another_guest_serves_nobody(lab: Machine, outside: Outside) -> None:
    with Station(lab, "s", SERVER) as server, Station(lab, "c", CLIENT) as client, Station(lab, "x", ROGUE) as rogue:
        server.run("ping", "-c", "1", "-W", "1", f"{GIVEN}2", check=False)
        wait_for(lambda: opened(lab, "p-s"), 30, "the guard to open")
        with quiet(lab, outside):
            running = serve(rogue, "udhcpd")
            assert client.lease(tries=4) is None
            # Nor under the server's own address, from another port.
            rogue.run("ip", "link", "set", "eth0", "address", SERVER)
            assert client.lease(tries=4) is None
            assert opened(lab, "p-s") and not opened(lab, "p-x")
            end(running)
            real = serve(server)
            given = client.lease()
            assert given is not None and int(given.rpartition(".")[2]) <= 20
            end(real)


def test_it_opens_for_a_server_that_joined_and_shuts_when_it_leaves(lab: Machine, outside: Outside) -> None:
    """By name: whoever joins as `pxe`, on the port of its own and at once."""
    configure(lab, 'name = "pxe"\n')
    assert "udp dport 68 accept" not in guard(lab)
    # udhcpd, as dnsmasq would change its groups, which the owner of a user namespace may not.
    conf = "/tmp/alice.udhcpd"
    script = f"""
ip link set eth0 up; ip addr add {GIVEN}1/24 dev eth0; : >{conf}.leases
printf 'start {GIVEN}10\\nend {GIVEN}20\\ninterface eth0\\nlease_file {conf}.leases\\npidfile {conf}.pid\\n' >{conf}
exec busybox udhcpd -f {conf}
"""
    with Station(lab, "c", CLIENT) as client, quiet(lab, outside):
        with Peer(lab, "alice") as alice:
            holder = lab.popen(["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-ec",
                                "echo ready; read line; " + script], user="alice", stdin=subprocess.PIPE)
            assert holder.stdout is not None and holder.stdin is not None and holder.stdout.readline() == "ready\n"
            inner = holder.inner
            assert inner is not None
            with open(f"/proc/{inner}/ns/net") as namespace:
                joined = alice.call("OpenVeth", name="pxe", send=[namespace.fileno()])
            assert opened(lab, joined["port"], joined["mac"])
            holder.stdin.write("go\n")
            holder.stdin.flush()
            given = client.lease()
            assert given is not None and given.startswith(GIVEN), given
            holder.terminate()
            holder.communicate(timeout=20)
        wait_for(lambda: "udp dport 68 accept" not in guard(lab), 30, "the guard to shut")
        assert client.lease(tries=3) is None


def test_the_port_is_learned_again_when_the_server_moves(lab: Machine) -> None:
    with Station(lab, "s", SERVER) as server:
        server.run("ping", "-c", "1", "-W", "1", "10.66.6.2", check=False)
        server.run("ip", "addr", "add", "10.66.6.1/24", "dev", "eth0")
        server.run("ping", "-c", "1", "-W", "1", "10.66.6.2", check=False)
        wait_for(lambda: opened(lab, "p-s"), 30, "the guard to open")
    wait_for(lambda: not opened(lab, "p-s"), 30, "the guard to shut")
    with Station(lab, "t", SERVER) as server:
        server.run("ip", "addr", "add", "10.66.6.1/24", "dev", "eth0")
        server.run("ping", "-c", "1", "-W", "1", "10.66.6.2", check=False)
        wait_for(lambda: opened(lab, "p-t"), 30, "the guard to open elsewhere")

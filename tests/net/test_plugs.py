"""Other switches plugged into a segment: guests on both reach each other, and what goes away comes back.

The far end is a switch of its own with a station on it, in a network namespace behind a cable.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Inside, Machine
from lab.station import Station

GROUP = "239.1.2.3"
FAR = "/srv/far/switch"
LINK = ("198.18.7.1", "198.18.7.2")
"""The cable between the host and the far end."""
TOML = "/etc/vdenet/vdenet0.toml"


class Far:
    """The other end: a vde_switch of carol's, and a tap on it with an address of the segment's network."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        network = ipaddress.ip_interface(segment(machine)["address"]).network
        self.length = network.prefixlen
        self.address = str(network.network_address + 5)
        self.running: dict[str, Inside] = {}
        machine.user("carol")
        machine.sh(f"""
            groupadd lab; gpasswd -a carol lab; gpasswd -a vdenet-plug lab
            install -d -o carol -g lab -m 2770 /srv/far
            ip netns add far; ip -n far link set lo up
            ip link add up0 type veth peer name up1 netns far
            ip addr add {LINK[0]}/24 dev up0; ip link set up0 up
            ip -n far addr add {LINK[1]}/24 dev up1; ip -n far link set up1 up
            ip route add 239.0.0.0/8 dev up0; ip -n far route add 239.0.0.0/8 dev up1
            ip -n far tuntap add t0 mode tap user carol
            ip -n far link set t0 up; ip -n far addr add {self.address}/{network.prefixlen} dev t0""")

    def switch(self, *options: str) -> None:
        self.machine.run(["rm", "-rf", FAR])
        self.run("switch", "sh", "-c", f'sleep infinity | exec vde_switch --sock {FAR} --mode 0660 '
                 f'--dirmode 2770 --group lab --tap t0 "$@"', "sh", *options, user="carol")
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({f'{FAR}/ctl'!r})"
        self.machine.wait_for(lambda: self.machine.run(["python3", "-c", connect], check=False).returncode == 0, 20,
                              "the far switch")

    def plug(self, url: str, at: str = FAR) -> None:
        self.run(url, "vde_plug", url, at, user="carol")

    def run(self, name: str, *argv: str, user: str) -> None:
        # In the namespace first, as only root may, and then as the account with its groups.
        self.running[name] = self.machine.popen(
            ["ip", "netns", "exec", "far", "setpriv", "--reuid", user, "--regid", user, "--init-groups", *argv])

    def end(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()  # if the end of another has not ended it
        process.wait(10)

    def close(self) -> None:
        for name in list(self.running):
            self.end(name)
        self.machine.sh("pkill -KILL -u carol || true")
        # Dead is not enough: a switch that finds the tap taken runs on without it. A zombie holds nothing any more.
        self.machine.wait_for(lambda: self.machine.run(["pgrep", "-r", "D,R,S", "-u", "carol"], check=False).stdout == "",
                              20, "the end of the far end")

    def talks(self, address: str) -> None:
        """Several frames, of which the later ones take the way that was learnt from the first."""
        said = self.machine.run(["ip", "netns", "exec", "far", "ping", "-n", "-c", "5", "-i", "0.3", "-W", "9", address])
        assert "5 received" in said.stdout

    def reaches(self, address: str) -> bool:
        return self.machine.run(["ip", "netns", "exec", "far", "ping", "-n", "-c", "1", "-W", "1", address],
                                check=False).returncode == 0


@pytest.fixture(scope="module", params=["trixie"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[..., Machine]) -> Machine:
    return new_machine(request.param, "openssh-server", "openssh-client")


@pytest.fixture(scope="module")
def ends(machine: Machine, daemon: Daemon) -> Iterator[tuple[Far, Station]]:
    with ExitStack() as stack:
        far = Far(machine)
        near = stack.enter_context(Station(machine, "near", "52:54:00:00:07:01"))
        stack.callback(lambda: configure(machine))
        assert near.lease("near")
        yield far, near


@pytest.fixture
def far(machine: Machine, ends: tuple[Far, Station]) -> Iterator[Far]:
    far, _near = ends
    yield far
    configure(machine)
    far.close()


@pytest.fixture
def near(ends: tuple[Far, Station]) -> str:
    return ends[1].answers()["ip"]


def segment(machine: Machine) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(machine.run(["tarr-steps", "list", "--json"]).stdout)
    return dict(shown["segments"][0])


def configure(machine: Machine, *plugs: str) -> str:
    """The segment with these plugs, each `url` or the lines of its table; what `apply` said."""
    path = machine.path(TOML)
    text = path.read_text().partition("\n[[plug]]")[0]
    for plug in plugs:
        text += "\n[[plug]]\n" + (plug if " = " in plug else f'url = "{plug}"') + "\n"
    machine.path("/tmp/wanted.toml").write_text(text)
    return machine.run(["tarr-steps", "apply", "/tmp/wanted.toml"]).stdout


def running(machine: Machine) -> list[int]:
    """The processes of the plugs, by their number in there."""
    found = machine.run(["pgrep", "-x", "-u", "vdenet-plug", "vde_plug"], check=False)
    return [int(pid) for pid in found.stdout.split()]


def another(machine: Machine, before: int) -> None:
    machine.wait_for(lambda: (now := running(machine)) and before not in now, 60, "another plug")


def state(machine: Machine) -> list[tuple[str, str | None]]:
    return [(one["state"], one["why"]) for one in segment(machine)["plugs"]]


def joined(machine: Machine, far: Far, near: str) -> None:
    machine.wait_for(lambda: far.reaches(near), 60, "frames between the switches")


def test_a_switch_of_this_host_goes_and_comes_back(machine: Machine, far: Far, near: str) -> None:
    said = configure(machine, f'url = "vde://{FAR}"\nname = "cellar"')
    assert f"+ plug cellar (vde://{FAR})" in said
    machine.wait_for(lambda: state(machine)[0][0] == "down", 20, "word that it is away")
    assert "No such file or directory" in (state(machine)[0][1] or "")
    checked = json.loads(machine.run(["tarr-steps", "check", "--json"], check=False).stdout)
    finding, = (one for one in checked["findings"] if one["code"] == "plug-down")
    assert finding["severity"] == "error" and f"cellar (vde://{FAR})" in finding["message"]
    assert segment(machine)["state"] == "degraded"

    far.switch()
    joined(machine, far, near)
    assert state(machine) == [("up", None)] and segment(machine)["state"] == "up"
    assert f"plug cellar (vde://{FAR}) is up" in machine.run(["tarr-steps", "list"], user="alice").stdout
    far.close()
    machine.wait_for(lambda: state(machine)[0][0] == "down", 30, "word that it is away")
    far.switch()
    joined(machine, far, near)


def test_it_is_run_without_rights(machine: Machine, far: Far) -> None:
    far.switch()
    configure(machine, f"vde://{FAR}")
    pid, = running(machine)
    status = dict(re.findall(r"(?m)^(\w+):\t(.*)$", machine.path(f"/proc/{pid}/status").read_text()))
    uid, gid, home, _shell = machine.account("vdenet-plug")
    assert status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(gid)] * 4
    assert sorted(status["Groups"].split()) == sorted(str(n) for n in (gid, machine.gid("vdenet"), machine.gid("lab")))
    assert (int(status["CapEff"], 16), int(status["CapPrm"], 16), int(status["CapInh"], 16)) == (0, 0, 0)
    assert (status["NoNewPrivs"], home) == ("1", "/nonexistent")
    # What it hears from there is nobody's of this host.
    machine.run(["ip", "netns", "exec", "far", "ping", "-c", "1", "-W", "1",
                 segment(machine)["address"].partition("/")[0]], check=False)
    owners = {guest["address"]: guest["owner"] for guest in segment(machine)["guests"]}
    assert owners.get(far.address, None) is None


def test_killed_it_comes_back(machine: Machine, far: Far, near: str) -> None:
    far.switch()
    configure(machine, f"vde://{FAR}")
    joined(machine, far, near)
    for _nth in range(3):
        pid, = running(machine)
        machine.run(["kill", "-KILL", str(pid)])
        another(machine, pid)
    joined(machine, far, near)


def test_with_the_switch_and_without_the_daemon(machine: Machine, daemon: Daemon, far: Far, near: str) -> None:
    far.switch()
    configure(machine, f"vde://{FAR}")
    joined(machine, far, near)
    before, = running(machine)
    daemon.machine.run(["tarr-steps", "reload"])
    assert running(machine) == [before]
    machine.sh("pkill -KILL -u vdenet-switch -x vde_switch")
    another(machine, before)
    joined(machine, far, near)
    machine.run(["tarr-steps", "stop"])
    assert running(machine) == []
    machine.run(["tarr-steps", "start"])
    joined(machine, far, near)


@pytest.mark.parametrize(("ours", "theirs"), (
    (f"udp://5000->{LINK[1]}:6000", f"udp://6000->{LINK[0]}:5000"),
    (f"udp://{LINK[0]}:5000->{LINK[1]}:6000", f"udp://6000->{LINK[0]}:5000"),
    (f"vxvde://{GROUP}", f"vxvde://{GROUP}"),
    (f"vxvde://{GROUP}/port=5000/vni=7/if=up0", f"vxvde://{GROUP}/port=5000/vni=7/if=up1"),
))
def test_over_a_network(machine: Machine, far: Far, near: str, ours: str, theirs: str) -> None:
    far.switch()
    far.plug(theirs)
    configure(machine, ours)
    joined(machine, far, near)
    assert state(machine) == [("up", None)]
    far.talks(near)
    far.end(theirs)
    far.plug(theirs)
    joined(machine, far, near)


def test_beside_the_kernels_vxlan(machine: Machine, far: Far, near: str) -> None:
    configure(machine, f"vxlan://{GROUP}/vni=7/if=up0")
    machine.sh(f"""
        ip -n far link add vx0 type vxlan id 7 group {GROUP} dev up1 dstport 4789 ttl 1
        ip -n far addr del {far.address}/{far.length} dev t0
        ip -n far link set vx0 up; ip -n far addr add {far.address}/{far.length} dev vx0""")
    try:
        joined(machine, far, near)
        far.talks(near)
    finally:
        machine.sh(f"ip -n far link del vx0; ip -n far addr add {far.address}/{far.length} dev t0")


def test_one_is_added_and_removed_beside_another(machine: Machine, far: Far, near: str) -> None:
    far.switch()
    stays, goes = f"vde://{FAR}", f"udp://5000->{LINK[1]}:6000"
    configure(machine, stays)
    joined(machine, far, near)
    pid, = running(machine)
    ping = machine.popen(["ip", "netns", "exec", "far", "ping", "-n", "-i", "0.1", "-c", "120", "-q", near])
    assert f"+ plug {goes}" in configure(machine, goes, stays)
    assert len(running(machine)) == 2 and pid in running(machine)
    said = configure(machine, stays)
    assert f"- plug {goes}" in said and f"plug {stays}" not in said
    assert running(machine) == [pid]
    assert " 0% packet loss" in ping.communicate(timeout=120)[0]
    assert "plug" in configure(machine) and running(machine) == []


def test_the_daemon_finds_those_that_nobody_wants_any_more(machine: Machine, daemon: Daemon, far: Far) -> None:
    far.switch()
    configure(machine, f"vde://{FAR}")
    assert len(running(machine)) == 1
    path = machine.path(TOML)
    path.write_text(path.read_text().partition("\n[[plug]]")[0])
    machine.wait_for(lambda: running(machine) == [], 60, "the end of the plug")


def test_nobody_at_the_other_end(machine: Machine, far: Far, near: str) -> None:
    """Whoever is told that nobody listens there does not wait any more: vde_plug would go round and round."""
    for peer in (LINK[1], "127.0.0.1"):
        configure(machine, f"udp://5000->{peer}:6000")
        pid, = running(machine)
        machine.run(["ping", "-c", "5", "-i", "0.3", "-W", "1", far.address], check=False)  # frames for everybody
        states = []
        for _nth in range(30):
            states.append(machine.path(f"/proc/{pid}/stat").read_text().split()[2])
            machine.run(["sleep", "0.05"])
        assert states.count("S") > 20  # else R, all the time


def test_a_stranger_gets_nothing_in(machine: Machine, far: Far, near: str) -> None:
    """vde_plug takes a datagram from anybody for a frame; the packet filter lets in the peer alone."""
    configure(machine, f"udp://5000->{LINK[1]}:6000")
    machine.wait_for(lambda: state(machine) == [("up", None)], 20, "the plug")
    send = ("import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
            "s.bind((sys.argv[1],int(sys.argv[2])))\n"
            "for _ in range(20):\n"
            "    s.sendto(b'\\xff'*6+bytes.fromhex(sys.argv[3])+b'\\x88\\xb5'+bytes(50),"
            f"('{LINK[0]}',5000)); time.sleep(.05)\n")
    machine.run(["ip", "-n", "far", "addr", "add", "198.18.7.3/24", "dev", "up1"])
    macs = {}
    for number, (space, user, address, port) in enumerate((
            ("far", "root", LINK[1], "6001"), ("far", "root", "198.18.7.3", "6000"), ("", "nora", "127.0.0.1", "6000"),
            ("", "nora", LINK[0], "6000"), ("far", "root", LINK[1], "6000"))):
        macs[number] = f"02:00:00:00:99:0{number}"
        inside = ["ip", "netns", "exec", space] if space else []
        machine.run([*inside, "python3", "-c", send, address, port, macs[number].replace(":", "")],
                    user=None if user == "root" else user, check=False)
    heard = machine.run(["bridge", "fdb", "show", "br", "vdenet0"]).stdout
    assert [number for number, mac in macs.items() if mac in heard] == [4]  # the peer, and so the others would be seen


# --- loops ----------------------------------------------------------------------------------------------

COUNT = r"""
import socket, sys, time
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind(("eth0", 0))
frame = b"\xff" * 6 + bytes.fromhex("020000009977") + b"\x88\xb5" + bytes(46)
sock.send(frame)
sock.settimeout(0.2)
seen, end = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        got, where = sock.recvfrom(2000)
    except TimeoutError:
        continue
    seen += got[6:12] == frame[6:12] and where[2] != socket.PACKET_OUTGOING
print(seen)
"""


def came_back(ends: tuple[Far, Station], seconds: float) -> int:
    """How often a broadcast of the near station's comes back to it."""
    return int(ends[1].run("python3", "-c", COUNT, str(seconds)))


LOOP = (f'url = "vde://{FAR}[2]"', f'url = "vde://{FAR}[3]"')


def spanning_tree(machine: Machine, value: str | None) -> str:
    path = machine.path(TOML)
    text = re.sub(r"\n\[switch\]\nspanning_tree = .*\n", "", path.read_text())
    if value is not None:
        head, plug, rest = text.partition("\n[[plug]]")
        text = f"{head}\n[switch]\nspanning_tree = {value}\n{plug}{rest}"
    machine.path("/tmp/wanted.toml").write_text(text)
    return machine.run(["tarr-steps", "apply", "/tmp/wanted.toml"]).stdout


def test_a_loop_does_not_storm(machine: Machine, ends: tuple[Far, Station], far: Far, near: str) -> None:
    far.switch("--fstp")
    said = configure(machine, *LOOP).splitlines()
    order = [next(n for n, line in enumerate(said) if words in line)
             for words in ("~ spanning tree of the VDE switch: on", LOOP[0][7:-1], LOOP[1][7:-1])]
    assert order == sorted(order)
    joined(machine, far, near)
    assert came_back(ends, 6) <= 2
    far.talks(near)
    # One of the two ways goes, and the other takes its place.
    for pid in running(machine):
        machine.run(["kill", "-KILL", str(pid)])
        joined(machine, far, near)
    machine.wait_for(lambda: len(running(machine)) == 2, 60, "both plugs")
    assert came_back(ends, 6) <= 2
    # The switch starts without, and gets it before the plugs come.
    machine.sh("pkill -KILL -u vdenet-switch -x vde_switch")
    machine.wait_for(lambda: len(running(machine)) == 2, 60, "both plugs")
    joined(machine, far, near)
    assert came_back(ends, 6) <= 2
    assert "~ spanning tree of the VDE switch: off" in configure(machine)


def test_a_loop_is_what_was_tested(machine: Machine, ends: tuple[Far, Station], far: Far) -> None:
    try:
        assert "spanning tree" not in spanning_tree(machine, "false")
        far.switch()
        configure(machine, *LOOP)
        assert came_back(ends, 2) > 50
    finally:
        configure(machine)
        spanning_tree(machine, None)


def test_the_spanning_tree_by_itself(machine: Machine, daemon: Daemon) -> None:
    assert "~ spanning tree of the VDE switch: on" in spanning_tree(machine, "true")
    assert "is as it should be" in spanning_tree(machine, "true")
    assert "~ spanning tree of the VDE switch: off" in spanning_tree(machine, None)


# --- ssh ------------------------------------------------------------------------------------------------

@pytest.fixture
def sshd(machine: Machine, far: Far) -> Iterator[None]:
    """The far end's, and root's key and list of hosts here."""
    machine.sh(f"""
        rm -rf /etc/vdenet/ssh; install -d -m 755 /etc/vdenet/ssh; install -d -m 755 /run/sshd
        ssh-keygen -q -t ed25519 -N '' -C '' -f /etc/vdenet/ssh/key
        usermod --password '*' carol
        chgrp vdenet-plug /etc/vdenet/ssh/key; chmod 640 /etc/vdenet/ssh/key
        rm -f /srv/hostkey; ssh-keygen -q -t ed25519 -N '' -C '' -f /srv/hostkey
        install -d -o carol -g carol -m 700 /home/carol/.ssh
        printf 'restrict,command="vde_plug {FAR}" %s\\n' "$(cat /etc/vdenet/ssh/key.pub)" \\
            >/home/carol/.ssh/authorized_keys
        printf '[%s]:2222 %s\\n' {LINK[1]} "$(cut -d' ' -f1,2 /srv/hostkey.pub)" >/etc/vdenet/ssh/known_hosts""")
    server = machine.popen(["ip", "netns", "exec", "far", "/usr/sbin/sshd", "-D", "-e", "-p", "2222", "-f", "/dev/null",
                            "-h", "/srv/hostkey", "-o", "PasswordAuthentication=no",
                            "-o", "KbdInteractiveAuthentication=no", "-o", "UsePAM=no"])
    yield
    server.kill()
    server.wait(10)


SSH = f"ssh://carol@{LINK[1]}:2222{FAR}"


def test_by_ssh(machine: Machine, sshd: None, far: Far, near: str) -> None:
    far.switch()
    configure(machine, SSH)
    joined(machine, far, near)
    machine.wait_for(lambda: state(machine) == [("up", None)], 20, "the plug")
    pid, = running(machine)
    machine.run(["kill", "-KILL", str(pid)])
    another(machine, pid)
    joined(machine, far, near)
    configure(machine)
    machine.wait_for(lambda: machine.run(["pgrep", "-u", "vdenet-plug"], check=False).stdout == "", 20,
                     "the end of ssh")


@pytest.mark.parametrize(("spoil", "why"), (
    ("echo >/etc/vdenet/ssh/known_hosts", "Host key verification failed."),
    ("chmod 600 /etc/vdenet/ssh/key", "Permission denied (publickey)."),
    ("echo >/home/carol/.ssh/authorized_keys", "Permission denied (publickey)."),
    ("ip -n far link set up1 down", ""),
))
def test_by_ssh_nobody_is_asked(machine: Machine, sshd: None, far: Far, near: str, spoil: str, why: str) -> None:
    far.switch()
    try:
        machine.sh(spoil)
        configure(machine, SSH)
        if why:
            machine.wait_for(lambda: state(machine)[0][0] == "down" and why in (state(machine)[0][1] or ""), 60, why)
        else:
            assert state(machine)[0][0] in ("connecting", "down")
        assert not far.reaches(near)
    finally:
        machine.sh("ip -n far link set up1 up; ip -n far route replace 239.0.0.0/8 dev up1")


# --- who may, and what is refused -------------------------------------------------------------------------

def test_a_member_may_what_the_policy_lets_through(machine: Machine, daemon: Daemon) -> None:
    base = machine.path(TOML).read_text()
    wanted = machine.path("/home/alice/wanted.toml")
    wanted.write_text(base + f'\n[[plug]]\nurl = "vxvde://{GROUP}"\n')
    refused = machine.run(["tarr-steps", "apply", wanted.name], user="alice", check=False)
    assert refused.returncode == 4 and f"plug: vxvde://{GROUP} is not allowed; allowed: nothing" in refused.stderr
    policy = machine.path("/etc/vdenet/policy.toml")
    policy.write_text('plugs = ["vxvde"]\n')
    try:
        assert f"+ plug vxvde://{GROUP}" in machine.run(["tarr-steps", "apply", wanted.name], user="alice").stdout
        wanted.write_text(base + f'\n[[plug]]\nurl = "vde://{FAR}"\n')
        refused = machine.run(["tarr-steps", "apply", wanted.name], user="alice", check=False)
        assert refused.returncode == 4 and "allowed: vxvde://" in refused.stderr
        assert len(running(machine)) == 1
    finally:
        policy.unlink()
        configure(machine)


@pytest.mark.parametrize("url", ("cmd://id", "vde:///x;id", "ssh://carol@-oProxyCommand=id/x", "vxvde://10.0.0.1"))
def test_a_bad_url_changes_nothing(machine: Machine, daemon: Daemon, url: str) -> None:
    before = machine.path(TOML).read_text()
    machine.path("/tmp/bad.toml").write_text(before + f'\n[[plug]]\nurl = "{url}"\n')
    said = machine.run(["tarr-steps", "apply", "/tmp/bad.toml"], check=False)
    line = len(before.splitlines()) + 3
    assert said.returncode == 2 and f"/tmp/bad.toml:{line}:1: plug.url: " in said.stderr
    assert "Traceback" not in said.stderr and machine.path(TOML).read_text() == before

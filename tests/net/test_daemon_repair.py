"""What is removed behind the daemon's back comes back, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer

BRIDGE, TAP = "vdenet0", "vdenet0-vde"


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[[str], Machine]) -> Machine:
    return new_machine(request.param)


@dataclass(frozen=True)
class Identity:
    """Which one it is, and not only what it is like."""

    links: dict[str, int]
    services: dict[str, int]


def identity(machine: Machine) -> Identity:
    index = {line.split(":")[1].strip().partition("@")[0]: int(line.split(":")[0])
             for line in machine.sh("ip -oneline link").splitlines()}
    return Identity(index, {args.split()[0].rpartition("/")[2]: pid
                            for args, pid in traces.services(machine).items()})


@pytest.fixture(scope="module")
def segment(machine: Machine, daemon: Daemon) -> Machine:
    """With a guest's port, which the daemon did not make, on the bridge."""
    # It takes no address from the segment's router while the host is none.
    machine.sh("ip link add foreign type veth peer name inner; echo 0 >/proc/sys/net/ipv6/conf/inner/accept_ra;"
               " ip link set foreign addrgenmode none"
               f" master {BRIDGE} up; ip link set inner addrgenmode none up")
    daemon.machine.wait_for(lambda: settled(machine), 10, "a settled segment")
    return machine


def settled(machine: Machine) -> bool:
    return machine.run(["tarr-steps", "plan"]).stdout.count("\n") <= 1


# What is done, and what is another one than before when all is well again.
DAMAGE: dict[str, tuple[str, set[str]]] = {
    "bridge deleted": (f"ip link del {BRIDGE}", {BRIDGE}),
    "bridge set down": (f"ip link set {BRIDGE} down", set()),
    "tap deleted": (f"ip link del {TAP}", {TAP, "vde_switch"}),
    "tap detached": (f"ip link set {TAP} nomaster", set()),
    "address removed": (f"ip addr del $(tarr-steps ip) dev {BRIDGE}", set()),
    "all addresses removed": (f"ip addr flush dev {BRIDGE} scope global", set()),
    "ruleset flushed": ("nft flush ruleset", set()),
    "one table deleted": ("nft delete table bridge vdenet_vdenet0", set()),
    "one rule deleted": (
        "h=$(nft -a list chain inet vdenet_vdenet0 guests_to_host | sed -n 's/.*drop # handle //p');"
        " nft delete rule inet vdenet_vdenet0 guests_to_host handle $h", set()),
    "a rule added": ("nft insert rule inet vdenet_vdenet0 guests_to_host accept", set()),
    "forwarding off": ("echo 0 >/proc/sys/net/ipv4/ip_forward", set()),
    "IPv6 forwarding off": ("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", set()),
    "checksum offload on": (
        "python3 -c 'from vdenet.effect.netlink import set_transmit_checksum;"
        f' set_transmit_checksum("{BRIDGE}", True)\'', set()),
    "dnsmasq killed": ("kill -9 $(pidof dnsmasq)", {"dnsmasq"}),
    "dnsmasq ended": ("kill $(pidof dnsmasq)", {"dnsmasq"}),
    "switch killed": ("kill -9 $(pidof vde_switch)", {"vde_switch"}),
    "switch has lost the tap": (f"ip link set {TAP} carrier off", {"vde_switch"}),
    "configuration of dnsmasq removed": ("rm /run/vdenet/dns/vdenet0/dnsmasq.conf", set()),
    "configuration of dnsmasq changed": ("echo >>/run/vdenet/dns/vdenet0/dnsmasq.conf", set()),
    "directory of dnsmasq removed": ("rm -r /run/vdenet/dns/vdenet0", set()),
    "everything at once": (
        f"kill -9 $(pidof dnsmasq vde_switch); nft flush ruleset; ip link del {BRIDGE}; ip link del {TAP};"
        " rm -r /run/vdenet/dns/vdenet0 /run/vdenet/vdenet0; echo 0 >/proc/sys/net/ipv4/ip_forward",
        {BRIDGE, TAP, "vde_switch", "dnsmasq"}),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_is_repaired(segment: Machine, name: str) -> None:
    script, new = DAMAGE[name]
    before, was = identity(segment), traces.everything(segment)
    segment.sh(script)
    last: list[str] = []

    def repaired() -> bool:
        last[:] = traces.difference(was, traces.everything(segment))
        return not last and settled(segment)

    try:
        wait_for(repaired, 25, "repair", 0.2)
    except Exception as error:
        raise AssertionError("\n".join([str(error), *last])) from None
    after = identity(segment)
    replaced = {key for old, now in ((before.links, after.links), (before.services, after.services))
                for key in old if old[key] != now[key]}
    assert replaced == new


def test_a_guest_that_comes_and_goes_is_no_damage(segment: Machine) -> None:
    """What the watch does about it a moment later is not said to be wrong in that moment."""
    seen: set[object] = set()

    def look(peer: Peer) -> None:
        listed, = peer.call("List")["segments"]
        seen.update((listed["state"], *peer.call("Plan")["steps"]))
        seen.update(finding["code"] for finding in peer.call("Check")["findings"] if finding["severity"] == "error")

    with Peer(segment) as peer:
        for _nth in range(4):
            guest = segment.popen(["tarr-steps", "join", "run", "--", "sleep", "1"], user="alice")
            while guest.poll() is None:
                look(peer)
            for _nth in range(5):
                look(peer)
    assert seen == {"up"}


# Gets hold of the tap as soon as nobody has it: TUNSETIFF with IFF_TAP and IFF_NO_PI (linux/if_tun.h).
HOLD = f"""
import fcntl, os, struct, subprocess, time
file = os.open("/dev/net/tun", os.O_RDWR)
for nth in range(30):
    killing = subprocess.Popen(["pkill", "-KILL", "-x", "vde_switch"])
    until = time.monotonic() + 1
    while time.monotonic() < until:
        try:
            fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22x", b"{TAP}", 0x1002))
        except OSError:
            continue
        print("holds it", flush=True)
        time.sleep(1000)
    killing.wait()
"""


def test_a_switch_does_not_run_without_its_tap(segment: Machine) -> None:
    holder = segment.popen(["python3", "-c", HOLD])
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "holds it\n"
        done = segment.run(["tarr-steps", "reload"], check=False)
        assert done.returncode == 1
        assert done.stderr == f"tarr-steps: cannot start vde_switch: another program has the tap {TAP}\n"
        assert "vde_switch" not in identity(segment).services
        checked = segment.run(["tarr-steps", "check"], check=False)
        assert checked.returncode == 1 and "+ service switch" in checked.stdout
        wait_for(lambda: f"vdenet0 could not be repaired: cannot start vde_switch: another program has the tap {TAP}"
                 in segment.run(["tarr-steps", "check"], check=False).stdout, 30, "word why")
    finally:
        holder.kill()
        holder.wait()
    wait_for(lambda: settled(segment), 40, "repair")
    assert segment.path(f"/sys/class/net/{TAP}/carrier").read_text() == "1\n"


def test_a_switch_that_cannot_open_its_tap_says_so(segment: Machine) -> None:
    segment.sh("chmod 600 /dev/net/tun; pkill -KILL -x vde_switch")
    try:
        done = segment.run(["tarr-steps", "reload"], check=False)
        assert done.returncode == 5 and done.stderr.startswith("tarr-steps: cannot start switch: vde_switch failed: ")
        assert "Permission denied" in done.stderr and f"ERROR OPENING tap interface: {TAP}" in done.stderr
        assert "vde_switch" not in identity(segment).services
    finally:
        segment.sh("chmod 666 /dev/net/tun")
    wait_for(lambda: settled(segment), 40, "repair")
    assert segment.path(f"/sys/class/net/{TAP}/carrier").read_text() == "1\n"

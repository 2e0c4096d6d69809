"""What is removed behind the daemon's back comes back, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine, wait_for

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

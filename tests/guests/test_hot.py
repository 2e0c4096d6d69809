"""Changes under running guests: 0 frames lost."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Iterator

from lab.ground import DOMAIN, SEGMENT, Ground
from lab.guest import Guest, Ping
from lab.machine import wait_for

# Over a tap to VDE and to a veth, over VDE to a tap: every kind of port is in it.
STREAMS = (("qa", "qb"), ("va", "qa"), ("ra", "ca"))
CHILDREN = ("vde_switch", "dnsmasq")


@contextlib.contextmanager
def nothing_lost(ground: Ground) -> Iterator[None]:
    pings = [Ping.start(ground.guests[source], str(ground.guests[target].wait_address()))
             for source, target in STREAMS]
    time.sleep(0.5)
    yield
    time.sleep(2)
    for ping, stream in zip(pings, STREAMS, strict=True):
        sent, lost = ping.stop()
        assert sent > 20, stream
        assert lost == [], f"{stream}: {len(lost)} of {sent}"


def links(ground: Ground) -> dict[str, tuple[object, ...]]:
    """What identifies and what describes all that belongs to the segment."""
    return {name: tuple(link.get(key) for key in (
                "ifindex", "address", "ifalias", "mtu", "operstate", "flags", "master"))
            for name, link in ground.links().items()
            if name == SEGMENT or link.get("master") == SEGMENT}


def settled(ground: Ground) -> bool:
    """Whether the bridge has reported each of its ports for the last time.

    A port is forwarding at once, but its forward delay (15 s) runs all the same, and at its end the kernel
    sends another RTM_NEWLINK in which nothing is new (br_make_forwarding() in net/bridge/br_stp.c).
    """
    return ground.machine.sh("cat /sys/class/net/*/brport/forward_delay_timer | sort -u").split() == ["0"]


def test_kill_of_the_daemon_loses_nothing_and_a_start_changes_nothing(ground: Ground) -> None:
    for guest in ground.guests.values():
        guest.run(f"ping -c 1 -W 5 {ground.gateway}")
    wait_for(lambda: settled(ground), 60, "end of the forward delay")
    before, children, listed = links(ground), ground.pids(*CHILDREN), ground.listed()
    addresses = {name: str(guest.wait_address()) for name, guest in ground.guests.items()}
    assert all(children.values())
    monitor = ground.machine.popen(["ip", "monitor", "link", "address", "route"])
    with nothing_lost(ground):
        ground.machine.run(["pkill", "-KILL", "-x", "vdenetd"])
        time.sleep(1)
        assert links(ground) == before
        assert ground.pids(*CHILDREN) == children
        since = time.monotonic()
        ground.machine.run(["service", "vdenetd", "start"])
        ground.wait_up()
        assert time.monotonic() - since < 10
        time.sleep(3)
    monitor.terminate()
    said, _ = monitor.communicate()
    assert SEGMENT not in said, said
    assert ground.pids(*CHILDREN) == children
    assert links(ground) == before
    after = ground.listed()
    for name in ground.guests:
        assert after[name] == listed[name]
        assert str(ground.guests[name].wait_address()) == addresses[name]


def test_another_start_and_a_reload_change_nothing(ground: Ground) -> None:
    before, children = links(ground), ground.pids(*CHILDREN)
    with nothing_lost(ground):
        for verb in ("start", "reload"):
            ground.tarr(verb)
        ground.machine.run(["service", "vdenetd", "restart"])
        ground.wait_up()
    assert ground.pids(*CHILDREN) == children
    assert links(ground) == before


def test_another_configuration_under_a_running_ping(ground: Ground) -> None:
    """Hosts, records, mode, DHCP and the open ports, by `apply` of a member."""
    path = ground.machine.path(f"/etc/vdenet/{SEGMENT}.toml")
    good = path.read_text()
    assert good.count('mode = "nat"') == 1
    # Guests of earlier tests may have any of the range until their leases end.
    leased = ground.machine.path(f"/var/lib/vdenet/{SEGMENT}/dns/leases").read_text().split()
    spare = next(each for each in reversed(list(ground.network.hosts())) if str(each) not in leased)
    host = f'[[host]]\nmac = "02:00:00:aa:bb:cc"\nname = "printer"\naddress = "{spare}"\naliases = ["paper"]\n'
    record = '[[record]]\ntype = "TXT"\nname = "about"\nvalue = "hot"\n'
    routed, isolated = (good.replace('mode = "nat"', f'mode = "{mode}"') for mode in ("routed", "isolated"))
    before, switch = links(ground), ground.pids("vde_switch")
    try:
        with nothing_lost(ground):
            for text in (f"{good}\n{host}", f"{good}\n{host}\n{record}", routed, isolated,
                         f"{isolated}\n{host}\n[dhcp]\nlease = '2h'\n"):
                ground.machine.path("/tmp/wanted.toml").write_text(text)
                ground.tarr("apply", "--segment", SEGMENT, "/tmp/wanted.toml")
                assert path.read_text() == text
                assert ground.lookup("printer") == (str(spare) if host in text else None)
                outside = ground.guests["qa"].run(
                    f"ping -c 1 -W 2 {ground.outside.address} >/dev/null && echo there || echo no answer")
                # The machine outside has no way back to addresses that are not the host's.
                assert outside == ("there\n" if 'mode = "nat"' in text else "no answer\n")
    finally:
        ground.machine.path("/tmp/wanted.toml").write_text(good)
        with nothing_lost(ground):
            ground.tarr("apply", "--segment", SEGMENT, "/tmp/wanted.toml")
    assert links(ground) == before
    assert ground.pids("vde_switch") == switch
    assert ground.lookup("qa") == str(ground.guests["qa"].wait_address())
    assert ground.guests["qa"].run(f"busybox wget -qO- http://{ground.outside.address}/whoami") == ground.outside.uplink


def test_a_new_address_under_a_running_ping(ground: Ground) -> None:
    """Last in this file: after it the guests live in another network."""
    old = ground.network
    second = 140 if old[0].packed[1] != 140 else 141
    new = ipaddress.IPv4Interface(f"10.{second}.7.1/24")
    before = links(ground)
    macs = {name: guest.mac() for name, guest in ground.guests.items()}
    with nothing_lost(ground):
        ground.tarr("ip", str(new))
        time.sleep(1)
        # The old address is served until the guests have renewed.
        ground.guests["qa"].run(f"ping -c 1 -W 5 {old[1]}")
        ground.guests["qa"].run(f"busybox wget -qO- http://{ground.outside.address}/whoami")
    assert links(ground) == before
    assert ground.segment()["address"] == str(new)
    assert ground.tarr("ip").stdout.strip().endswith(str(new))
    assert f'address = "{new}"' in ground.machine.path(f"/etc/vdenet/{SEGMENT}.toml").read_text()
    for guest in ground.guests.values():
        renew(ground, guest)
    addresses = {name: guest.wait_address(new.network, timeout=60)
                 for name, guest in ground.guests.items()}
    assert {name: guest.mac() for name, guest in ground.guests.items()} == macs
    for name, address in addresses.items():
        wait_for(lambda name=name, address=address:  # type: ignore[misc]
                 ground.lookup(name) == str(address), 15, f"{name} in the new network")
        told = ground.machine.run(["getent", "ahostsv4", f"{name}.{DOMAIN}"]).stdout
        assert told.startswith(f"{address} ")
        for asker in ("qa", "va"):
            ground.guests[asker].run(f"ping -4 -c 1 -W 5 {name}.{DOMAIN} | grep -F '({address})'")
    told = ground.guests["qb"].run(f"busybox wget -qO- http://{ground.outside.name}/whoami")
    assert told == ground.outside.uplink
    listed = ground.listed()
    assert {name: listed[name]["address"] for name in addresses} == {
        name: str(address) for name, address in addresses.items()}


def renew(ground: Ground, guest: Guest) -> None:
    """Have the guest's DHCP client renew now, as half its lease would."""
    pid = {"q": "/run/udhcpc.pid", "c": "/tmp/udhcpc.pid", "v": f"/tmp/{guest.name}.pid"}
    if guest.name[0] in pid:
        guest.run(f"kill -USR1 $(cat {pid[guest.name[0]]})")
        return
    # `join run` started its client itself: it is the one in the guest's own network namespace.
    namespace = guest.run("readlink /proc/self/ns/net").strip()
    for pid_ in ground.pids("udhcpc")["udhcpc"]:
        told = ground.machine.run(["readlink", f"/proc/{pid_}/ns/net"], check=False).stdout.strip()
        if told == namespace:
            ground.machine.run(["kill", "-USR1", str(pid_)])

"""The life of the package on a machine with an init, from installation to purge.

The tests of one machine build on one another, in this order.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from lab.machine import Entered
from system import guests, leftovers, scenario, verbs
from system.host import Host
from system.package import successor
from system.scenario import ADMIN, FRESH, LATER, PRESEEDED, STRANGER

def test_install(host: Host, deb: Path) -> None:
    machine = host.machine
    machine.run(
        ["debconf-set-selections"], input=f"vdenet vdenet/members string {PRESEEDED}\n"
    )
    done = scenario.apt(
        machine, "install", scenario.copy(machine, deb), env={"SUDO_USER": ADMIN}
    )
    said = done.stdout + done.stderr
    assert re.search(rf"\b{ADMIN}\b.*group vdenet", said), said
    members = machine.run(["getent", "group", "vdenet"]).stdout.strip().split(":")[3].split(",")
    assert {ADMIN, PRESEEDED} <= set(members)
    assert not {LATER, FRESH, STRANGER} & set(members)


def test_check_is_content_right_after(host: Host) -> None:
    machine = host.machine
    found = scenario.answer(machine, "check", user=ADMIN)
    assert found["ok"] is True
    scenario.steps(machine, "check", user=ADMIN)
    assert _plan(machine) == []
    assert scenario.is_up(machine, ADMIN)
    if machine.systemd:
        for unit in ("vdenetd.service", "vdenetd.socket"):
            machine.run(["systemctl", "is-active", unit])
            machine.run(["systemctl", "is-enabled", unit])
        assert machine.sh("systemctl --failed --no-legend --plain").strip() == ""
    else:
        machine.run(["service", "vdenetd", "status"])
    if not host.resolved:  # no resolver that could be told: said, and what to do
        about = [f for f in found["findings"] if "resol" in f["code"] + f["message"]]
        assert about and about[0]["severity"] == "warning" and about[0]["hint"], found


def test_address_overlaps_nothing(host: Host) -> None:
    one = scenario.segment(host.machine)
    own = ipaddress.IPv4Interface(one["address"]).network
    assert own.is_private
    overlapping = [network for network in scenario.taken() if network.overlaps(own)]
    assert not overlapping, f"{own} overlaps {overlapping}"
    assert ipaddress.IPv6Interface(one["address6"]).ip in ipaddress.IPv6Network("fd00::/8")


def test_login_older_than_the_membership(host: Host) -> None:
    machine = host.machine
    machine.user(LATER, member=True)
    verbs.every_verb(verbs.Member(machine, LATER, groups=[]))


def test_fresh_login(host: Host) -> None:
    machine = host.machine
    machine.user(FRESH, member=True)
    verbs.every_verb(verbs.Member(machine, FRESH), spellings=1)


def test_stranger_is_refused(host: Host) -> None:
    verbs.refused(host.machine, STRANGER)
    verbs.sees_nothing(host.machine, STRANGER)


def test_services_are_not_root(host: Host) -> None:
    verbs.services_are_not_root(host.machine)


def test_host_finds_a_guest_by_name(host: Host) -> None:
    machine = host.machine
    guest = machine.popen(
        ["tarr-steps", "join", "run", "--name=web", "--", "sleep", "300"], user=FRESH
    )
    try:
        machine.wait_for(
            lambda: [g for g in scenario.segment(machine)["guests"] if g["address"]], 30, "guest"
        )
        (listed,) = scenario.segment(machine)["guests"]
        assert (listed["name"], listed["owner"]) == ("web", FRESH)
        assert listed["fqdn"] == "web.vdenet.internal"
        if host.resolved:
            found = machine.run(["getent", "ahostsv4", "web.vdenet.internal"]).stdout
            assert found.split()[0] == listed["address"]
        machine.run(["ping", "-c1", "-W5", listed["address"]])
    finally:
        guest.kill()
        guest.communicate()
    machine.wait_for(lambda: not scenario.segment(machine)["guests"], 10, "end of the guest")


def test_guest_reaches_the_outside(host: Host) -> None:
    # Nobody outside knows a way to the segment: an answer proves the translation.
    scenario.steps(
        host.machine, "join", "run", "--", "ping", "-c2", "-W5", "198.51.100.7", user=FRESH
    )


def test_comes_back_after_a_reboot(host: Host) -> None:
    machine = host.machine
    before = scenario.segment(machine)
    scenario.steps(machine, "stop", user=FRESH)
    machine.reboot()
    assert machine.state == "running", machine.sh("systemctl --failed --no-pager")
    scenario.occupy(machine, "host0")
    machine.wait_for(lambda: scenario.is_up(machine), 10, "segment")
    after = scenario.segment(machine)
    assert after == before
    assert scenario.answer(machine, "check", user=FRESH)["ok"] is True


def test_upgrade_crash_and_new_address_lose_nothing(host: Host, deb: Path, tmp_path: Path) -> None:
    machine = host.machine
    old = scenario.segment(machine)
    with guests.pinging(machine, FRESH, seconds=20):
        scenario.apt(machine, "install", scenario.copy(machine, successor(deb, tmp_path), "2.deb"))
        version = machine.run(["dpkg-query", "--show", "--showformat=${Version}", "vdenet"]).stdout
        assert version.endswith("+next")
        scenario.steps(machine, "check", user=FRESH)
        machine.run(["pkill", "-KILL", "--exact", "vdenetd"])
        if not machine.systemd:  # nobody but the admin starts it again, once it has ended
            machine.wait_for(lambda: machine.run(["pgrep", "--exact", "vdenetd"], check=False).returncode == 1, 20,
                             "end of the daemon")
            machine.run(["service", "vdenetd", "start"])
        machine.wait_for(lambda: _checks(machine), 10, "daemon after kill -9")
        assert _plan(machine) == [], "a start after a crash changes nothing"
        network = ipaddress.IPv4Interface(old["address"]).network
        for address in (f"{network[-2]}/{network.prefixlen}", old["address"]):
            scenario.steps(machine, "ip", address, user=FRESH)
            assert scenario.segment(machine)["address"] == address
    assert scenario.segment(machine) == old


def _plan(machine: Entered) -> list[str]:
    return list(scenario.answer(machine, "plan", user=ADMIN)["steps"])


def _checks(machine: Entered) -> bool:
    return scenario.steps(machine, "check", user=FRESH, exit=None).returncode == 0


def test_reinstallation_keeps_the_address(host: Host, deb: Path) -> None:
    machine = host.machine
    address = scenario.segment(machine)["address"]
    scenario.apt(machine, "remove", "vdenet")
    assert machine.run(["ip", "link", "show", "vdenet0"], check=False).returncode != 0
    assert "vdenet" not in machine.sh("ps -e"), "a process of ours outlives the package"
    scenario.apt(machine, "install", scenario.copy(machine, deb))
    assert scenario.segment(machine)["address"] == address
    assert scenario.is_up(machine)


def test_purge_leaves_nothing(host: Host) -> None:
    machine = host.machine
    guest = machine.popen(
        ["tarr-steps", "join", "run", "--name=web", "--", "sleep", "300"], user=FRESH
    )
    try:
        machine.wait_for(lambda: bool(scenario.segment(machine)["guests"]), 30, "guest")
        scenario.apt(machine, "purge", "vdenet")
    finally:
        guest.kill()
        guest.communicate()
    assert "vdenet" not in machine.sh("debconf-show vdenet; ps -e -o args | grep -v '[d]ebconf'")
    if machine.systemd:
        assert "vdenet" not in machine.sh("systemctl list-units --all --no-legend 'vdenet*'")
    ours = leftovers.find(machine, host.before)
    assert not ours, "\n".join(ours)

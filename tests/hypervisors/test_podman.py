"""join podman, on real containers: rootless ones of a member's, and root's."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.machine import wait_for

from . import renaming
from .conftest import DOMAIN, SEGMENT, Host
from .pods import Pod, dry_run_changes_nothing, environment, is_recognised, no_address_leaves_nothing
from .pods import podman as containers

Pods = Callable[..., Pod]


@pytest.fixture
def pods(podman: Host) -> Iterator[Pods]:
    """Makes containers of alice's, unless told another user's."""
    made: list[Pod] = []

    def make(*options: str, user: str = "alice", name: str | None = None) -> Pod:
        made.append(Pod(podman, user, *options, name=name))
        return made[-1]
    yield make
    for pod in made:
        pod.remove()


@pytest.mark.parametrize("options", [(), ("--network=none",), ("--userns=keep-id",)], ids=["default", "none", "keep-id"])
def test_a_rootless_container_joins_and_leaves_live(podman: Host, pods: Pods, options: tuple[str, ...]) -> None:
    pod = pods(*options)
    before = pod.networks()
    told = pod.told("join")
    assert (told["changed"], told["via"], told["live"], told["running"]) == (True, "veth", True, True)
    guest = podman.listed(pod.name)
    assert guest is not None
    assert (guest["kind"], guest["via"], guest["mac"], guest["owner"]) == ("podman", "veth", told["mac"], "alice")
    network = ipaddress.IPv4Interface(podman.segment()["address"]).network
    assert ipaddress.IPv4Address(guest["address"]) in network
    addresses, routes, names = pod.networks()
    assert guest["address"] in addresses
    assert [line for line in before[1].splitlines() if line not in routes.splitlines()] == []
    assert routes.count("default") == 1  # its own way out, where it had one, is the one that stays
    podman.machine.run(["ping", "-c", "1", "-W", "5", guest["address"]])
    gateway = str(ipaddress.IPv4Interface(podman.segment()["address"]).ip)
    assert guest["address"] in pod.run("nslookup", f"{pod.name}.{DOMAIN}", gateway)
    if before[2]:
        assert names.splitlines()[:2] == [f"search {DOMAIN}", f"nameserver {gateway}"]
        assert guest["address"] in pod.run("nslookup", f"{pod.name}.{DOMAIN}")
    assert "has left" in pod.tarr("leave")
    wait_for(lambda: not pod.helpers(), 20, "end of its helper")
    assert pod.networks() == before
    assert podman.listed(pod.name) is None


def test_two_containers_meet_by_name(podman: Host, pods: Pods) -> None:
    one, two = pods("--cap-add=net_raw"), pods("--network=none")
    one.tarr("join")
    two.tarr("join", "--name", "db")
    one.run("ping", "-c", "1", "-W", "5", f"db.{DOMAIN}")
    assert podman.listed("db") is not None
    two.tarr("leave")
    assert podman.listed("db") is None


def test_a_container_of_roots(podman: Host, pods: Pods) -> None:
    pod = pods(user="root")
    before = pod.networks()
    told = pod.told("join")
    guest = podman.listed(pod.name)
    assert guest is not None
    assert (guest["kind"], guest["owner"], guest["mac"]) == ("podman", "root", told["mac"])
    assert told["nic"] is None
    podman.machine.run(["ping", "-c", "1", "-W", "5", guest["address"]])
    pod.refused(1, "refused", "join", "podman", pod.name, "--name", "another")
    pod.tarr("leave")
    wait_for(lambda: not pod.helpers(), 20, "end of its helper")
    assert pod.networks() == before


def test_a_container_in_a_user_namespace_of_its_own(podman: Host, pods: Pods) -> None:
    """Root keeps its name servers from outside of that; what it writes there itself does no harm."""
    podman.machine.sh("echo containers:2000000:1000000 | tee -a /etc/subuid >>/etc/subgid")
    pod = pods("--userns=auto:size=65536", user="root")
    before = pod.networks()
    assert pod.told("join")["warnings"] == []
    assert pod.networks()[2].startswith(f"search {DOMAIN}")
    pod.tarr("leave")
    wait_for(lambda: not pod.helpers(), 20, "end of its helper")
    assert pod.networks() == before
    pod.tarr("join")
    pod.run("sh", "-c", r"printf '\377\n' >>/etc/resolv.conf")
    pod.tarr("leave")
    wait_for(lambda: not pod.helpers(), 20, "end of its helper")
    assert podman.machine.run(["find", "/tmp", "-name", "vdenet-*", "-user", "root"]).stdout == ""


def test_the_same_numbers_elsewhere(podman: Host, pods: Pods) -> None:
    """A rootless network's veths are in a namespace of its own, where they may have the indexes of ports here."""
    containers(podman, "alice", "network", "create", "small")
    try:
        pods("--network=small")
        # Further on than the indexes that the host has.
        containers(podman, "alice", "unshare", "--rootless-netns", "sh", "-c",
                   "PATH=$PATH:/usr/sbin; for _ in $(seq 99); do ip link add x type bridge; ip link delete x; done")
        pod = pods("--network=small")
        end, far = (pod.run("cat", f"/sys/class/net/eth0/{file}").strip() for file in ("ifindex", "iflink"))
        podman.machine.sh("ip netns add elsewhere")
        podman.machine.sh(f"ip link add twin index {far} type veth peer name twin1 index {end} netns elsewhere")
        podman.machine.sh(f"ip link set twin master {SEGMENT}")
        assert pod.told("leave")["left"] is False
        assert pod.told("join")["changed"] is True
        pod.tarr("leave")
    finally:
        podman.machine.sh("ip link delete twin; ip netns delete elsewhere", check=False)
        containers(podman, "alice", "network", "rm", "--force", "--time=0", "small")


def test_networks_of_its_own(podman: Host, pods: Pods) -> None:
    """Their name service stays the one that it asks, and Podman can put it on further ones."""
    podman.machine.sh("podman network create one; podman network create two")
    pod = pods("--network=one", user="root")
    before = pod.networks()
    try:
        assert "name service of their own" in pod.tarr("join")
        assert pod.networks()[2] == before[2]
        pod.ask("network", "connect", "two", pod.name)
        assert podman.listed(pod.name) is not None
        pod.ask("network", "disconnect", "two", pod.name)
        pod.tarr("leave")
    finally:
        pod.remove()
        podman.machine.sh("podman network rm one two")


def test_it_ends_with_the_container(podman: Host, pods: Pods) -> None:
    pod = pods()
    told = pod.told("join")
    pod.ask("stop", "--time=0", pod.name)
    wait_for(lambda: podman.listed(pod.name) is None and not pod.helpers(), 30, "end of its port")
    assert f"podman start {pod.name}" in pod.refused(1, "refused", "join", "podman", pod.name)
    pod.ask("start", pod.name)
    again = pod.told("join")
    assert (again["name"], again["mac"]) == (told["name"], told["mac"])
    assert "has left" in pod.tarr("leave")


def test_a_network_that_outlives_the_container(podman: Host, pods: Pods) -> None:
    """That of another container, as of a pod: nothing of ours stays in it, and the container can join again."""
    other = pods()
    before = other.run("ip", "link")
    pod = pods("--network", f"container:{other.name}")
    told = pod.told("join")
    pod.ask("stop", "--time=0", pod.name)
    wait_for(lambda: not pod.helpers(), 30, "end of its helper")
    wait_for(lambda: podman.listed(pod.name) is None, 30, "end of its port")
    assert other.run("ip", "link").count("mtu") == before.count("mtu")
    pod.ask("start", pod.name)
    again = pod.told("join")
    assert (again["changed"], again["mac"]) == (True, told["mac"])
    assert (podman.listed(pod.name) or {})["address"] in pod.networks()[0]


def helpers(pod: Pod) -> list[str]:
    """The processes that hold its lease, by their numbers."""
    return [line.split()[0] for line in pod.helpers().splitlines()]


def test_a_helper_that_was_killed(podman: Host, pods: Pods) -> None:
    """Nobody renews the lease then; when it is over, the container joins again."""
    pod = pods()
    told = pod.told("join")
    podman.machine.run(["kill", "-KILL", *helpers(pod)])
    assert "already" in pod.tarr("join")
    inside = [line.split()[1] for line in pod.run("ip", "-4", "-o", "address").splitlines()]
    pid = pod.ask("inspect", "--format", "{{.State.Pid}}", pod.name).strip()
    port = next(name for name in inside if name.startswith("vd"))
    podman.machine.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-4", "address", "flush", "dev", port])
    assert "a veth into the network" in pod.tarr("join", "--dry-run")
    again = pod.told("join")
    assert (again["changed"], again["name"], again["mac"]) == (True, told["name"], told["mac"])
    assert (podman.listed(pod.name) or {})["address"] in pod.networks()[0]
    podman.machine.run(["kill", "-KILL", *helpers(pod)])
    podman.machine.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-4", "address", "flush", "dev", port])
    assert "has left" in pod.tarr("leave")
    assert podman.listed(pod.name) is None


@pytest.mark.parametrize("user", ["alice", "root"])
def test_both_are_idempotent(pods: Pods, user: str) -> None:
    pod = pods(user=user)
    assert "is not on" in pod.tarr("leave")
    pod.tarr("join")
    joined = pod.networks()
    assert "already" in pod.tarr("join")
    assert not pod.told("join")["changed"]
    assert pod.networks() == joined
    pod.tarr("leave")
    assert "is not on" in pod.tarr("leave")


@pytest.mark.parametrize(("user", "runs"), [("alice", True), ("root", False)], ids=["running", "stopped"])
def test_a_container_that_was_renamed_leaves_by_either_name(pods: Pods, user: str, runs: bool) -> None:
    renaming.leaves_by_either_name(pods(user=user), runs)


def test_a_container_that_was_renamed_is_the_same_guest(pods: Pods) -> None:
    renaming.is_the_same_guest(pods())


def test_a_container_by_the_old_name_of_one_that_was_renamed(pods: Pods) -> None:
    renaming.a_namesake_is_another(pods(), lambda name: pods(name=name))


def test_an_old_name_that_begins_anothers_id(pods: Pods) -> None:
    renaming.a_beginning_of_an_id_is_no_name(pods(), pods())


def test_a_word_that_begins_two_ids(pods: Pods) -> None:
    renaming.a_beginning_of_two_ids_is_no_name(pods())


@pytest.mark.parametrize("user", ["alice", "root"])
def test_dry_run_changes_nothing(pods: Pods, user: str) -> None:
    dry_run_changes_nothing(pods(user=user))


@pytest.mark.parametrize("user", ["alice", "root"])
def test_put_there_by_hand(pods: Pods, user: str) -> None:
    pod = pods("--network=none", user=user)
    is_recognised(pod, pod.name)


def test_the_daemon_may_start_anew(podman: Host, pods: Pods) -> None:
    pod = pods()
    pod.tarr("join")
    joined = pod.networks()
    podman.machine.run(["service", "vdenetd", "restart"])
    wait_for(lambda: podman.tarr("list", check=False).returncode == 0, 30, "daemon")
    assert pod.networks() == joined
    assert "already" in pod.tarr("join")
    assert "has left" in pod.tarr("leave")


def test_a_container_on_the_hosts_network(pods: Pods) -> None:
    pod = pods("--network=host")
    assert "uses the host's" in pod.refused(1, "refused", "join", "podman", pod.name)


def test_a_container_that_is_not_there(podman: Host, pods: Pods) -> None:
    pod = pods(user="root")
    for verb in ("join", "leave"):
        podman.refused(1, "no-guest", verb, "podman", "nobody", env=environment(podman, "alice"))
        podman.refused(1, "no-guest", verb, "podman", pod.name, env=environment(podman, "alice"))  # it is root's
        podman.refused(2, "bad-value", verb, "podman", "--", "--latest")


def test_another_members_container(podman: Host, pods: Pods) -> None:
    """Its namespace is not the caller's, so neither tarr-steps nor the daemon lets anyone in."""
    pod = pods()
    pid = pod.ask("inspect", "--format={{.State.Pid}}", pod.name).strip()
    tools = podman.machine.path("/tmp/lying")
    tools.mkdir(exist_ok=True)
    (tools / "podman").write_text(
        f'#!/bin/sh\necho \'[{{"Id": "x", "Name": "x", "State": {{"Running": true, "Pid": {pid}}}}}]\'\n')
    (tools / "podman").chmod(0o755)
    said = podman.refused(4, "not-permitted", "join", "podman", "x", user="bob",
                          env={"PATH": f"/tmp/lying:{os.defpath}:/usr/sbin:/sbin"})
    assert "hint: put sudo in front of it" in said
    assert podman.listed("x") is None


def test_without_podman(podman: Host) -> None:
    podman.machine.sh("mkdir -p /tmp/tools; ln -sf /usr/bin/* /tmp/tools/; rm -f /tmp/tools/podman")
    said = podman.refused(5, "tool-missing", "join", "podman", "x", env={"PATH": "/tmp/tools"})
    assert "apt install podman" in said


def test_no_address_leaves_nothing(pods: Pods) -> None:
    no_address_leaves_nothing(pods())


def test_a_container_that_ends_while_it_joins(podman: Host, pods: Pods) -> None:
    pod = pods()
    podman.machine.run(["pkill", "-STOP", "-x", "dnsmasq"])
    try:
        with ThreadPoolExecutor() as pool:
            joining = pool.submit(pod.refused, 1, "refused", "join", "podman", pod.name)
            wait_for(pod.helpers, 60, "its helper")
            pod.ask("kill", pod.name)
            assert "tarr-steps: cannot " in joining.result()
    finally:
        podman.machine.run(["pkill", "-CONT", "-x", "dnsmasq"])
    wait_for(lambda: not pod.helpers(), 20, "end of its helper")
    podman.tarr("join", "run", "--name", pod.name, "--", "true", user="bob")


def test_a_name_that_is_anothers_by_now(podman: Host, pods: Pods) -> None:
    """While a container is stopped, others may take its name; then its owner takes nobody's guest off, nor does root."""
    for one, other in (("alice", "root"), ("root", "alice")):
        mine, theirs = pods(user=one), pods(user=other)
        mine.tarr("join")
        mine.ask("stop", "--time=0", mine.name)
        wait_for(lambda name=mine.name: podman.listed(name) is None, 30, "end of its port")  # type: ignore[misc]
        mac = theirs.told("join", "--name", mine.name)["mac"]
        mine.ask("start", mine.name)
        mine.refused(1, "name-taken", "join", "podman", mine.name)
        mine.tarr("join", "--name", f"{mine.name}b")
        mine.tarr("leave")
        guest = podman.listed(mine.name)
        assert guest is not None
        assert (guest["mac"], guest["owner"]) == (mac, other)
        theirs.tarr("leave")


def test_two_joins_at_once(podman: Host, pods: Pods) -> None:
    pod = pods()
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _number: pod.tarr("join"), range(3)))
    assert sum("already" in said for said in done) == 2
    assert len(pod.helpers().splitlines()) == 1
    pod.tarr("leave")


@pytest.mark.parametrize("user", ["alice", "root"])
def test_while_the_segment_is_down(podman: Host, pods: Pods, user: str) -> None:
    pod = pods(user=user)
    before = pod.networks()
    podman.tarr("stop")
    try:
        pod.refused(1, "segment-down", "join", "podman", pod.name)
        assert pod.networks() == before
        assert "is not on" in pod.tarr("leave")
    finally:
        podman.tarr("start")


def test_into_a_vlan(podman: Host, pods: Pods) -> None:
    pod = pods()
    assert "has no VLANs" in pod.refused(2, "bad-value", "join", "podman", pod.name, "--vlan", "33")
    known = podman.remembered("alice")
    with podman.vlan():
        assert f"{SEGMENT}, VLAN 33: a veth into" in pod.tarr("join", "--vlan", "33", "--dry-run")
    assert podman.remembered("alice") == known
    pod.tarr("join")
    with podman.vlan():
        said = pod.refused(1, "refused", "join", "podman", pod.name, "--vlan", "33")
        assert "already, in another VLAN" in said and f"hint: tarr-steps leave podman {pod.name}\n" in said
    pod.tarr("leave")

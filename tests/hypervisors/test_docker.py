"""join docker, on the real server and real containers, which are root's."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.machine import wait_for

from . import renaming
from .conftest import DOMAIN, SEGMENT, Host
from .pods import Pod, dry_run_changes_nothing, is_recognised, no_address_leaves_nothing

Boxes = Callable[..., "Box"]


class Box(Pod):
    """A container of Docker's."""

    kind = "docker"
    options = ()


@pytest.fixture
def boxes(docker: Host) -> Iterator[Boxes]:
    made: list[Box] = []

    def make(*options: str, name: str | None = None) -> Box:
        made.append(Box(docker, "root", *options, name=name))
        return made[-1]
    yield make
    for box in made:
        box.remove()


@pytest.mark.parametrize("options", [(), ("--network=none",)], ids=["default", "none"])
def test_a_container_joins_and_leaves_live(docker: Host, boxes: Boxes, options: tuple[str, ...]) -> None:
    box = boxes(*options)
    before = box.networks()
    assert "is not on" in box.tarr("leave")
    told = box.told("join")
    assert (told["changed"], told["via"], told["live"], told["running"]) == (True, "veth", True, True)
    guest = docker.listed(box.name)
    assert guest is not None
    assert (guest["kind"], guest["via"], guest["mac"], guest["owner"]) == ("docker", "veth", told["mac"], "root")
    network = ipaddress.IPv4Interface(docker.segment()["address"]).network
    assert ipaddress.IPv4Address(guest["address"]) in network
    joined = box.networks()
    assert f"vd0 inet {guest['address']}" in joined[0]
    assert [line for line in before[1].splitlines() if line not in joined[1].splitlines()] == []
    assert joined[1].count("default") == 1  # its own way out, where it had one, is the one that stays
    docker.machine.run(["ping", "-c", "1", "-W", "5", guest["address"]])
    if before[2]:
        assert guest["address"] in box.run("nslookup", f"{box.name}.{DOMAIN}")
    assert "already" in box.tarr("join")
    assert box.networks() == joined
    assert "has left" in box.tarr("leave")
    wait_for(lambda: not box.helpers(), 20, "end of its helper")
    assert box.networks() == before
    assert docker.listed(box.name) is None


def test_dry_run_changes_nothing(boxes: Boxes) -> None:
    dry_run_changes_nothing(boxes())


def test_no_address_leaves_nothing(boxes: Boxes) -> None:
    no_address_leaves_nothing(boxes())


def test_put_there_by_hand(boxes: Boxes) -> None:
    """Its own process on the host has no more of it than the number."""
    box = boxes("--network=none")
    is_recognised(box, box.ask("inspect", "--format={{.Id}}", box.name)[:12])


def test_networks_of_its_own(docker: Host, boxes: Boxes) -> None:
    """Their name service stays the one that it asks, and Docker can put it on further ones."""
    docker.machine.sh("docker network create one; docker network create two")
    box, other = boxes("--network=one"), boxes("--network=one")
    before = box.networks()
    try:
        assert "name service of their own" in box.tarr("join")
        assert box.networks()[2] == before[2]
        box.run("ping", "-c", "1", "-W", "5", other.name)
        box.ask("network", "connect", "two", box.name)
        box.ask("network", "disconnect", "two", box.name)
        assert docker.listed(box.name) is not None
        box.tarr("leave")
        assert box.networks() == before
    finally:
        for each in (box, other):
            each.remove()
        docker.machine.sh("docker network rm one two")


def test_it_ends_with_the_container(docker: Host, boxes: Boxes) -> None:
    box = boxes()
    told = box.told("join")
    box.ask("stop", "--time=0", box.name)
    wait_for(lambda: docker.listed(box.name) is None and not box.helpers(), 30, "end of its port")
    assert f"docker start {box.name}" in box.refused(1, "refused", "join", "docker", box.name)
    box.ask("start", box.name)
    again = box.told("join")
    assert (again["name"], again["mac"]) == (told["name"], told["mac"])
    assert "has left" in box.tarr("leave")


def test_a_container_that_was_renamed_leaves_by_either_name(boxes: Boxes) -> None:
    renaming.leaves_by_either_name(boxes(), runs=True)


def test_a_container_that_was_renamed_is_the_same_guest(boxes: Boxes) -> None:
    renaming.is_the_same_guest(boxes())


def test_a_container_by_the_old_name_of_one_that_was_renamed(boxes: Boxes) -> None:
    renaming.a_namesake_is_another(boxes(), lambda name: boxes(name=name))


def test_an_old_name_that_begins_anothers_id(boxes: Boxes) -> None:
    renaming.a_beginning_of_an_id_is_no_name(boxes(), boxes())


def test_a_word_that_begins_two_ids(boxes: Boxes) -> None:
    renaming.a_beginning_of_two_ids_is_no_name(boxes())


def test_a_container_that_is_not_there(boxes: Boxes) -> None:
    box = boxes()
    for verb in ("join", "leave"):
        box.refused(1, "no-guest", verb, "docker", "nobody")
        box.refused(2, "bad-value", verb, "docker", "--", "--latest")


def test_members_are_told_that_it_is_roots(docker: Host, boxes: Boxes) -> None:
    """Also one whom Docker lets in."""
    box = boxes()
    docker.machine.run(["usermod", "--append", "--groups=docker", "alice"])
    for user in ("alice", "bob"):
        for verb in ("join",) if user == "alice" else ("join", "leave"):
            assert "put sudo in front of it" in docker.refused(4, "not-permitted", verb, "docker", box.name, user=user)
    assert docker.listed(box.name) is None


def test_without_docker_or_its_server(docker: Host, boxes: Boxes) -> None:
    box = boxes()
    docker.machine.sh("mkdir -p /tmp/tools; ln -sf /usr/bin/* /tmp/tools/; rm -f /tmp/tools/docker")
    said = docker.refused(5, "tool-missing", "join", "docker", box.name, user="root", env={"PATH": "/tmp/tools"})
    assert "apt install docker" in said
    said = docker.refused(5, "tool-failed", "join", "docker", box.name, user="root",
                          env={"DOCKER_HOST": "unix:///run/nothing.sock", "PATH": f"{os.defpath}:/usr/sbin:/sbin"})
    assert "Cannot connect to the Docker daemon" in said


def test_two_joins_at_once_and_while_the_segment_is_down(docker: Host, boxes: Boxes) -> None:
    box = boxes()
    before = box.networks()
    docker.tarr("stop")
    try:
        box.refused(1, "segment-down", "join", "docker", box.name)
        assert box.networks() == before
        assert "is not on" in box.tarr("leave")
    finally:
        docker.tarr("start")
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _number: box.tarr("join"), range(3)))
    assert sum("already" in said for said in done) == 2
    assert len(box.helpers().splitlines()) == 1


def test_into_a_vlan(docker: Host, boxes: Boxes) -> None:
    box = boxes()
    assert "has no VLANs" in box.refused(2, "bad-value", "join", "docker", box.name, "--vlan", "33")
    known = docker.remembered("root")
    with docker.vlan():
        assert f"{SEGMENT}, VLAN 33: a veth into" in box.tarr("join", "--vlan", "33", "--dry-run")
    assert docker.remembered("root") == known

"""Evidence of a host, put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.text.programs import Runs
from vdenet.text.recognition import NOBODY, Identity, Program, Sighting, identify

ALICE, BOB, QEMU = 1000, 1001, 64055
MAC = "52:54:00:8a:1b:2c"
VBOX_MAC = "08:00:27:8a:1b:2c"


def qemu(pid: int, uid: int, guest: str = "web", *, mac: str = "", tap: str = "", kind: str = "qemu") -> Program:
    return Program(pid, uid, Runs(kind, guest, macs=frozenset({mac} - {""}), taps=frozenset({tap} - {""})))


def container(pid: int, uid: int, kind: str, *inside: int) -> Program:
    return Program(pid, uid, Runs(kind, "web", contains=True), frozenset(inside))


def vbox(pid: int, uid: int, guest: str = "debian9") -> Program:
    return Program(pid, uid, Runs("virtualbox", guest))


@pytest.mark.parametrize("kind", ["lxc", "incus", "nspawn", "podman", "docker"])
def test_a_container_is_known_by_its_namespace(kind: str) -> None:
    seen = Sighting(MAC, "veth7f3a", "veth", namespace=3)
    programs = [container(10, ALICE, "lxc", 2), container(11, 0, kind, 3, 5), qemu(12, BOB, mac=MAC)]
    assert identify(seen, programs) == Identity(kind, "web", 0)
    assert identify(seen, programs[:1]) == NOBODY
    assert identify(Sighting(MAC, "veth7f3a", "veth"), programs) == NOBODY
    # One process runs another in the namespace of both: rather nobody than the wrong one.
    assert identify(seen, [*programs, container(13, 0, "podman", 3)]) == NOBODY


@pytest.mark.parametrize("port, expected", [
    ("veth1000_aB3x", Identity("lxc", None, ALICE)), ("vethaB3xYz", NOBODY),
    ("vb-web", Identity("nspawn", "web", None)), ("vb-a-name-of-15", NOBODY)])
def test_ports_that_say_whose_they_are(port: str, expected: Identity) -> None:
    assert identify(Sighting(MAC, port, "veth", namespace=9), []) == expected


def test_a_client_of_the_switch() -> None:
    seen = Sighting(VBOX_MAC, "vdenet0-vde", "vde", uid=ALICE, client=10)
    assert identify(seen, [vbox(10, ALICE), vbox(11, ALICE, "other")]) == Identity("virtualbox", "debian9", ALICE)
    # Another account's number: then only what else there is of its own.
    assert identify(seen, [vbox(10, BOB), vbox(11, ALICE, "other")]) == Identity("virtualbox", "other", ALICE)
    assert identify(seen, [qemu(10, BOB, mac=VBOX_MAC)]) == NOBODY
    assert identify(Sighting(MAC, "vdenet0-vde", "vde", uid=ALICE, client=10), [vbox(11, ALICE)]) == NOBODY


def test_a_client_of_the_switch_that_says_no_number() -> None:
    seen = Sighting(MAC, "vdenet0-vde", "vde", uid=ALICE)
    assert identify(seen, [qemu(10, ALICE, mac=MAC), qemu(11, BOB, mac=MAC)]) == Identity("qemu", "web", ALICE)


def test_a_tap() -> None:
    seen = Sighting(MAC, "tap7", "tap", uid=ALICE)
    by_name = qemu(10, ALICE, tap="tap7")
    assert identify(seen, [by_name, qemu(11, ALICE, "other", mac=MAC)]) == Identity("qemu", "web", ALICE)
    assert identify(seen, [qemu(10, BOB, tap="tap7", mac=MAC)]) == NOBODY  # it cannot hold it
    assert identify(seen, [qemu(10, 0, tap="tap7")]) == Identity("qemu", "web", 0)  # root can
    of_root = Sighting(MAC, "vnet3", "tap")
    assert identify(of_root, [qemu(10, QEMU, mac=MAC, kind="libvirt")]) == Identity("libvirt", "web", QEMU)
    assert identify(of_root, [qemu(10, QEMU, mac=MAC), qemu(11, ALICE, mac=MAC)]) == NOBODY
    # Only by the MAC's maker nothing on a tap is known: any QEMU can have it.
    assert identify(Sighting(VBOX_MAC, "tap7", "tap"), [vbox(10, ALICE)]) == NOBODY


def test_bridged_without_a_port() -> None:
    seen = Sighting(VBOX_MAC)
    assert identify(seen, [vbox(10, ALICE), qemu(11, BOB)]) == Identity("virtualbox", "debian9", ALICE)
    assert identify(seen, [vbox(10, ALICE), vbox(11, ALICE, "b")]) == Identity("virtualbox", None, ALICE)
    assert identify(seen, [vbox(10, ALICE), vbox(11, BOB, "b")]) == Identity("virtualbox", None, None)
    assert identify(seen, [qemu(11, BOB)]) == NOBODY
    assert identify(Sighting("00:0c:29:00:00:01"), [Program(10, ALICE, Runs("vmware", "Debian"))]) == Identity(
        "vmware", "Debian", ALICE)
    assert identify(Sighting("02:00:00:00:00:01"), [vbox(10, ALICE)]) == NOBODY
    # Its owner is known from the book: another's machine is not taken for it.
    assert identify(Sighting(VBOX_MAC, uid=ALICE), [vbox(10, ALICE), vbox(11, BOB, "b")]) == Identity(
        "virtualbox", "debian9", ALICE)


def test_one_of_several_that_are_bridged_is_known_by_the_name_it_joined_under() -> None:
    two = [vbox(10, ALICE, "Web server"), vbox(11, ALICE, "b")]
    assert identify(Sighting(VBOX_MAC, uid=ALICE, name="web-server"), two) == Identity("virtualbox", "Web server", ALICE)
    # It may have joined under another name than its own.
    assert identify(Sighting(VBOX_MAC, uid=ALICE, name="c"), two) == Identity("virtualbox", None, ALICE)
    assert identify(Sighting(VBOX_MAC, uid=ALICE, name="b"), [*two, vbox(12, ALICE, "B")]) == Identity(
        "virtualbox", None, ALICE)
    assert identify(Sighting(VBOX_MAC, uid=ALICE, name="b"), [*two, vbox(12, BOB, "b")]) == Identity(
        "virtualbox", "b", ALICE)


PROGRAMS = st.builds(
    Program, st.integers(1, 5), st.sampled_from([0, ALICE, BOB]),
    st.builds(Runs, st.sampled_from(["qemu", "virtualbox", "lxc"]), st.sampled_from([None, "a", "b"]),
              st.frozensets(st.sampled_from([MAC, VBOX_MAC])), st.frozensets(st.just("tap7")), st.booleans()),
    st.frozensets(st.integers(0, 3)))


@given(st.builds(Sighting, st.sampled_from([MAC, VBOX_MAC]), st.sampled_from([None, "tap7", "veth1"]),
                 st.sampled_from(["tap", "veth", "vde", "unknown"]), st.sampled_from([None, ALICE]),
                 st.none() | st.integers(0, 3), st.none() | st.integers(1, 5)), st.lists(PROGRAMS))
def test_nobody_speaks_for_another_accounts_port(seen: Sighting, programs: list[Program]) -> None:
    found = identify(seen, programs)
    if seen.uid is not None and seen.via != "veth":
        assert found.uid in (None, seen.uid, *([0] if seen.via == "tap" else []))

"""Who gets a port: what the book must not lose sight of, else the quota counts too few."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon import admission, joining, whereabouts
from vdenet.daemon.admission import Asked
from vdenet.daemon.engine import Engine
from vdenet.daemon.guests import Guest, GuestBook
from vdenet.daemon.joining import Opened
from vdenet.daemon.members import Caller
from vdenet.daemon.whereabouts import Place, Plugged
from vdenet.errors import BadValue, MacTaken, NameTaken, QuotaExceeded, Refused
from vdenet.model.observed import Link
from vdenet.model.places import Places
from vdenet.model.policy import DEFAULT, Policy
from vdenet.model.segment import Host, Vlan
from vdenet.model.wanted import alias, guest_alias
from vdenet.text.vde import Client

ALICE, BOB = Caller(1000, "alice"), Caller(1001, "bob")
ANY = Asked(None, None, None)


class Machine:
    """The engine, as far as joining asks it, and the interfaces of a kernel."""

    def __init__(self, places: Places) -> None:
        self.lock = threading.RLock()
        self.places = places
        self.configuration = self.netlink = self
        self.links = {PLAIN.bridge: Link(PLAIN.bridge, 1, "02:00:00:00:00:01", 1500, True, True, "bridge")}
        Path(places.state("lab")).mkdir()
        self._book, self._beside = GuestBook(PLAIN.name, places), GuestBook("lab", places)
        self.let_go_of: list[str] = []
        self.whereabouts: dict[str, dict[str, Place]] = {}
        self.heard: dict[str, str] = {}
        self.most = DEFAULT.guests

    def names(self) -> list[str]:
        return ["lab", PLAIN.name]

    def leases(self, _segment: object) -> list[object]:
        return []

    def policy(self) -> Policy:
        return replace(DEFAULT, guests=self.most)

    def book(self, segment: str) -> GuestBook:
        return self._beside if segment == "lab" else self._book

    def follow_guests(self, _segment: object) -> None:
        self._book.follow_ports(self.links)

    def follow_ports(self, segment: str, there: dict[str, Link]) -> None:
        self.book(segment).follow_ports(there)

    def labels(self, _segment: object) -> frozenset[str]:
        return frozenset()

    def bring_up(self, _segment: object) -> None:
        pass

    def departed(self, _segment: object, _mac: str) -> None:
        pass

    def let_go(self, _segment: object, port: str) -> None:
        self.let_go_of.append(port)

    def set(self, name: str, **_values: object) -> None:
        pass

    def part(self, name: str, _mark: str, _after: str) -> None:
        self.links.pop(name, None)

    def open_kept(self, name: str, owner: int) -> None:
        if name not in self.links:
            os.close(self.open(name, owner, vnet_hdr=False))

    def open(self, name: str, owner: int, vnet_hdr: bool) -> int:
        self.links[name] = Link(name, len(self.links) + 1, "02:00:00:00:00:02", 1500, True, True, "tap", owner=owner)
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


@pytest.fixture
def machine(places: Places, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(places)
    monkeypatch.setattr(joining.links, "links", lambda: made.links)
    monkeypatch.setattr(joining.links, "link", made.links.get)
    monkeypatch.setattr(joining.links, "heard", lambda _bridge: dict(made.heard))
    monkeypatch.setattr(joining.tun, "open_tap", made.open)
    monkeypatch.setattr(joining.tun, "open_vhost", lambda: None)
    return made


def tap(machine: Machine, asked: Asked, caller: Caller = ALICE) -> Opened:
    opened = joining.open_tap(cast(Engine, machine), PLAIN, caller, asked)
    for fd in opened.fds:
        os.close(fd)
    return opened


def reserve(machine: Machine, asked: Asked) -> dict[str, Any]:
    return joining.reserve(cast(Engine, machine), PLAIN, ALICE, asked)


def test_a_port_that_is_there_is_never_forgotten(machine: Machine) -> None:
    first = tap(machine, Asked("web", None, None))
    for again in (reserve, tap):
        with pytest.raises(NameTaken, match="your guest of that name"):
            again(machine, Asked("web", None, None))
        with pytest.raises(MacTaken, match="your guest web has it"):
            again(machine, Asked("shop", first.guest.mac, None))
    assert machine.book("").all() == [first.guest]
    del machine.links[first.port]
    assert tap(machine, Asked("web", None, None)).guest == first.guest


@pytest.mark.parametrize("way", [reserve, tap, lambda machine, asked: keep(machine, asked)], ids=["reserve", "tap", "keep"])
def test_a_guest_of_another_kind_holds_its_name_and_its_mac(machine: Machine, way: Callable[..., object]) -> None:
    """Also while it is off, or where it has no port that could be seen: two cards would have one MAC."""
    for kind, join in (("virtualbox", reserve), ("libvirt", keep), ("lxc", hand)):
        mac = f"52:54:00:00:00:{len(kind):02x}"
        join(machine, Asked(kind, mac, kind, 33 if join is hand else None))
        machine.links.pop(f"vd0-{kind}", None)
        before = machine.book("").all()
        for asked, error in ((Asked(kind, None, "run"), NameTaken), (Asked("new", mac, "run"), MacTaken)):
            with pytest.raises(error) as caught:
                way(machine, asked)
            assert (caught.value.data["kind"], caught.value.data["guest"], caught.value.data["segment"]) == (kind, kind, None)
        assert machine.book("").all() == before


def test_so_many_guests_of_all_segments(machine: Machine, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has ended, by a book that nobody followed yet, is no reason to say no; nor is a book that cannot be
    written one for another error."""
    machine.most = 1
    machine.book("lab").enter(Guest("web", "52:54:00:00:00:01", "qemu", ALICE.uid, port="vdlab-web"))
    machine.links["vdlab-web"] = machine.links[PLAIN.bridge]
    with pytest.raises(QuotaExceeded, match="limit of 1 guests"):
        tap(machine, Asked("web", None, None))
    del machine.links["vdlab-web"]
    with monkeypatch.context() as patched:
        patched.setattr(machine.book("lab"), "follow_ports", raising)
        with pytest.raises(QuotaExceeded, match="limit of 1 guests"):
            tap(machine, Asked("web", None, None))
    assert tap(machine, Asked("web", None, None)).port == "vd0-web"


def raising(_there: object) -> None:
    raise Refused(what="write the book", why="the disk is full")


def test_a_guest_of_another_kind_whose_program_has_ended_holds_nothing(machine: Machine) -> None:
    """Although the book has not been told yet that its port is gone."""
    first = tap(machine, Asked("web", None, "run"))
    del machine.links[first.port]
    assert machine.book("").all() == [first.guest]
    assert tap(machine, Asked("web", None, "qemu")).guest == replace(first.guest, kind="qemu")
    del machine.links[first.port]
    reserve(machine, Asked("web", None, "virtualbox"))
    assert [guest.kind for guest in machine.book("").all()] == ["virtualbox"]
    assert reserve(machine, Asked("web", "52:54:00:00:00:01", "virtualbox"))["name"] == "web", "its successor"


def test_a_name_that_is_chosen_is_none_that_is_held(machine: Machine) -> None:
    keep(machine, ANY)
    hand(machine, Asked(None, None, "lxc", 33))
    machine.links.clear()
    machine.links[PLAIN.bridge] = Link(PLAIN.bridge, 1, "02:00:00:00:00:01", 1500, True, True, "bridge")
    assert tap(machine, ANY).guest.name == "alice-3"


def test_so_many_ports_and_no_more(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_TAPS", 3)
    opened = [tap(machine, ANY) for _nth in range(3)]
    assert [one.guest.name for one in opened] == ["alice-1", "alice-2", "alice-3"]
    with pytest.raises(QuotaExceeded):
        tap(machine, ANY)
    tap(machine, ANY, BOB)
    del machine.links[opened[1].port]
    assert tap(machine, ANY).guest == opened[1].guest


def test_what_is_kept_for_a_guest_counts_while_it_is_not_there(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it comes back with its segment, of which there may be several."""
    monkeypatch.setattr(admission, "MAX_TAPS", 4)
    monkeypatch.setattr(admission.switch, "active_ports", lambda _segment, _places: set())
    keep(machine, Asked("one", None, None))
    hand(machine, Asked("two", None, "lxc", 33))
    plug(machine, Asked("three", None, None, 33))
    machine.book("lab").enter(Guest("four", "52:54:00:00:00:04", "qemu", ALICE.uid, "vd28f5-four", kept=True))
    machine.links = {PLAIN.bridge: machine.links[PLAIN.bridge]}
    for way in (tap, keep, lambda machine, asked: hand(machine, replace(asked, vlan=33)),
                lambda machine, asked: plug(machine, replace(asked, vlan=33))):
        with pytest.raises(QuotaExceeded, match="4 ports"):
            way(machine, Asked("five", None, None))
    assert reserve(machine, Asked("five", None, None))["port"] is None, "it takes none"
    tap(machine, Asked("bobs", None, None), BOB)
    hand(machine, Asked("two", None, "lxc", 44))
    plug(machine, Asked("three", None, None, 44))
    keep(machine, Asked("one", None, None))
    with pytest.raises(QuotaExceeded):
        tap(machine, Asked("six", None, None))


def plug(machine: Machine, asked: Asked, caller: Caller = ALICE) -> int:
    return int(joining.reserve(cast(Engine, machine), LAB, caller, asked, plug=True)["vde_port"])


def test_nobody_has_all_of_the_switchs_ports(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission.switch, "active_ports", lambda _segment, _places: set())
    share = LAB.switch_ports // 8
    for number in range(share):
        plug(machine, Asked(f"a{number}", None, None, 33))
    with pytest.raises(QuotaExceeded, match=f"{share} ports of the VDE switch"):
        plug(machine, Asked("one-more", None, None, 33))
    assert plug(machine, Asked("a0", None, None, 44)) == LAB.switch_ports - 1, "its own again"
    plug(machine, Asked("bobs", None, None, 33), BOB)
    for number in range(share + 1):
        plug(machine, Asked(f"r{number}", None, None, 33), Caller(0, "root"))
    joining.leave(cast(Engine, machine), LAB, ALICE, "a1", None)
    plug(machine, Asked("one-more", None, None, 33))


def test_a_port_that_is_kept_on_another_segment_is_nobody_elses(machine: Machine) -> None:
    """Two segments may name their ports alike; its tap is away while that segment is stopped."""
    beside = Guest("web", "52:54:00:00:00:04", "qemu", BOB.uid, "vd28f5-web", kept=True)
    machine.book("lab").enter(beside)
    machine.book("lab").enter(replace(beside, name="shop", mac="52:54:00:00:00:05", port="vd28f5-shop", kept=False, handed=True))
    like = replace(LAB, name="lab2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission.names, "port_prefix", lambda _segment: "vd28f5-")
        for name in ("web", "shop"):
            assert admission.free_port(cast(Engine, machine), like, name) == f"vd28f5-{name}-2"


@pytest.mark.parametrize("way", ["keep", "hand"])
def test_a_port_that_has_become_another_segments_is_not_given_again(machine: Machine, way: str) -> None:
    asked = Asked("web", None, "lxc", 33)
    kept = machine.book("").all
    hand(machine, asked) if way == "hand" else keep(machine, replace(asked, vlan=None))
    before = kept()
    veth(machine, "vd0-web", alias=guest_alias("lab"))
    with pytest.raises(NameTaken, match="cannot use the name vd0-web: another segment has a port of that name"):
        hand(machine, asked) if way == "hand" else keep(machine, replace(asked, vlan=None))
    assert kept() == before


def veth(machine: Machine, name: str, mac: str | None = None, **more: Any) -> None:
    link = Link(name, len(machine.links) + 1, "fe:00:00:00:00:01", 1500, True, True, "veth", master=PLAIN.bridge)
    machine.links[name] = replace(link, **more)
    if mac is not None:
        machine.heard[mac] = name


def test_two_guests_that_run_do_not_get_one_mac(machine: Machine) -> None:
    """A container that has left is on the bridge until it ends."""
    mac = reserve(machine, Asked("web", None, "lxc"))["mac"]
    joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    veth(machine, "veth7", mac)
    for way, kind in ((tap, "run"), (tap, "podman"), (keep, "qemu"), (reserve, "qemu")):
        with pytest.raises(NameTaken, match=f"cannot use the name web: a guest on veth7 runs with its MAC address {mac}"):
            way(machine, Asked("web", None, kind))
    assert machine.book("").all() == []
    tap(machine, Asked("web", None, "run"), BOB)
    joining.leave(cast(Engine, machine), PLAIN, BOB, "web", None)
    assert reserve(machine, Asked("web", None, "lxc"))["mac"] == mac, "the same guest"
    assert reserve(machine, Asked("web", mac, "lxc"))["mac"] == mac
    joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    assert keep(machine, Asked("web", mac, "libvirt")).guest.mac == mac, "its hypervisor has that MAC"
    joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    machine.heard.clear()
    tap(machine, Asked("web", None, "run"))


def test_what_another_users_port_sends_keeps_no_name_from_a_member(machine: Machine) -> None:
    mac = reserve(machine, Asked("web", None, "lxc"))["mac"]
    joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    for link in ({"owner": BOB.uid, "kind": "tap"}, {"alias": guest_alias(PLAIN.name)}, {"master": "virbr0"}):
        veth(machine, "veth7", mac, **link)
        tap(machine, Asked("web", None, "run"))
        joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    machine.heard.clear()
    veth(machine, "veth7", mac=None)
    machine.links["veth7"] = replace(machine.links["veth7"], mac=mac)
    with pytest.raises(NameTaken, match="on veth7"):
        tap(machine, Asked("web", None, "run"))


@pytest.mark.parametrize(("uid", "taken"), [(ALICE.uid, True), (BOB.uid, False)])
def test_a_guest_on_the_switch_has_its_mac_until_it_is_unplugged(
        machine: Machine, monkeypatch: pytest.MonkeyPatch, uid: int, taken: bool) -> None:
    mac = reserve(machine, Asked("web", None, "qemu"))["mac"]
    joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    veth(machine, PLAIN.tap, mac, kind="tap", owner=999, alias=alias(PLAIN.name))
    plugged = Plugged({4: Client(uid, 4711)}, {mac: 4})
    monkeypatch.setattr(whereabouts, "_ask", lambda _engine, _segment: plugged)
    for way, kind in ((tap, "run"), (reserve, "lxc")):
        if taken:
            with pytest.raises(NameTaken, match="a guest on port 4 of the VDE switch runs"):
                way(machine, Asked("web", None, kind))
        else:
            way(machine, Asked("web", None, kind))
            joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    assert reserve(machine, Asked("web", None, "qemu"))["mac"] == mac, "the same guest"
    joining.leave(cast(Engine, machine), PLAIN, ALICE, "web", None)
    plugged = Plugged({}, {})  # the bridge has not forgotten yet
    tap(machine, Asked("web", None, "run"))


def test_a_tap_that_is_there_and_nobodys_is_not_put_into_a_vlan(machine: Machine) -> None:
    """Where the file has a VLAN for a name only, and a member says whose name it is."""
    file = replace(LAB, hosts=(Host(None, "web", vlan=33), Host("52:54:00:00:00:07", "shop", vlan=33)))
    mac = "52:54:00:aa:bb:cc"

    def say(asked: Asked, caller: Caller = ALICE) -> dict[str, Any]:
        return joining.reserve(cast(Engine, machine), file, caller, asked)

    say(Asked("web", mac, "libvirt"))
    veth(machine, "vnet0", kind="tap", mac=None)
    machine.links["vnet0"] = replace(machine.links["vnet0"], mac="fe:54:00:aa:bb:cc")
    assert say(Asked("web", mac, "libvirt"))["vlan"] == 33, "it was hers before"
    joining.leave(cast(Engine, machine), file, ALICE, "web", None)
    with pytest.raises(Refused, match=f"cannot put web into a VLAN: {mac} is on vnet0 already"):
        say(Asked("web", mac, "libvirt"))
    assert machine.book("").all() == []
    assert say(Asked("other", mac, "libvirt", 33))["vlan"] == 33, "her word alone moves it nowhere (`memberships`)"
    joining.leave(cast(Engine, machine), file, ALICE, "other", None)
    machine.links["vnet0"] = replace(machine.links["vnet0"], owner=ALICE.uid)
    assert say(Asked("web", mac, "libvirt"))["vlan"] == 33
    joining.leave(cast(Engine, machine), file, ALICE, "web", None)
    machine.links["vnet0"] = replace(machine.links["vnet0"], owner=None)
    assert say(Asked("web", mac, "libvirt"), Caller(0, "root"))["vlan"] == 33
    machine.links["vnet0"] = replace(machine.links["vnet0"], mac="fe:54:00:00:00:07")
    assert say(Asked("shop", "52:54:00:00:00:07", "libvirt"))["vlan"] == 33, "the file says whose it is"


def test_a_guest_that_comes_by_itself_keeps_the_name_that_was_chosen(machine: Machine) -> None:
    """Its card is on the VDE switch: a second with its MAC would fight it."""
    named = [reserve(machine, ANY)["name"], tap(machine, ANY).guest.name, reserve(machine, ANY)["name"]]
    assert named == ["alice-1", "alice-2", "alice-3"]


def test_a_port_belongs_to_one_guest(machine: Machine) -> None:
    """Names of interfaces are short: another guest may get that of one that has just gone."""
    long = "a-name-too-long-for-a-port"
    gone = tap(machine, Asked(long, None, None))
    del machine.links[gone.port]
    there = tap(machine, Asked(f"{long}-2", None, None), BOB)
    assert there.port == gone.port
    assert machine.book("").find(long) == replace(gone.guest, port=None)
    assert machine.book("").by_port(there.port) == there.guest


def test_the_port_of_a_kept_guest_is_its_own_even_when_it_is_away(machine: Machine) -> None:
    kept = joining.keep_tap(cast(Engine, machine), PLAIN, ALICE, Asked("a-name-too-long-for-a-port", None, None))
    assert tap(machine, Asked("a-name-too-long-for-another", None, None), BOB).port != kept.port


LAB = replace(PLAIN, vlans=(Vlan(33), Vlan(44)))
"""With VLANs."""


def hand(machine: Machine, asked: Asked, caller: Caller = ALICE) -> dict[str, Any]:
    return joining.reserve(cast(Engine, machine), LAB, caller, asked, handed=True)


def test_a_port_is_handed_over_only_for_a_vlan(machine: Machine) -> None:
    assert hand(machine, Asked("web", None, "lxc"))["port"] is None
    first = hand(machine, Asked("web", None, "lxc", 33))
    assert (first["port"], first["vlan"]) == ("vd0-web", 33)
    machine.links["vd0-web"] = Link("vd0-web", 9, "fe:00:00:00:00:01", 1500, True, True, "veth")
    moved = hand(machine, Asked("web", None, "lxc", 44))
    assert (moved["port"], moved["mac"], moved["vlan"]) == ("vd0-web", first["mac"], 44)
    renamed = hand(machine, Asked("shop", first["mac"], "lxc", 44))
    assert renamed["port"] == "vd0-web"
    assert [guest.name for guest in machine.book("").all()] == ["shop"]
    assert machine.let_go_of == []
    hand(machine, Asked("shop", first["mac"], "lxc"))
    assert machine.let_go_of == ["vd0-web"]


def test_a_container_that_has_another_mac_on_its_own_port_goes_back(machine: Machine) -> None:
    """nspawn's: one for host0, and one for the veth that was made for its VLAN and is there while it runs."""
    extra, host0 = "52:54:00:00:00:01", "52:54:00:00:00:02"
    for _again in range(2):
        assert hand(machine, Asked("web", extra, "nspawn", 33))["port"] == "vd0-web"
        machine.links["vd0-web"] = Link("vd0-web", 9, "fe:00:00:00:00:01", 1500, True, True, "veth")
        said = hand(machine, Asked("web", host0, "nspawn"))
        assert (said["mac"], said["port"], said["vlan"]) == (host0, None, None)
        assert [(guest.name, guest.mac) for guest in machine.book("").all()] == [("web", host0)]
        assert machine.let_go_of == ["vd0-web"]
        machine.let_go_of.clear()
        del machine.links["vd0-web"]  # started anew
    hand(machine, Asked("web", extra, "nspawn", 33))
    with pytest.raises(NameTaken, match="your nspawn guest of that name"):
        hand(machine, Asked("web", host0, "lxc"))
    hand(machine, Asked("shop", "52:54:00:00:00:03", "lxc", 33))
    machine.links["vd0-shop"] = Link("vd0-shop", 10, "fe:00:00:00:00:01", 1500, True, True, "veth")
    with pytest.raises(NameTaken, match="your guest of that name is on the segment already"):
        hand(machine, Asked("shop", "52:54:00:00:00:04", "lxc"))


def test_a_port_that_was_handed_over_is_nobody_elses(machine: Machine) -> None:
    hand(machine, Asked("web", None, "lxc", 33))
    assert GuestBook(PLAIN.name, machine.places).all() == machine.book("").all()
    with pytest.raises(NameTaken):
        hand(machine, Asked("web", None, "lxc", 33), BOB)
    assert tap(machine, Asked("web-2", None, None)).port == "vd0-web-2"
    long = [hand(machine, Asked(f"{'x' * 20}{one}", None, "incus", 33))["port"] for one in "ab"]
    assert len(set(long)) == 2
    machine.links["vd0-web"] = Link("vd0-web", 9, "fe:00:00:00:00:01", 1500, True, True, "veth")
    assert joining.leave(cast(Engine, machine), LAB, ALICE, "web", "lxc")
    assert machine.let_go_of == ["vd0-web"]


@pytest.mark.parametrize("vlan", [7, 1])
def test_a_vlan_that_the_segment_does_not_have(machine: Machine, vlan: int) -> None:
    with pytest.raises(BadValue, match="vdenet0 has the VLANs 33, 44"):
        hand(machine, Asked("web", None, "lxc", vlan))
    with pytest.raises(BadValue, match=f"cannot use VLAN {vlan}: vdenet0 has no VLANs"):
        joining.reserve(cast(Engine, machine), PLAIN, ALICE, Asked("web", None, "lxc", vlan), handed=True)
    assert machine.book("").all() == []


def test_a_mac_that_looks_like_that_of_a_host_of_the_file(machine: Machine) -> None:
    """From the host's side, where its tap has a first octet of its own: it would take the host's port elsewhere."""
    file = replace(LAB, hosts=(Host("52:54:00:aa:bb:cc", "web", vlan=33),))
    for name, error, why in (("zzz", MacTaken, "first octet"), ("web", NameTaken, "gives it to another guest")):
        with pytest.raises(error, match=why):
            joining.reserve(cast(Engine, machine), file, ALICE, Asked(name, "56:54:00:aa:bb:cc", None))
    assert machine.book("").all() == []
    assert joining.reserve(cast(Engine, machine), file, ALICE, Asked("web", "52:54:00:aa:bb:cc", None))["vlan"] == 33


def keep(machine: Machine, asked: Asked, caller: Caller = ALICE) -> Opened:
    opened = joining.keep_tap(cast(Engine, machine), PLAIN, caller, asked)
    machine.open_kept(opened.port, caller.uid)
    return opened


def test_the_same_tap_is_kept_however_often_it_is_asked_for(machine: Machine) -> None:
    first = keep(machine, Asked("web", None, None))
    assert keep(machine, Asked("web", None, None)).guest == first.guest
    assert keep(machine, Asked("WEB", first.guest.mac, "qemu")).guest == first.guest
    assert machine.book("").all() == [first.guest]


def test_a_tap_that_is_kept_goes_by_another_name(machine: Machine) -> None:
    first = keep(machine, Asked("web", None, "libvirt"))
    again = keep(machine, Asked("shop", first.guest.mac, "libvirt"))
    assert (again.port, machine.book("").all()) == (first.port, [replace(first.guest, name="shop")])
    web = keep(machine, Asked("web", "52:54:00:00:00:01", "libvirt"))
    assert web.port == "vd0-web-2"
    with pytest.raises(NameTaken, match="your guest of that name is on the segment already"):
        keep(machine, Asked("web", first.guest.mac, "libvirt"))
    with pytest.raises(BadValue):
        keep(machine, Asked("a b", first.guest.mac, "libvirt"))
    assert machine.book("").find("shop") == again.guest


def test_a_tap_that_cannot_change_its_name_keeps_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keep(machine, Asked("web", None, "libvirt"))

    def refuse(_segment: object) -> None:
        raise Refused(what="go on", why="no")

    monkeypatch.setattr(machine, "bring_up", refuse)
    with pytest.raises(Refused):
        keep(machine, Asked("shop", first.guest.mac, "libvirt"))
    with pytest.raises(Refused):
        keep(machine, Asked("new", None, "libvirt"))
    assert machine.book("").all() == [first.guest]


def test_a_tap_made_by_hand_becomes_that_of_the_guest_that_has_its_mac(machine: Machine) -> None:
    first = keep(machine, Asked("web", None, None))
    with pytest.raises(NameTaken, match="your qemu guest of that name has it"):
        keep(machine, Asked("web", None, "libvirt"))
    assert keep(machine, Asked("web", first.guest.mac, "libvirt")).guest == replace(first.guest, kind="libvirt")
    with pytest.raises(NameTaken):
        keep(machine, Asked("web", first.guest.mac, "qemu"))


def test_the_tap_of_another_user_is_not_to_be_had(machine: Machine) -> None:
    first = keep(machine, Asked("web", None, None))
    for asked in (Asked("web", None, None), Asked("web", first.guest.mac, None), Asked("bobs", first.guest.mac, None)):
        with pytest.raises(NameTaken if asked.name == "web" else MacTaken):
            keep(machine, asked, BOB)
    assert machine.book("").all() == [first.guest]

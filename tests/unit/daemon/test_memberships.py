"""Which VLAN a port is put into: known by its name or the MAC on the host's side, and never by another's word."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from unit.samples import PLAIN
from vdenet.daemon import memberships
from vdenet.daemon.guests import CLAIMED, Guest, GuestBook
from vdenet.model.observed import Link
from vdenet.model.places import Places
from vdenet.model.segment import Host, Segment, Vlan
from vdenet.model.vlans import Membership, access, of_guest
from vdenet.model.wanted import guest_alias

ALICE, BOB = 1000, 1001
LAB = replace(PLAIN, vlans=(Vlan(33), Vlan(44)))
TAIL = "54:00:aa:bb:cc"
MAC, NEAR = f"52:{TAIL}", f"56:{TAIL}"


def port(name: str, mac: str = f"fe:{TAIL}", kind: str = "tap", owner: int | None = ALICE, alias: str = "",
         master: str = LAB.bridge) -> Link:
    return Link(name, 7, mac, 1500, True, True, kind, master=master, alias=alias, owner=owner)


def guest(name: str, mac: str, vlan: int | None = None, uid: int = ALICE, kind: str = "libvirt") -> Guest:
    return Guest(name, mac, kind, uid, by_itself=True, vlan=vlan)


def found(places: Places, guests: Iterable[Guest], *there: Link, segment: Segment = LAB) -> dict[str, Membership]:
    """With a book as it lies on the disk: also one that no daemon of today would write."""
    Path(places.guests(LAB.name)).write_text(json.dumps({"guests": [asdict(one) for one in guests]}))
    return memberships.of_ports(segment, GuestBook(LAB.name, places), {link.name: link for link in there})


def test_a_port_of_the_daemons_is_the_guests_that_has_it(places: Places) -> None:
    mine = Guest("web", MAC, "qemu", ALICE, "vd0-web", vlan=33)
    link = port("vd0-web", alias=guest_alias(LAB.name))
    assert found(places, [mine], link, port("vd0-gone", alias=guest_alias(LAB.name))) == {"vd0-web": access(33)}


def test_a_port_of_another_programs_is_known_by_its_name_or_its_mac(places: Places) -> None:
    guests = [guest("web", MAC, 33), guest("shop", "52:54:00:00:00:01", 44)]
    there = (port("vnet0"), port("vd0-shop", "fe:11:11:11:11:11"), port("vnet1", "fe:54:00:00:00:99"),
             port("vnet2", "fe:54:00:00:00:01", "veth"), port("vnet3", master="virbr0"), port(LAB.tap))
    assert found(places, guests, *there) == {"vnet0": access(33), "vd0-shop": access(44)}


def test_the_files_word_comes_before_the_guests(places: Places) -> None:
    by_name = replace(LAB, hosts=(Host(None, "web", None, vlan=44, trunk=(33,)),))
    assert found(places, [guest("web", MAC, 33)], port("vnet0"), segment=by_name) == {"vnet0": of_guest(44, (33,))}
    by_mac = replace(LAB, hosts=(Host(MAC, None, None, vlan=44),))
    for guests in ([], [guest("web", MAC, 33)]):
        assert found(places, guests, port("vnet0"), segment=by_mac) == {"vnet0": access(44)}


def test_who_only_claims_a_name_by_dhcp_is_put_nowhere(places: Places) -> None:
    assert found(places, [Guest("web", MAC, CLAIMED)], port("vnet0"), port("vd0-web")) == {}


def test_a_guest_that_is_away_is_not_on_anothers_port(places: Places) -> None:
    """Its program has ended: what it had was a port of the daemon's."""
    assert found(places, [Guest("web", MAC, "qemu", ALICE, vlan=33)], port("vnet0")) == {}


@pytest.mark.parametrize("names", [("web", "zzz"), ("zzz", "web")])
@pytest.mark.parametrize("uid", [ALICE, BOB])
def test_a_mac_that_may_be_two_guests_tells_nothing(places: Places, names: tuple[str, str], uid: int) -> None:
    """The host's side has a first octet of its own, so there are 255 MACs that look the same."""
    both = [guest(names[0], MAC, 33), guest(names[1], NEAR, 44, uid)]
    assert found(places, both, port("vnet0")) == {}
    assert found(places, [both[0]], port("vnet0")) == {"vnet0": access(33)}


def test_a_mac_that_may_be_two_hosts_tells_nothing(places: Places) -> None:
    file = replace(LAB, hosts=(Host(MAC, None, None, vlan=33), Host(NEAR, None, None, vlan=44)))
    assert found(places, [], port("vnet0"), segment=file) == {}


def test_a_guest_that_looks_like_a_host_of_the_file_does_not_move_it(places: Places) -> None:
    file = replace(LAB, hosts=(Host(MAC, None, None, vlan=33),))
    assert found(places, [guest("zzz", NEAR, 44, BOB)], port("vnet0"), segment=file) == {"vnet0": access(33)}


def test_a_name_that_was_cut_tells_nothing(places: Places) -> None:
    """It may be that of any guest whose name begins so."""
    there = port("vd0-webserver-o", "fe:11:11:11:11:11")
    assert found(places, [guest("webserver-one", MAC, 33)], there) == {}
    both = [guest("webserver-one", MAC, 33), guest("webserver-o", "52:54:00:00:00:01", 44)]
    assert found(places, both, there) == {"vd0-webserver-o": access(44)}


@pytest.mark.parametrize(("owner", "moved"), [(None, False), (0, False), (ALICE, True), (BOB, False)])
def test_the_tap_of_another_account_is_not_a_guests(places: Places, owner: int | None, moved: bool) -> None:
    """Whose a tap is, the kernel says, where it was made for somebody; else a member's word is not enough."""
    there = port("tap7", owner=owner)
    for vlan in (33, None):
        assert found(places, [guest("web", MAC, vlan)], there) == ({"tap7": access(vlan or 1)} if moved else {})
    named = replace(port("vd0-web", "fe:11:11:11:11:11", "veth"), owner=owner)
    assert found(places, [guest("web", MAC, 33)], named) == ({"vd0-web": access(33)} if moved else {})
    assert found(places, [guest("web", MAC, 33, 0)], there) == {"tap7": access(33)}, "root's word counts"
    file = replace(LAB, hosts=(Host(MAC, None, None, vlan=44),))
    assert found(places, [], there, segment=file) == {"tap7": access(44)}, "and the file's"
    by_name = replace(LAB, hosts=(Host(None, "web", None, vlan=44),))
    assert found(places, [guest("web", MAC, 33)], there, segment=by_name) == ({} if owner == BOB else {"tap7": access(44)})

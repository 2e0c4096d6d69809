"""What of a segment is another member's, beside its owner's word."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from unit.samples import PLAIN
from vdenet.daemon.authority import _others_guests, _others_ports
from vdenet.daemon.guests import Guest, GuestBook
from vdenet.daemon.members import Caller
from vdenet.model.places import Places
from vdenet.model.segment import Host, Port

ALICE, BOB = 1000, 1001


@pytest.mark.parametrize(("uid", "told"), [(ALICE, []), (BOB, ["port 9 is another user's guest's, web"])])
def test_a_port_that_a_guest_was_given_is_its_owners(places: Places, uid: int, told: list[str]) -> None:
    book = GuestBook(PLAIN.name, places)
    book.enter(Guest("web", "52:54:00:00:00:01", "qemu", ALICE, by_itself=True, vlan=33, vde_port=9))
    engine = cast(Any, SimpleNamespace(book=lambda _segment: book))
    caller = cast(Caller, SimpleNamespace(uid=uid))
    after = replace(PLAIN, ports=(Port(9),))
    assert _others_ports(engine, caller, PLAIN, after) == told
    assert _others_ports(engine, caller, after, after) == [], "it stays as it was"
    assert _others_ports(engine, caller, PLAIN, replace(PLAIN, ports=(Port(8),))) == []


@pytest.mark.parametrize(("uid", "told"), [(ALICE, []), (BOB, ["web is a guest of another user"])])
@pytest.mark.parametrize("mac", ["52:54:00:aa:bb:cc", "56:54:00:aa:bb:cc"])
def test_a_host_of_the_file_is_no_guest_of_anothers(places: Places, uid: int, told: list[str], mac: str) -> None:
    """Nor does it look like one from the host's side, where a MAC's first octet is not to be seen."""
    book = GuestBook(PLAIN.name, places)
    book.enter(Guest("web", "52:54:00:aa:bb:cc", "libvirt", ALICE, by_itself=True))
    engine = cast(Any, SimpleNamespace(book=lambda _segment: book))
    caller = cast(Caller, SimpleNamespace(uid=uid))
    after = replace(PLAIN, hosts=(Host(mac, vlan=33),))
    assert _others_guests(engine, caller, PLAIN, after) == told
    assert _others_guests(engine, caller, after, after) == [], "it stays as it was"
    assert _others_guests(engine, caller, PLAIN, replace(PLAIN, hosts=(Host("52:54:00:aa:bb:cd"), Host(name="db")))) == []

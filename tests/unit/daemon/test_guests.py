"""The book of guests: who has which name, and what is left of it after damage."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from vdenet.daemon.guests import CLAIMED, MAX_GUESTS_PER_USER, Guest, GuestBook
from vdenet.effect import files
from vdenet.errors import MacTaken, NameTaken, Refused
from vdenet.model.places import Places
from vdenet.text.dnsmasq import Lease, Reservation

ALICE, BOB = 1000, 1001
NOBODY: dict[str, str | None] = {}


def mac(number: int) -> str:
    return f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"


def lease(number: int, name: str | None, expires: int = 0) -> Lease:
    return Lease(expires, mac(number), f"10.83.14.{number}", name)


def guest(name: str, number: int, uid: int = ALICE, port: str | None = None) -> Guest:
    return Guest(name, mac(number), "qemu", uid, port)


def test_a_book_outlives_the_daemon(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("web", 1, port="vd0-web"))
    book.enter(Guest("db", mac(2), "libvirt", BOB, "vd0-db", kept=True))
    book.enter(Guest("box", mac(3), "virtualbox", BOB, by_itself=True))
    book.follow([lease(4, "debian")], NOBODY)
    again = GuestBook("vdenet0", places)
    assert again.all() == book.all() and len(again.all()) == 4
    assert again.by_port("vd0-web") == again.by_mac(mac(1)) == again.find("web")
    assert again.joined() == (Reservation(mac(3), "box"), Reservation(mac(2), "db"), Reservation(mac(1), "web"))
    assert again.claimed() == (Reservation(mac(4), "debian"),)
    assert Path(places.guests("vdenet0")).stat().st_mode & 0o777 == 0o600


# --- joining ------------------------------------------------------------------------------------------

def test_a_name_of_another_user_is_taken(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("web", 1, port="vd0-web"))
    with pytest.raises(NameTaken, match="web"):
        book.enter(guest("web", 2, BOB))
    with pytest.raises(MacTaken, match=mac(1)):
        book.enter(guest("shop", 1, BOB))
    assert book.all() == [guest("web", 1, port="vd0-web")]


def test_a_mac_that_differs_in_its_first_octet_alone_is_taken(places: Places) -> None:
    """libvirt's tap has a first octet of its own, so by its MAC it could be either guest's."""
    book = GuestBook("vdenet0", places)
    held = Guest("web", "52:54:00:aa:bb:cc", "libvirt", ALICE, by_itself=True)
    book.enter(held)
    near = Guest("zzz", "56:54:00:aa:bb:cc", "qemu", BOB, by_itself=True, vlan=33)
    with pytest.raises(MacTaken, match="address 56:54:00:aa:bb:cc: another user's guest has it, but for its first octet"):
        book.enter(near)
    assert book.all() == [held]
    own = replace(near, uid=ALICE)
    book.enter(own)
    assert book.all() == [held, own], "one's own are one's own affair"
    book.strike("zzz")
    book.strike("web")
    book.enter(near)
    book.follow([Lease(0, "5a:54:00:aa:bb:cc", "10.83.14.9", "db")], NOBODY)
    assert book.find("db") is not None, "a name that is claimed says nothing of ports"


def test_a_name_is_free_when_the_guest_that_had_it_is_gone(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("web", 1, port="vd0-web"))
    assert book.follow_ports({"vd0-web"}) == []
    assert book.follow_ports({"vd0-web"}, elsewhere={"vd0-web"}) == [guest("web", 1, port="vd0-web")]
    book.enter(guest("web", 2, BOB, "vd0-web"))
    assert book.all() == [guest("web", 2, BOB, "vd0-web")]
    reserved = Guest("box", mac(3), "virtualbox", ALICE, by_itself=True)
    book.enter(reserved)
    with pytest.raises(NameTaken, match="box"):
        book.enter(guest("box", 4, BOB))


def test_ones_own_guest_comes_back_and_changes(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("web", 1, port="vd0-web"))
    kept = replace(guest("kept", 3, port="vd0-kept"), kept=True)
    book.enter(kept)
    assert book.follow_ports({"vd0-none"}) == [guest("web", 1, port="vd0-web")]
    assert book.follow_ports(()) == [] and book.all() == [kept, guest("web", 1)]
    book.strike("kept")
    book.enter(guest("web", 2))
    book.enter(guest("shop", 2))
    assert book.all() == [guest("shop", 2)], "a MAC has one name"
    book.strike("shop")
    book.strike("shop")
    assert book.all() == []


def test_a_member_holds_so_many_names(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "write", lambda *_what: None)  # 256 fsyncs for nothing
    book = GuestBook("vdenet0", places)
    for number in range(MAX_GUESTS_PER_USER):
        book.enter(guest(f"g-{number}", number))
    with pytest.raises(Refused, match=str(MAX_GUESTS_PER_USER)):
        book.enter(guest("one-more", 999))
    book.enter(guest("g-0", 998))
    book.enter(guest("other", 1000, BOB))
    book.strike("g-1")
    book.enter(guest("one-more", 999))


def test_a_book_that_cannot_be_written_is_as_it_was(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("web", 1))
    before = Path(places.guests("vdenet0")).read_bytes()
    home = Path(places.state("vdenet0"))
    home.rename(home.with_name("away"))
    with pytest.raises(Refused, match="cannot write"):
        book.enter(guest("db", 2))
    home.with_name("away").rename(home)
    assert book.all() == [guest("web", 1)]
    assert Path(places.guests("vdenet0")).read_bytes() == before
    assert [path.name for path in home.iterdir()] == ["guests.json"], "nothing half written"


# --- names that guests claim -------------------------------------------------------------------------------

def test_first_come_first_served(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    assert book.follow([lease(1, "web")], NOBODY)
    assert not book.follow([lease(1, "web")], NOBODY), "nothing new"
    # dnsmasq writes the newest lease first: the thief.
    assert book.follow([lease(2, "web"), lease(1, "web")], NOBODY)
    assert book.claimed() == (Reservation(mac(2), "guest-525400000002"), Reservation(mac(1), "web"))
    assert not book.follow([lease(2, "guest-525400000002"), lease(1, "web")], NOBODY)


def test_who_has_a_name_keeps_it_whatever_he_says_next(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.follow([lease(1, "web")], NOBODY)
    assert not book.follow([lease(1, "db")], NOBODY)
    assert not book.follow([lease(1, None)], NOBODY)
    book.follow([lease(2, "db"), lease(1, "db")], NOBODY)
    assert book.claimed() == (Reservation(mac(2), "db"), Reservation(mac(1), "web"))


def test_one_guest_has_one_name(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.follow([lease(1, "web"), lease(1, "db")], NOBODY)
    assert book.claimed() == (Reservation(mac(1), "web"),)


def test_names_of_ended_leases_are_free(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("joined", 9))
    book.follow([lease(1, "web"), lease(2, "db")], NOBODY)
    assert book.follow([lease(2, "db")], NOBODY)
    assert book.find("web") is None and book.find("joined") is not None
    assert book.follow([lease(3, "web"), lease(2, "db")], NOBODY)
    assert book.by_mac(mac(3)) == Guest("web", mac(3), CLAIMED)


def test_join_beats_a_claim(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.follow([lease(1, "web")], NOBODY)
    book.enter(guest("web", 2))
    assert book.find("web") == guest("web", 2)
    assert book.follow([lease(1, "web")], NOBODY), "and no claim beats a join"
    assert book.claimed() == (Reservation(mac(1), "guest-525400000001"),)
    book.follow([lease(3, "db")], NOBODY)
    book.enter(guest("shop", 3))
    assert book.find("db") is None, "the name that was given takes the place of the one that was claimed"
    assert not book.follow([lease(3, "db")], NOBODY)


@pytest.mark.parametrize("name", ("localhost", "WPAD", "gateway", "a_b", "a.b", "x" * 64, "-a", "",
                                  "infinite", "60", "a\nb", "é", None))
def test_what_no_guest_can_be_called(places: Places, name: str | None) -> None:
    book = GuestBook("vdenet0", places)
    assert not book.follow([lease(1, name)], NOBODY)
    assert book.all() == []


def test_a_claim_ends_when_the_name_is_given_to_another(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.follow([lease(1, "web")], NOBODY)
    assert book.follow([lease(1, "web")], {"web": mac(2), "tower": None})
    assert book.claimed() == (Reservation(mac(1), "guest-525400000001"),)
    assert book.follow([lease(1, "guest-525400000001"), lease(3, "tower")], {"web": mac(2), "tower": None})
    assert book.claimed() == (Reservation(mac(1), "guest-525400000001"), Reservation(mac(3), "guest-525400000003"))


def test_what_the_file_gives_to_a_guest_is_no_claim(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    assert not book.follow([lease(1, "web")], {"web": mac(1)})
    assert book.all() == []


def test_a_name_made_from_a_mac_displaces_nobody(places: Places) -> None:
    book = GuestBook("vdenet0", places)
    book.enter(guest("guest-525400000002", 9))
    book.follow([lease(2, "web")], {"web": None})
    assert book.find("guest-525400000002") == guest("guest-525400000002", 9)


# --- damage --------------------------------------------------------------------------------------------------

@pytest.fixture
def written(places: Places) -> bytes:
    """A book with some of everything."""
    book = GuestBook("vdenet0", places)
    book.enter(guest("web", 1, port="vd0-web"))
    book.enter(Guest("db", mac(2), "libvirt", BOB, "vd0-db", kept=True))
    book.follow([lease(3, "debian")], NOBODY)
    return Path(places.guests("vdenet0")).read_bytes()


def sound(book: GuestBook) -> bool:
    """Whatever is in it may be used."""
    return len(book.all()) <= 3 and all(
        one.name and len(one.mac) == 17 and (one.port is None or one.port.startswith("vd0-"))
        and (one.uid is None or 0 <= one.uid < 2**32) for one in book.all())


def test_a_book_cut_at_every_byte(places: Places, written: bytes) -> None:
    path = Path(places.guests("vdenet0"))
    for end in range(len(written) - 1):
        path.write_bytes(written[:end])
        assert GuestBook("vdenet0", places).all() == [] or end == len(written) - 1


def test_a_book_with_flipped_bits(places: Places, written: bytes) -> None:
    dice = random.Random(3)
    path = Path(places.guests("vdenet0"))
    for _nth in range(1000):
        raw = bytearray(written)
        for _bit in range(dice.choice((1, 1, 1, 2, 50))):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
        assert sound(GuestBook("vdenet0", places))


ENTRY: dict[str, object] = {"name": "web", "mac": mac(1), "kind": "qemu", "uid": ALICE, "port": "vd0-web"}
SPOILT: tuple[dict[str, object], ...] = (
    {"name": "localhost"}, {"name": None}, {"name": 7}, {"name": "a\nb"}, {"mac": "ff:ff:ff:ff:ff:ff"}, {"mac": []},
    {"kind": None}, {"uid": -1}, {"uid": 2**40}, {"uid": 1.5}, {"uid": "0"}, {"port": "eth0"}, {"port": 7})


@pytest.mark.parametrize("text", (
    "", "null", "[]", "1", '"x"', "{}", '{"guests": null}', '{"guests": {}}', '{"guests": "web"}',
    '{"guests": [null, 1]}',
    "[" * 100_000, '{"guests": ' + "[" * 100_000, "\0" * 100, '{"guests": [' + "1" * 5000 + "]}",
    *(json.dumps({"guests": [{**ENTRY, **spoilt}]}) for spoilt in SPOILT)), ids=lambda text: str(text)[:20])
def test_a_book_by_somebody_else(places: Places, text: str) -> None:
    Path(places.guests("vdenet0")).write_text(text)
    assert GuestBook("vdenet0", places).all() == []


def test_a_book_from_the_future(places: Places) -> None:
    Path(places.guests("vdenet0")).write_text(json.dumps(
        {"version": 7, "guests": [{**ENTRY, "colour": 12}, {"new": "kind of entry"}]}))
    book = GuestBook("vdenet0", places)
    assert book.all() == [guest("web", 1, port="vd0-web")]

"""Whose lease says nothing any more: over a restart, as long as that lease lasts, and no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdenet.daemon.departed import Departed
from vdenet.effect import files
from vdenet.errors import Refused
from vdenet.model.places import Places
from vdenet.text.dnsmasq import Lease

WEB = Lease(2_000, "52:54:00:00:00:01", "10.0.0.1", "web")
SHOP = Lease(2_000, "52:54:00:00:00:02", "10.0.0.2", "shop")
NEVER = Lease(0, "52:54:00:00:00:03", "10.0.0.3", None)
RENEWED = Lease(3_000, WEB.mac, WEB.address, WEB.name)


@pytest.fixture
def departed(places: Places) -> Departed:
    Path(places.state("lab")).mkdir(parents=True, exist_ok=True)
    return Departed("lab", places)


def test_over_a_restart(departed: Departed, places: Places) -> None:
    departed.note(WEB.mac, [WEB, SHOP])
    departed.note(NEVER.mac, [WEB, SHOP, NEVER])
    for again in (departed, Departed("lab", places)):
        assert [again.has(lease) for lease in (WEB, SHOP, NEVER, RENEWED)] == [True, False, True, False]
    assert not Departed("other", places).has(WEB)


def test_what_is_said_of_a_lease_goes_with_it(departed: Departed, places: Places) -> None:
    record = Path(places.departed("lab"))
    departed.note(WEB.mac, [WEB, SHOP])
    departed.follow([])  # dnsmasq writes its file anew
    assert departed.has(WEB)
    departed.follow([RENEWED, SHOP])
    assert not departed.has(WEB) and not record.exists()
    for number in range(100):
        lease = Lease(2_000, f"52:54:00:00:01:{number:02x}", "10.0.0.9", None)
        departed.note(lease.mac, [lease])  # the one before is gone
    assert record.read_text().count("52:54") == 1
    departed.note("52:54:00:00:00:09", [SHOP])
    assert not record.exists(), "a guest without a lease has nothing to be remembered"


def test_each_lease_of_a_guest(departed: Departed, places: Places) -> None:
    """dnsmasq writes them in an order of its own, so any may be the one that is looked at."""
    elsewhere = Lease(2_500, WEB.mac, "10.33.0.1", WEB.name)
    departed.note(WEB.mac, [WEB, elsewhere])
    departed.follow([elsewhere, SHOP, WEB])
    for again in (departed, Departed("lab", places)):
        assert [again.has(lease) for lease in (WEB, elsewhere, SHOP)] == [True, True, False]
    departed.follow([WEB, SHOP])
    assert departed.has(WEB) and not departed.has(elsewhere)


def test_a_full_disk_keeps_nobody(departed: Departed, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object) -> None:
        raise Refused(what="write", why="no space")

    monkeypatch.setattr(files, "write", full)
    departed.note(WEB.mac, [WEB])
    assert departed.has(WEB) and not Departed("lab", places).has(WEB)

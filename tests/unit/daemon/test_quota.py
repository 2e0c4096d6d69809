"""What one account may ask for."""

from __future__ import annotations

import threading

import pytest

from vdenet.daemon import quota
from vdenet.daemon.quota import MAX_ALL_CONNECTIONS, MAX_CONNECTIONS, MAX_OPERATIONS, Quota
from vdenet.errors import QuotaExceeded

ROOT, ALICE, BOB = 0, 1000, 1001


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(quota, "time", made)
    return made


def operations(book: Quota, uid: int) -> int:
    """How many are let through before one is refused."""
    for number in range(1000):
        try:
            book.operation(uid)
        except QuotaExceeded as error:
            assert str(MAX_OPERATIONS) in str(error)
            return number
    return 1000


def test_the_promise() -> None:
    assert (MAX_CONNECTIONS, MAX_OPERATIONS, quota.MAX_TAPS) == (8, 20, 32)


def test_connections_hurt_only_their_user() -> None:
    book = Quota()
    assert [book.connect(ALICE) for _nth in range(MAX_CONNECTIONS + 1)] == [True] * MAX_CONNECTIONS + [False]
    assert book.connect(BOB) and book.connect(ROOT)
    book.disconnect(ALICE)
    assert book.connect(ALICE) and not book.connect(ALICE)


def test_the_whole_has_a_bound_and_root_is_under_it() -> None:
    book = Quota()
    assert all(book.connect(ROOT) for _nth in range(MAX_ALL_CONNECTIONS))
    assert not book.connect(ROOT) and not book.connect(ALICE)
    for _nth in range(MAX_ALL_CONNECTIONS):
        book.disconnect(ROOT)
    assert book.connect(ALICE)


def test_operations_by_the_second(clock: Clock) -> None:
    book = Quota()
    assert operations(book, ALICE) == MAX_OPERATIONS
    assert operations(book, BOB) == MAX_OPERATIONS, "another's share is his"
    assert operations(book, ROOT) == 1000
    clock.now += 0.5
    assert operations(book, ALICE) == MAX_OPERATIONS // 2
    clock.now += 3600
    assert operations(book, ALICE) == MAX_OPERATIONS, "nothing is saved up"


def test_from_many_threads() -> None:
    book = Quota()
    let_in: list[bool] = []
    threads = [threading.Thread(target=lambda: let_in.append(book.connect(ALICE))) for _nth in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_in) == MAX_CONNECTIONS

"""Who may use the segments, by the account database of a test."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import pytest

from vdenet.daemon import members
from vdenet.daemon.members import Caller
from vdenet.errors import NotPermitted

ACCOUNTS = {1000: "alice", 1001: "bob", 990: "vdenet-switch", 991: "vdenet-dns", 992: "vdenet-plug"}
MEMBERS = {"alice", "vdenet-switch", "vdenet-dns", "vdenet-plug"}
GROUP = 800


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Who is in the group; a test may change it."""
    group = set(MEMBERS)

    def getpwuid(uid: int) -> SimpleNamespace:
        return SimpleNamespace(pw_name=ACCOUNTS[uid], pw_gid=uid)

    monkeypatch.setattr(members, "pwd", SimpleNamespace(getpwuid=getpwuid))
    monkeypatch.setattr(members, "grp", SimpleNamespace(getgrnam=lambda _name: SimpleNamespace(gr_gid=GROUP)))
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, *([GROUP] if name in group else [])])
    return group


def test_root_and_members_are_let_in(database: set[str]) -> None:
    members.authorise(Caller(0, "root"))
    members.authorise(Caller(1000, "alice"))


@pytest.mark.parametrize("uid", (1001, 990, 991, 992, 4711),
                         ids=("not in the group", "the switch", "dnsmasq", "a plug", "no account"))
def test_nobody_else_is(database: set[str], uid: int) -> None:
    with pytest.raises(NotPermitted, match="group vdenet"):
        members.authorise(Caller(uid, ACCOUNTS.get(uid, str(uid))))
    assert not members.is_member(uid)


def test_who_leaves_the_group_is_out_at_once(database: set[str]) -> None:
    members.authorise(Caller(1000, "alice"))
    database.remove("alice")
    with pytest.raises(NotPermitted):
        members.authorise(Caller(1000, "alice"))


def test_no_group_no_members(database: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def getgrnam(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(members, "grp", SimpleNamespace(getgrnam=getgrnam))
    assert not members.is_member(1000)


def test_the_kernel_says_who_it_is() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert members.peer(left).uid == os.getuid()


def test_an_account_without_a_name(database: set[str]) -> None:
    assert members.account_name(1000) == "alice"
    assert members.account_name(4711) is None

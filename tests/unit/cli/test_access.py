from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import socket
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from unit.cli.conftest import Daemon
from vdenet.cli import access, client, door, tools
from vdenet.cli.access import Account
from vdenet.errors import NotPermitted
from vdenet.model.places import Places


class Helper:
    """`sg` and what it starts, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[list[str]] = []
        self.waited = 0
        self.dumb = False
        self.connect = socket.socket.connect
        """As the group may."""
        self.place = monkeypatch

    def spawn(self, argv: Sequence[str], *, stdin: int, quiet: bool, session: bool) -> Any:
        assert quiet
        assert session
        self.lines.append(list(argv))
        words = shlex.split(argv[3])
        if not self.dumb:
            with self.place.context() as group, socket.socket(fileno=os.dup(stdin)) as asked:
                group.setattr(socket.socket, "connect", self.connect)
                door.main(words[-1], asked)
        return SimpleNamespace(wait=self._wait, kill=lambda: None)

    def _wait(self) -> None:
        self.waited += 1


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> Helper:
    """The machine of a late member: the control socket does not open for the process itself."""
    found = Helper(monkeypatch)

    def denied(_self: socket.socket, _address: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", denied)
    monkeypatch.setattr(tools, "spawn", found.spawn)
    monkeypatch.setattr(access, "account", lambda: Account("alice", member=True, effective=False))
    monkeypatch.setattr(access, "_no_new_privileges", lambda: False)
    return found


def test_a_late_member_gets_in(daemon: Daemon, helper: Helper, places: Places) -> None:
    daemon.answers["GetAddress"] = {"segment": "vdenet0", "address": "10.1.1.1/24"}
    with client.connect() as connection:
        assert connection.call("GetAddress").parameters["address"] == "10.1.1.1/24"
    [line] = helper.lines
    assert line[:3] == ["sg", "vdenet", "-c"]
    assert shlex.split(line[3]) == [sys.executable, "-I", "-m", "vdenet.cli.door", str(places.control)]
    assert helper.waited == 1


@pytest.mark.parametrize("stale", [False, True])
def test_a_late_member_learns_that_the_daemon_is_gone(places: Places, helper: Helper, stale: bool) -> None:
    if stale:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(places.control))
    with pytest.raises(Exception, match="it has ended" if stale else "it is not running"):
        client.connect()


def test_a_helper_that_says_nothing(places: Places, helper: Helper) -> None:
    helper.dumb = True
    with pytest.raises(NotPermitted, match="this login is older"):
        client.connect()
    assert helper.waited == 1


@pytest.mark.parametrize(("who", "why"), [
    (Account("bob", member=False, effective=False), "bob is not a member"),
    (Account("bob", member=True, effective=True), "closed to the group"),
])
def test_whom_it_cannot_help(monkeypatch: pytest.MonkeyPatch, helper: Helper, who: Account,
                             why: str) -> None:
    monkeypatch.setattr(access, "account", lambda: who)
    with pytest.raises(NotPermitted, match=why):
        access.connect("/run/vdenet/control")
    assert not helper.lines


def test_not_where_set_uid_programs_have_no_power(monkeypatch: pytest.MonkeyPatch, helper: Helper) -> None:
    monkeypatch.setattr(access, "_no_new_privileges", lambda: True)
    with pytest.raises(NotPermitted, match="this login is older"):
        access.connect("/run/vdenet/control")
    assert not helper.lines


@pytest.mark.parametrize(("listed", "primary", "groups", "expected"), [
    (["alice"], 1000, [1000], Account("alice", member=True, effective=False)),
    (["alice"], 1000, [1000, 44], Account("alice", member=True, effective=True)),
    (["bob"], 1000, [1000], Account("alice", member=False, effective=False)),
    ([], 44, [44], Account("alice", member=True, effective=True)),
])
def test_the_account(monkeypatch: pytest.MonkeyPatch, listed: list[str], primary: int,
                     groups: list[int], expected: Account) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name="alice", pw_gid=primary))
    monkeypatch.setattr(grp, "getgrnam", lambda _name: SimpleNamespace(gr_gid=44, gr_mem=listed))
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid])
    monkeypatch.setattr(os, "getgroups", lambda: groups)
    monkeypatch.setattr(os, "getegid", lambda: groups[0])
    assert access.account() == expected


def test_without_the_group_nobody_is_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(grp, "getgrnam", missing)
    who = access.account()
    assert not who.member
    assert not who.effective

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
from types import SimpleNamespace

import pytest

from vdenet.cli import access
from vdenet.cli.access import Account


class Became(BaseException):
    """In place of exec, which does not return."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], dict[str, str]]]:
    seen: list[tuple[str, list[str], dict[str, str]]] = []

    def execve(path: str, argv: list[str], environment: dict[str, str]) -> None:
        seen.append((path, argv, environment))
        raise Became

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(access, "_no_new_privileges", lambda: False)
    return seen


def as_account(monkeypatch: pytest.MonkeyPatch, *, member: bool, effective: bool) -> None:
    monkeypatch.setattr(access, "account", lambda: Account("alice", member, effective))


def test_a_late_member_is_started_again_with_every_word_as_it_was(
        monkeypatch: pytest.MonkeyPatch, became: list[tuple[str, list[str], dict[str, str]]]) -> None:
    as_account(monkeypatch, member=True, effective=False)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: SimpleNamespace(gr_name="x", gr_mem=[]))
    words = ["/usr/bin/python3", "-I", "/usr/bin/tarr-steps", "join", "run", "--", "sh", "-c",
             "echo \"$HOME\" 'x y'; a\nb", "", "$(id)", "*", "é", "\udcff"]
    with pytest.raises(Became):
        access.enter(words)
    [(path, argv, environment)] = became
    assert path == "/usr/bin/sg"
    assert argv[:3] == ["sg", "vdenet", "-c"]
    assert shlex.split(argv[3]) == words  # the process's gid is no group that the account may go back to
    assert environment[access.AGAIN] == "1"


@pytest.mark.parametrize(("gid", "listed"), [(1000, []), (77, ["alice"])])
def test_what_it_writes_is_not_every_members(
        monkeypatch: pytest.MonkeyPatch, became: list[tuple[str, list[str], dict[str, str]]],
        gid: int, listed: list[str]) -> None:
    monkeypatch.setattr(access, "account", lambda: Account("alice", True, False, 1000))
    monkeypatch.setattr(os, "getgid", lambda: gid)
    monkeypatch.setattr(grp, "getgrgid", lambda _gid: SimpleNamespace(gr_name="own", gr_mem=listed))
    words = ["tarr-steps", "join", "qemu", "--", "qemu", "a 'b'", "$x\n", "\udcff"]
    with pytest.raises(Became):
        access.enter(words)
    outer = shlex.split(became[0][1][3])
    assert outer[:4] == ["exec", "sg", "own", "-c"]
    assert shlex.split(outer[4]) == ["exec", *words]


@pytest.mark.parametrize(("member", "effective", "again", "why"), [
    (False, False, False, "is not a member of the group vdenet"),
    (True, False, True, "this login is older"),
    (True, True, False, "this login is older"),
])
def test_whom_it_cannot_help(monkeypatch: pytest.MonkeyPatch, became: list[object], member: bool,
                             effective: bool, again: bool, why: str) -> None:
    as_account(monkeypatch, member=member, effective=effective)
    if again:
        monkeypatch.setenv(access.AGAIN, "1")
    assert why in str(access.enter(["tarr-steps"]))
    assert not became


def test_not_where_set_uid_programs_have_no_power(monkeypatch: pytest.MonkeyPatch,
                                                  became: list[object]) -> None:
    as_account(monkeypatch, member=True, effective=False)
    monkeypatch.setattr(access, "_no_new_privileges", lambda: True)
    assert "this login is older" in str(access.enter(["tarr-steps"]))
    assert not became


def test_the_guard_does_not_reach_what_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(access.AGAIN, "1")
    access.entered()
    assert access.AGAIN not in os.environ


@pytest.mark.parametrize(("listed", "primary", "groups", "expected"), [
    (["alice"], 1000, [1000], Account("alice", member=True, effective=False, gid=1000)),
    (["alice"], 1000, [1000, 44], Account("alice", member=True, effective=True, gid=1000)),
    (["bob"], 1000, [1000], Account("alice", member=False, effective=False, gid=1000)),
    ([], 44, [44], Account("alice", member=True, effective=True, gid=44)),
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

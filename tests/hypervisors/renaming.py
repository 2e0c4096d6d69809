"""Guests that their own tools rename while they are on the segment.

A container of Podman's or Docker's is the same guest by either name. Of other kinds a guest is its name, or lies
where that says.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.machine import wait_for

from .conftest import Host
from .pods import Pod

NEW = "another"


def joined(pod: Pod) -> list[str]:
    """The names of the guests of its kind that are on the segment."""
    return [guest["name"] for guest in pod.host.segment()["guests"] if guest["kind"] == pod.kind]


def free(host: Host, name: str) -> None:
    """Another member can have the name."""
    host.tarr("join", "run", "--name", name, "--", "true", user="bob")


def interfaces(pod: Pod) -> list[str]:
    """Those that have an address. A new start may give it another."""
    return [line.split()[0] for line in pod.networks()[0].splitlines()]


def left(pod: Pod, name: str, before: list[str]) -> None:
    """The container is off the segment in fact, as the tool and as `list` have it, and the name is free."""
    wait_for(lambda: not pod.helpers(name), 20, "end of its helper")
    assert interfaces(pod) == before, pod.networks()
    assert joined(pod) == []
    free(pod.host, name)


def leaves_by_either_name(pod: Pod, runs: bool) -> None:
    """Also while it does not run, when nothing but its name is left to take back."""
    old, new = pod.name, f"{pod.name}-{NEW}"
    before = interfaces(pod)
    for word in (old, new):
        pod.tarr("join")
        pod.rename(new)
        assert joined(pod) == [old]
        if not runs:
            pod.ask("stop", "--time=0", new)
        else:
            assert f"{old} leaves" in pod.tarr("leave", "--dry-run", guest=word)
            assert joined(pod) == [old]
        assert f"{word} has left" in pod.tarr("leave", guest=word)
        if not runs:
            pod.ask("start", new)
        left(pod, old, before)
        # Nobody has been called by the old name since: that is as for one who never was.
        pod.refused(1, "no-guest", "leave", pod.kind, old)
        assert f"{new} is not on" in pod.tarr("leave", guest=new)
        pod.rename(old)


def is_the_same_guest(pod: Pod) -> None:
    """Whoever joins it by its new name finds it there already, and a new start brings it back as who it was."""
    old, new = pod.name, f"{pod.name}-{NEW}"
    before = interfaces(pod)
    told = pod.told("join")
    networks = pod.networks()
    pod.rename(new)
    again = pod.told("join")
    assert (again["changed"], again["name"], again["mac"]) == (False, told["name"], told["mac"])
    assert f"{new} is on" in (said := pod.tarr("join")) and f"already, as {old}." in said
    assert pod.networks() == networks
    assert joined(pod) == [old]
    pod.ask("stop", "--time=0", new)
    wait_for(lambda: not joined(pod), 30, "end of its port")
    pod.ask("start", new)
    once_more = pod.told("join")
    assert (once_more["changed"], once_more["name"], once_more["mac"]) == (True, told["name"], told["mac"])
    assert joined(pod) == [old]
    assert f"{old} has left" in pod.tarr("leave", guest=old)
    left(pod, old, before)


def a_namesake_is_another(pod: Pod, make: Callable[[str], Pod]) -> None:
    """Who is called by the old name now is who it means, joined or not: the renamed one stays as it is."""
    old, new = pod.name, f"{pod.name}-{NEW}"
    before = interfaces(pod)
    mac = pod.told("join")["mac"]
    pod.rename(new)
    namesake = make(old)
    alone, networks = namesake.networks(), pod.networks()

    def stays() -> None:
        assert pod.networks() == networks
        guest = pod.host.listed(old)
        assert guest is not None
        assert (guest["kind"], guest["mac"], guest["owner"]) == (pod.kind, mac, pod.user)
        pod.host.refused(1, "name-taken", "join", "run", "--name", old, "--", "true", user="bob")

    assert f"{old} is not on" in namesake.tarr("leave")
    stays()
    assert namesake.networks() == alone
    assert namesake.refused(1, "name-taken", "join", pod.kind, old)
    assert namesake.networks() == alone
    other = namesake.told("join", "--name", f"{old}-too")
    assert (other["changed"], other["mac"] != mac) == (True, True)
    assert "has left" in namesake.tarr("leave")
    wait_for(lambda: not namesake.helpers(f"{old}-too"), 20, "end of its helper")
    assert namesake.networks() == alone
    stays()
    assert "has left" in pod.tarr("leave")
    left(pod, old, before)
    assert namesake.networks() == alone


def a_beginning_of_an_id_is_no_name(pod: Pod, other: Pod) -> None:
    """Tools take what begins an id for that container, when no other is called so any more: it is not who left."""
    old, word = pod.name, other.ask("inspect", "--format={{.Id}}", other.name).strip()[:6]
    before = interfaces(pod)
    pod.rename(word)
    pod.tarr("join", "--name", old)
    pod.rename(old)
    other.tarr("join")
    networks = other.networks()
    assert f"{word} has left" in pod.tarr("leave", guest=word)
    wait_for(lambda: not pod.helpers(old), 20, "end of its helper")
    assert interfaces(pod) == before, pod.networks()
    assert joined(pod) == [other.name]
    assert other.networks() == networks
    # Nobody who joined is called so now: the word is the tool's.
    assert f"{word} has left" in pod.tarr("leave", guest=word)
    assert joined(pod) == []


def a_beginning_of_two_ids_is_no_name(pod: Pod) -> None:
    """Which its tool refuses with an error of its own."""
    made: dict[str, str] = {}
    more = ""
    try:
        while not more:
            id = pod.ask("create", *pod.options, "box", "true").strip()
            first, more = id[0], id if id[0] in made else ""
            made.setdefault(first, id)
        for verb in ("join", "leave"):
            pod.refused(1, "no-guest", verb, pod.kind, first)
    finally:
        pod.ask("rm", *made.values(), *([more] if more else []))


def leaves_by_its_new_name(host: Host, kind: str, old: str, rename: Callable[[str, str], object],
                           is_on: Callable[[str], bool], frees: bool = True) -> None:
    """A container of root's, by both names in turn; `frees` says whether the new one is enough."""
    new = f"{old}-{NEW}"

    def leave(name: str) -> str:
        done = host.tarr("leave", kind, name, user="root")
        assert done.stdout == f"{name} has left vdenet0\n"
        return done.stderr

    host.tarr("join", kind, old, user="root")
    rename(old, new)
    assert leave(new) == ""
    assert not is_on(new)
    if not frees:
        host.refused(1, "name-taken", "join", "run", "--name", old, "--", "true", user="bob")
        assert "until it leaves by its new name" in leave(old)
    host.refused(1, "no-guest", "leave", kind, old, user="root")
    free(host, old)
    rename(new, old)
    host.tarr("join", kind, old, user="root")
    rename(old, new)
    assert "until it leaves by its new name" in leave(old)
    assert is_on(new)
    free(host, old)
    assert leave(new) == ""
    assert not is_on(new)
    rename(new, old)

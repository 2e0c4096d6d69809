from __future__ import annotations

import itertools

import pytest

from vdenet.cli.spelling import OPTION_VERBS, VERBS, normalise
from vdenet.errors import BadValue

ADDRESS = "10.9.8.1/24"


@pytest.mark.parametrize(("written", "meant"), [
    # every spelling of the contract
    ("start", "start"), ("--start", "start"), ("-st", "start"),
    ("stop", "stop"), ("--stop", "stop"), ("-sp", "stop"),
    ("reload", "reload"), ("--reload", "reload"), ("-r", "reload"),
    ("check", "check"), ("--check", "check"), ("-c", "check"),
    ("list", "list"), ("--list", "list"), ("--liste", "list"), ("-l", "list"),
    ("ip", "ip"), ("--ip", "ip"), ("-ip", "ip"),
    (f"ip {ADDRESS}", f"ip {ADDRESS}"),
    (f"--ip {ADDRESS}", f"ip {ADDRESS}"),
    (f"-ip {ADDRESS}", f"ip {ADDRESS}"),
    (f"--ip={ADDRESS}", f"ip {ADDRESS}"),
    (f"-ip={ADDRESS}", f"ip {ADDRESS}"),
    # values and options in either order
    (f"{ADDRESS} --ip", f"ip {ADDRESS}"),
    (f"{ADDRESS} -ip --json", f"ip --json {ADDRESS}"),
    (f"--json --ip {ADDRESS}", f"ip --json {ADDRESS}"),
    (f"--ip --json {ADDRESS}", f"ip --json {ADDRESS}"),
    ("-l --json", "list --json"),
    ("--json list", "list --json"),
    ("--json -l -q", "list --json -q"),
    ("--segment lab start", "start --segment lab"),
    ("-st lab", "start lab"), ("lab -st", "start lab"), ("--start=lab", "start lab"),
    ("--segment=lab --liste", "list --segment=lab"),
    # a value is no verb
    ("--segment list -st", "start --segment list"),
    ("--segment -l -st", "start --segment -l"),
    ("start list", "start list"), ("-st list", "start list"),
    # the same verb twice is the same verb
    ("-l --list", "list"), ("list -l", "list"),
    # help is for whom it stands with
    ("-h", "-h"), ("list -h", "list -h"), ("-h -l", "list -h"), ("--version", "--version"),
    ("", ""), ("--json", "--json"), ("--segment", "--segment"), ("list --segment", "list --segment"),
    # verbs with a word of their own
    ("join qemu", "join qemu"),
    ("--json join --name web qemu", "join qemu --json --name web"),
    ("--quiet leave qemu web", "leave qemu --quiet web"),
    ("leave qemu web --json", "leave qemu web --json"),
    ("segment list --json", "segment list --json"),
    ("join", "join"), ("join -h", "join -h"), ("--json segment", "segment --json"),
    # the guest's own command is the guest's own
    ("join qemu -- qemu -l -st --segment --ip", "join qemu -- qemu -l -st --segment --ip"),
    ("join qemu qemu -nographic -l", "join qemu qemu -nographic -l"),
    ("-q join run --name a -- sh -c --list", "join run -q --name a -- sh -c --list"),
    ("join run -- --", "join run -- --"),
    ("join -- qemu", "join -- qemu"),
    ("list -- -st", "list -- -st"),
])
def test_every_spelling_becomes_one(written: str, meant: str) -> None:
    assert normalise(written.split()) == meant.split()


@pytest.mark.parametrize("written", [
    "-st -sp", "list --start", "--start --stop", "join -l", "ip 10.9.8.1/24 -c", "-r --check vdenet0",
])
def test_two_verbs_are_refused(written: str) -> None:
    with pytest.raises(BadValue, match="one verb at a time"):
        normalise(written.split())


@pytest.mark.parametrize("word", ["lst", "", "10.9.8.1/24", "--", "vdenet0", "Start", "a\nb", "x" * 300, "-"])
def test_what_is_no_verb_is_refused(word: str) -> None:
    if word == "--":
        assert normalise([word]) == [word]
        return
    with pytest.raises(BadValue, match="no such verb") as refused:
        normalise([word])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_near_miss_is_named() -> None:
    with pytest.raises(BadValue, match="did you mean check"):
        normalise(["chek"])


def test_the_words_of_a_guest_reach_it_unchanged() -> None:
    words = ["--", "-l", "", "a b", "\udcff", "--ip", "$(x)", "--"]
    assert normalise(["join", "run", *words]) == ["join", "run", *words]


def test_normalising_twice_changes_nothing() -> None:
    words = ["-l", "--json", "--ip", "start", "vdenet0", "--segment", "join", "qemu", "--", "-q"]
    for count in range(4):
        for line in itertools.permutations(words, count):
            try:
                once = normalise(line)
            except BadValue:
                continue
            assert normalise(once) == once


def test_the_table_names_verbs_only() -> None:
    assert set(OPTION_VERBS.values()) <= set(VERBS)

"""What the manual and the READMEs say is what the program has, and the reverse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from tools import TOP

from vdenet import __version__
from vdenet.cli import app, complain, kinds, spelling
from vdenet.daemon import guests, quota, server
from vdenet.model.policy import DEFAULT
from vdenet.model.report import Finding, GuestReport, SegmentReport, Severity, State
from vdenet.model.segment import Mode
from vdenet.text import config, policy

MAN = TOP / "man"
TEXTS = [TOP / "README.md", TOP / "HACKING.md"]

each_text = pytest.mark.parametrize("text", TEXTS, ids=[text.name for text in TEXTS])


# --- the manual's source, mdoc(7) -----------------------------------------------------------------

def sections(page: str) -> dict[str, list[str]]:
    """The lines of each section, by its heading."""
    found: dict[str, list[str]] = {}
    for line in (MAN / page).read_text().replace("\\-", "-").splitlines():
        if line.startswith(".Sh "):
            heading = line.removeprefix(".Sh ")
            found[heading] = []
        elif found:
            found[heading].append(line)
    return found


def items(lines: list[str], depth: int = 1) -> list[str]:
    """The heads of a list's items, without those of lists within it."""
    level, heads = 0, []
    for line in lines:
        level += line.startswith(".Bl ") - line.startswith(".El")
        if level == depth and line.startswith(".It "):
            heads.append(line.removeprefix(".It "))
    return heads


def arguments(line: str, macro: str) -> list[str]:
    """The words to which `macro` applies in a line."""
    found, on = [], False
    for word in line.split():
        if re.fullmatch("[A-Z][a-z]", word):
            on = word == macro
        elif on and word not in (",", "|"):
            found.append(word)
    return found


def literals(lines: list[str]) -> list[str]:
    """The texts of the literal displays."""
    return re.findall(r"^\.Bd -literal.*?$(.*?)^\.Ed$", "\n".join(lines), re.MULTILINE | re.DOTALL)


def flags(lines: list[str]) -> set[str]:
    """The options that are named, as they are typed; `--` alone is none."""
    return {"-" + word for line in lines if line.startswith(".") for word in arguments(line, "Fl")} - {"--"}


# --- the program's parser -------------------------------------------------------------------------

def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each verb that is not hidden, with its words, and the program itself as the empty one."""
    if not words:
        yield "", command
    for name, child in getattr(command, "commands", {}).items():
        if child.hidden:
            continue
        if hasattr(child, "commands"):
            yield from commands(child, (*words, name))
        else:
            yield " ".join((*words, name)), child


COMMANDS = dict(commands(typer.main.get_command(app.build())))


def test_every_verb_is_in_the_manual_and_no_other() -> None:
    told = {" ".join(head.partition(",")[0].split("Fl")[0].split("Oo")[0].split("Ar")[0].split()[1:])
            for head in items(sections("tarr-steps.1")["VERBS"])}
    assert told == COMMANDS.keys() - {""}


def test_every_option_is_in_the_manual_and_no_other() -> None:
    parsed = {option for command in COMMANDS.values() for parameter in command.params
              if parameter.param_type_name == "option"
              for option in (*parameter.opts, *parameter.secondary_opts)}
    parsed |= {option for command in COMMANDS.values()
               for option in command.get_help_option_names(command.make_context("x", [], resilient_parsing=True))}
    lines = [line for page_lines in sections("tarr-steps.1").values() for line in page_lines]
    assert flags(lines) == parsed | spelling.OPTION_VERBS.keys()


@pytest.mark.parametrize("verb", sorted(set(spelling.OPTION_VERBS.values())))
def test_the_old_spellings_stand_beside_their_verb(verb: str) -> None:
    head = next(head for head in items(sections("tarr-steps.1")["VERBS"]) if head.split()[1] == verb)
    assert flags([f".It {head}"]) == {old for old, new in spelling.OPTION_VERBS.items() if new == verb}


def test_every_status_is_in_the_manual() -> None:
    told = [int(head) for head in items(sections("tarr-steps.1")["EXIT STATUS"])]
    assert told == sorted({complain.DONE, complain.REFUSED, *complain.STATUS.values()})


def test_the_json_in_the_manual_has_the_keys_of_the_program() -> None:
    lines = sections("tarr-steps.1")["JSON OUTPUT"]
    listed, checked = (json.loads(text) for text in literals(lines)[:2])
    segment, = listed["segments"]
    guest, = segment["guests"]
    finding, = checked["findings"]
    for shown, kind in ((segment, SegmentReport), (guest, GuestReport), (finding, Finding)):
        assert shown.keys() == {field.name for field in fields(kind)}
    words = set(" ".join(lines).split())
    assert words >= {str(state) for state in State} | {str(severity) for severity in Severity}


def test_the_options_of_the_daemon_are_in_the_manual_and_no_other() -> None:
    script = f"import sys; sys.path.insert(0, {str(TOP / 'src')!r}); " \
        "from vdenet.daemon.main import main; main(['--help'])"
    shown = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True,
                           check=True, timeout=60).stdout
    told = [line for lines in sections("vdenetd.8").values() for line in lines]
    assert flags(told) == set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown))


# --- the configuration ----------------------------------------------------------------------------

def test_every_key_is_in_the_manual_and_no_other() -> None:
    told = {heading: {arguments(head, "Cm")[0] for head in items(lines)}
            for heading, lines in sections("vdenet.toml.5").items() if "KEYS" in heading or "TABLE" in heading}
    wanted = {}
    for table, keys in config.KEYS.items():
        kind = "TABLES" if table.startswith("[[") else "TABLE"
        wanted[f"{kind} {table}" if table else "KEYS OF THE SEGMENT"] = set(keys)
    assert told == wanted


def test_every_mode_is_in_the_manual_and_no_other() -> None:
    told = {arguments(head, "Cm")[0] for head in items(sections("vdenet.toml.5")["KEYS OF THE SEGMENT"], depth=2)}
    assert told == {str(mode) for mode in Mode}


def test_the_configuration_in_the_manual_can_be_read() -> None:
    texts = literals(sections("vdenet.toml.5")["EXAMPLES"])
    read = [config.parse(text, "vdenet0", "vdenet.toml.5") for text in texts]
    assert read and any(segment.hosts and segment.records for segment in read)
    assert any(segment.netboot for segment in read) and any(segment.guest_dhcp for segment in read)


def test_every_key_of_the_policy_is_in_the_manual_with_its_default() -> None:
    lines = sections("vdenet-policy.toml.5")["KEYS"]
    assert {arguments(head, "Cm")[0] for head in items(lines)} == set(policy.KEYS)
    text, = literals(sections("vdenet-policy.toml.5")["EXAMPLES"])
    assert policy.parse(text, "policy.toml") != DEFAULT
    told = " ".join(lines)
    for value in (*DEFAULT.pools, *DEFAULT.domains, DEFAULT.segments, DEFAULT.guests):
        assert str(value) in told


# --- README and HACKING ---------------------------------------------------------------------------

def code(text: Path) -> list[str]:
    """What stands in code spans and, line by line, in indented blocks."""
    return [span or line for span, line in
            re.findall(r"`([^`\n]+)`|^    (.*)$", text.read_text(), re.MULTILINE)]


def test_the_limits_of_a_member_are_in_the_manual() -> None:
    words = " ".join(sections("vdenetd.8")["ACCOUNTS AND PRIVILEGES"])
    for limit in (f"{quota.MAX_TAPS} ports", f"{quota.MAX_CONNECTIONS} connections", f"{quota.MAX_OPERATIONS} operations",
                  f"{quota.MAX_ALL_CONNECTIONS} connections", f"{server.IDLE_SECONDS:.0f} seconds",
                  f"{guests.MAX_GUESTS_PER_USER} names"):
        assert re.search(rf"\b{limit}\b", words), limit


@each_text
def test_every_target_of_make_that_is_named_is_documented(text: Path) -> None:
    rules = re.findall(r"^([a-z -]+):.*## ", (TOP / "Makefile").read_text(), re.MULTILINE)
    named = {found[1] for piece in code(text) if (found := re.match(r"make ([a-z-]+)", piece))}
    assert named <= {target for rule in rules for target in rule.split()}


@each_text
def test_every_verb_that_is_named_exists(text: Path) -> None:
    named = {found[1] for piece in code(text) if (found := re.match(r"tarr-steps ((join |segment )?[a-z]+)", piece))}
    assert named <= COMMANDS.keys()


@each_text
def test_every_option_that_is_named_exists(text: Path) -> None:
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    for piece in code(text):
        if piece.startswith("tarr-steps "):
            ours = piece.partition("#")[0].partition(" -- ")[0]
            assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", ours)) <= known


@each_text
def test_every_file_that_is_linked_or_named_exists(text: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", text.read_text()):
        assert (TOP / target).exists(), target
    for span in re.findall(r"`([\w.]+/[\w./-]*)`", text.read_text()):
        if span.startswith("dist/"):  # what `make deb` leaves
            continue
        places = (TOP, TOP / "src/vdenet")
        assert any((place / path).exists() for place in places for path in (span, f"{span}.py")), span


def test_the_table_of_guests_has_each_kind() -> None:
    rows = [line.lower() for line in (TOP / "README.md").read_text().splitlines() if line.startswith("| ")]
    for verb in COMMANDS:
        if verb.startswith("join "):
            assert any(f"`tarr-steps {verb}" in row for row in rows), verb


def test_the_two_commands_stand_first() -> None:
    commands_shown = re.findall(r"^    (\S.*)$", (TOP / "README.md").read_text(), re.MULTILINE)
    assert [line.split("#")[0].split() for line in commands_shown[:2]] == [["make", "up"], ["make", "test"]]


def test_the_version_is_the_same_everywhere() -> None:
    first = (TOP / "debian/changelog").read_text().partition("\n")[0]
    assert first.startswith(f"vdenet ({__version__}) ")


# --- the table of kinds ----------------------------------------------------------------------------

def table() -> dict[str, dict[str, str]]:
    """README's table of kinds: each row by its first cell, as its cells by their columns' headings."""
    lines = (TOP / "README.md").read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| kind of guest |"))
    heads = [cell.strip() for cell in lines[begin].strip("|").split("|")]
    rows = {}
    for line in lines[begin + 2:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == len(heads), line
        rows[cells[0]] = dict(zip(heads, cells))
    return rows


def verbs(cell: str, verb: str) -> set[str]:
    """The kinds for which a cell names `tarr-steps VERB KIND`."""
    return set(re.findall(f"`tarr-steps {verb} ([a-z]+)", cell))


def test_each_kind_is_in_the_table() -> None:
    rows = table().values()
    assert set().union(*(verbs(row["join"], "join") for row in rows)) == {*kinds.TABLE, "qemu", "run"}
    assert set().union(*(verbs(row["leave"], "leave") for row in rows)) == {*kinds.TABLE, "qemu"}


@pytest.mark.parametrize("row", table())
def test_a_row_tells_tests_that_join_that_kind(row: str) -> None:
    cells = table()[row]
    if "not tested" == cells["tested how"]:
        assert not verbs(cells["join"], "join")
        return
    texts = []
    for path in re.findall(r"\]\(([^)]+)\)", cells["tested how"]):
        files = sorted((TOP / path).glob("*.py")) if (TOP / path).is_dir() else [TOP / path]
        texts += [each.read_text() for each in files]
    assert texts, "no link to a test"
    for kind in verbs(cells["join"], "join") & set(kinds.TABLE):
        assert any(re.search(f"\"join\", \"{kind}\"|join {kind}", text) for text in texts)

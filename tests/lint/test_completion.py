"""What the shells complete is what the parser takes."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from test_docs import COMMANDS
from tools import TOP

from vdenet.cli import kinds, spelling
from vdenet.cli.joining import KINDS as MADE
from vdenet.daemon.admission import KINDS

COMPLETIONS = TOP / "debian/completions"
VERBS = {verb.split()[0] for verb in COMMANDS if verb}


def options(verb: str) -> set[str]:
    """The long options of a verb, or of the program for the empty one."""
    return {option for parameter in COMMANDS[verb].params if parameter.param_type_name == "option"
            for option in parameter.opts if option.startswith("--")} | {"--help"}


def bash(*words: str) -> set[str]:
    """What bash offers for the last of the words."""
    script = f"""
        . {shlex.quote(str(COMPLETIONS / "tarr-steps.bash"))}
        COMP_WORDS=(tarr-steps {shlex.join(words)}) COMP_CWORD={len(words)}
        _tarr_steps
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True,
                          check=True, timeout=20)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_offers_each_verb() -> None:
    assert bash("") == VERBS


def test_bash_offers_the_words_behind_a_verb() -> None:
    for verb in ("join", "segment"):
        assert bash(verb, "") == {whole.split()[1] for whole in COMMANDS if whole.startswith(f"{verb} ")}


def test_each_kind_of_guest_is_known_to_the_daemon_and_offered_by_bash() -> None:
    assert set(KINDS) == {*kinds.TABLE, *MADE} == bash("leave", "")


@pytest.mark.parametrize("file", ["tarr-steps.fish", "_tarr-steps"])
def test_the_others_offer_each_kind_of_guest_that_can_leave(file: str) -> None:
    """Beside `join`, which has each as a word of its own."""
    assert any(set(KINDS) <= set(re.findall(r"\w+", line))
               for line in (COMPLETIONS / file).read_text().splitlines() if "-a " in line or ":kind:" in line)


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_bash_offers_each_option(verb: str) -> None:
    expected = options(verb)
    if not verb:
        # --liste is taken, but nobody needs to be led to it.
        expected |= {old for old in spelling.OPTION_VERBS if old.startswith("--")} - {"--liste"}
    assert bash(*verb.split(), "--") - {"--"} == expected


@pytest.mark.parametrize(("file", "mark"), [("tarr-steps.fish", "-l "), ("_tarr-steps", "--")])
def test_the_others_name_each_verb_and_option(file: str, mark: str) -> None:
    text = (COMPLETIONS / file).read_text()
    words = set(text.replace("'", " ").replace('"', " ").replace(":", " ").replace("[", " ").split())
    assert words >= VERBS
    for option in set().union(*map(options, COMMANDS)):
        assert f"{mark}{option.removeprefix('--')}" in text, option

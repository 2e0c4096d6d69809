"""What the shells complete is what the parser takes."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

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


def bash(*words: str, file: Path = COMPLETIONS / "tarr-steps.bash") -> set[str]:
    """What bash offers for the last of the words."""
    script = f"""
        . {shlex.quote(str(file))}
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


def test_bash_offers_the_options_that_a_kind_takes_to_leave() -> None:
    assert {kind for kind in KINDS if "--connect" in bash("leave", kind, "--")} == {
        name for name, kind in kinds.TABLE.items() if kind.connected}


def test_bash_offers_segments_that_are_down(tmp_path: Path) -> None:
    """What `start` is for. A policy is no segment; one that is up may have lost its file."""
    for path in ("etc/vdenet", "run/vdenet/lab/switch", "run/vdenet/left/switch", "run/vdenet/state"):
        (tmp_path / path).mkdir(parents=True)
    text = (COMPLETIONS / "tarr-steps.bash").read_text()
    for path in ("/etc/vdenet", "/run/vdenet"):
        text = text.replace(path, f"{tmp_path}{path}")
    file = tmp_path / "completion"
    file.write_text(text)
    assert bash("start", "", file=file) == {"lab", "left"}
    for name in ("lab", "vdenet0", "policy"):
        (tmp_path / f"etc/vdenet/{name}.toml").touch()
    for words in ("start",), ("segment", "delete"), ("list", "--segment"):
        assert bash(*words, "", file=file) == {"lab", "left", "vdenet0"}


@pytest.mark.parametrize(("file", "mark"), [("tarr-steps.fish", "-l "), ("_tarr-steps", "--")])
def test_the_others_name_each_verb_and_option(file: str, mark: str) -> None:
    text = (COMPLETIONS / file).read_text()
    words = set(text.replace("'", " ").replace('"', " ").replace(":", " ").replace("[", " ").split())
    assert words >= VERBS
    for option in set().union(*map(options, COMMANDS)):
        assert f"{mark}{option.removeprefix('--')}" in text, option

"""Types, names that nobody uses, spelling, shell scripts."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from tools import TOP, files, says_nothing

PYTHON = [path for path in files() if path.suffix == ".py" or path.parent == TOP / "bin"]
WIDTH = 120


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


SHELL = [path for path in files() if re.match(rb"#!\s*/bin/(ba)?sh", _first_line(path))]


def test_types_of_the_program(tmp_path: Path) -> None:
    says_nothing(["mypy", "--no-error-summary", f"--cache-dir={tmp_path}"])


def test_types_of_the_tests(tmp_path: Path) -> None:
    says_nothing(
        ["mypy", "--no-error-summary", f"--cache-dir={tmp_path}", "--explicit-package-bases", "tests"],
        env={"MYPYPATH": "src:tests:tests/lint"},
    )


def test_no_name_is_imported_or_assigned_for_nothing() -> None:
    says_nothing([sys.executable, "-m", "pyflakes", *PYTHON])


def test_spelling() -> None:
    # nd: neighbour discovery, and mdoc's macro
    says_nothing(["codespell", "--ignore-words-list=nd", *files()])


def test_shell_scripts() -> None:
    assert len(SHELL) >= 6
    says_nothing(["shellcheck", *SHELL])


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(TOP)))
def test_lines_and_docstrings(path: Path) -> None:
    text = path.read_text()
    long = [n for n, line in enumerate(text.splitlines(), 1) if len(line) > WIDTH]
    assert not long, f"lines longer than {WIDTH}: {long}"
    assert not re.search(r"[ \t]+$", text, re.MULTILINE), "white space at the end of a line"
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no docstring says what the module is"

"""Types, names that nobody uses, spelling, shell scripts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from tools import TOP, files, says_nothing

PYTHON = [path for path in files() if path.suffix == ".py" or path.parent == TOP / "bin"]
WIDTH = {"src": 120, "tests": 140}


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


SHELL = [path for path in files() if re.match(rb"#!\s*/bin/(ba)?sh", _first_line(path))]


def test_types_of_the_program(tmp_path: Path) -> None:
    says_nothing(["mypy", "--no-error-summary", f"--cache-dir={tmp_path}"])


def test_types_of_the_tests(tmp_path: Path) -> None:
    """Of the test library and of what drives real machines; the unit tests play with doubles."""
    says_nothing(
        [
            "mypy",
            "--no-error-summary",
            f"--cache-dir={tmp_path}",
            "--explicit-package-bases",
            "--allow-untyped-calls",
            "--allow-untyped-decorators",
            "--no-warn-return-any",
            "--no-warn-unused-ignores",
            "--exclude=tests/unit/",
            "tests",
        ],
        env={"MYPYPATH": "src:tests:tests/lint"},
    )


def test_no_name_is_imported_or_assigned_for_nothing() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "pyflakes", *PYTHON], capture_output=True, text=True, check=False
    )
    # A name that begins with _ is there for the reader.
    wrong = [line for line in said.stdout.splitlines() if "local variable '_" not in line]
    assert (wrong, said.stderr) == ([], "")


def test_spelling() -> None:
    # The unit and golden tests mistype words on purpose. Not misspelt: neighbour discovery and mdoc's macro, nft's iif.
    meant = (TOP / "tests/unit", TOP / "tests/golden")
    read = [path for path in files() if not any(path.is_relative_to(place) for place in meant)]
    says_nothing(["codespell", "--ignore-words-list=nd,iif,passt,caf", *read])


def test_shell_scripts() -> None:
    assert len(SHELL) >= 6
    says_nothing(["shellcheck", *SHELL])


def test_lines_are_short_and_end_clean() -> None:
    wrong = [
        f"{path.relative_to(TOP)}:{number}"
        for path in PYTHON
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > WIDTH.get(path.relative_to(TOP).parts[0], 100) or line != line.rstrip()
    ]
    assert not wrong


def test_every_module_says_what_it_is() -> None:
    ours = [path for path in PYTHON if "unit" not in path.parts]
    silent = [
        str(path.relative_to(TOP))
        for path in ours
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent

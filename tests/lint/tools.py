"""What the lint tests share: the repository's files, and a linter that has to say nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from conftest import missing

TOP = Path(__file__).resolve().parents[2]
PLACES = (".ci", "bin", "debian", "man", "src", "tests", "Makefile", "README.md", "HACKING.md", "pyproject.toml")
MADE = {"__pycache__", ".mypy_cache", ".pytest_cache"}


def files() -> list[Path]:
    """Every file that we write by hand."""
    found = []
    for place in PLACES:
        path = TOP / place
        found += [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return [path for path in found if not MADE & set(path.parts) and not path.name.endswith(".egg-info")]


def says_nothing(
    argv: Iterable[str | Path], *, env: dict[str, str] | None = None, timeout: float = 300
) -> None:
    """Run a linter that ends with 0 and prints nothing when all is well."""
    line = [str(word) for word in argv]
    if shutil.which(line[0]) is None:
        missing(f"{line[0]} is not installed")
    done = subprocess.run(
        line,
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and not said, f"{line[0]} ends with {done.returncode}:\n{said}"

"""The manual pages are clean for both readers of them, mandoc and man-db."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import missing

PAGES = sorted((Path(__file__).resolve().parents[2] / "man").glob("*.[1-9]"))

each_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


def _run(*argv: str | Path) -> tuple[str, str]:
    """What the command writes to standard output and to standard error, in a locale of UTF-8."""
    if shutil.which(str(argv[0])) is None:
        missing(f"{argv[0]} is not installed")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
    return done.stdout, done.stderr


def test_the_pages_of_the_contract_are_there() -> None:
    expected = {"tarr-steps.1", "vdenet.toml.5", "vdenet-policy.toml.5", "vdenet.7", "vdenetd.8"}
    assert {page.name for page in PAGES} >= expected


@each_page
def test_mandoc_has_nothing_to_say(page: Path) -> None:
    assert _run("mandoc", "-T", "lint", "-W", "warning", page) == ("", "")


@each_page
def test_man_warns_of_nothing(page: Path) -> None:
    text, warnings = _run("man", "--warnings", "--encoding=UTF-8", "--local-file", page)
    assert warnings == ""
    assert "SEE ALSO" in text


@each_page
def test_whatis_finds_its_line(page: Path) -> None:
    name = page.name.rpartition(".")[0]
    assert f'"{name} - ' in _run("lexgrog", page)[0]


@each_page
def test_references_to_our_own_pages_name_the_right_section(page: Path) -> None:
    sections = dict(other.name.rsplit(".", 1) for other in PAGES)
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), re.MULTILINE):
        assert sections.get(name, section) == section, f"{name}({section})"

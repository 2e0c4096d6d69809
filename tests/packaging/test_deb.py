"""`make deb`: the same bytes each time, the tree left alone, and every file where it belongs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def test_built_twice_the_bytes_are_the_same(deb: Path, tmp_path: Path) -> None:
    """In another directory, under another umask, in another time zone and language."""
    copy = tmp_path / "a clone"
    copy.mkdir(mode=0o700)
    for name in ("bin", "debian", "man", "src", "LICENSE", "Makefile", "README.md", "pyproject.toml"):
        place = TOP / name
        if place.is_dir():
            shutil.copytree(place, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, copy)
    before = sorted(str(path) for path in copy.rglob("*"))
    subprocess.run(
        ["make", "-C", str(copy), "deb"],
        check=True, capture_output=True, umask=0o077,
        env={**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "MAKEFLAGS": ""},
    )
    assert (copy / "dist/vdenet.deb").read_bytes() == deb.read_bytes()
    assert (copy / "dist" / deb.name).read_bytes() == deb.read_bytes()
    after = sorted(str(path) for path in copy.rglob("*") if "dist" not in path.relative_to(copy).parts)
    assert after == before


def test_programs_are_isolated(deb: Path, tmp_path: Path) -> None:
    """Neither the directory they are called in nor PYTHON* variables can put code into them."""
    subprocess.run(["dpkg-deb", "--extract", str(deb), str(tmp_path)], check=True)
    for name in ("usr/bin/tarr-steps", "usr/sbin/vdenetd"):
        with (tmp_path / name).open() as file:
            assert file.readline() == "#!/usr/bin/python3 -IB\n"


def test_nothing_is_writable_or_setuid(deb: Path) -> None:
    lines = subprocess.run(
        ["dpkg-deb", "--contents", str(deb)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for line in lines:
        mode, owner = line.split()[:2]
        assert owner == "root/root", line
        assert "s" not in mode and "t" not in mode, line
        assert mode[0] == "l" or (mode[5] != "w" and mode[8] != "w"), line

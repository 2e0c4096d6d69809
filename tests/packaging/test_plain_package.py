"""stdeb's plain package of the same metadata has the dependencies and files that debian/ gives."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
# All that stdeb reads besides pyproject.toml; it is older than that file's fields.
SETUP = "from setuptools import setup\n\nsetup()\n"


def output(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .deb that stdeb makes of a copy of the source."""
    copy = tmp_path_factory.mktemp("stdeb") / "vdenet"
    copy.mkdir()
    for name in ("bin", "src"):
        shutil.copytree(TOP / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, copy)
    (copy / "setup.py").write_text(SETUP)
    done = subprocess.run(
        [sys.executable, "setup.py", "--command-packages=stdeb.command", "bdist_deb"],
        cwd=copy, capture_output=True, text=True, check=False,
    )
    built = list(copy.glob("deb_dist/python3-vdenet_*_all.deb"))
    assert done.returncode == 0 and len(built) == 1, done.stdout + done.stderr
    return built[0]


def contents(deb: Path) -> set[str]:
    """The paths of a package's files."""
    lines = output("dpkg-deb", "--contents", deb).splitlines()
    return {line.split(maxsplit=5)[5].removeprefix(".") for line in lines if not line.startswith("d")}


def modules(deb: Path) -> set[str]:
    return {path for path in contents(deb) if "/dist-packages/vdenet/" in path}


def python_dependencies(deb: Path) -> set[str]:
    fields = output("dpkg-deb", "--field", deb, "Depends").strip()
    names = {re.split(r"[ (|:]", clause.strip())[0] for clause in fields.split(",")}
    return {name for name in names if name.startswith("python3")}


def test_the_same_python_dependencies(plain: Path, deb: Path) -> None:
    assert python_dependencies(plain) == python_dependencies(deb)


def test_the_same_modules(plain: Path, deb: Path) -> None:
    assert modules(plain) == modules(deb)
    source = {
        f"/usr/lib/python3/dist-packages/{path.relative_to(TOP / 'src')}"
        for path in (TOP / "src/vdenet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert modules(deb) == source


def test_the_same_version(plain: Path, deb: Path) -> None:
    plain_version = output("dpkg-deb", "--field", plain, "Version").strip().rpartition("-")[0]
    assert output("dpkg-deb", "--field", deb, "Version").strip() == plain_version


def test_both_have_the_programs(plain: Path, deb: Path) -> None:
    """stdeb knows no sbin; that is one of the reasons why debian/ is kept by hand."""
    assert {"/usr/bin/tarr-steps", "/usr/bin/vdenetd"} <= contents(plain)
    assert {"/usr/bin/tarr-steps", "/usr/sbin/vdenetd"} <= contents(deb)


def test_what_only_debian_can_say(plain: Path, deb: Path) -> None:
    """The reason for keeping debian/ by hand: none of this is in the plain package."""
    ours = contents(deb)
    for path in (
        "/etc/init.d/vdenetd",
        "/usr/lib/sysusers.d/vdenet.conf",
        "/usr/lib/tmpfiles.d/vdenet.conf",
        "/usr/share/man/man1/tarr-steps.1.gz",
    ):
        assert path in ours and path not in contents(plain)
    assert any(path.endswith("/systemd/system/vdenetd.socket") for path in ours)

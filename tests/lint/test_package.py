"""The built package against Debian's policy; the unit against systemd's own measure."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tools import TOP, says_nothing

# systemd-analyze security, 0 best. What is left is what the service is for: root's uid, six capabilities,
# the host's network, netlink, other accounts' processes, upstream name servers anywhere.
EXPOSURE = 2.7


@pytest.fixture(scope="module")
def unpacked(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(place)], check=True)
    return place


def test_lintian_has_neither_error_nor_warning(deb: Path) -> None:
    says_nothing(["lintian", "--allow-root", "--tag-display-limit=0", "--fail-on=error,warning", deb])


def test_every_override_has_its_reason() -> None:
    for path in TOP.glob("debian/**/*lintian-overrides"):
        before = ""
        for line in path.read_text().splitlines():
            assert line.startswith("#") or before.startswith("#"), f"{path.name}: {line}"
            before = line


def test_systemd_understands_the_units(unpacked: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(unpacked, root, symlinks=True)
    units = sorted(each for each in root.rglob("vdenetd.*") if each.suffix in (".service", ".socket"))
    assert len(units) == 2
    # verify looks for the program where the unit says it is: on this machine, without --root.
    program = root / "usr/sbin/vdenetd"
    for unit in units:
        unit.write_text(unit.read_text().replace("/usr/sbin/vdenetd", str(program)))
        # The manual is not installed here.
        unit.write_text(re.sub(r"(?m)^Documentation=.*\n", "", unit.read_text()))
    says_nothing(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units])


def test_exposure_of_the_unit(unpacked: Path) -> None:
    unit = next(unpacked.rglob("vdenetd.service"))
    shown = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", str(unit)],
        capture_output=True, text=True, check=False,
    ).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", shown)
    assert level, shown
    assert float(level[1]) <= EXPOSURE, shown


def test_both_starts_give_the_daemon_the_same_powers() -> None:
    """The SysV script and the unit: capabilities, groups, no new privileges."""
    unit = (TOP / "debian/vdenet.vdenetd.service").read_text()
    script = (TOP / "debian/vdenet.vdenetd.init").read_text()
    of_unit = re.search(r"(?m)^CapabilityBoundingSet=(.*)", unit)
    of_script = re.search(r"(?m)^CAPABILITIES=-all,(.*)", script)
    assert of_unit and of_script
    assert sorted(of_unit[1].lower().replace("cap_", "").split()) == sorted(
        of_script[1].replace("+", "").split(",")
    )
    groups = re.search(r"(?m)^GROUPS_OF_CHILDREN=(.*)", script)
    assert groups and f"SupplementaryGroups={groups[1].replace(',', ' ')}" in unit
    assert "NoNewPrivileges=yes" in unit and "--no-new-privs" in script


def test_debconf_templates_are_up_to_date(tmp_path: Path) -> None:
    copy = tmp_path / "debian"
    shutil.copytree(TOP / "debian", copy)
    before = (copy / "po/templates.pot").read_text()
    subprocess.run(["debconf-updatepo", f"--podir={copy / 'po'}"], check=True, capture_output=True)

    def undated(text: str) -> str:
        return re.sub(r'(?m)^"POT-Creation-Date.*\n', "", text)

    assert undated((copy / "po/templates.pot").read_text()) == undated(before)

"""The life of the package in a container where nothing is pid 1, on a host without an uplink."""

from __future__ import annotations

from pathlib import Path

from lab.machine import Machine
from system import leftovers, scenario, snapshot, verbs
from system.scenario import ADMIN, STRANGER


def test_life(bare: Machine, deb: Path) -> None:
    before = snapshot.take(bare)
    package = scenario.copy(bare, deb)

    scenario.apt(bare, "install", package, env={"SUDO_USER": ADMIN})
    assert scenario.answer(bare, "check", user=ADMIN)["ok"] is True
    verbs.services_are_not_root(bare)
    verbs.every_verb(verbs.Member(bare, ADMIN))
    verbs.refused(bare, STRANGER)
    verbs.sees_nothing(bare, STRANGER)
    one = scenario.segment(bare)

    bare.run(["/etc/init.d/vdenetd", "stop"])
    scenario.steps(bare, "list", user=ADMIN, exit=3)
    # The daemon went, the segment stayed; who starts it finds nothing to do.
    bare.run(["ip", "link", "show", "vdenet0"])
    bare.run(["/etc/init.d/vdenetd", "start"])
    assert scenario.segment(bare) == one
    bare.run(["/etc/init.d/vdenetd", "status"])

    scenario.apt(bare, "install", "--reinstall", package)
    assert scenario.segment(bare) == one
    scenario.apt(bare, "remove", "vdenet")
    assert bare.run(["ip", "link", "show", "vdenet0"], check=False).returncode != 0
    scenario.apt(bare, "install", package)
    assert scenario.segment(bare) == one
    scenario.apt(bare, "purge", "vdenet")
    ours = leftovers.find(bare, before)
    assert not ours, "\n".join(ours)

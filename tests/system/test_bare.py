"""The life of the package in a container where nothing is pid 1, on a host without an uplink."""

from __future__ import annotations

from pathlib import Path

from lab.machine import Machine, wait_for
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


MOUNTS = r"""
import ctypes, os, sys, time
mount = ctypes.CDLL(None, use_errno=True).mount
for place in sys.argv[1:]:
    os.makedirs(place)
    fuse = f"fd={os.open('/dev/fuse', os.O_RDWR)},rootmode=40000,user_id=1000,group_id=1000".encode()
    # Nobody answers there. Where the kernel has no FUSE, something that cannot be removed either.
    if mount(b"x", os.fsencode(place), b"fuse", 6, fuse) and mount(b"x", os.fsencode(place), b"tmpfs", 6, b""):
        raise OSError(ctypes.get_errno(), place)
print("mounted", flush=True)
time.sleep(600)
"""


def test_what_a_member_has_mounted_keeps_nothing_there(bare: Machine, deb: Path) -> None:
    """By fusermount(1), where members' sockets are; under whatever name, and nothing else is unmounted."""
    scenario.apt(bare, "install", scenario.copy(bare, deb))
    names = ["a", "a b", "-l", "back\\slash\\040", "two\nlines\n", "%s", "d/e/f", "$(touch /tmp/run)", "tab\t#*", "\udc81\udc88é"]
    bare.sh("mkdir /run/vdenet2; mount -t tmpfs x /run/vdenet2; ln -s /run/vdenet2 /run/vdenet/vdenet0/switch/link")
    member = bare.popen(["python3", "-c", MOUNTS, *(f"/run/vdenet/vdenet0/switch/{name}" for name in names)])
    try:
        wait_for(lambda: bare.path("/proc/1/mounts").read_bytes().count(b" /run/vdenet/") == len(names), 20, "mounts")
        scenario.apt(bare, "remove", "vdenet")
        assert bare.sh("grep -o ' /run/vdenet[^ ]*' /proc/self/mounts; ls -d /run/vdenet*; ls /tmp").split() == [
            "/run/vdenet2", "/run/vdenet2"]
        scenario.apt(bare, "purge", "vdenet")
    finally:
        member.kill()
        bare.run(["umount", "/run/vdenet2"], check=False)

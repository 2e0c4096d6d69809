"""join nspawn, on the real systemd-nspawn."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lab.machine import wait_for

from . import renaming
from .conftest import SEGMENT, Host

# systemd 256 and later refuse the old hierarchy of control groups, which this host may have.
_NSPAWN = ("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
           "--settings=override", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe")

_TREE = """
mkdir -p bin etc usr
cp /bin/busybox bin
for name in sh ip sleep cat udhcpc; do ln -sf busybox bin/$name; done
echo ID=busybox >etc/os-release
"""


class Container:
    """A container of busybox below /var/lib/machines."""

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.name = name
        self.file = host.machine.path(f"/etc/systemd/nspawn/{name}.nspawn")
        host.machine.sh(f"mkdir -p /var/lib/machines/{name}; cd /var/lib/machines/{name}; {_TREE}")

    def start(self, script: str) -> subprocess.Popen[str]:
        """Run a shell script in it."""
        return self.host.machine.popen([*_NSPAWN, f"--machine={self.name}", "/bin/sh", "-c", script])

    def join(self, *argv: str) -> str:
        return self.host.tarr("join", "nspawn", self.name, *argv, user="root").stdout

    def leave(self, *argv: str) -> str:
        return self.host.tarr("leave", "nspawn", self.name, *argv, user="root").stdout


@pytest.fixture
def box(nspawn: Host, request: pytest.FixtureRequest) -> Iterator[Container]:
    made = Container(nspawn, f"c{abs(hash(request.node.name)) % 100000}")
    yield made
    nspawn.tarr("leave", "nspawn", made.name, user="root", check=False)
    nspawn.machine.sh(f"rm -rf /var/lib/machines/{made.name} /var/lib/machines/{made.name}.nspawn "
                      f"/etc/systemd/nspawn/{made.name}.nspawn /run/systemd/nspawn/{made.name}.nspawn")


def test_a_container_joins_starts_and_leaves(nspawn: Host, box: Container) -> None:
    told = nspawn.told("join", "nspawn", box.name, user="root")
    assert (told["changed"], told["via"], told["nic"], told["live"], told["running"]) == (
        True, "veth", "host0", False, False)
    process = box.start("ip link set host0 up; udhcpc -q -n -t 20 -i host0 -s /bin/true; sleep 1000")
    try:
        def listed() -> bool:
            guest = nspawn.listed(box.name)
            return guest is not None and guest["address"] is not None and guest["via"] == "veth"
        wait_for(listed, 60, f"{box.name} listed")
        guest = nspawn.listed(box.name)
        assert guest is not None
        # The MAC address was settled before nspawn had made the interface.
        assert (guest["kind"], guest["mac"], guest["owner"]) == ("nspawn", told["mac"], "root")
        assert guest["port"] == f"vb-{box.name}"
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert "has left" in box.leave()
    assert not box.file.exists()


def test_a_container_that_was_renamed(nspawn: Host, box: Container) -> None:
    """By hand, as `machinectl rename` does it, which takes a systemd that runs."""
    def rename(old: str, new: str) -> None:
        nspawn.machine.sh(f"mv /var/lib/machines/{old} /var/lib/machines/{new}")
        nspawn.machine.sh(f"! [ -e {file(old)} ] || mv {file(old)} {file(new)}")

    def file(name: str) -> str:
        return f"/etc/systemd/nspawn/{name}.nspawn"

    def is_on(name: str) -> bool:
        settings = nspawn.machine.path(file(name))
        return settings.exists() and f"Bridge={SEGMENT}\n" in settings.read_text()

    renaming.leaves_by_its_new_name(nspawn, "nspawn", box.name, rename, is_on, frees=False)


def test_both_are_idempotent(nspawn: Host, box: Container) -> None:
    assert "is not on" in box.leave()
    box.join()
    joined = box.file.read_text()
    assert "already" in box.join()
    assert not nspawn.told("join", "nspawn", box.name, user="root")["changed"]
    assert box.file.read_text() == joined
    box.leave()
    assert "is not on" in box.leave()
    assert not box.file.exists()


@pytest.mark.parametrize("text", ["", "[Exec]\nBoot=no\n", "[Network]\n# none\nPort=tcp:80\n[Exec]\nBoot=no"],
                         ids=["empty", "another section", "no end"])
def test_other_settings_stay(box: Container, text: str) -> None:
    box.file.parent.mkdir(parents=True, exist_ok=True)
    box.file.write_text(text)
    box.join()
    assert box.file.read_text().startswith(text)
    box.leave()
    assert box.file.read_text() == text


def test_settings_of_run_are_changed_where_they_are(nspawn: Host, box: Container) -> None:
    file = nspawn.machine.path("/run/systemd/nspawn") / box.file.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[Exec]\nBoot=no\n")
    box.join()
    assert f"Bridge={SEGMENT}" in file.read_text()
    assert not box.file.exists()
    box.leave()
    assert file.read_text() == "[Exec]\nBoot=no\n"


@pytest.mark.parametrize("line", ["Bridge=br0", "Zone=lab"])
def test_another_bridge_is_not_taken_away(nspawn: Host, box: Container, line: str) -> None:
    box.file.parent.mkdir(parents=True, exist_ok=True)
    box.file.write_text(f"[Network]\n{line}\n")
    assert line in nspawn.refused(1, "refused", "join", "nspawn", box.name, user="root")
    assert box.file.read_text() == f"[Network]\n{line}\n"


def test_another_segment_is_left_first(nspawn: Host, box: Container) -> None:
    nspawn.tarr("segment", "create", "lab", user="root")
    try:
        box.join("--segment", "lab")
        joined = box.file.read_text()
        said = nspawn.refused(1, "refused", "join", "nspawn", box.name, user="root")
        assert said.endswith(f"hint: tarr-steps leave nspawn {box.name} --segment lab\n")
        assert box.file.read_text() == joined
        box.leave("--segment", "lab")
        assert not box.file.exists()
    finally:
        nspawn.tarr("segment", "delete", "lab", "--force", user="root")


def test_settings_that_came_with_the_image(nspawn: Host, box: Container) -> None:
    """They are not trusted; a file in /etc would take their place without a word."""
    nspawn.machine.path(f"/var/lib/machines/{box.name}.nspawn").write_text("[Exec]\nBoot=no\n")
    assert "copy it to" in nspawn.refused(1, "refused", "join", "nspawn", box.name, user="root")
    assert not box.file.exists()


def test_joined_by_hand(nspawn: Host, box: Container) -> None:
    box.file.parent.mkdir(parents=True, exist_ok=True)
    box.file.write_text(f"[Network]\nBridge={SEGMENT}\nPort=80\n")
    assert not nspawn.told("join", "nspawn", box.name, user="root")["changed"]
    assert nspawn.machine.sh("cat /var/lib/vdenet/vdenet0/guests.json").count(f'"{box.name}"') == 1
    box.leave()
    assert box.file.read_text() == "[Network]\nPort=80\n"


def test_dry_run_changes_nothing(box: Container) -> None:
    assert f"+Bridge={SEGMENT}" in box.join("--dry-run")
    assert not box.file.exists()
    box.join()
    joined = box.file.read_text()
    assert f"-Bridge={SEGMENT}" in box.leave("--dry-run")
    assert box.file.read_text() == joined


def test_a_member_is_told_what_root_does(nspawn: Host, box: Container) -> None:
    for verb in ("join", "leave"):
        assert "put sudo in front of it" in nspawn.refused(4, "not-permitted", verb, "nspawn", box.name)
        nspawn.tarr(verb, "nspawn", box.name, user="root")
    assert not box.file.exists()


def test_a_container_that_is_not_there(nspawn: Host) -> None:
    for verb in ("join", "leave"):
        for name in ("nobody", "../web", "a/b", "..", "a b"):
            nspawn.refused(1, "no-guest", verb, "nspawn", name, user="root")
        nspawn.refused(2, "bad-value", verb, "nspawn", "--", "-M", user="root")


def test_without_nspawn(nspawn: Host, box: Container) -> None:
    nspawn.machine.sh("mkdir -p /tmp/tools; ln -sf /usr/bin/* /tmp/tools/; rm -f /tmp/tools/systemd-nspawn")
    said = nspawn.refused(5, "tool-missing", "join", "nspawn", box.name, user="root", env={"PATH": "/tmp/tools"})
    assert "apt install systemd-container" in said


def test_settings_that_cannot_be_written(nspawn: Host, box: Container) -> None:
    nspawn.machine.sh("mkdir -p /etc/systemd/nspawn; mount --bind -r /etc/systemd/nspawn /etc/systemd/nspawn")
    try:
        nspawn.refused(1, "refused", "join", "nspawn", box.name, user="root")
    finally:
        nspawn.machine.sh("umount /etc/systemd/nspawn")
    assert not box.file.exists()
    nspawn.tarr("join", "run", "--name", box.name, "--", "true", user="bob")


def test_two_joins_at_once(nspawn: Host, box: Container) -> None:
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda _number: box.join(), range(3)))
    assert sum("already" in one for one in said) == 2
    assert box.file.read_text().count("Bridge=") == 1


def test_while_the_segment_is_down(nspawn: Host, box: Container) -> None:
    box.join()
    nspawn.tarr("stop")
    try:
        box.leave()
        assert not box.file.exists()
        nspawn.refused(1, "segment-down", "join", "nspawn", box.name, user="root")
        assert not box.file.exists()
    finally:
        nspawn.tarr("start")


def test_an_image_that_was_removed_meanwhile(nspawn: Host, box: Container) -> None:
    box.join()
    nspawn.machine.sh(f"rm -rf /var/lib/machines/{box.name}")
    assert "has left" in box.leave()
    assert not box.file.exists()


def test_the_file_gives_the_vlan_to_a_mac_that_it_has_not_there(nspawn: Host, box: Container) -> None:
    """nspawn gives each of its veths an address of its own."""
    first = nspawn.told("join", "nspawn", box.name, "--dry-run", user="root")["mac"]
    with nspawn.vlan():
        file = nspawn.machine.path(f"/etc/vdenet/{SEGMENT}.toml")
        file.write_text(f'{file.read_text()}\n[[host]]\nname = "there"\nmac = "{first}"\nvlan = 33\n')
        said = nspawn.refused(1, "refused", "join", "nspawn", box.name, "--dry-run", user="root")
        assert f"puts the MAC address {first} into VLAN 33" in said
        second = nspawn.told("join", "nspawn", box.name, "--vlan", "33", "--dry-run", user="root")["mac"]
        assert said.endswith(f'mac = "{second}"\n')


def test_into_a_vlan_by_a_port_that_the_daemon_puts_there(nspawn: Host, box: Container) -> None:
    """nspawn makes it by its name and leaves it alone, so that no frame of it gets anywhere else."""
    assert "has no VLANs" in nspawn.refused(2, "bad-value", "join", "nspawn", box.name, "--vlan", "33", user="root")
    with nspawn.vlan():
        told = nspawn.told("join", "nspawn", box.name, "--vlan", "33", "--dry-run", user="root")
        assert told["vlan"] == 33 and not box.file.exists()
        box.file.parent.mkdir(exist_ok=True)
        box.file.write_text("".join(f"{line[1:]}\n" for line in told["actions"][0].splitlines()
                                    if line.startswith("+") and not line.startswith("+++")))
        found = re.search("^VirtualEthernetExtra=(vd0-.*):host0$", box.file.read_text(), re.MULTILINE)
        assert found
        port = found[1]
        process = box.start("ip link show host0; sleep 1000")
        try:
            end: dict[str, Any] = wait_for(lambda: nspawn.end(port), 60, "its port")
            assert end["linkinfo"]["info_kind"] == "veth" and "master" not in end
            assert process.stdout is not None
            said = process.stdout.readline() + process.stdout.readline()
            # Settled before nspawn had made the interface.
            assert told["mac"] in said
        finally:
            process.terminate()
            process.communicate(timeout=60)
        assert "has left" in box.leave()
        assert not box.file.exists()

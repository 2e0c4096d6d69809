"""join vmware, on files of the shape that VMware writes. VMware itself is not here: no copy of it can be had.

So nothing of it is pretended where it matters: no vmrun, no machine that runs. What stands for one of its programs
says so where it does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import vmx
from lab.machine import Machine, wait_for
from lab.roots import root

from .conftest import SEGMENT, Host

NETWORKING = "/etc/vmware/networking"
MAPPING = f"add_bridge_mapping {SEGMENT} 4\n".encode()


def install_vmware(machine: Machine, raw: bytes = vmx.NETWORKING) -> Path:
    """What its installer leaves behind, as far as it matters."""
    file = machine.path(NETWORKING)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(raw)
    file.chmod(0o644)
    return file


@pytest.fixture(scope="module")
def host(deb: Path) -> Iterator[Host]:
    """A host that had VMware before it got vdenet."""
    with Machine(root("trixie", "depends"), "lab") as machine:
        install_vmware(machine)
        yield Host(machine, deb)


class Guest:
    """A machine of VMware's, of a user's; nothing but its file."""

    def __init__(self, host: Host, name: str, raw: bytes, user: str = "alice", below: str = "vmware") -> None:
        self.host, self.user = host, user
        self.inside = f"/home/{user}/{below}/{name}/{name}.vmx"
        self.file = host.machine.path(self.inside)
        host.machine.run(["mkdir", "-p", str(Path(self.inside).parent)], user=user)
        self.write(raw)

    def write(self, raw: bytes) -> None:
        self.host.machine.run(["touch", self.inside], user=self.user)
        self.file.write_bytes(raw)
        self.file.chmod(0o755)

    def lock(self, text: str, name: str = "M12345.lck") -> None:
        directory = self.file.with_name(self.file.name + ".lck")
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(text)

    def unlock(self) -> None:
        shutil.rmtree(self.file.with_name(self.file.name + ".lck"))

    def join(self, *argv: str) -> str:
        return self.host.tarr("join", "vmware", self.inside, *argv, user=self.user).stdout

    def leave(self, *argv: str) -> str:
        return self.host.tarr("leave", "vmware", self.inside, *argv, user=self.user).stdout

    def refused(self, verb: str, *argv: str, status: int = 1, code: str = "refused") -> str:
        """That the verb is refused and changes nothing."""
        before, around = self.file.read_bytes(), sorted(self.file.parent.iterdir())
        said = self.host.refused(status, code, verb, "vmware", self.inside, *argv, user=self.user)
        assert (self.file.read_bytes(), sorted(self.file.parent.iterdir())) == (before, around)
        return said


@pytest.fixture
def guest(host: Host, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """A machine of alice's, gone after the test."""
    made = Guest(host, f"g{abs(hash(request.node.name)) % 100000}", vmx.WORKSTATION_12)
    yield made
    host.tarr("leave", "vmware", made.inside, check=False)
    shutil.rmtree(made.file.parent)


# --- the file -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", vmx.MACHINES)
def test_a_machine_joins_and_leaves(host: Host, guest: Guest, name: str) -> None:
    before = vmx.MACHINES[name]
    guest.write(before)
    told = host.told("join", "vmware", guest.inside)
    assert (told["changed"], told["via"], told["running"], told["live"]) == (True, "vmnet", False, False)
    assert told["mac"].startswith("00:50:56:")
    after = guest.file.read_bytes()
    nic = f"ethernet{told['nic']}."
    for key, value in (("present", "TRUE"), ("connectionType", "custom"), ("vnet", "vmnet4"), ("addressType", "static"),
                       ("address", told["mac"])):
        assert f'{nic}{key} = "{value}"'.lower().encode() in after.lower()
    status = guest.file.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o755, *host.machine.account("alice")[:2])
    assert "already" in guest.join()
    assert guest.file.read_bytes() == after
    assert "has left" in guest.leave()
    assert guest.file.read_bytes() == before
    assert "is not on" in guest.leave()
    assert [path.name for path in guest.file.parent.iterdir()] == [guest.file.name]


def test_dry_run_changes_nothing(host: Host, guest: Guest) -> None:
    def all_there_is() -> tuple[object, ...]:
        return guest.file.read_bytes(), *host.remembered(guest.user)
    before = all_there_is()
    assert '+ethernet1.vnet = "vmnet4"' in guest.join("--dry-run")
    assert all_there_is() == before
    guest.join()
    joined = all_there_is()
    assert all(one != other for one, other in zip(joined, before, strict=True))
    assert '-ethernet1.vnet = "vmnet4"' in guest.leave("--dry-run")
    assert all_there_is() == joined


def test_one_that_has_never_joined(host: Host, guest: Guest) -> None:
    known = host.remembered(guest.user)
    for argv in ((), ("--dry-run",)):
        assert host.told("leave", "vmware", guest.inside, *argv)["left"] is False
    assert "is not on" in guest.leave()
    assert (guest.file.read_bytes(), host.remembered(guest.user)) == (vmx.WORKSTATION_12, known)
    assert [path.name for path in guest.file.parent.iterdir()] == [guest.file.name]


def test_an_adapter_is_taken_when_asked(host: Host, guest: Guest) -> None:
    before = guest.file.read_bytes()
    told = host.told("join", "vmware", guest.inside, "--nic", "0")
    assert (told["nic"], told["mac"]) == ("0", "00:0c:29:2b:f3:37")
    assert guest.file.read_bytes() == before.replace(
        b'connectionType = "nat"', b'connectionType = "custom"') + b'ethernet0.vnet = "vmnet4"\n'
    assert "tarr-steps leave vmware" in guest.refused("join", "--nic", "3")
    guest.leave()
    assert guest.file.read_bytes() == before


def test_no_adapter_is_free(guest: Guest) -> None:
    guest.write(vmx.FULL)
    assert "--nic N" in guest.refused("join")
    guest.refused("join", "--nic", "10", status=2, code="bad-value")
    guest.join("--nic", "9")
    guest.leave()
    assert guest.file.read_bytes() == vmx.FULL


def test_a_file_that_contradicts_itself(guest: Guest) -> None:
    guest.write(vmx.DUPLICATES)
    assert "ethernet1.vnet stands in the lines 6, 8" in guest.refused("join", "--nic", "1")
    guest.join("--nic", "0")
    assert guest.file.read_bytes().count(b'ethernet0.present = "TRUE"\n') == 2
    guest.leave()
    assert guest.file.read_bytes() == vmx.DUPLICATES


def test_vmware_has_written_the_file_anew(guest: Guest) -> None:
    """As it does when a machine ends: what we set is still there, with more beside it."""
    guest.join()
    kept = [line for line in guest.file.read_bytes().splitlines(keepends=True) if not line.startswith(b"#")]
    guest.write(b"".join(kept) + b'ethernet1.pciSlotNumber = "192"\nmonitor.phys_bits_used = "45"\n')
    guest.leave()
    now = vmx.WORKSTATION_12.replace(b"#!/usr/bin/vmware\n", b"") + b'monitor.phys_bits_used = "45"\n'
    assert guest.file.read_bytes() == now


def test_one_that_was_put_elsewhere_since_is_left_there(host: Host, guest: Guest) -> None:
    guest.join()
    guest.write(guest.file.read_bytes().replace(b'"custom"', b'"nat"'))
    now = guest.file.read_bytes()
    assert "has left" in guest.leave()  # its name is free
    assert guest.file.read_bytes() == now
    assert host.tarr("join", "run", "--name", "debian-9-caf", "--", "true", user="bob").returncode == 0


def test_joined_by_hand(host: Host, guest: Guest) -> None:
    guest.write(vmx.WORKSTATION_12.replace(b'"nat"', b'"custom"') + b'ethernet0.vnet = "/dev/vmnet4"\n')
    told = host.told("join", "vmware", guest.inside)
    assert (told["changed"], told["nic"], told["mac"]) == (False, "0", "00:0c:29:2b:f3:37")
    guest.leave()
    assert b'ethernet0.present = "FALSE"' in guest.file.read_bytes()


def test_a_link_stays_a_link(host: Host, guest: Guest) -> None:
    host.machine.sh(f"ln -sf {guest.inside} link.vmx", user="alice")
    host.tarr("join", "vmware", "/home/alice/link.vmx")
    assert host.machine.path("/home/alice/link.vmx").is_symlink()
    assert "already" in guest.join()
    host.tarr("leave", "vmware", "/home/alice/link.vmx")
    assert guest.file.read_bytes() == vmx.WORKSTATION_12


# --- which machine --------------------------------------------------------------------------------

def test_a_machine_by_its_name(host: Host, guest: Guest) -> None:
    """By VMware's library, by what was used last, by where new ones are made, by where they usually lie."""
    elsewhere = {name: Guest(host, name, vmx.WORKSTATION_15.replace(b'"web"', b'"shown %s"' % name.encode()), below=below)
                 for name, below in (("library", "a/b/c/d"), ("recent", "e/f/g/h"), ("fresh", "Virtual Machines"))}
    host.machine.run(["mkdir", "-p", "/home/alice/.vmware"], user="alice")
    host.machine.path("/home/alice/.vmware/inventory.vmls").write_text(
        '.encoding = "UTF-8"\nvmlist1.config = "folder1"\nvmlist1.Type = "2"\n'
        f'vmlist2.config = "{elsewhere["library"].inside}"\nvmlist2.DisplayName = "shown library"\n'
        'vmlist3.config = "/home/alice/gone/gone.vmx"\nvmlist4.config = "/nul|00/x.vmx"\n')
    host.machine.path("/home/alice/.vmware/preferences").write_text(
        f'pref.mruVM0.filename = "{elsewhere["recent"].inside}"\n'
        'prefvmx.defaultVMPath = "/home/alice/Virtual Machines"\n')
    for name, made in elsewhere.items():
        assert host.told("join", "vmware", f"shown {name}")["name"] == f"shown-{name}"
        assert b"vmnet4" in made.file.read_bytes()
        host.tarr("leave", "vmware", name)  # the file's own name does as well
        assert b"vmnet4" not in made.file.read_bytes()
    assert host.told("join", "vmware", "Debian 9 café")["name"] == "debian-9-caf"
    host.tarr("leave", "vmware", str(Path(guest.inside).parent))
    twin = Guest(host, "twin", vmx.WORKSTATION_12)
    said = host.refused(1, "refused", "join", "vmware", "Debian 9 café")
    assert guest.inside in said and twin.inside in said
    shutil.rmtree(twin.file.parent)


@pytest.mark.parametrize("again", [True, False])
def test_a_machine_that_was_moved(host: Host, again: bool) -> None:
    """It is called as before, and leave puts back what was there before it joined where it lay then."""
    guest = Guest(host, "Debian 12", vmx.WORKSTATION_12)
    there = guest.file.parent.with_name("my Debian 12")
    try:
        name = host.told("join", "vmware", "Debian 12")["name"]
        guest.file.parent.rename(there)
        if again:
            assert host.told("join", "vmware", "Debian 12")["name"] == name
        assert host.told("leave", "vmware", "Debian 12")["name"] == name
        assert (there / guest.file.name).read_bytes() == vmx.WORKSTATION_12
        host.tarr("join", "run", "--name", name, "--", "true", user="bob")  # the name is anybody's
    finally:
        shutil.rmtree(there)


def test_a_machine_that_is_not_there(host: Host, guest: Guest) -> None:
    for verb in ("join", "leave"):
        for missing in ("nobody", "/home/alice/nobody.vmx", "nobody.vmx", "/home/alice/.ssh/"):
            host.refused(1, "no-guest", verb, "vmware", missing)
        host.refused(2, "bad-value", verb, "vmware", "--", "-n")
        host.refused(1, "refused", verb, "vmware", "/" + "x" * 300)
    guest.join()
    guest.file.unlink()
    assert "has left" in guest.leave()  # nothing but its name is left of it


@pytest.mark.parametrize("closed", [True, False])
def test_a_machine_of_another_user(host: Host, closed: bool) -> None:
    bobs = Guest(host, f"bobs-{closed}", vmx.WORKSTATION_15, user="bob")
    bobs.join()
    host.machine.path("/home/bob").chmod(0o700 if closed else 0o755)
    if not closed:
        bobs.file.parent.chmod(0o777)  # whoever may write the directory could put another file there
    before = bobs.file.read_bytes()
    for verb in ("leave", "join") if closed else ("leave",):
        said = host.refused(1, "refused", verb, "vmware", bobs.inside)
        assert ("Permission denied" if closed else "belongs to bob") in said
    assert bobs.file.read_bytes() == before
    if not closed:
        assert "belongs to bob" in host.refused(1, "refused", "leave", "vmware", bobs.inside, user="root")
    bobs.leave()
    assert bobs.file.read_bytes() == vmx.WORKSTATION_15


def test_what_is_no_machine(guest: Guest) -> None:
    guest.write(vmx.ENCRYPTED)
    assert "is encrypted" in guest.refused("join")
    guest.write(b"\x7fELF\0\xff")
    assert "is not the configuration of a machine" in guest.refused("join")
    guest.write(b"")
    guest.refused("join")
    guest.file.unlink()
    os.mkfifo(guest.file)
    for verb in ("join", "leave"):
        assert "no regular file" in guest.host.refused(1, "refused", verb, "vmware", guest.inside)


# --- who else holds it ----------------------------------------------------------------------------

def test_a_machine_that_vmware_has_open(host: Host, guest: Guest) -> None:
    """A process stands for VMware's; its lock is as VMware makes it."""
    process = host.machine.popen(["sleep", "1000"], user="alice")
    wait_for(lambda: process.inner is not None, 10, "a process")
    pid = host.machine.sh("pidof sleep").split()[0]
    started = host.machine.path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    identity = "uuid=bf-ef-05-3f-d0-e2-64-4e-a5-4d-f3-4e-9d-c8-3a-a7"
    try:
        guest.lock(f"{identity} {pid}-{started}(vmware-vmx) 1 X lc=0")
        assert f"VMware has it open: sleep, process {pid}" in guest.refused("join")
        assert "close its tab" in guest.refused("join", "--dry-run")
        guest.lock(f"{identity} {pid}-{int(started) + 1}(vmware-vmx) 1 X lc=0")  # who had the number before
        guest.join()
        guest.lock(f"{identity} {pid}-0 1 X")
        assert "already" in guest.join()
        guest.refused("leave")
    finally:
        process.terminate()
        process.wait(20)
    guest.leave()  # a stale lock: nobody has the number
    assert guest.file.read_bytes() == vmx.WORKSTATION_12
    guest.lock("")
    guest.join()
    guest.lock("what is this?")
    assert "M12345.lck" in guest.refused("leave")
    guest.unlock()
    guest.leave()


def test_a_suspended_machine(guest: Guest) -> None:
    guest.write(vmx.WORKSTATION_15.replace(b'checkpoint.vmState = ""', b'checkpoint.vmState = "web-1.vmss"'))
    memory = guest.file.with_name("web-1.vmss")
    memory.touch()
    assert "resume it" in guest.refused("join")
    memory.unlink()
    guest.join()
    memory.touch()
    guest.refused("leave")
    memory.unlink()


def test_a_file_that_cannot_be_written(host: Host, guest: Guest) -> None:
    guest.file.chmod(0o444)
    assert "read-only" in guest.refused("join")
    guest.file.chmod(0o644)
    guest.file.parent.chmod(0o555)
    guest.refused("join", "--name", "half")
    host.tarr("join", "run", "--name", "half", "--", "true", user="bob")  # its name was given back
    guest.file.parent.chmod(0o755)
    guest.join()
    guest.file.parent.chmod(0o555)
    joined = guest.file.read_bytes()
    guest.refused("leave")
    guest.file.parent.chmod(0o755)
    assert guest.file.read_bytes() == joined
    guest.leave()
    assert guest.file.read_bytes() == vmx.WORKSTATION_12


def test_two_at_once(host: Host, guest: Guest) -> None:
    other = Guest(host, "other", vmx.PACKER)
    running = [host.machine.popen(["tarr-steps", "join", "vmware", one.inside], user="alice")
               for one in (guest, other, guest, other, guest)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 5, said
    assert sum("already" in one for one in said) == 3, said
    assert guest.file.read_bytes().count(b"vmnet4") == other.file.read_bytes().count(b"vmnet4") == 1
    for one, before in ((guest, vmx.WORKSTATION_12), (other, vmx.PACKER)):
        one.leave()
        assert one.file.read_bytes() == before


# --- the segment ----------------------------------------------------------------------------------

def test_while_the_segment_is_down(host: Host, guest: Guest) -> None:
    guest.join()
    host.tarr("stop")
    try:
        guest.leave()
        assert guest.file.read_bytes() == vmx.WORKSTATION_12
        guest.refused("join", code="segment-down")
    finally:
        host.tarr("start")


def test_a_guest_is_listed(host: Host, guest: Guest) -> None:
    """A veth with the machine's MAC address stands for what vmnet-bridge puts onto the bridge."""
    mac = host.told("join", "vmware", guest.inside, "--name", "shop")["mac"]
    host.refused(1, "name-taken", "join", "run", "--name", "shop", "--", "true", user="bob")
    host.machine.sh(f"""ip netns add vm; ip link add vmport type veth peer name eth0 netns vm
        ip link set vmport master {SEGMENT} up; ip -n vm link set eth0 address {mac} up""")
    try:
        host.machine.sh("ip netns exec vm udhcpc -i eth0 -s /bin/true -n -q -t 20 -T 1", timeout=60)
        wait_for(lambda: host.listed("shop") is not None, 20, "the guest")
        found = host.listed("shop")
        assert found is not None
        assert (found["mac"], found["kind"], found["owner"]) == (mac, "vmware", "alice")
        assert found["address"]
    finally:
        host.machine.sh("ip link del vmport; ip netns del vm")
    guest.leave()
    assert host.listed("shop") is None


# --- root's part ----------------------------------------------------------------------------------

def vdenetd(host: Host, *argv: str, user: str = "root") -> subprocess.CompletedProcess[str]:
    return host.machine.run(["vdenetd", "--vmware", *argv], user=user, check=False)


def findings(host: Host) -> dict[str, dict[str, str]]:
    told = json.loads(host.tarr("check", "--json", check=False).stdout)
    return {one["code"]: one for one in told["findings"] if one["code"].startswith("vmware")}


def test_a_vmnet_for_the_segment(host: Host, guest: Guest) -> None:
    file = host.machine.path(NETWORKING)
    assert file.read_bytes() == vmx.NETWORKING + MAPPING  # by the installation
    assert "vmnet4 is bridged to vdenet0 already" in vdenetd(host).stdout
    assert findings(host) == {}
    guest.join()
    assert "no longer" in vdenetd(host, "off").stdout
    assert file.read_bytes() == vmx.NETWORKING
    assert not host.machine.path("/var/lib/vdenet/vmnets.json").exists()
    found = findings(host)["vmware-not-bridged"]
    assert (found["severity"], found["segment"], found["hint"]) == ("info", SEGMENT, "sudo vdenetd --vmware")
    assert host.tarr("check", check=False).returncode in (0, 1)
    guest.leave()
    assert guest.file.read_bytes() == vmx.WORKSTATION_12
    assert "hint: sudo vdenetd --vmware\n" in guest.refused("join")
    assert vdenetd(host, "off").stdout == ""
    file.chmod(0o640)
    os.chown(file, 0, 4)
    again = [host.machine.popen(["vdenetd", "--vmware"]) for _time in range(4)]
    assert [process.wait(60) for process in again] == [0] * 4
    assert file.read_bytes() == vmx.NETWORKING + MAPPING
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_gid) == (0o640, 4)
    assert f"cannot read {NETWORKING}: Permission denied" in guest.refused("join")  # not for members to read
    assert sorted(path.name for path in file.parent.iterdir()) == ["networking"]
    file.chmod(0o644)


def test_what_the_administrator_wrote_stays(host: Host, guest: Guest) -> None:
    file = host.machine.path(NETWORKING)
    vdenetd(host, "off")
    own = vmx.NETWORKING.rstrip(b"\n").replace(b"\n", b"\r\n") + f"\r\nadd_bridge_mapping {SEGMENT} 7".encode()
    file.write_bytes(own)
    try:
        for argv in ((), ("off",), ()):
            assert vdenetd(host, *argv).returncode == 0
            assert file.read_bytes() == own
        guest.join()
        assert b'vnet = "vmnet7"' in guest.file.read_bytes()
        guest.leave()
        for wrong in (b"", b"VERSION=2,0\n", b"\xff\0"):
            file.write_bytes(wrong)
            done = vdenetd(host)
            assert (done.returncode, file.read_bytes()) == (1, wrong)
            assert done.stderr == f"vdenetd: cannot bridge a network of VMware's: {NETWORKING}: " \
                "its first line is not VERSION=1,0\n"
        done = vdenetd(host, user="alice")
        assert (done.returncode, "has to be started by root" in done.stderr) == (1, True)
    finally:
        file.write_bytes(vmx.NETWORKING)
        vdenetd(host)


def test_killed_at_any_instant(host: Host) -> None:
    """The file is the one or the other, and the next time finishes what is to be done."""
    file = host.machine.path(NETWORKING)
    for turn in range(16):
        process = host.machine.popen(["vdenetd", "--vmware", *(["off"] if turn % 2 else [])])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05 + turn / 40)
        process.kill()
        process.wait(20)
        assert file.read_bytes() in (vmx.NETWORKING, vmx.NETWORKING + MAPPING)
    (file.parent / ".networking.half.new").touch()
    vdenetd(host, "off")
    assert vdenetd(host).returncode == 0
    assert file.read_bytes() == vmx.NETWORKING + MAPPING
    assert [path.name for path in file.parent.iterdir()] == ["networking"]


def test_a_segment_that_is_no_more_loses_its_vmnet(host: Host) -> None:
    file, record = host.machine.path(NETWORKING), host.machine.path("/var/lib/vdenet/vmnets.json")
    file.write_bytes(vmx.NETWORKING + MAPPING + b"add_bridge_mapping vdenet9 5\nadd_bridge_mapping eth9 6\n")
    record.write_text(json.dumps({"vmnets": {SEGMENT: 4, "vdenet9": 5}}))
    found = findings(host)["vmware-stale"]
    assert found["severity"] == "warning"
    assert "vdenet9" in found["message"]
    vdenetd(host)
    assert findings(host) == {}
    assert file.read_bytes() == vmx.NETWORKING + MAPPING + b"add_bridge_mapping eth9 6\n"
    file.write_bytes(vmx.NETWORKING + MAPPING)


def test_vmware_takes_it_over(host: Host) -> None:
    """Programs that do nothing stand for VMware's services: it is tried when ours starts what, not what theirs do."""
    tool = host.machine.path("/usr/bin/vmware-networks")

    def stand_in(name: str, *argv: str, user: str = "root") -> None:
        running.append(host.machine.popen(["bash", "-c", f"exec -a {name} tail -f /dev/null {' '.join(argv)}"],
                                          user=user))
        wait_for(lambda: name in host.machine.sh("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'"), 20, name)

    running: list[subprocess.Popen[str]] = []
    try:
        stand_in("vmnet-natd", user="alice")
        stand_in("vmware-vmx", user="alice")
        assert "do not run" in vdenetd(host).stdout
        stand_in("vmnet-dhcpd")
        done = vdenetd(host)
        assert (done.returncode, "cannot run vmware-networks" in done.stderr) == (1, True)
        tool.symlink_to("/bin/false")
        done = vdenetd(host)
        assert (done.returncode, "vmware-networks failed" in done.stderr) == (1, True)
        tool.unlink()
        tool.write_text("#!/bin/sh\necho $1 >>/tmp/asked; [ $1 = --start ]\n")
        tool.chmod(0o755)
        done = vdenetd(host)
        assert (done.returncode, "vmware-networks failed" in done.stderr) == (1, True)
        assert host.machine.path("/tmp/asked").read_text() == "--stop\n--start\n", "they are not left stopped"
        tool.unlink()
        tool.symlink_to("/bin/true")
        assert "were started anew" in vdenetd(host).stdout
        stand_in("vmware-vmx")
        assert "give this command again" in vdenetd(host).stdout
        stand_in("vmnet-bridge", SEGMENT)
        assert "anew" not in vdenetd(host).stdout
    finally:
        for process in running:
            process.kill()
            process.wait(20)
        tool.unlink(missing_ok=True)
    assert host.machine.path(NETWORKING).read_bytes() == vmx.NETWORKING + MAPPING


def test_without_vmware(host: Host, guest: Guest) -> None:
    place = host.machine.path("/etc/vmware")
    place.rename(place.with_name("away"))
    try:
        for verb in ("join", "leave"):
            said = guest.refused(verb, status=5, code="tool-missing")
            assert "cannot run VMware: it is not installed" in said
        assert findings(host) == {}
        done = vdenetd(host)
        assert (done.returncode, "has never been started" in done.stderr) == (1, True)
        assert vdenetd(host, "off").returncode == 0
        assert not place.exists()
    finally:
        place.with_name("away").rename(place)
        vdenetd(host)


def test_vmware_comes_later_and_the_package_goes(deb: Path) -> None:
    with Machine(root("bookworm", "depends"), "lab") as machine:
        host = Host(machine, deb)
        assert not machine.path("/etc/vmware").exists()
        open_ended = vmx.NETWORKING.rstrip(b"\n")
        file = install_vmware(machine, open_ended)
        assert "vmnet4 is bridged to vdenet0 now" in vdenetd(host).stdout
        guest = Guest(host, "later", vmx.VAGRANT)
        guest.join()
        assert b"vmnet4" in guest.file.read_bytes()
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        machine.run(["apt-get", "-qq", "install", "--reinstall", "/tmp/vdenet.deb"], env=quiet, timeout=180)
        assert file.read_bytes() == open_ended + b"\n" + MAPPING.rstrip(b"\n")
        machine.run(["apt-get", "-qq", "remove", "vdenet"], env=quiet, timeout=120)
        assert file.read_bytes() == open_ended
        machine.run(["apt-get", "-qq", "install", "/tmp/vdenet.deb"], env=quiet, timeout=180)
        assert file.read_bytes() == open_ended + b"\n" + MAPPING.rstrip(b"\n")
        file.write_bytes(b"of another version\n")
        done = machine.run(["apt-get", "-qq", "install", "--reinstall", "/tmp/vdenet.deb"], env=quiet, timeout=180)
        assert "once that is mended: vdenetd --vmware" in done.stdout + done.stderr
        machine.run(["apt-get", "-qq", "purge", "vdenet"], env=quiet, timeout=120)
        assert file.read_bytes() == b"of another version\n"
        assert [path.name for path in file.parent.iterdir()] == ["networking"]
        assert not machine.path("/var/lib/vdenet").exists()


def test_into_no_vlan(host: Host, guest: Guest) -> None:
    for segment in (contextlib.nullcontext(), host.vlan()):
        with segment:
            assert "no port there is theirs" in guest.refused("join", "--vlan", "33")

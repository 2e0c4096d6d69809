"""What of VMware is on a host, and who holds a machine, by made-up files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab import vmx

from unit.cli.conftest import SEGMENT
from vdenet.cli import answers
from vdenet.model.report import Severity
from vdenet.probe import processes, vmware, vmware_machines

SEGMENTS = answers.segments({"segments": [SEGMENT]})


@pytest.fixture
def networking(tmp_path: Path) -> Path:
    file = tmp_path / "etc/vmware/networking"
    file.parent.mkdir(parents=True)
    file.write_bytes(vmx.NETWORKING)
    return file


def test_networks(tmp_path: Path, networking: Path) -> None:
    assert vmware.networks(tmp_path) == {"eth0": 0, "eth1": 2}
    networking.unlink()
    assert vmware.networks(tmp_path) is None
    networking.parent.rmdir()
    networking.parent.touch()
    assert vmware.networks(tmp_path) is None


def test_findings(tmp_path: Path, networking: Path) -> None:
    one, = vmware.findings(SEGMENTS, ["gone0"], tmp_path)
    assert (one.code, one.severity, one.segment, one.hint) == (
        "vmware-not-bridged", Severity.INFO, "vdenet0", "sudo vdenetd --vmware")
    networking.write_bytes(vmx.NETWORKING + b"add_bridge_mapping vdenet0 4\nadd_bridge_mapping gone0 5\n")
    one, = vmware.findings(SEGMENTS, ["vdenet0", "gone0"], tmp_path)
    assert (one.code, one.severity, one.segment) == ("vmware-stale", Severity.WARNING, None)
    assert vmware.findings(SEGMENTS, [], tmp_path) == []  # the administrator's own
    networking.unlink()
    assert vmware.findings(SEGMENTS, ["gone0"], tmp_path) == []
    networking.mkdir()
    assert vmware.findings(SEGMENTS, ["gone0"], tmp_path) == []


# --- what runs ------------------------------------------------------------------------------------

@pytest.mark.parametrize(("uid", "mode", "called", "roots"), [
    (0, 0o755, "bash", True), (1000, 0o4755, "vmware-vmx", True), (1000, 0o4755, "vmware-vmx (deleted)", True),
    (1000, 0o4755, "su", False), (1000, 0o755, "vmware-vmx", False), (None, 0o755, "bash", False)])
def test_whose_a_program_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int | None, mode: int, called: str,
                            roots: bool) -> None:
    """What a member's process calls itself proves nothing, though it be a set-user-ID program that waits (su)."""
    process, program = tmp_path / "5", tmp_path / called
    process.mkdir()
    program.touch()
    program.chmod(mode)
    (process / "exe").symlink_to(program)
    monkeypatch.setattr(processes, "real_uid", {5: uid}.get)
    real = os.stat
    # Only root could have made the program root's.
    monkeypatch.setattr(vmware.os, "stat", lambda path, **how: os.stat_result([*real(path, **how)[:4], 0, *real(path)[5:10]]))
    assert vmware._is_roots(process, "vmware-vmx") is roots


def test_a_program_that_may_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory is root's, as that of any process that has made itself undumpable (prctl(2))."""
    monkeypatch.setattr(processes, "real_uid", {5: 1000}.get)
    (tmp_path / "5").mkdir()
    assert not vmware._is_roots(tmp_path / "5", "vmnet-bridge")


# --- machines -------------------------------------------------------------------------------------

@pytest.fixture
def machine(tmp_path: Path) -> Path:
    file = tmp_path / "vmware/web/web server.vmx"
    file.parent.mkdir(parents=True)
    file.write_bytes(vmx.WORKSTATION_15)
    return file


def test_machines_by_name(tmp_path: Path, machine: Path) -> None:
    assert vmware_machines.called("web", tmp_path) == vmware_machines.called("web server", tmp_path) == [machine]
    assert vmware_machines.called("Web", tmp_path) == vmware_machines.called("", tmp_path) == []
    other = tmp_path / "elsewhere/x.vmx"
    other.parent.mkdir()
    other.write_bytes(vmx.PLAYER_ON_WINDOWS.replace(b'"player"', b'"web"'))
    (tmp_path / ".vmware").mkdir()
    (tmp_path / ".vmware/inventory.vmls").write_text(
        f'vmlist1.config = "{other}"\nindex0.id = "{other}"\nvmlist2.config = "{machine}"\nvmlist3.config = "{tmp_path}"\n'
        f'vmlist4.config = "x.vmx"\nvmlist5.config = "/no|00.vmx"\nvmlist6.config = "/{"x" * 300}.vmx"\n')
    assert vmware_machines.called("web", tmp_path) == [other, machine]
    # The same one by another way.
    (tmp_path / "vmware/link.vmx").symlink_to(machine)
    (tmp_path / "vmware/web.vmx").symlink_to("web.vmx")  # to itself
    assert len(vmware_machines.called("web", tmp_path)) == 3
    assert vmware_machines.called("x", tmp_path) == [other]
    (tmp_path / ".vmware/inventory.vmls").unlink()
    os.mkfifo(tmp_path / ".vmware/inventory.vmls")
    (tmp_path / ".vmware/preferences").write_text(f'prefvmx.defaultVMPath = "{other.parent}"\n')
    assert vmware_machines.called("x", tmp_path) == [other]


def lock(machine: Path, text: str, name: str = "M1.lck") -> None:
    directory = machine.with_name(f"{machine.name}.lck")
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text)


def test_nobody_holds_it(machine: Path) -> None:
    assert vmware_machines.holder(machine) is None
    lock(machine, "")
    lock(machine, "nonsense", "README")
    assert vmware_machines.holder(machine) is None


def test_a_process_holds_it(machine: Path) -> None:
    mine = processes.identity(os.getpid())
    assert mine is not None
    lock(machine, f"host {mine.pid}-{mine.started}(vmware-vmx) 1 X lc=0")
    assert str(mine.pid) in str(vmware_machines.holder(machine))
    link = machine.parents[1] / "link.vmx"
    link.symlink_to(machine)
    assert vmware_machines.holder(link)
    lock(machine, f"host {mine.pid}-{mine.started + 7}(vmware-vmx) 1 X lc=0")
    assert vmware_machines.holder(machine) is None
    lock(machine, "host 4194305-1(vmware-vmx) 1 X")  # above what Linux gives to processes
    assert vmware_machines.holder(machine) is None
    lock(machine, "host 99999999999999999999-1(vmware-vmx) 1 X")
    assert vmware_machines.holder(machine) is None
    lock(machine, "what?")
    assert vmware_machines.holder(machine) == "M1.lck"


def test_a_lock_that_is_a_file(machine: Path) -> None:
    """As ESXi makes it."""
    machine.with_name(f"{machine.name}.lck").touch()
    assert vmware_machines.holder(machine) == "web server.vmx.lck"


def test_a_process_that_is_hidden_from_us(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine runs by a program that is setuid root, which /proc with hidepid does not show to its user."""
    lock(machine, "host 4194305-1(vmware-vmx) 1 X")
    monkeypatch.setattr(processes, "exists", lambda pid: pid == 4194305)
    assert "4194305" in str(vmware_machines.holder(machine))


def test_another_host_may_hold_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(machine, "host 4194305-1(vmware-vmx) 1 X")
    monkeypatch.setattr(vmware_machines, "_is_remote", lambda _path: True)
    assert vmware_machines.holder(machine) == "M1.lck"


def test_where_a_file_is_mounted_from(machine: Path) -> None:
    device = os.stat(machine).st_dev
    mounts = machine.with_name("mountinfo")
    line = f"42 1 {os.major(device)}:{os.minor(device)} / /home rw,relatime shared:1 master:2 - %s srv:/home rw\n"
    for kind, remote in (("ext4", False), ("nfs4", True), ("fuse.sshfs", True)):
        mounts.write_text("41 1 999:999 / / rw - nfs4 x rw\n" + line % kind)
        assert vmware_machines._is_remote(machine, mounts) is remote
    mounts.write_text("")
    assert not vmware_machines._is_remote(machine, mounts)


def test_processes_exist_or_not() -> None:
    assert processes.exists(os.getpid())
    assert not processes.exists(4194305)
    assert not processes.exists(10 ** 20)
    assert not processes.exists(0)

"""join virtualbox, by the real VBoxManage on real settings of machines.

The machines cannot be started: that takes VirtualBox's kernel module.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab.machine import wait_for

from .conftest import DOMAIN, SEGMENT, SWITCH, Host


class Vm:
    """A machine of alice's."""

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.name = name
        self.manage("createvm", "--name", name, "--ostype", "Debian_64", "--register")

    def manage(self, *argv: str, check: bool = True) -> str:
        return self.host.machine.run(["VBoxManage", "-q", *argv], user="alice", check=check).stdout

    def modify(self, *argv: str) -> None:
        self.manage("modifyvm", self.name, *argv)

    @property
    def file(self) -> Path:
        return self.host.machine.path(f"/home/alice/VirtualBox VMs/{self.name}/{self.name}.vbox")

    def nics(self) -> dict[int, str]:
        """What plain `showvminfo` says of each adapter."""
        return {int(number): text.strip() for number, text in re.findall(
            "^NIC ([0-9]+):(.*)$", self.manage("showvminfo", self.name), re.MULTILINE)}

    def attached(self, number: int) -> str:
        """What one adapter is attached to."""
        found = re.search("Attachment: (.*), Cable", self.nics()[number])
        return found[1] if found else self.nics()[number]

    def join(self, *argv: str) -> str:
        return self.host.tarr("join", "virtualbox", self.name, *argv).stdout

    def leave(self, *argv: str) -> str:
        return self.host.tarr("leave", "virtualbox", self.name, *argv).stdout

    def delete(self) -> None:
        self.manage("unregistervm", self.name, "--delete")


IN_THE_SWITCH = f"Generic 'VDE' {{ network='{SWITCH}' }}"
ON_THE_BRIDGE = f"Bridged Interface '{SEGMENT}'"


@pytest.fixture
def vm(virtualbox: Host, request: pytest.FixtureRequest) -> Iterator[Vm]:
    """A machine whose first adapter is VirtualBox's NAT, as it comes; its name has a blank."""
    made = Vm(virtualbox, f"my {request.node.originalname[5:45]}")
    yield made
    virtualbox.tarr("leave", "virtualbox", made.name, check=False)
    if made.file.exists():
        made.delete()


def label(vm: Vm) -> str:
    return re.sub("[^a-z0-9]+", "-", vm.name)


def test_join_and_leave(virtualbox: Host, vm: Vm) -> None:
    before = vm.nics()
    told = virtualbox.told("join", "virtualbox", vm.name)
    assert (told["changed"], told["via"], told["nic"], told["name"]) == (True, "vde", "2", label(vm))
    assert told["fqdn"] == f"{label(vm)}.{DOMAIN}"
    assert "vboxnetflt is not loaded" in told["why"]
    assert vm.attached(2) == IN_THE_SWITCH
    assert told["mac"].replace(":", "").upper() in vm.nics()[2]
    assert {number: nic for number, nic in vm.nics().items() if number != 2} == \
        {number: nic for number, nic in before.items() if number != 2}
    assert virtualbox.told("leave", "virtualbox", vm.name)["left"]
    assert vm.nics() == before


def test_both_are_idempotent(virtualbox: Host, vm: Vm) -> None:
    vm.join()
    joined = vm.file.read_bytes()
    assert not virtualbox.told("join", "virtualbox", vm.name)["changed"]
    assert "already" in vm.join()
    assert vm.file.read_bytes() == joined
    assert "has left" in vm.leave()
    left = vm.file.read_bytes()
    assert "is not on" in vm.leave()
    assert not virtualbox.told("leave", "virtualbox", vm.name)["left"]
    assert vm.file.read_bytes() == left


def test_dry_run_changes_nothing_and_shows_what_works(virtualbox: Host, vm: Vm) -> None:
    before = vm.file.read_bytes()
    command = vm.join("--dry-run")
    assert vm.file.read_bytes() == before
    assert "is not on" in vm.leave()
    virtualbox.machine.run(shlex.split(command), user="alice")
    assert vm.attached(2) == IN_THE_SWITCH
    assert "already" in vm.join()
    command = vm.leave("--dry-run")
    assert vm.attached(2) == IN_THE_SWITCH
    virtualbox.machine.run(shlex.split(command), user="alice")
    assert vm.attached(2) == "disabled"


def test_a_saved_machine_changes_no_adapter(virtualbox: Host, vm: Vm) -> None:
    """By nothing that VBoxManage has: said before anything is asked for, by a dry run too."""
    state = virtualbox.machine.path("/home/alice/vm.state")
    vm.join()
    for verb in ("leave", "join"):
        before = virtualbox.remembered("alice")
        state.write_bytes(bytes(4096))
        vm.manage("adoptstate", vm.name, "/home/alice/vm.state")
        for dry_run in ((), ("--dry-run",)):
            done = virtualbox.tarr(verb, "virtualbox", vm.name, *dry_run, check=False)
            what = f"join {vm.name}" if verb == "join" else f"take {vm.name} off"
            assert (done.returncode, done.stdout, done.stderr.splitlines()) == (1, "", [
                f"tarr-steps: cannot {what}: its state is saved, and VirtualBox changes no adapter of such a machine",
                f"hint: start it first, or give up what was saved: VBoxManage discardstate '{vm.name}'"])
        assert virtualbox.remembered("alice") == before
        if verb == "leave":
            assert "already" in vm.join()
        vm.manage("discardstate", vm.name)
        vm.leave()
    assert vm.attached(2) == "disabled"


def test_the_ways(virtualbox: Host, vm: Vm) -> None:
    vm.join("--via", "bridge")
    assert vm.attached(2) == ON_THE_BRIDGE
    vm.join("--via", "vde")
    assert vm.attached(2) == IN_THE_SWITCH
    vm.join("--port", "5")
    assert vm.attached(2) == f"Generic 'VDE' {{ network='{SWITCH}[5]' }}"
    assert "already" in vm.join()
    assert "already" in vm.join("--via", "vde")
    vm.leave()
    assert vm.attached(2) == "disabled"
    for wrong in (("--via", "nat"), ("--via", "bridge", "--port", "5"), ("--via", "udp", "--port", "5"), ("--nic", "0"), ("--nic", "99")):
        virtualbox.refused(2, "bad-value", "join", "virtualbox", vm.name, *wrong)
    assert vm.attached(2) == "disabled"


def tunnel(vm: Vm) -> tuple[str, int, int]:
    """The tunnel's far end, and the ports at this end and at that."""
    found = re.fullmatch(r"Generic 'UDPTunnel' \{ dest='(127\.83\.\d+\.\d+)', dport='(\d+)', sport='(\d+)' \}",
                         vm.attached(2))
    assert found, vm.attached(2)
    return found[1], int(found[3]), int(found[2])


def relays(host: Host) -> list[str]:
    said = host.machine.sh("ps -eo user:32=,args= | grep 'vdenet.relay.[m]ain' || true")
    return said.splitlines()


def test_by_a_tunnel_and_back(virtualbox: Host, vm: Vm) -> None:
    before = vm.nics()
    told = virtualbox.told("join", "virtualbox", vm.name, "--via", "udp")
    assert (told["changed"], told["via"], told["nic"]) == (True, "udp", "2")
    address, sport, dport = tunnel(vm)
    relay, = relays(virtualbox)
    assert relay.split()[0] == "vdenet-switch"
    assert relay.split()[-4:-1] == [address, str(dport), str(sport)]
    assert "already" in vm.join("--via", "udp")
    assert "already" in vm.join()
    assert virtualbox.told("join", "virtualbox", vm.name, "--name", "www")["name"] == "www"
    assert relays(virtualbox) == [relay]
    vm.join("--via", "vde", "--name", "web")
    assert (vm.attached(2), relays(virtualbox)) == (IN_THE_SWITCH, [])
    vm.join("--via", "udp")
    assert tunnel(vm) == (address, sport, dport)
    vm.join("--via", "bridge")
    assert (vm.attached(2), relays(virtualbox)) == (ON_THE_BRIDGE, [])
    vm.join("--via", "udp")
    vm.leave()
    assert (vm.nics(), relays(virtualbox)) == (before, [])


def test_two_tunnels_are_two(virtualbox: Host, vm: Vm) -> None:
    other = Vm(virtualbox, "another one")
    try:
        vm.join("--via", "udp")
        other.join("--via", "udp")
        assert len({*tunnel(vm)[1:], *tunnel(other)[1:]}) == 4
        assert len(relays(virtualbox)) == 2
    finally:
        other.leave()
        other.delete()


def test_a_tunnel_that_fails_is_taken_back(virtualbox: Host, vm: Vm,
                                           tools: Callable[[str], dict[str, str]]) -> None:
    env = tools("modifyvm) echo 'VBoxManage: error: The machine is locked' >&2; exit 1;;")
    virtualbox.refused(5, "tool-failed", "join", "virtualbox", vm.name, "--via", "udp", env=env)
    assert relays(virtualbox) == []
    vm.join("--via", "udp")
    joined, running = tunnel(vm), relays(virtualbox)
    virtualbox.refused(5, "tool-failed", "join", "virtualbox", vm.name, "--via", "vde", env=env)
    assert tunnel(vm) == joined
    assert [line.split()[-5:] for line in relays(virtualbox)] == [line.split()[-5:] for line in running]


def test_a_build_that_can_neither(virtualbox: Host, vm: Vm) -> None:
    """As Oracle's packages, where vboxnetflt is not loaded."""
    driver = "/usr/lib/virtualbox/VBoxDD.so"
    virtualbox.machine.run(["mount", "--bind", "/dev/null", driver])
    try:
        said = virtualbox.refused(1, "refused", "join", "virtualbox", vm.name, "--via", "vde")
        assert "no VDE driver" in said and "hint: --via udp" in said
        command = vm.join("--dry-run")
        assert "UDPTunnel" in command and "dest=127.83." in command
        told = virtualbox.told("join", "virtualbox", vm.name)
        assert told["via"] == "udp"
        assert "vboxnetflt is not loaded" in told["why"] and "no VDE driver" in told["why"]
    finally:
        virtualbox.machine.run(["umount", driver])


def test_an_adapter_in_use_is_taken_only_when_asked(virtualbox: Host, vm: Vm) -> None:
    for number in range(2, 9):
        vm.modify(f"--nic{number}", "intnet", f"--intnet{number}", f"lab{number}")
    before = vm.nics()
    assert "all of its adapters are in use" in virtualbox.refused(1, "refused", "join", "virtualbox", vm.name)
    assert vm.nics() == before
    vm.join("--nic", "3")
    assert vm.attached(3) == IN_THE_SWITCH
    virtualbox.refused(1, "refused", "join", "virtualbox", vm.name, "--nic", "4")
    vm.join("--via", "bridge")
    vm.leave()
    assert vm.nics() == before


def test_what_another_driver_was_told_comes_back(vm: Vm) -> None:
    vm.modify("--nic2", "generic", "--nicgenericdrv2", "UDPTunnel", "--nicproperty2", "dest=192.0.2.1",
              "--nicproperty2", "sport=10001", "--nicproperty2", "dport=10002")
    active = vm.attached(2)
    vm.join("--nic", "2")
    assert vm.attached(2) == IN_THE_SWITCH
    vm.leave()
    assert vm.attached(2) == active
    vm.modify("--nic2", "null")  # the driver's properties are kept, unseen
    vm.join()
    assert vm.attached(2) == IN_THE_SWITCH
    vm.leave()
    vm.modify("--nic2", "generic")
    assert vm.attached(2) == active


def test_a_cable_that_was_out_is_out_again(vm: Vm) -> None:
    vm.modify("--nic2", "bridged", "--bridgeadapter2", "eth7", "--cableconnected2", "off")
    before = vm.nics()
    vm.join("--nic", "2", "--via", "bridge")
    assert "Cable connected: on" in vm.nics()[2]
    vm.leave()
    assert vm.nics() == before


def test_joined_by_hand(virtualbox: Host, vm: Vm) -> None:
    vm.modify("--nic4", "bridged", "--bridgeadapter4", SEGMENT)
    told = virtualbox.told("join", "virtualbox", vm.name)
    assert (told["changed"], told["via"], told["nic"]) == (False, "bridge", "4")
    assert vm.nics()[2] == "disabled"
    assert "has left" in vm.leave()
    assert vm.attached(4) == "disabled"


def test_the_name_is_the_guests_until_it_leaves(virtualbox: Host, vm: Vm) -> None:
    vm.join("--name", "web")
    virtualbox.refused(1, "name-taken", "join", "run", "--name", "web", "--", "true", user="bob")
    assert virtualbox.told("join", "virtualbox", vm.name)["name"] == "web"
    assert virtualbox.told("join", "virtualbox", vm.name, "--name", "www")["name"] == "www"
    virtualbox.tarr("join", "run", "--name", "web", "--", "true", user="bob")
    vm.leave()
    virtualbox.tarr("join", "run", "--name", "www", "--", "true", user="bob")


def test_a_machine_that_was_deleted_leaves_its_name(virtualbox: Host, vm: Vm) -> None:
    vm.join("--name", "gone")
    vm.delete()
    assert "has left" in vm.leave()
    virtualbox.tarr("join", "run", "--name", "gone", "--", "true", user="bob")
    virtualbox.refused(1, "no-guest", "leave", "virtualbox", vm.name)


def test_a_machine_that_was_renamed_leaves_by_either_name(virtualbox: Host, vm: Vm) -> None:
    before = vm.nics()
    for word in (vm.name, "another"):
        vm.join("--name", "web")
        vm.modify("--name", "another")
        assert "has left" in virtualbox.tarr("leave", "virtualbox", word).stdout
        vm.manage("modifyvm", "another", "--name", vm.name)
        assert vm.nics() == before
        virtualbox.tarr("join", "run", "--name", "web", "--", "true", user="bob")


def test_list_tells_kind_name_and_owner(virtualbox: Host, vm: Vm) -> None:
    """What VirtualBox would send, from a card with the adapter's MAC address in the same switch."""
    mac = virtualbox.told("join", "virtualbox", vm.name, "--name", "box")["mac"]
    # A namespace of processes: they end together.
    card = virtualbox.machine.popen(["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", f"""
        vde_plug vde://{SWITCH} tap://vde0 &
        while ! ip link set vde0 address {mac} up; do sleep 0.1; done
        exec udhcpc -f -i vde0 -s /bin/true -x hostname:other"""])
    try:
        def joined() -> bool:
            guest = virtualbox.listed("box")
            return guest is not None and guest["address"] is not None
        wait_for(joined, 20, "box listed")
        guest = virtualbox.listed("box")
        assert guest is not None
        assert (guest["kind"], guest["owner"], guest["mac"], guest["via"]) == ("virtualbox", "alice", mac, "vde")
    finally:
        card.kill()
        card.wait(10)


def test_a_machine_that_is_not_there(virtualbox: Host, vm: Vm) -> None:
    for verb in ("join", "leave"):
        assert "VBoxManage list vms" in virtualbox.refused(1, "no-guest", verb, "virtualbox", "nobody")
        virtualbox.refused(1, "no-guest", verb, "virtualbox", vm.name, user="bob")  # it is alice's
        virtualbox.refused(2, "bad-value", verb, "virtualbox", "--", "--version")
    assert vm.attached(2) == "disabled"


def test_without_virtualbox(virtualbox: Host, vm: Vm, tools: Callable[[str], dict[str, str]]) -> None:
    env = tools("")
    virtualbox.machine.run(["rm", f"{env['PATH']}/VBoxManage"])
    said = virtualbox.refused(5, "tool-missing", "join", "virtualbox", vm.name, env=env)
    assert "hint: install VirtualBox: virtualbox.org" in said


def test_a_change_that_fails_is_taken_back(virtualbox: Host, vm: Vm, tools: Callable[[str], dict[str, str]]) -> None:
    before = vm.nics()
    env = tools("modifyvm) echo 'VBoxManage: error: The machine is locked' >&2; exit 1;;")
    assert "The machine is locked" in virtualbox.refused(
        5, "tool-failed", "join", "virtualbox", vm.name, "--name", "half", env=env)
    assert vm.nics() == before
    virtualbox.tarr("join", "run", "--name", "half", "--", "true", user="bob")
    vm.join("--name", "whole")
    joined = vm.nics()
    virtualbox.refused(5, "tool-failed", "join", "virtualbox", vm.name, "--via", "bridge", "--name", "other", env=env)
    virtualbox.refused(5, "tool-failed", "leave", "virtualbox", vm.name, env=env)
    assert vm.nics() == joined
    assert virtualbox.told("join", "virtualbox", vm.name)["name"] == "whole"
    vm.leave()
    assert vm.nics() == before


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGHUP))
def test_a_change_that_is_ended_is_taken_back(virtualbox: Host, vm: Vm, tools: Callable[[str], dict[str, str]],
                                              number: signal.Signals) -> None:
    """By kill, or by a terminal that is closed: VirtualBox has done it by then."""
    before = vm.nics()
    done = virtualbox.machine.path("/tmp/done")
    env = tools("modifyvm) [ -e /tmp/done ] || { /usr/bin/VBoxManage \"$@\"; touch /tmp/done; exec sleep 60; };;")
    joining = virtualbox.machine.popen(["tarr-steps", "join", "virtualbox", vm.name, "--name", "half"], user="alice",
                                       env=env)
    try:
        virtualbox.machine.wait_for(done.exists, 60, "the change")
        assert vm.nics() != before
        assert joining.inner is not None
        os.kill(joining.inner, number)
        said, _none = joining.communicate(timeout=60)
        assert (joining.returncode, said) == (128 + number, "taking back what was done\n")
        assert vm.nics() == before
        virtualbox.tarr("join", "run", "--name", "half", "--", "true", user="bob")
    finally:
        done.unlink(missing_ok=True)


# A shell on a terminal, in which a command is typed; once it has done something, keys are pressed, or it is closed.
TERMINAL = """
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "-i"])
os.write(fd, sys.argv[1].encode() + b"\\n")
until = time.monotonic() + 50
while not os.path.exists("/tmp/done") and time.monotonic() < until:
    if select.select([fd], [], [], 0.05)[0]:
        os.read(fd, 4096)
for key in sys.argv[2]:
    os.write(fd, b"\\x03")
    time.sleep(0.2)
if not sys.argv[2]:
    os.close(fd)
while os.system("pgrep -u alice -x tarr-steps >/dev/null") == 0 and time.monotonic() < until:
    if sys.argv[2] and select.select([fd], [], [], 0.05)[0]:
        os.read(fd, 4096)
"""


@pytest.mark.parametrize("keys", ("", "^", "^^^"), ids=("closed", "^C", "^C^C^C"))
def test_a_terminal_that_is_closed_or_impatient(virtualbox: Host, vm: Vm, tools: Callable[[str], dict[str, str]],
                                                keys: str) -> None:
    """Neither kills the tool that takes it back."""
    before = vm.nics()
    done = virtualbox.machine.path("/tmp/done")
    env = tools('modifyvm) if [ -e /tmp/done ]; then sleep 1; /usr/bin/VBoxManage "$@"; touch /tmp/back; exit; fi;'
                ' /usr/bin/VBoxManage "$@"; touch /tmp/done; exec sleep 60;;')
    try:
        virtualbox.machine.run(["python3", "-c", TERMINAL, f"tarr-steps join virtualbox {shlex.quote(vm.name)} --name half", keys],
                               user="alice", env=env)
        assert done.exists() and virtualbox.machine.path("/tmp/back").exists()
        assert vm.nics() == before
        virtualbox.tarr("join", "run", "--name", "half", "--", "true", user="bob")
    finally:
        virtualbox.machine.run(["rm", "-f", "/tmp/done", "/tmp/back"])


def test_settings_that_cannot_be_written(virtualbox: Host, vm: Vm) -> None:
    vm.file.parent.chmod(0o500)
    try:
        virtualbox.refused(5, "tool-failed", "join", "virtualbox", vm.name)
    finally:
        vm.file.parent.chmod(0o700)
    assert f"{SWITCH}" not in vm.file.read_text()


def test_two_joins_at_once(virtualbox: Host, vm: Vm) -> None:
    both = [virtualbox.machine.popen(["tarr-steps", "join", "virtualbox", vm.name], user="alice",
                                     stderr=subprocess.STDOUT) for _each in range(2)]
    said = [each.communicate(timeout=60)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert sorted("already" in text for text in said) == [False, True]
    assert [vm.attached(number) for number in (2, 3)] == [IN_THE_SWITCH, "disabled"]


def test_while_the_segment_is_down(virtualbox: Host, vm: Vm) -> None:
    before = vm.nics()
    vm.join()
    virtualbox.tarr("stop")
    try:
        vm.leave()
        assert vm.nics() == before
        virtualbox.refused(1, "segment-down", "join", "virtualbox", vm.name)
        assert vm.nics() == before
    finally:
        virtualbox.tarr("start")


@pytest.fixture
def tools(virtualbox: Host) -> Iterator[Callable[[str], dict[str, str]]]:
    """Makes a directory of programs in which VBoxManage has cases of its own, for PATH."""
    place = virtualbox.machine.path("/tmp/tools")

    def make(cases: str) -> dict[str, str]:
        virtualbox.machine.sh("mkdir /tmp/tools; ln -s /usr/bin/* /tmp/tools/; rm /tmp/tools/VBoxManage")
        (place / "VBoxManage").write_text(f'#!/bin/sh\ncase $1 in {cases} esac\nexec /usr/bin/VBoxManage "$@"\n')
        (place / "VBoxManage").chmod(0o755)
        return {"PATH": "/tmp/tools"}

    yield make
    virtualbox.machine.run(["rm", "-rf", "/tmp/tools"])


def test_into_a_vlan_by_a_port_of_the_switch(virtualbox: Host, vm: Vm) -> None:
    before = vm.file.read_bytes()
    assert "has no VLANs" in virtualbox.refused(2, "bad-value", "join", "virtualbox", vm.name, "--vlan", "33")
    virtualbox.refused(2, "usage", "join", "virtualbox", vm.name, "--vlan", "33", "--port", "5")
    with virtualbox.vlan():
        said = virtualbox.refused(1, "refused", "join", "virtualbox", vm.name, "--vlan", "33", "--via", "bridge")
        assert "hint: --via vde" in said
        assert "PORT" in vm.join("--vlan", "33", "--via", "udp", "--dry-run")
        told = virtualbox.told("join", "virtualbox", vm.name, "--vlan", "33", "--dry-run")
        assert (told["vlan"], told["via"], vm.file.read_bytes()) == (33, "vde", before)
        # Which port it is, the daemon chooses.
        virtualbox.machine.run(shlex.split(told["actions"][0].replace("[PORT]", "[31]")), user="alice")
    assert vm.attached(2) == f"Generic 'VDE' {{ network='{SWITCH}[31]' }}"
    assert "has left" in vm.leave()
    assert vm.attached(2) == "disabled"

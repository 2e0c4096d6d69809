"""join libvirt: real domains, emulated, of the real libvirtd for the system and of those that run as users.

The machine has D-Bus, polkit, virtlogd and libvirtd, started by hand, and no AppArmor. alice is in the group
libvirt, bob is not.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import qemu
from lab.guest import Guest
from lab.machine import wait_for

from .conftest import DOMAIN, SEGMENT, Host, started

SESSION, SYSTEM = "qemu:///session", "qemu:///system"
PACKAGES = ("libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "seabios")
IMAGE = "/srv/lab/image"
# Between a domain's serial port, a socket, and us.
RELAY = """import os, select, socket, sys, time
port = socket.socket(socket.AF_UNIX)
while True:
    try:
        port.connect(sys.argv[1])
        break
    except OSError:
        time.sleep(0.05)
while True:
    for ready in select.select([0, port], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else port.recv(65536)
        if not data:
            sys.exit()
        port.sendall(data) if ready == 0 else os.write(1, data)
"""
XML = """<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>160</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{image}/kernel</kernel>
    <initrd>{image}/initramfs</initrd>
    <cmdline>{words}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    {devices}
    <serial type='file'><source path='/tmp/{file}.console'/></serial>
    <serial type='unix'><source mode='bind' path='/tmp/{file}.agent'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""
# Slots for cards that come later.
PORTS = "<controller type='pci' index='0' model='pcie-root'/>" + "".join(
    f"<controller type='pci' index='{number}' model='pcie-root-port'/>" for number in range(1, 7))
OWN = "<interface type='user'><mac address='52:54:00:11:22:33'/><model type='e1000e'/></interface>"


class Vm:
    """A domain of a user's own, or of the system's."""

    def __init__(self, host: Host, name: str, uri: str = SESSION, user: str = "alice", devices: str = PORTS,
                 machine: str = "q35") -> None:
        self.host, self.name, self.uri, self.user = host, name, uri, user
        self.file = re.sub("[^a-z0-9]", "-", name)
        self.label = re.sub("[^a-z0-9]+", "-", name)
        self._words = qemu.argv(qemu.Image(Path(), Path(), Path()), self.file, hostname=None, console="")
        self.define(devices, machine)

    def xml(self, devices: str, machine: str = "q35") -> str:
        return XML.format(name=self.name, image=IMAGE, machine=machine, devices=devices, file=self.file,
                          words=self._words[self._words.index("-append") + 1])

    def define(self, devices: str, machine: str = "q35") -> None:
        self.virsh("define", xml=self.xml(devices, machine))

    def virsh(self, *words: str, xml: str = "", check: bool = True) -> str:
        """A command of virsh's; a description goes to it by a file."""
        if xml:
            self.host.machine.path("/tmp/lab.xml").write_text(xml)
            words = (*words, "/tmp/lab.xml")
        return self.host.machine.run(["virsh", "-q", "-c", self.uri, *words], user=self.user, check=check,
                                     timeout=120).stdout

    @property
    def uuid(self) -> str:
        return self.virsh("domuuid", self.name).strip()

    def cards(self, live: bool = False) -> list[dict[str, str]]:
        """Its network cards: type, MAC, and where they are."""
        root = ElementTree.fromstring(self.virsh("dumpxml", self.name, *() if live else ("--inactive",)))
        return [{"type": nic.get("type", ""), **{
            key: value for tag in ("mac", "source", "target", "model") if (found := nic.find(tag)) is not None
            for key, value in found.attrib.items() if key in ("address", "bridge", "network", "dev", "type")
            and not value.startswith("vnet") and (tag, key) != ("model", "type")}} for nic in root.iter("interface")]

    def join(self, *argv: str) -> str:
        return self.host.tarr("join", "libvirt", self.name, *argv, user=self.user).stdout

    def leave(self, *argv: str) -> str:
        return self.host.tarr("leave", "libvirt", self.name, *argv, user=self.user).stdout

    def start(self) -> None:
        self.virsh("start", self.name)

    def agent(self) -> Guest:
        """The shell in the guest, which has just been started."""
        process = subprocess.Popen(self.host.machine.command(["python3", "-c", RELAY, f"/tmp/{self.file}.agent"]),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return Guest(self.label, process, "eth0", self.host.machine.path(f"/tmp/{self.file}.console"))

    def kept(self) -> tuple[dict[str, Any], dict[str, str]]:
        """What is reserved and remembered: by the daemon, and for the user."""
        return self.host.remembered(self.user)

    def remove(self) -> None:
        self.virsh("destroy", self.name, check=False)
        self.virsh("undefine", self.name, "--managed-save", check=False)
        self.host.tarr("leave", "libvirt", "--connect", self.uri, self.name, user=self.user, check=False)


def on_the_bridge(mac: str) -> dict[str, str]:
    return {"type": "bridge", "address": mac, "bridge": SEGMENT}


def on_a_tap(mac: str, tap: str) -> dict[str, str]:
    return {"type": "ethernet", "address": mac, "dev": tap}


def ready(host: Host) -> Host:
    """With libvirt running, and what domains boot from."""
    machine = host.machine
    shutil.copytree(qemu.image().kernel.parent, machine.path(IMAGE))
    machine.run(["usermod", "--append", "--groups=libvirt", "alice"])
    # A KVM that does not work has libvirt ask QEMU anew what it can do, at every command.
    machine.sh("""
        rm -f /dev/kvm; mkdir -p /run/dbus; dbus-uuidgen --ensure; dbus-daemon --system --fork
        setsid /usr/lib/polkit-1/polkitd --no-debug </dev/null >/tmp/polkitd.log 2>&1 &
        setsid virtlogd --daemon </dev/null >/tmp/virtlogd.log 2>&1
        setsid libvirtd --daemon </dev/null >/tmp/libvirtd.log 2>&1""")

    def answers() -> bool:
        return all(machine.run(["virsh", "-c", uri, "list"], user="alice", check=False).returncode == 0
                   for uri in (SYSTEM, SESSION))
    wait_for(answers, 60, "libvirt")
    # As a network manager would register the segment's name server.
    address = ipaddress.IPv4Interface(host.segment()["address"]).ip
    machine.path("/etc/resolv.conf").write_text(f"nameserver {address}\nsearch {DOMAIN}\n")
    return host


@pytest.fixture(scope="module")
def libvirt(deb: Path) -> Iterator[Host]:
    yield from map(ready, started("trixie", deb, *PACKAGES))


@pytest.fixture(scope="module")
def older(deb: Path) -> Iterator[Host]:
    yield from map(ready, started("bookworm", deb, *PACKAGES))


@pytest.fixture(params=["libvirt", "older"])
def either(request: pytest.FixtureRequest) -> Host:
    host: Host = request.getfixturevalue(request.param)
    return host


@pytest.fixture
def new(libvirt: Host) -> Iterator[Callable[..., Vm]]:
    """Makes domains on the newer release, which go after the test."""
    with contextlib.ExitStack() as stack:
        def make(name: str, uri: str = SESSION, **more: str) -> Vm:
            vm = Vm(libvirt, name, uri, **more)
            stack.callback(vm.remove)
            return vm
        yield make


@pytest.fixture(params=[SESSION, SYSTEM], ids=["session", "system"])
def vm(new: Callable[..., Vm], request: pytest.FixtureRequest) -> Vm:
    """One with a card of its own, off; its name has a blank, and a letter that ASCII has not."""
    made = new("my gäst", request.param, devices=PORTS + OWN)
    made.label = "my-g-st"
    return made


@pytest.fixture
def mine(new: Callable[..., Vm]) -> Vm:
    """One of a user's own, where it does not matter whose it is."""
    return new("plain", SESSION, devices=OWN)


MINE = {"type": "user", "address": "52:54:00:11:22:33"}


# --- machines that run ------------------------------------------------------------------------------

def test_machines_of_both_join_talk_leave_and_come_back(either: Host) -> None:
    """Off and running; the segment's daemon killed meanwhile; then a boot, as far as that can be had here."""
    network = ipaddress.IPv4Interface(either.segment()["address"]).network
    machine = either.machine
    with contextlib.ExitStack() as stack:
        pair = [Vm(either, "ga", SESSION), Vm(either, "gb", SYSTEM)]
        for each in pair:
            stack.callback(each.remove)
        ga, gb = pair
        told = {each.name: either.told("join", "libvirt", each.name) for each in pair}
        assert [(one["changed"], one["via"], one["live"]) for one in told.values()] == [
            (True, "tap", False), (True, "bridge", False)]
        assert ga.cards() == [on_a_tap(told["ga"]["mac"], "vd0-ga")]
        assert gb.cards() == [on_the_bridge(told["gb"]["mac"])]
        guests = []
        for each in pair:
            each.start()
            guests.append(stack.enter_context(contextlib.closing(each.agent())))
        for guest in guests:
            guest.wait_ready(240)
        addresses = {guest.name: guest.wait_address(network, 120) for guest in guests}
        for guest, other in (guests, guests[::-1]):
            assert guest.mac() == told[guest.name]["mac"]
            guest.run(f"ping -c 2 {other.name}.{DOMAIN}")
            machine.run(["ping", "-c", "2", guest.name])
            either.tarr("join", "run", "--name", "third", "--", "ping", "-c", "2", f"{guest.name}.{DOMAIN}", user="bob")
            shown = either.listed(guest.name)
            assert shown is not None
            assert (shown["kind"], shown["owner"], shown["via"], shown["address"]) == (
                "libvirt", "alice", "tap", str(addresses[guest.name]))

        # The daemon dies, and another takes its place: nobody notices.
        machine.sh("""pid=$(cat /run/vdenetd.pid); kill -KILL $pid
            while kill -0 $pid 2>/dev/null; do sleep 0.1; done  # until then it "runs already"
            /etc/init.d/vdenetd start""")
        wait_for(lambda: either.segment()["state"] == "up", 60, "the segment")
        guests[0].run(f"ping -c 2 {guests[1].name}.{DOMAIN}")

        # Out and in again while they run.
        for each, guest in zip(pair, guests, strict=True):
            assert "has left" in each.leave()
            assert each.cards() == each.cards(live=True) == []
            guest.until("! test -e /sys/class/net/eth0", 60)
            wait_for(lambda name=guest.name: either.listed(name) is None, 30, "it is gone")  # type: ignore[misc]
            again = either.told("join", "libvirt", each.name)
            assert (again["live"], again["mac"]) == (True, told[each.name]["mac"])
            assert each.cards() == each.cards(live=True) != []
            guest.until("ip link set eth0 up", 60)
            guest.run("udhcpc -i eth0 -b -t 30 -T 1 -A 1 -s /etc/udhcpc.script >/dev/null 2>&1 &")
            assert guest.wait_address(network, 120) == addresses[guest.name]
            machine.run(["ping", "-c", "2", guest.name])

        # A boot: everything of the kernel's and of /run is gone, the machines too.
        for each, guest in zip(pair, guests, strict=True):
            guest.close()
            each.virsh("destroy", each.name)
        machine.sh(f"""/etc/init.d/vdenetd stop
            for name in vde_switch dnsmasq; do kill -KILL $(pidof $name) || :; done
            nft flush ruleset
            for link in $(ls /sys/class/net | grep -e ^vd -e ^vnet); do ip link delete $link || :; done
            rm -rf /run/vdenet/*
            test ! -e /sys/class/net/{SEGMENT}; /etc/init.d/vdenetd start""")
        wait_for(lambda: either.segment()["state"] == "up", 60, "the segment")
        for each in pair:
            assert "already" in each.join()
            each.start()
            with contextlib.closing(each.agent()) as guest:
                guest.wait_ready(240)
                assert guest.wait_address(network, 120) == addresses[guest.name]
                guest.run("ping -c 2 $(awk '/^nameserver/ {print $2}' /etc/resolv.conf)")
                # Off while it runs, then for good.
                assert "has left" in each.leave()
            each.virsh("destroy", each.name)
            assert each.cards() == []
        assert not [name for name in machine.sh("ls /sys/class/net").split() if name.startswith("vd0-")]


def fill(vm: Vm) -> None:
    """Leave no slot free in a running machine."""
    vm.host.machine.path("/tmp/more.xml").write_text("<interface type='user'><model type='virtio'/></interface>")
    said = [vm.host.machine.run(["virsh", "-c", vm.uri, "attach-device", vm.name, "/tmp/more.xml", "--live"],
                                user="alice", check=False).stderr for _slot in range(6)]
    assert "No more available PCI slots" in said[-1], said


def test_a_machine_without_a_free_slot_gets_its_card_at_the_next_start(libvirt: Host, new: Callable[..., Vm]) -> None:
    vm = new("full", devices=OWN)
    vm.start()
    fill(vm)
    before = vm.cards(live=True)
    told = libvirt.told("join", "libvirt", "full")
    assert (told["changed"], told["running"], told["live"]) == (True, True, False)
    assert "no free slot" in told["why"]
    assert vm.cards(live=True) == before
    assert len(vm.cards()) == 2
    assert "already" in vm.join()
    assert "it is running" in vm.leave()
    assert vm.cards() == [MINE]
    assert "its next start brings it" in vm.join()


def test_an_older_kind_of_machine(libvirt: Host, new: Callable[..., Vm]) -> None:
    vm = new("old", machine="pc", devices=OWN)
    vm.start()
    vm.join()
    assert len(vm.cards(live=True)) == len(vm.cards()) == 2
    libvirt.refused(1, "refused", "leave", "libvirt", "old")  # nothing runs in it yet that could let go of the card
    assert vm.cards() == [MINE]


def test_a_machine_that_takes_no_card_while_it_runs(libvirt: Host, new: Callable[..., Vm]) -> None:
    """On a PC without ACPI QEMU can plug in nothing, nor out."""
    vm = new("fixed", machine="pc", devices=OWN)
    vm.virsh("undefine", "fixed")
    vm.virsh("define", xml=vm.xml(OWN, "pc").replace("<features><acpi/></features>", ""))
    vm.start()
    told = libvirt.told("join", "libvirt", "fixed")
    assert (told["changed"], told["live"], len(vm.cards()), vm.cards(live=True)) == (True, False, 2, [MINE])
    vm.virsh("destroy", "fixed")
    vm.start()
    assert "cannot be taken out while it runs" in libvirt.refused(1, "refused", "leave", "libvirt", "fixed")
    assert (vm.cards(), vm.cards(live=True)) == ([MINE], [MINE, card(vm, told["mac"])])
    vm.join()
    assert len(vm.cards()) == 2
    vm.virsh("destroy", "fixed")
    assert "has left" in vm.leave()
    assert vm.cards() == [MINE]


def test_a_moved_card_that_stays_while_it_runs_is_not_added_again(libvirt: Host, new: Callable[..., Vm]) -> None:
    """Two cards with one MAC address could not be told apart any more."""
    vm = new("twice", SYSTEM, devices=PORTS + OWN)
    libvirt.told("join", "libvirt", "twice", "--nic", "1")
    vm.start()
    libvirt.refused(1, "refused", "leave", "libvirt", "twice")
    assert vm.cards() == [MINE]
    assert libvirt.told("join", "libvirt", "twice")["live"]
    assert vm.cards() == [card(vm, MINE["address"])]
    vm.virsh("destroy", "twice")
    assert "has left" in vm.leave()
    assert vm.cards() == [MINE]
    assert "is not on" in vm.leave()


def test_a_transient_machine(libvirt: Host, new: Callable[..., Vm]) -> None:
    vm = new("brief", SYSTEM)
    vm.virsh("undefine", "brief")
    vm.virsh("create", xml=vm.xml(PORTS))
    with contextlib.closing(vm.agent()) as guest:
        assert libvirt.told("join", "libvirt", "brief")["live"]
        assert len(vm.cards(live=True)) == 1
        assert "already" in vm.join()
        guest.wait_ready(240)
        assert "has left" in vm.leave()
        wait_for(lambda: vm.cards(live=True) == [], 60, "no card")
    vm.virsh("destroy", "brief")
    vm.virsh("create", xml=vm.xml(""))
    fill(vm)
    before = vm.cards(live=True)
    assert "transient" in libvirt.refused(1, "refused", "join", "libvirt", "brief")
    assert vm.cards(live=True) == before


def test_a_machine_that_does_not_let_go_of_its_card(libvirt: Host, new: Callable[..., Vm]) -> None:
    """It keeps its tap until it does: QEMU would end if that was taken from under it."""
    vm = new("holder", SESSION)
    told = libvirt.told("join", "libvirt", "holder")
    vm.start()
    with contextlib.closing(vm.agent()) as guest:
        guest.wait_ready(240)
        guest.wait_address(None, 120)
        vm.virsh("suspend", "holder")
        assert "what runs in it has not let go of the card" in libvirt.refused(
            1, "refused", "leave", "libvirt", "holder")
        assert vm.cards() == []
        assert vm.cards(live=True) == [card(vm, told["mac"])]
        vm.virsh("resume", "holder")
        guest.run("true", 60)
        guest.until("! test -e /sys/class/net/eth0", 60)
        wait_for(lambda: vm.cards(live=True) == [], 60, "no card")
        assert "has left" in vm.leave()
        assert "is not on" in vm.leave()
        assert not libvirt.machine.path("/sys/class/net/vd0-holder").exists()
        told = libvirt.told("join", "libvirt", "holder")
        assert told["live"]
        guest.until("test -e /sys/class/net/eth0", 60)


def test_a_saved_machine(libvirt: Host, vm: Vm) -> None:
    vm.start()
    vm.virsh("managedsave", vm.name)
    assert "its saved state does not have the card" in vm.join()
    assert "has left" in vm.leave()
    vm.virsh("managedsave-remove", vm.name)
    vm.start()
    vm.join()
    vm.virsh("managedsave", vm.name)
    assert "already" in vm.join()
    if vm.uri == SESSION:
        assert "virsh managedsave-remove" in libvirt.refused(1, "refused", "leave", "libvirt", vm.name)
        assert len(vm.cards()) == 2
        vm.start()  # it goes on with its tap
        libvirt.refused(1, "refused", "leave", "libvirt", vm.name)  # until it has let go of the card
    else:
        assert "its saved state still has the card" in vm.leave()
        vm.virsh("managedsave-remove", vm.name)
    assert vm.cards() == [MINE]


# --- what is configured ------------------------------------------------------------------------------

def card(vm: Vm, mac: str) -> dict[str, str]:
    return on_a_tap(mac, f"vd0-{vm.label}") if vm.uri == SESSION else on_the_bridge(mac)


def test_both_are_idempotent(libvirt: Host, vm: Vm) -> None:
    before = vm.virsh("dumpxml", vm.name)
    assert "is not on" in vm.leave()
    told = libvirt.told("join", "libvirt", vm.name)
    assert (told["changed"], told["name"], told["fqdn"]) == (True, vm.label, f"{vm.label}.{DOMAIN}")
    assert vm.cards() == [MINE, card(vm, told["mac"])]
    assert "already" in vm.join()
    again = libvirt.told("join", "libvirt", vm.uuid.upper())
    assert (again["changed"], again["mac"]) == (False, told["mac"])
    assert vm.cards() == [MINE, card(vm, told["mac"])]
    assert "has left" in vm.leave()
    assert "is not on" in vm.leave()
    assert not libvirt.told("leave", "libvirt", vm.name)["left"]
    # libvirt keeps the slot that it made for the card.
    assert [line for line in vm.virsh("dumpxml", vm.name).splitlines() if line in before.splitlines()] == \
        before.splitlines()
    assert vm.cards() == [MINE]


def test_the_card_is_of_the_model_that_the_guest_has_a_driver_for(libvirt: Host, new: Callable[..., Vm]) -> None:
    for devices, model in ((OWN, "e1000e"), ("", "virtio")):
        vm = new(f"with-{model}", devices=devices)
        vm.join()
        assert vm.virsh("domiflist", vm.name).split()[-2] == model


def test_dry_run_changes_nothing_and_shows_what_works(libvirt: Host, vm: Vm) -> None:
    before, kept = vm.virsh("dumpxml", vm.name), vm.kept()
    command = vm.join("--dry-run")
    assert (vm.virsh("dumpxml", vm.name), vm.kept()) == (before, kept)
    assert "is not on" in vm.leave()
    libvirt.machine.sh(command, user="alice")
    assert len(vm.cards()) == 2
    assert "already" in vm.join()
    kept = vm.kept()
    command = vm.leave("--dry-run")
    assert (len(vm.cards()), vm.kept()) == (2, kept)
    libvirt.machine.sh(command, user="alice")
    assert vm.cards() == [MINE]


def test_a_card_of_its_own_is_moved_when_asked_for(libvirt: Host, vm: Vm) -> None:
    told = libvirt.told("join", "libvirt", vm.name, "--nic", "1")
    assert (told["nic"], told["mac"]) == ("1", MINE["address"])
    assert vm.cards() == [card(vm, MINE["address"])]
    assert "already" in vm.join("--nic", "1")
    libvirt.refused(2, "usage", "join", "libvirt", vm.name, "--nic", "300")
    assert "its card 1" in libvirt.refused(1, "refused", "join", "libvirt", vm.name, "--nic", "2")
    vm.leave()
    assert vm.cards() == [MINE]
    for wrong in ("0", "2"):
        libvirt.refused(2, "bad-value", "join", "libvirt", vm.name, "--nic", wrong)
    assert vm.cards() == [MINE]


AT_LAB = {"type": "bridge", "address": "52:54:00:11:22:33", "bridge": "lab0"}


@pytest.fixture
def mover(libvirt: Host, new: Callable[..., Vm]) -> Iterator[Vm]:
    """One of the system's that runs, with a card on a bridge of its own."""
    libvirt.machine.sh("ip link add lab0 type bridge; ip link set lab0 up")
    try:
        vm = new("mover", SYSTEM, devices="<interface type='bridge'><mac address='52:54:00:11:22:33'/>"
                 "<source bridge='lab0'/><model type='virtio'/><boot order='1'/></interface>")
        vm.start()
        yield vm
        vm.remove()
    finally:
        libvirt.machine.sh("ip link delete lab0")


def test_a_running_machine_of_the_system_moves_its_card_at_once(libvirt: Host, mover: Vm) -> None:
    before = mover.virsh("dumpxml", "--inactive", mover.name)
    assert libvirt.told("join", "libvirt", "mover", "--nic", "1")["live"]
    assert mover.cards() == mover.cards(live=True) == [on_the_bridge(MINE["address"])]
    assert libvirt.machine.sh(f"ls /sys/class/net/{SEGMENT}/brif | grep vnet")
    wait_for(lambda: libvirt.listed("mover"), 60, "its boot program heard")
    said = libvirt.refused(1, "refused", "leave", "libvirt", "mover", user="root")
    assert "hint: sudo -u alice tarr-steps leave libvirt mover" in said
    mover.leave()
    assert mover.cards(live=True) == [AT_LAB]
    assert mover.virsh("dumpxml", "--inactive", mover.name) == before
    assert libvirt.machine.sh("ls /sys/class/net/lab0/brif")


def test_a_card_that_is_moved_by_half_is_moved_back(libvirt: Host, mover: Vm,
                                                    tools: Callable[[str], dict[str, str]]) -> None:
    """What runs is moved first; then its configuration cannot be."""
    env = tools("*update-device*--config) ls /sys/class/net/lab0/brif >/tmp/meanwhile; "
                "echo 'error: Failed to update device\nerror: no space left' >&2; exit 1;;")
    port = mover.virsh("domiflist", mover.name).split()[0]

    def on_lab() -> list[str]:
        return libvirt.machine.sh("ls /sys/class/net/lab0/brif").split()

    def meanwhile() -> list[str]:
        return libvirt.machine.path("/tmp/meanwhile").read_text().split()

    kept = mover.kept()
    assert "virsh failed: no space left" in libvirt.refused(
        5, "tool-failed", "join", "libvirt", "mover", "--nic", "1", env=env)
    assert (meanwhile(), on_lab()) == ([], [port])
    assert mover.cards() == mover.cards(live=True) == [AT_LAB]
    assert mover.kept() == kept
    libvirt.tarr("join", "run", "--name", "mover", "--", "true", user="bob")

    mover.join("--nic", "1")
    kept = mover.kept()
    assert "virsh failed: no space left" in libvirt.refused(5, "tool-failed", "leave", "libvirt", "mover", env=env)
    assert (meanwhile(), on_lab()) == ([port], [])
    assert mover.cards() == mover.cards(live=True) == [on_the_bridge(MINE["address"])]
    assert mover.kept() == kept
    libvirt.refused(1, "name-taken", "join", "run", "--name", "mover", "--", "true", user="bob")
    assert "has left" in mover.leave()
    assert mover.cards() == mover.cards(live=True) == [AT_LAB]


@pytest.mark.parametrize("way", ["bridge", "direct", "network"])
def test_joined_by_hand(libvirt: Host, new: Callable[..., Vm], way: str) -> None:
    source = {"bridge": f"bridge='{SEGMENT}'", "direct": f"dev='{SEGMENT}' mode='bridge'", "network": "network='handed'"}
    vm = new("byhand", SYSTEM, devices=f"{OWN}<interface type='{way}'><mac address='52:54:00:44:55:66'/>"
             f"<source {source[way]}/><model type='virtio'/></interface>")
    if way == "network":
        vm.virsh("net-define", xml="<network><name>handed</name><forward mode='bridge'/>"
                 f"<bridge name='{SEGMENT}'/></network>")
    try:
        before = vm.cards()
        told = libvirt.told("join", "libvirt", "byhand")
        assert (told["changed"], told["mac"], told["nic"]) == (False, "52:54:00:44:55:66", "2")
        assert vm.cards() == before
        assert "has left" in vm.leave()
        assert vm.cards() == [MINE]
    finally:
        if way == "network":
            vm.virsh("net-undefine", "handed")


def heard(host: Host, mac: str) -> dict[str, Any]:
    """A guest that has an address, as `list --json` has it, whatever its name."""
    return wait_for(lambda: next((guest for guest in host.segment()["guests"]
                                  if guest["mac"] == mac and guest["port"] and guest["address"]), {}), 120, mac)


def test_one_that_was_put_there_by_hand_is_recognised(libvirt: Host, new: Callable[..., Vm]) -> None:
    vm = new("by hand", SYSTEM, devices=f"{PORTS}<interface type='bridge'><source bridge='{SEGMENT}'/>"
             "<model type='virtio'/></interface>")
    vm.start()
    guest = heard(libvirt, vm.cards()[0]["address"])
    assert (guest["kind"], guest["guest"], guest["owner"], guest["via"], guest["joined"]) == (
        "libvirt", "by hand", "libvirt-qemu", "tap", False)
    assert guest["port"] == vm.virsh("domiflist", "by hand").split()[0]


def test_one_that_was_put_on_a_tap_by_hand_is_recognised(libvirt: Host, new: Callable[..., Vm]) -> None:
    """The tap was made for a QEMU, and libvirt runs one: which, and that it is there, is seen."""
    tap = libvirt.told("join", "qemu", "--tap", "ours")
    vm = new("on a tap", devices=f"{PORTS}<interface type='ethernet'><mac address='{tap['mac']}'/>"
             f"<target dev='{tap['port']}' managed='no'/><model type='virtio'/></interface>")
    try:
        vm.start()
        guest = heard(libvirt, tap["mac"])
        assert (guest["kind"], guest["guest"], guest["owner"], guest["via"], guest["port"]) == (
            "qemu", "on a tap", "alice", "tap", tap["port"])
    finally:
        vm.remove()
        libvirt.tarr("leave", "qemu", "ours")


def test_joined_by_hand_on_a_tap_made_for_qemu(libvirt: Host, new: Callable[..., Vm]) -> None:
    tap = libvirt.told("join", "qemu", "--tap", "mytap")
    vm = new("tapped", devices=f"<interface type='ethernet'><mac address='{tap['mac']}'/>"
             f"<target dev='{tap['port']}' managed='no'/></interface>")
    told = libvirt.told("join", "libvirt", "tapped", "--name", "mytap")
    assert (told["changed"], told["name"], told["mac"]) == (False, "mytap", tap["mac"])
    assert libvirt.told("join", "libvirt", "tapped", "--name", "other")["name"] == "other"
    shown = libvirt.listed("other")
    assert shown is not None
    assert (shown["port"], shown["kind"]) == (tap["port"], "libvirt")
    vm.leave()
    assert libvirt.listed("other") is None
    assert not libvirt.machine.path(f"/sys/class/net/{tap['port']}").exists()


def test_a_copy_gets_a_tap_of_its_own(libvirt: Host, new: Callable[..., Vm]) -> None:
    first = new("first")
    tap = libvirt.told("join", "libvirt", "first")["mac"]
    devices = f"<interface type='ethernet'><mac address='52:54:00:77:77:77'/><target dev='{first.cards()[0]['dev']}' " \
        "managed='no'/><model type='virtio'/></interface>"
    copy = new("copy", devices=devices)
    told = libvirt.told("join", "libvirt", "copy")
    assert (told["changed"], told["mac"]) == (True, "52:54:00:77:77:77")
    assert copy.cards() == [on_a_tap("52:54:00:77:77:77", "vd0-copy")]
    assert first.cards() == [on_a_tap(tap, "vd0-first")]
    assert "already" in copy.join()


def test_the_name_is_the_guests_until_it_leaves(libvirt: Host, mine: Vm) -> None:
    mine.join("--name", "web")
    libvirt.refused(1, "name-taken", "join", "run", "--name", "web", "--", "true", user="bob")
    assert libvirt.told("join", "libvirt", mine.name)["name"] == "web"
    mac = libvirt.told("join", "libvirt", mine.name, "--name", "www")["mac"]
    assert mine.cards()[1]["address"] == mac
    libvirt.tarr("join", "run", "--name", "web", "--", "true", user="bob")
    mine.leave()
    libvirt.tarr("join", "run", "--name", "www", "--", "true", user="bob")


def test_a_machine_that_was_deleted_leaves_its_name(libvirt: Host, mine: Vm) -> None:
    mine.join("--name", "gone")
    mine.virsh("undefine", mine.name)
    assert "has left" in mine.leave()
    libvirt.tarr("join", "run", "--name", "gone", "--", "true", user="bob")
    libvirt.refused(1, "no-guest", "leave", "libvirt", mine.name)


def test_a_machine_that_was_renamed_leaves_by_its_old_name_too(libvirt: Host, mine: Vm) -> None:
    before = mine.cards()
    mine.join("--name", "web")
    mine.virsh("domrename", mine.name, "another")
    try:
        assert "has left" in mine.leave()
    finally:
        mine.virsh("domrename", "another", mine.name)
    assert mine.cards() == before
    libvirt.tarr("join", "run", "--name", "web", "--", "true", user="bob")


def test_a_machine_that_was_made_anew_takes_its_predecessors_place(libvirt: Host, vm: Vm) -> None:
    mac = libvirt.told("join", "libvirt", vm.name)["mac"]
    vm.virsh("undefine", vm.name)
    vm.define(PORTS)
    told = libvirt.told("join", "libvirt", vm.name)
    assert (told["changed"], told["name"], told["mac"]) == (True, vm.label, mac)
    assert vm.cards() == [card(vm, mac)]
    vm.leave()
    assert not [name for name in libvirt.machine.sh("ls /sys/class/net").split() if name.startswith("vd0-")]


def test_its_own_network_is_imported(either: Host) -> None:
    """As virsh prints it, of the real libvirt; what would change is planned and left."""
    xml = either.machine.run(["virsh", "-c", SYSTEM, "net-dumpxml", "default"], user="alice").stdout
    done = either.machine.run(["tarr-steps", "import", "-"], user="alice", input=xml)
    assert 'address = "192.168.122.1/24"' in done.stdout
    assert [line.partition("left out: ")[2].split(" ")[0] for line in done.stderr.splitlines()] == ["<bridge", "<mac"]
    planned = either.machine.run(["tarr-steps", "plan", "-"], input=done.stdout).stdout
    assert "192.168.122.1/24" in planned
    # While libvirt has it in a file of its own, a member does not take it.
    refused = either.machine.run(["tarr-steps", "plan", "-"], user="alice", input=done.stdout, check=False)
    assert (refused.returncode, "in /etc/libvirt/qemu/networks/default.xml; only root may\n" in refused.stderr) == (4, True)


# --- what is refused ---------------------------------------------------------------------------------

def test_a_machine_that_is_not_there(libvirt: Host, mine: Vm) -> None:
    for verb in ("join", "leave"):
        assert "list --all" in libvirt.refused(1, "no-guest", verb, "libvirt", "nobody")
        libvirt.refused(2, "bad-value", verb, "libvirt", "--", "--version")
        for uri in ("lxc:///", "qemu+ssh://elsewhere/system", "test:///default"):
            libvirt.refused(2, "bad-value", verb, "libvirt", "--connect", uri, mine.name)
            libvirt.refused(2, "bad-value", verb, "libvirt", mine.name, env={"LIBVIRT_DEFAULT_URI": uri})
    assert mine.cards() == [MINE]
    libvirt.refused(2, "usage", "leave", "lxc", "--connect", SYSTEM, mine.name)


def test_another_users(libvirt: Host, new: Callable[..., Vm]) -> None:
    """A session is its user's own. The system shows itself to all, and is changed by those whom libvirt lets."""
    new("mine")
    libvirt.refused(1, "no-guest", "join", "libvirt", "mine", user="bob")
    ours = new("ours", SYSTEM)
    said = libvirt.refused(4, "not-permitted", "join", "libvirt", "ours", user="bob")
    assert "hint: sudo adduser bob libvirt" in said
    assert ours.cards() == []
    libvirt.tarr("join", "run", "--name", "ours", "--", "true", user="bob")  # nothing was reserved
    ours.join()
    before = ours.cards()
    libvirt.refused(4, "not-permitted", "leave", "libvirt", "ours", user="bob")
    assert ours.cards() == before


def test_roots_own_way(libvirt: Host, new: Callable[..., Vm]) -> None:
    vm = new("roots", SYSTEM)
    assert libvirt.told("join", "libvirt", "roots", user="root")["changed"]
    assert len(vm.cards()) == 1
    assert libvirt.told("leave", "libvirt", "roots", user="root")["left"]
    new("mine")
    libvirt.refused(1, "no-guest", "join", "libvirt", "mine", user="root")


def test_a_name_that_both_have(libvirt: Host, new: Callable[..., Vm]) -> None:
    mine, ours = new("twin"), new("twin", SYSTEM)
    said = libvirt.refused(1, "refused", "join", "libvirt", "twin")
    assert "hint: say which: --connect qemu:///session" in said
    assert libvirt.told("join", "libvirt", "twin", "--connect", SYSTEM)["via"] == "bridge"
    assert (len(mine.cards()), len(ours.cards())) == (0, 1)
    assert "your libvirt guest twin" in libvirt.refused(
        1, "name-taken", "join", "libvirt", "--connect", SESSION, "twin")
    libvirt.tarr("join", "libvirt", "twin", "--connect", SESSION, "--name", "other")
    assert libvirt.told("leave", "libvirt", "--connect", SYSTEM, "twin")["left"]
    assert (len(mine.cards()), len(ours.cards())) == (1, 0)
    done = libvirt.tarr("leave", "libvirt", "twin", env={"LIBVIRT_DEFAULT_URI": SESSION})
    assert "has left" in done.stdout
    assert mine.cards() == []


def test_without_virsh(libvirt: Host, mine: Vm, tools: Callable[[str], dict[str, str]]) -> None:
    env = tools("")
    libvirt.machine.run(["rm", f"{env['PATH']}/virsh"])
    said = libvirt.refused(5, "tool-missing", "join", "libvirt", mine.name, env=env)
    assert "apt install libvirt-clients" in said


def test_libvirt_that_does_not_run(libvirt: Host, mine: Vm, tools: Callable[[str], dict[str, str]]) -> None:
    env = tools("*) echo 'error: failed to connect to the hypervisor\nerror: Failed to connect socket' >&2; exit 1;;")
    assert "virsh failed: Failed to connect socket" in libvirt.refused(
        5, "tool-failed", "join", "libvirt", mine.name, env=env)


def test_a_change_that_fails_is_taken_back(libvirt: Host, vm: Vm, tools: Callable[[str], dict[str, str]]) -> None:
    env = tools("*attach-device*) echo 'error: Failed to attach device\nerror: no more room' >&2; exit 1;;"
                "*detach-device*) echo 'error: Failed to detach device\nerror: it is stuck' >&2; exit 1;;")
    assert "virsh failed: no more room" in libvirt.refused(
        5, "tool-failed", "join", "libvirt", vm.name, "--name", "half", env=env)
    assert vm.cards() == [MINE]
    libvirt.tarr("join", "run", "--name", "half", "--", "true", user="bob")
    vm.join("--name", "whole")
    joined = vm.cards()
    assert "it is stuck" in libvirt.refused(5, "tool-failed", "leave", "libvirt", vm.name, env=env)
    assert vm.cards() == joined
    assert libvirt.told("join", "libvirt", vm.name)["name"] == "whole"
    vm.leave()
    assert vm.cards() == [MINE]


def test_two_joins_at_once(libvirt: Host, vm: Vm) -> None:
    both = [libvirt.machine.popen(["tarr-steps", "join", "libvirt", vm.name], user="alice",
                                  stderr=subprocess.STDOUT) for _each in range(2)]
    said = [each.communicate(timeout=240)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert sorted("already" in text for text in said) == [False, True]
    assert len(vm.cards()) == 2


def test_while_the_segment_is_down(libvirt: Host, vm: Vm) -> None:
    vm.join()
    libvirt.tarr("stop")
    try:
        assert "has left" in vm.leave()
        assert vm.cards() == [MINE]
        libvirt.refused(1, "segment-down", "join", "libvirt", vm.name)
        assert vm.cards() == [MINE]
    finally:
        libvirt.tarr("start")
    wait_for(lambda: libvirt.segment()["state"] == "up", 30, "the segment")


@pytest.fixture
def tools(libvirt: Host) -> Iterator[Callable[[str], dict[str, str]]]:
    """Makes a directory of programs in which virsh has cases of its own, for PATH."""
    place = libvirt.machine.path("/tmp/tools")

    def make(cases: str) -> dict[str, str]:
        libvirt.machine.sh("mkdir /tmp/tools; ln -s /usr/bin/* /tmp/tools/; rm /tmp/tools/virsh")
        (place / "virsh").write_text(f'#!/bin/sh\ncase "$*" in {cases} esac\nexec /usr/bin/virsh "$@"\n')
        (place / "virsh").chmod(0o755)
        return {"PATH": "/tmp/tools"}

    yield make
    libvirt.machine.run(["rm", "-rf", "/tmp/tools"])


def test_into_a_vlan_by_a_tap_also_on_the_system(libvirt: Host, new: Callable[..., Vm]) -> None:
    """The system's libvirtd opens a tap of the user's, too."""
    vm = new("apart", SYSTEM)
    assert "has no VLANs" in libvirt.refused(2, "bad-value", "join", "libvirt", "apart", "--vlan", "33")
    with libvirt.vlan():
        kept = vm.kept()
        told = libvirt.told("join", "libvirt", "apart", "--vlan", "33", "--dry-run")
        assert (told["vlan"], told["via"], vm.cards(), vm.kept()) == (33, "tap", [], kept)
    tap = libvirt.told("join", "qemu", "--tap", "apart", "--mac", told["mac"])["port"]
    libvirt.machine.sh(told["actions"][0], user="alice")
    assert vm.cards() == [on_a_tap(told["mac"], tap)]
    vm.start()
    assert "LOWER_UP" in libvirt.end(tap)["flags"]
    assert not libvirt.told("join", "libvirt", "apart")["changed"]
    shown = libvirt.listed("apart")
    assert shown is not None and (shown["port"], shown["kind"]) == (tap, "libvirt")
    vm.virsh("destroy", "apart")
    vm.leave()
    assert (vm.cards(), libvirt.end(tap)) == ([], {})
    vm.join()
    with libvirt.vlan():
        assert "leave libvirt apart" in libvirt.refused(1, "refused", "join", "libvirt", "apart", "--vlan", "33")
    assert [card["type"] for card in vm.cards()] == ["bridge"]

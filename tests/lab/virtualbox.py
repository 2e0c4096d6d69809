"""Real VirtualBox machines, in an emulated machine whose kernel has VirtualBox' modules.

The guests boot the kernel and initramfs of `lab.qemu` from a CD, and are talked to over their second serial
line, a socket in the emulated machine. A QEMU machine in there is the same guest.

Settings that make it run without hardware virtualisation: QEMU emulates AMD-V, so the kvm modules have to
leave it alone; with nested paging a guest does not get past its BIOS.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import qemu, roots
from .emulated import KERNEL, Emulated

PACKAGES = ("systemd", "systemd-sysv", "dbus", *KERNEL, "linux-headers-amd64", "virtualbox", "virtualbox-dkms",
            "qemu-system-x86")
MEMORY = 192
"""MiB of a guest."""
PATIENCE = 3600.0
"""Seconds that anything may take: the emulated time is the slower, the busier the test machine is."""

# Its clock counts instructions. Entering a guest takes long where AMD-V is emulated; by a clock of the test
# machine's, and that one busy, the next timer interrupt would be due before the guest has got any further.
_CLOCK = ("-accel", "tcg,thread=single", "-icount", "shift=2")
# Nothing of what systemd does at the first boot of an image. Timers at ticks only: each is a way out of the guests.
_KERNEL = ("modprobe.blacklist=kvm_amd,kvm_intel,kvm,floppy,psmouse,ata_piix,ata_generic,i2c_piix4,pcspkr,powernow_k8 "
           "tsc=reliable highres=off init_on_alloc=0 systemd.condition_needs_update=0")
# For a guest's kernel: nothing measured that is known (a processor of 1 GHz, by the clock above), nothing
# cleared or tested that need not be. An access to a port, or a page table, is the way out of the machine.
_LEAN = ("tsc_early_khz=1000000 tsc=reliable highres=off lpj=2000000 init_on_alloc=0 lsm= audit=0 "
         "rcupdate.rcu_expedited=1 cryptomgr.notests nowatchdog 8250.nr_uarts=2 no5lvl")

# Has a guest's serial line for good, and asks there for whoever comes: so no answer is lost between two of them. A
# guest whose kernel panicked starts anew, and its agent says so by "=t0": that is an error at once, and not when the
# question has run out of time.
_LINE = """#!/usr/bin/python3
import base64, contextlib, itertools, socket, sys
path = sys.argv[1]
if sys.argv[2:]:
    holder = socket.socket(socket.AF_UNIX)
    holder.settimeout(float(sys.argv[2]))
    holder.connect(f"{path}.held")
    holder.sendall(base64.b64encode(sys.argv[3].encode()) + b"\\n")
    code, _, text = holder.makefile().readline().partition(" ")
    sys.stdout.buffer.write(base64.b64decode(text))
    sys.exit(int(code))
line = socket.socket(socket.AF_UNIX)
line.connect(path)
said = line.makefile("rb")
door = socket.socket(socket.AF_UNIX)
door.bind(f"{path}.held")
door.listen()
for number in itertools.count():
    caller, _ = door.accept()
    line.sendall(f"a{number} ".encode() + caller.makefile("rb").readline())
    words = []
    while words[:1] != [f"=a{number}".encode()]:
        words = (said.readline() or sys.exit("the serial line ended")).split()
        if number and words[:1] == [b"=t0"]:  # before the first answer it has only begun to speak
            words = [b"", b"1", base64.b64encode(b"the guest has started anew")]
            break
    with contextlib.suppress(OSError), caller:
        caller.sendall(b" ".join(words[1:]) + b"\\n")
"""


class Host(Emulated):
    """The emulated machine, with the package installed and a member alice who has two VirtualBox machines."""

    def __init__(self, deb: Path, guests: Sequence[str]) -> None:
        """`guests` are the names of the VirtualBox machines, which are off."""
        image = qemu.image()
        with tempfile.TemporaryDirectory(prefix="parcel-") as name:
            parcel = Path(name)
            files = [image.kernel, image.initramfs, parcel / "line", *(
                _cd(image, guest, parcel) for guest in guests)]
            (parcel / "line").write_text(_LINE)
            super().__init__(roots.root("sid", "installed", deb=deb, extra=PACKAGES), name="virtualbox", files=files,
                             memory=3072, command_line=_KERNEL, clock=_CLOCK)
        self.image = image
        try:
            self.run("useradd --create-home --shell /bin/bash --groups vdenet alice && chmod -R a+rX /srv",
                     timeout=PATIENCE)
            self.run("systemctl start virtualbox vdenetd", timeout=PATIENCE)
            # Nothing here manages the host's resolver, so somebody names the segment's in it by hand.
            address = json.loads(self.run("tarr-steps ip --json", timeout=PATIENCE))["address"].partition("/")[0]
            self.run(f"echo nameserver {address} >/etc/resolv.conf", timeout=PATIENCE)
            self._create(guests)
        except BaseException:
            self.close()
            raise

    def alice(self, *argv: str, timeout: float = PATIENCE) -> str:
        """What a command of hers says, with a login's groups and environment."""
        return self.run(f"su -l alice -c {shlex.quote(shlex.join(argv))}", timeout=timeout)

    def told(self, *argv: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """What tarr-steps tells alice by --json."""
        answer: dict[str, Any] = json.loads(self.alice("tarr-steps", *argv, "--json", timeout=timeout))
        return answer

    def listed(self) -> dict[str, dict[str, Any]]:
        """The guests on the segment, by name."""
        return {guest["name"]: guest for guest in self.told("list")["segments"][0]["guests"]}

    def power_on(self, guest: str) -> None:
        """Start a VirtualBox machine, without waiting for its system; nothing is left of what it said before."""
        self.alice("sh", "-c", f"rm -f {guest}.console {guest}.agent*; "
                               f"exec setsid VBoxHeadless --startvm {guest} --vrde off >{guest}.log 2>&1 &")

    def start_qemu(self, guest: str) -> None:
        """Start a QEMU machine by `tarr-steps join qemu`, without waiting for its system."""
        home = f"/home/alice/{guest}"
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "128", "-nodefaults", "-no-reboot", "-display", "none",
                "-kernel", "/srv/kernel", "-initrd", "/srv/initramfs", "-append", _words(self.image, guest),
                "-serial", f"file:{home}.console",
                "-chardev", f"socket,id=agent,path={home}.agent,server=on,wait=off", "-serial", "chardev:agent"]
        self.alice("sh", "-c", f"exec setsid tarr-steps join qemu --name {guest} -- {shlex.join(argv)} "
                               f">{guest}.log 2>&1 &")

    def ask(self, guest: str, command: str, seconds: int = 600) -> str:
        """What a shell command in a guest says within so many emulated seconds; an error unless it ends with 0."""
        try:
            return self.run(f"python3 /srv/line /home/alice/{guest}.agent {seconds} {shlex.quote(command)}", PATIENCE)
        except BaseException as error:
            error.add_note(self._state(guest))
            raise

    def up(self, guest: str, timeout: float = PATIENCE) -> None:
        """Wait until a guest's system has said that it is up."""
        try:
            self.until(f"grep -q 'guest {guest} is up' /home/alice/{guest}.console || {{ sleep 3; false; }}",
                       timeout=timeout)
            line = f"/home/alice/{guest}.agent"
            self.run(f"setsid python3 /srv/line {line} >{line}.log 2>&1 & for second in $(seq 100); do "
                     f"test -S {line}.held && exit; sleep 1; done; cat {line}.log; exit 1", PATIENCE)
        except BaseException as error:
            error.add_note(self._state(guest))
            raise

    def _state(self, guest: str) -> str:
        """What can be seen of the segment and of a guest."""
        return self.run(
            f"cd /home/alice; tail -n 30 {guest}.log {guest}.console {guest}.agent.log 'VirtualBox VMs/{guest}/Logs/VBox.log' 2>&1; "
            "tarr-steps list; tarr-steps check; ip neigh show; bridge fdb show br vdenet0; uptime; "
            "for address in $(tarr-steps list --json | grep -o '\"address\": \"[0-9.]*\"' | cut -d'\"' -f4); do "
            "ping -c 3 -W 5 $address; done; top -bn1 | head -n 15; dmesg | tail -n 15; true", PATIENCE)

    def _create(self, guests: Sequence[str]) -> None:
        """Make the machines in one go, so that VirtualBox' server starts once."""
        lines = []
        for guest in guests:
            home = f"/home/alice/{guest}"
            lines += [shlex.join(["VBoxManage", *line]) for line in (
                ("createvm", "--name", guest, "--ostype", "Debian_64", "--register"),
                ("modifyvm", guest, "--memory", str(MEMORY), "--vram", "8", "--cpus", "1", "--ioapic", "on",
                 "--hwvirtex", "on", "--nestedpaging", "off", "--paravirtprovider", "none",
                 "--audio-driver", "none", "--graphicscontroller", "vboxvga", "--nic1", "none",
                 # The only card that the guest's kernel has a driver for.
                 "--nictype1", "virtio",
                 "--uart1", "0x3F8", "4", "--uartmode1", "file", f"{home}.console",
                 "--uart2", "0x2F8", "3", "--uartmode2", "server", f"{home}.agent",
                 "--boot1", "dvd", "--boot2", "none", "--boot3", "none", "--boot4", "none"),
                # By DMA: of an IDE drive each sector costs its BIOS dozens of ways out of the machine.
                ("storagectl", guest, "--name", "sata", "--add", "sata", "--portcount", "1", "--bootable", "on"),
                ("storageattach", guest, "--storagectl", "sata", "--port", "0", "--device", "0",
                 "--type", "dvddrive", "--medium", f"/srv/{guest}.iso"))]
        self.alice("sh", "-ec", "\n".join(lines))


def _words(image: qemu.Image, guest: str) -> str:
    """The kernel's command line of a guest of that name."""
    argv = qemu.argv(image, guest, hostname=None, console="")
    return f"{argv[argv.index('-append') + 1]} {_LEAN}"


def _cd(image: qemu.Image, guest: str, place: Path) -> Path:
    """A CD that boots the image as a guest of that name."""
    tree = place / f"{guest}.tree"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(image.kernel, tree / "kernel")
    shutil.copy(image.initramfs, tree / "initramfs")
    (tree / "boot/grub/grub.cfg").write_text(
        f"linux /kernel {_words(image, guest)}\ninitrd /initramfs\nboot\n")
    cd = place / f"{guest}.iso"
    subprocess.run(["grub-mkrescue", "-o", cd, tree], check=True, capture_output=True)
    return cd

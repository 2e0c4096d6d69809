"""A segment that boots machines, and what they boot: one kernel, one initramfs, in wrappings of each kind.

While a machine boots, every wire of the host that is not the segment's is listened to: `lab.leaks`.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.ground import SEGMENT, Ground
from lab.leaks import nothing_leaks
from lab.machine import Inside, wait_for

PACKAGES = ("ipxe-qemu", "ovmf", "seabios", "pxelinux", "syslinux-common", "systemd-ukify", "systemd-boot-efi")
ROOT = "/srv/tftp"
# What is loaded over the network alone says so on the console.
SAYS = "guest {name} is up"
CONFIG = f"/etc/vdenet/{SEGMENT}.toml"
GUESTS_NETWORK = "10.66.6.0/24"
"""What a guest serves that is the lab's DHCP server."""


class Lab:
    """The ground, and machines without a disk on it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.machine = ground.machine
        self.plain = ground.machine.path(CONFIG).read_text()
        self.macs: set[str] = set()
        self._running: list[Inside] = []
        self._fill()
        # Where something could leak to, besides the outside.
        self.machine.path("/etc/vdenet/other.toml").write_text('address = "10.199.7.1/24"\n')
        self.machine.run(["tarr-steps", "start", "other"])
        self.machine.sh("ip link add spare0 type veth peer name spare1; ip link set spare0 up; ip link set spare1 up")

    def _fill(self) -> None:
        """What Debian's own packages put where their README says, readable for all."""
        here = self.machine.path(ROOT)
        here.mkdir(parents=True, exist_ok=True)
        for package in ("usr/lib/PXELINUX/pxelinux.0", "usr/lib/syslinux/modules/bios/ldlinux.c32"):
            shutil.copy(self.machine.path("/" + package), here)
        image = self.machine.path("/srv/lab/image")
        for name in ("kernel", "initramfs"):
            shutil.copy(image / name, here)
            (here / name).chmod(0o644)
        (here / "pxelinux.cfg").mkdir()
        (here / "pxelinux.cfg/default").write_text(
            f"default lab\nprompt 0\nlabel lab\n  kernel kernel\n  append initrd=initramfs {words('bios')}\n")
        (here / "boot.ipxe").write_text(f"#!ipxe\nkernel kernel {words('ipxe')}\ninitrd initramfs\nboot\n")
        for name in ("uefi", "http"):
            self.machine.run(["ukify", "build", f"--linux={ROOT}/kernel", f"--initrd={ROOT}/initramfs",
                              f"--cmdline={words(name)}", f"--output={ROOT}/{name}.efi"], timeout=120)
            (here / f"{name}.efi").chmod(0o644)

    def configure(self, more: str, first: str = "") -> None:
        """The configuration with this at its end and at its beginning, in force."""
        self.machine.path(CONFIG).write_text(first + self.plain + more)
        self.machine.run(["tarr-steps", "reload"])

    def boot(self, name: str, *options: str, user: str = "alice") -> Path:
        """Start a machine that has nothing to boot from but the network; its console's file."""
        console = f"/tmp/{name}.console"
        self.machine.path(console).write_text("")
        self.machine.path(console).chmod(0o666)
        argv = ["tarr-steps", "join", "qemu", "--name", name, "--", "qemu-system-x86_64", "-accel", "tcg",
                "-m", "512", "-nodefaults", "-no-reboot", "-display", "none", "-boot", "n",
                "-serial", f"file:{console}", *options]
        with self.machine.path(f"/tmp/{name}.log").open("wb") as log:
            self._running.append(self.machine.popen(argv, user=user, stdout=log.fileno(), stderr=log.fileno()))
        return self.machine.path(console)

    def start(self, *argv: str) -> Inside:
        """Start a command on the host, which ends with the test."""
        self._running.append(self.machine.popen(list(argv)))
        return self._running[-1]

    def firmware(self, name: str) -> list[str]:
        """UEFI with variables of the machine's own, and no code of the card's: iPXE would boot in its place."""
        own = f"/tmp/{name}.vars"
        self.machine.sh(f"cp /usr/share/OVMF/OVMF_VARS_4M.fd {own}; chmod 666 {own}")
        return ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                "-drive", f"if=pflash,format=raw,unit=1,file={own}", "-device", "virtio-rng-pci",
                "-global", "virtio-net-pci.romfile="]

    def wait(self, console: Path, text: str, timeout: float = 420) -> None:
        """Until the console has the text; else everything that it has is told."""
        try:
            wait_for(lambda: text in console.read_text(errors="replace"), timeout, text, step=0.5)
            self.macs |= {guest["mac"] for guest in self.ground.segment()["guests"]}
        except Exception as error:
            log = console.with_suffix(".log").read_text(errors="replace")
            raise AssertionError(f"{error}\n{shlex.quote(console.read_text(errors='replace')[-4000:])}\n{log}") from None

    def end(self) -> None:
        """No machine is left."""
        for process in self._running:
            process.terminate()
            process.wait(20)
        self._running.clear()


def words(name: str) -> str:
    """The kernel's command line; the name is how the machine shows which way it came."""
    return (f"console=ttyS0 quiet panic=-1 no_timer_check random.trust_cpu=on mitigations=off net.ifnames=0 "
            f"guest.name={name}")


@pytest.fixture(scope="session")
def ground(deb: Path) -> Iterator[Ground]:
    with Ground("trixie", deb, PACKAGES) as ready:
        yield ready


@pytest.fixture(scope="session")
def filled(ground: Ground) -> Lab:
    return Lab(ground)


@pytest.fixture
def lab(filled: Lab) -> Iterator[Lab]:
    own = str(filled.ground.network)
    try:
        with nothing_leaks(filled.machine, filled.ground.outside, SEGMENT, (own, GUESTS_NETWORK), filled.macs):
            yield filled
            assert filled.macs
    finally:
        filled.end()
        filled.configure("")

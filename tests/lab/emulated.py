"""A whole machine under QEMU's emulation: Debian's own kernel with its modules, systemd as PID 1.

For what the test machine's kernel lacks (nft's match of a bridge, VLAN filtering, VirtualBox' modules).
The disk is made from a root once and kept in the cache; a machine writes to a copy that goes with it.
Slow: up after about a minute. Talked to over a second serial line, by the same agent as other guests.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import roots
from .guest import AGENT, Guest

KERNEL = ("linux-image-amd64", "initramfs-tools", "udev", "kmod")
_UNNEEDED = ("systemd-networkd-wait-online.service", "ldconfig.service", "systemd-update-done.service",
             "systemd-journal-catalog-update.service", "systemd-hwdb-update.service")
"""What a first boot does for a minute, emulated, and nothing here needs."""
_BARE = """#!/bin/sh
# PID 1 in place of systemd: what a machine needs before anybody logs in, then the agent.
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
modprobe tun && chmod 666 /dev/net/tun
ip link set lo up
hostname lab
stty -F /dev/ttyS1 raw -echo
while :; do sh /usr/local/lib/agent <>/dev/ttyS1 >&0; done
"""
BARE = "init=/usr/local/lib/bare"
"""For the kernel's command line: no systemd. It is up in a third of the time."""
_UNIT = """[Unit]
Description=what the test says
[Service]
Type=exec
ExecStartPre=stty -F /dev/ttyS1 raw -echo
ExecStart=/bin/sh -c 'exec sh /usr/local/lib/agent <>/dev/ttyS1 >&0'
[Install]
WantedBy=multi-user.target
"""


class Emulated(Guest):
    """A booted machine; a context manager that ends it."""

    def __init__(self, root: Path, *, name: str = "emulated", files: Sequence[Path] = (),
                 memory: int = 1024, spare: int = 2048, arguments: Sequence[str] = (),
                 command_line: str = "", clock: Sequence[str] = ("-accel", "tcg,thread=multi")) -> None:
        """Boot `root`; `files` lie in /srv of it, `spare` MiB of its disk stay free.

        `clock` says how it is emulated, and with that how its time runs.
        """
        self._work = tempfile.TemporaryDirectory(prefix="emulated-")
        work = Path(self._work.name)
        disk = _disk(root, spare)
        parcel = work / "parcel"
        subprocess.run(["tar", "-cf", parcel, *(f"--directory={file.parent}" if part == 0 else file.name
                                                for file in files for part in (0, 1))]
                       if files else ["truncate", "-s", "1M", parcel], check=True)
        console = work / "console"
        process = subprocess.Popen(
            ["qemu-system-x86_64", *clock, "-cpu", "max", "-smp", "1",
             "-m", str(memory), "-nodefaults", "-no-reboot", "-display", "none",
             "-kernel", str(next(root.glob("boot/vmlinuz-*"))),
             "-initrd", str(next(root.glob("boot/initrd.img-*"))),
             "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off panic=-1 no_timer_check "
                        f"{' '.join(f'systemd.mask={unit}' for unit in _UNNEEDED)} {command_line}",
             "-drive", f"file={disk},if=virtio,format=raw,snapshot=on",
             "-drive", f"file={parcel},if=virtio,format=raw,readonly=on",
             "-serial", f"file:{console}",
             "-chardev", "stdio,id=agent,signal=off", "-serial", "chardev:agent", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        super().__init__(name, process, "eth0", console)
        try:
            self.wait_ready(900)
            if files:
                self.run("tar -xf /dev/vdb -C /srv", timeout=900)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Pull the plug."""
        self.process.kill()
        super().close()
        self._work.cleanup()

    def __enter__(self) -> Emulated:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _disk(root: Path, spare: int) -> Path:
    """An ext4 image of a root with the agent in it, from the cache."""
    place = roots.cache() / f"disk-{root.name}-{spare}.ext4"
    if place.exists():
        return place
    for old in roots.cache().glob(f"disk-{root.name.partition('.')[0]}.*"):
        old.unlink()
    used = int(subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True)
               .stdout.split()[0])
    with tempfile.TemporaryDirectory(dir=roots.cache(), prefix="making-") as work:
        copy = Path(work, "root")
        subprocess.run(["cp", "-a", "--reflink=auto", root, copy], check=True)
        (copy / "usr/local/lib/agent").write_text(AGENT)
        bare = copy / "usr/local/lib/bare"
        bare.write_text(_BARE)
        bare.chmod(0o755)
        unit = copy / "etc/systemd/system/agent.service"
        unit.write_text(_UNIT)
        wants = copy / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "agent.service").symlink_to("../agent.service")
        (copy / "etc/fstab").write_text("")
        image = Path(work, "disk")
        with image.open("wb") as file:
            file.truncate((int(used * 1.15) + spare) << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", copy, image], check=True)
        shutil.move(image, place)
    return place

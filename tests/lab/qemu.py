"""Real QEMU machines without KVM: Debian's cloud kernel, busybox and dropbear in an initramfs.

Up in about two seconds of emulation. The kernel comes from the package that the distribution's
`linux-image-cloud-amd64` names, unpacked and not installed; busybox and dropbear are the test
machine's own.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .cpio import Archive
from .guest import AGENT, UDHCPC_SCRIPT
from .roots import cache

_MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
            "virtio_pci", "failover", "net_failover", "virtio_net", "af_packet", "ipv6")

_INIT = """#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run /tmp; mount -t devpts pts /dev/pts; mount -t tmpfs run /run
for try in 1 2 3 4; do
    for module in /modules/*.ko; do
        insmod "$module" 2>/dev/null && rm "$module"
    done
done
for word in $(cat /proc/cmdline); do
    case "$word" in guest.*=*) echo "${word#guest.}" >>/run/words ;; esac
done
. /run/words
hostname "$name"
ip link set lo up; ip link set eth0 up
# shellcheck disable=SC2086
udhcpc -i eth0 -b -t 20 -T 1 -A 1 -p /run/udhcpc.pid -s /etc/udhcpc.script \\
    ${hostname:+-x hostname:$hostname} >/run/udhcpc.log 2>&1 &
dropbear -R -E -p 22 2>/run/dropbear.log
mkdir "/tmp/$name.www"
dd if=/dev/urandom of="/tmp/$name.www/blob" bs=64k count=16 2>/dev/null
httpd -p 80 -h "/tmp/$name.www"
stty -F /dev/ttyS1 raw -echo
echo "guest $name is up"
setsid sh -c 'exec sh /agent <>/dev/ttyS1 >&0 2>/run/agent.log'
poweroff -f
"""


@dataclass(frozen=True)
class Image:
    """What a QEMU machine boots from, and the key that its root lets in."""

    kernel: Path
    initramfs: Path
    key: Path


def image() -> Image:
    """The image, made when it is not in the cache yet or its recipe has changed."""
    package = _kernel_package()
    recipe = hashlib.sha256("\n".join([
        package, _INIT, AGENT, UDHCPC_SCRIPT, Path(__file__).read_text(),
        *(_version(each) for each in ("busybox-static", "dropbear-bin", "libc6"))]).encode())
    place = cache() / f"qemu-{recipe.hexdigest()[:16]}"
    if not place.exists():
        cache().mkdir(parents=True, exist_ok=True)
        for old in cache().glob("qemu-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=cache(), prefix="making-") as work:
            made = Path(work, "image")
            made.mkdir()
            _make(Path(work), made, package)
            made.chmod(0o755)
            made.rename(place)
    return Image(place / "kernel", place / "initramfs", place / "key")


def argv(image_: Image, name: str, *, hostname: str | None, console: str,
         memory: int = 128) -> list[str]:
    """The QEMU command without a network card: agent on stdio, console in a file.

    hostname: what the guest tells the DHCP server, None for nothing.
    """
    words = f"guest.name={name}" + (f" guest.hostname={hostname}" if hostname else "")
    # An emulated timer on a busy machine fails the kernel's check of it, which is a panic.
    kernel = "quiet panic=-1 no_timer_check random.trust_cpu=on mitigations=off net.ifnames=0"
    return [
        "qemu-system-x86_64",
        "-accel", "tcg",
        "-m", str(memory),
        "-nodefaults", "-no-reboot",
        "-display", "none",
        "-kernel", str(image_.kernel),
        "-initrd", str(image_.initramfs),
        "-append", f"console=ttyS0 {kernel} {words}",
        "-serial", f"file:{console}",
        "-chardev", "stdio,id=agent,signal=off",
        "-serial", "chardev:agent",
    ]


def _make(work: Path, made: Path, package: str) -> None:
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package],
                   cwd=work, check=True)
    deb = next(work.glob("linux-image-*.deb"))
    subprocess.run(["dpkg-deb", "-x", deb, work / "kernel"], check=True)
    shutil.copy(next(work.glob("kernel/boot/vmlinuz-*")), made / "kernel")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vdenet tests",
                    "-f", made / "openssh"], check=True)
    subprocess.run(["dropbearconvert", "openssh", "dropbear", made / "openssh", made / "key"],
                   check=True, capture_output=True)
    archive = Archive()
    for path in ("proc", "sys", "dev", "tmp", "run", "root"):
        archive.directory(path)
    archive.device("dev/console", 5, 1)
    archive.file("init", _INIT, 0o755)
    archive.file("agent", AGENT)
    archive.file("etc/udhcpc.script", UDHCPC_SCRIPT, 0o755)
    archive.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o600)
    archive.file("etc/group", "root:x:0:\n")
    archive.file("etc/shells", "/bin/sh\n")
    archive.file("etc/nsswitch.conf", "hosts: files dns\n")
    archive.file("etc/hosts", "127.0.0.1 localhost\n")
    archive.directory("etc/dropbear")
    archive.directory("root/.ssh", 0o700)
    archive.file("root/.ssh/authorized_keys", (made / "openssh.pub").read_bytes(), 0o600)
    archive.file("root/.ssh/id_dropbear", (made / "key").read_bytes(), 0o600)
    archive.file("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755)
    for applet in _lines(["busybox", "--list"]):
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    libraries: set[str] = set()
    for program in ("/usr/sbin/dropbear", "/usr/bin/dbclient"):
        archive.file(f"usr/bin/{Path(program).name}", Path(program).read_bytes(), 0o755)
        libraries |= set(re.findall(r"(/\S+) \(0x", "\n".join(_lines(["ldd", program]))))
    for library in sorted(libraries):
        archive.file(library.lstrip("/"), Path(library).read_bytes(), 0o755)
    for module in _MODULES:
        for found in work.glob(f"kernel/**/{module}.ko*"):
            data = found.read_bytes()
            archive.file(f"modules/{module}.ko",
                         lzma.decompress(data) if found.suffix == ".xz" else data)
    (made / "initramfs").write_bytes(archive.finish())
    # The guests run as an unprivileged member, who reads all of it; the key opens throw-away
    # machines only.
    for file in made.iterdir():
        file.chmod(0o644)


def _kernel_package() -> str:
    text = "\n".join(_lines(["apt-cache", "depends", "linux-image-cloud-amd64"]))
    found = re.search(r"Depends: (linux-image-\S+)", text)
    if not found:
        raise RuntimeError("apt knows no linux-image-cloud-amd64: run apt-get update first")
    return found[1]


def _version(package: str) -> str:
    return "".join(_lines(["dpkg-query", "-W", "-f", "${Package} ${Version}", package]))


def _lines(argv_: list[str]) -> list[str]:
    return subprocess.run(argv_, check=True, capture_output=True, text=True).stdout.splitlines()

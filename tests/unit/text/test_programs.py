"""Command lines of hypervisors, as `ps` shows them on real hosts."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.text.programs import Runs, is_known, runs

MAC, OTHER = "52:54:00:8a:1b:2c", "52:54:00:8a:1b:2d"
LIBVIRT = f"""/usr/bin/qemu-system-x86_64 -name guest=debian12,debug-threads=on -S
 -object '{{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-3-debian12/master-key.aes"}}'
 -machine pc-q35-7.2,usb=off,memory-backend=pc.ram -accel kvm -cpu host -m 2048 -uuid 5f1b9f3e-3d1c-4c55-9a52-0b5f3f1f8a11
 -no-user-config -nodefaults -chardev socket,id=charmonitor,fd=31,server=on,wait=off
 -netdev '{{"type":"tap","fd":"33","vhost":true,"vhostfd":"35","id":"hostnet0"}}'
 -device '{{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"{MAC.upper()}","bus":"pci.1","addr":"0x0"}}'
 -netdev '{{"type":"user","id":"hostnet1"}}'
 -device '{{"driver":"e1000","netdev":"hostnet1","id":"net1","mac":"{OTHER}","bus":"pci.2"}}' -msg timestamp=on"""
SESSION = f"""/usr/bin/qemu-system-x86_64 -name guest=mine,debug-threads=on -S
 -object secret,id=masterKey0,format=raw,file=/home/alice/.config/libvirt/qemu/lib/domain-1-mine/master-key.aes
 -netdev tap,ifname=vd0-mine,script=no,id=hostnet0 -device virtio-net-pci,netdev=hostnet0,id=net0,mac={MAC}"""
CONMON = """/usr/bin/conmon --api-version 1 -c 3f2a9d -u 3f2a9d -r /usr/bin/crun
 -b /var/lib/containers/storage/overlay-containers/3f2a9d/userdata -p /run/containers/storage/3f2a9d/pidfile -n web
 --exit-dir /run/libpod/exits --full-attach -s -l journald --exit-command /usr/bin/podman
 --exit-command-arg --root --exit-command-arg -n --exit-command-arg container"""


@pytest.mark.parametrize("line, expected", [
    (LIBVIRT, Runs("libvirt", "debian12", macs=frozenset([MAC]))),
    (SESSION, Runs("libvirt", "mine", macs=frozenset([MAC]), taps=frozenset(["vd0-mine"]))),
    (f"qemu-system-aarch64 -name web -nic tap,ifname=tap7,script=no,mac={MAC}",
     Runs("qemu", "web", macs=frozenset([MAC]), taps=frozenset(["tap7"]))),
    (f"kvm -name 'guest=a,,b,process=x' -net nic,macaddr={MAC} -net tap,ifname=tap7",
     Runs("qemu", "a,b", macs=frozenset([MAC]), taps=frozenset(["tap7"]))),
    (f"qemu-system-x86_64 -netdev vde,id=n0,sock=/run/vdenet/vdenet0/switch -device e1000,netdev=n0,mac={MAC}",
     Runs("qemu", None, macs=frozenset([MAC]))),
    # Without a MAC of its own, and with a NIC that is on no network of the host's.
    ("qemu-system-x86_64 -netdev bridge,id=n0,br=vdenet0 -device e1000,netdev=n0 -nic user,model=e1000",
     Runs("qemu", None, macs=frozenset(["52:54:00:12:34:56"]))),
    ("qemu-system-x86_64 -drive file=a.qcow2", Runs("qemu", None)),
    ("qemu-system-x86_64 --name=web -nic none", Runs("qemu", "web")),
    ("/usr/lib/virtualbox/VBoxHeadless --comment 'debian 9' --startvm 1c1e2f3a-5f1b-4c55-9a52-0b5f3f1f8a11 --vrde config",
     Runs("virtualbox", "debian 9")),
    ("/usr/lib/virtualbox/VirtualBoxVM --startvm debian9", Runs("virtualbox", "debian9")),
    ("/usr/lib/vmware/bin/vmware-vmx -s vmx.stdio.keep=TRUE -# product=1;name=VMware Workstation;version=17.5.2 "
     "-@ pipe=/tmp/vmhsdaemon-0/vmxf1;vm=f1 '/home/alice/vmware/Debian 12/Debian 12.vmx'",
     Runs("vmware", "Debian 12")),
    (CONMON, Runs("podman", "web", contains=True)),
    ("/usr/bin/containerd-shim-runc-v2 -namespace moby -id 3f2a9d0c11e24b7f -address /run/containerd/containerd.sock",
     Runs("docker", "3f2a9d0c11e2", contains=True)),
    ("systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest --network-veth -U --settings=override "
     "--machine=web", Runs("nspawn", "web", contains=True)),
    ("/usr/bin/systemd-nspawn -M web -D /srv/root", Runs("nspawn", "web", contains=True)),
    ("systemd-nspawn -D /srv/web/ --network-bridge=vdenet0", Runs("nspawn", "web", contains=True)),
    ("systemd-nspawn -D/srv/web -b", Runs("nspawn", "web", contains=True)),
    ("systemd-nspawn --image=/var/lib/machines/web.raw", Runs("nspawn", "web", contains=True)),
    ("systemd-nspawn -b", Runs("nspawn", None, contains=True)),
    ("/usr/libexec/libvirt_lxc --name web --console 23 --security=apparmor --handshake 26 --veth vnet0",
     Runs("libvirt", "web", contains=True)),
])
def test_known(line: str, expected: Runs) -> None:
    assert runs(shlex.split(line)) == expected


@pytest.mark.parametrize("title, expected", [
    ("[lxc monitor] /var/lib/lxc web", Runs("lxc", "web", contains=True)),
    ("[lxc monitor] /home/alice/my own/lxc web", Runs("lxc", "web", contains=True)),
    ("[lxc monitor] /var/lib/incus/containers web", Runs("incus", "web", contains=True)),
    ("[lxc monitor] /var/lib/incus/containers lab_web", Runs("incus", "web", contains=True)),
    ("[lxc monitor] /var/snap/lxd/common/lxd/containers web", Runs("incus", "web", contains=True)),
    ("[lxc monitor] web", None),
])
def test_monitors_of_lxc(title: str, expected: Runs | None) -> None:
    assert runs([title]) == expected


@pytest.mark.parametrize("line", [
    "/usr/bin/qemu-img convert a b", "qemu-nbd", "/usr/lib/virtualbox/VBoxSVC --auto-shutdown", "/usr/bin/kvmtool",
    "/usr/lib/virtualbox/VirtualBoxVM", "vmware-vmx -v", "bash -c qemu-system-x86_64",
    "/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id 3f2a", "vde_plug vde:///run/vdenet/vdenet0/switch"])
def test_others(line: str) -> None:
    assert runs(shlex.split(line)) is None


WORDS = st.sampled_from(["-name", "-netdev", "--machine", "-nic", "-device", "netdev=,mac=", "-M", "-D", "{", "[1]", "[" * 2000,
                         '{"netdev":"a","mac":1}', "tap,ifname=,=", ",,,", "=", "-", "--", ""]) | st.text()
PROGRAMS = ["qemu-system-x86_64", "systemd-nspawn", "conmon", "VBoxHeadless", "vmware-vmx", "containerd-shim-runc-v2",
            "[lxc monitor] ", "[lxc monitor] / ", "libvirt_lxc"]


@given(st.sampled_from(PROGRAMS) | st.text(), st.lists(WORDS))
def test_whatever_it_says(program: str, words: list[str]) -> None:
    said = runs([program, *words])
    assert said is None or said.kind


def test_nothing_said() -> None:
    assert runs([]) is None
    assert not is_known("")


@given(st.sampled_from(PROGRAMS) | st.text(), st.lists(WORDS))
def test_whoever_is_not_known_runs_nothing(program: str, words: list[str]) -> None:
    assert is_known(program) or runs([program, *words]) is None


def test_what_is_kept_has_an_end() -> None:
    """A program may say anything; of a machine's own command line, which libvirt makes long, all is read."""
    nics = [word for number in range(450) for word in ("-nic", f"tap,ifname=t{number},mac=02:00:00:00:{number >> 8:02x}"
                                                       f":{number & 255:02x}")]
    said = runs(["qemu-system-x86_64", *nics, "-name", "web" * 1000])
    assert said is not None and said.guest is not None
    assert (len(said.macs), len(said.taps), len(said.guest)) == (64, 64, 256)
    assert runs(["qemu-system-x86_64", *["-S"] * 1023, "-name", "web"]) == Runs("qemu", None)
    assert runs(["qemu-system-x86_64", *["-S"] * 900, *shlex.split(LIBVIRT)[1:]]) == runs(shlex.split(LIBVIRT))


@pytest.mark.parametrize("nic", ["tap,ifname=an-interface-of-nobody", "tap,mac=52:54:00:12:34:56:78", "tap,mac=52:54"])
def test_what_is_no_name_of_an_interface_and_no_mac(nic: str) -> None:
    said = runs(["qemu-system-x86_64", "-nic", nic])
    assert said is not None
    assert (said.taps, said.macs - {"52:54:00:12:34:56"}) == (frozenset(), frozenset())

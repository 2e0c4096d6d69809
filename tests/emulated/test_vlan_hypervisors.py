"""Guests that hypervisors put into a VLAN at once: containers of Podman and Docker, which get an address there,
libvirt's domains, whose firmware asks for one, and instances of Incus.

Podman, libvirtd, incusd and dockerd run in the emulated machine, beside vdenetd.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.bare import LONG, Lab, booted
from lab.divided import divided, pvid, require_apart, tree

PACKAGES = ("podman", "crun", "netavark", "libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "seabios",
            "incus", "docker.io", "docker-cli", "iptables")
ROOT = "/srv/root"
"""What containers are made of."""
# No systemd is there that would make control groups or keep a log.
_PODMAN = f"""
mkdir -p /etc/containers/containers.conf.d
printf '[engine]\\ncgroup_manager = "cgroupfs"\\nevents_logger = "file"\\n' >/etc/containers/containers.conf.d/lab.conf
tar -C {ROOT} -c . | podman import - box
"""
_DOCKER = f"""
setsid dockerd --exec-opt native.cgroupdriver=cgroupfs </dev/null >/tmp/dockerd.log 2>&1 &
until docker info >/dev/null 2>&1; do sleep 1; kill -0 $! || {{ cat /tmp/dockerd.log; exit 1; }}; done
tar -C {ROOT} -c . | docker import - box
"""
_LIBVIRT = """
usermod -aG libvirt alice
mkdir -p /run/dbus; dbus-uuidgen --ensure; dbus-daemon --system --fork
setsid /usr/lib/polkit-1/polkitd --no-debug </dev/null >/tmp/polkitd.log 2>&1 &
setsid virtlogd --daemon </dev/null >/tmp/virtlogd.log 2>&1
setsid libvirtd --daemon </dev/null >/tmp/libvirtd.log 2>&1
"""
_INCUS = f"""
mkdir -p /srv/image && cd /srv/image && cp -a {ROOT} rootfs
printf '#!/bin/sh\\nexec sleep 100000\\n' >rootfs/sbin/init && chmod 755 rootfs/sbin/init
printf 'architecture: x86_64\\ncreation_date: 1700000000\\nproperties: {{os: busybox}}\\n' >metadata.yaml
tar -czf /srv/image.tgz metadata.yaml rootfs
setsid /usr/libexec/incus/incusd --group incus-admin --logfile /tmp/incusd.log </dev/null >/dev/null 2>&1 &
/usr/libexec/incus/incusd waitready --timeout=600
incus storage create default dir && incus image import /srv/image.tgz --alias box
"""
# No system: its firmware asks for an address, and for one anew when it is reset.
_DOMAIN = """<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='network'/></os>
  <devices><memballoon model='none'/></devices>
</domain>
"""


@pytest.fixture(scope="module")
def lab(deb: Path) -> Iterator[Lab]:
    with booted(deb, *PACKAGES, memory=2048) as found:
        tree(found, ROOT)
        with divided(found):
            yield found


def guest(lab: Lab, name: str) -> dict[str, Any] | None:
    """One of the segment's, as `list` has it."""
    return next((one for one in lab.tarr("list")["segments"][0]["guests"] if one["name"] == name), None)


def require_in(lab: Lab, name: str, port: str, vlan: int, **more: str) -> None:
    """It is in that VLAN and in no other, and `list` says so."""
    assert pvid(lab, port) == [vlan]
    shown = guest(lab, name)
    assert shown is not None
    wanted = {"vlan": vlan, "port": port, **more}
    assert {key: shown[key] for key in wanted} == wanted


def require_gone(lab: Lab, name: str, port: str) -> None:
    lab.until(f"! test -e /sys/class/net/{port}")
    assert port not in lab.run("bridge vlan show")
    assert guest(lab, name) is None


# --- Podman ------------------------------------------------------------------------------------------

def test_podman(lab: Lab) -> None:
    lab.run(_PODMAN)
    container(lab, "podman")


def container(lab: Lab, tool: str) -> None:
    """One joins beside the network of its tool's that it has, which stays as it is."""
    name = f"{tool}box"
    lab.run(f"{tool} run --detach --name {name} box sleep 100000")
    lab.run(f"{tool} inspect --format '{{{{.State.Pid}}}}' {name} >/run/lab/{name}.pid")
    try:
        before = networks(lab, name)
        join(lab, tool, name, 33)
        require_apart(lab, ["run33", f"{name}:vd0"])
        refused = lab.machine.try_(f"HOME=/root tarr-steps join {tool} {name} --vlan 44", LONG)
        assert (refused.code, refused.output.count("already, in VLAN 33")) == (1, 1), refused
        assert pvid(lab, f"vd0-{name}") == [33]
        assert lab.tarr("leave", tool, name, user="root")["left"]
        require_gone(lab, name, f"vd0-{name}")
        lab.until(f"! pgrep -f '[p]lugged .*{name}'")
        assert networks(lab, name) == before
        join(lab, tool, name, 44)
        require_apart(lab, ["run33"], [f"{name}:vd0"])
        lab.run(f"{tool} kill {name}")
        require_gone(lab, name, f"vd0-{name}")
    finally:
        lab.run(f"{tool} rm --force {name}")


def join(lab: Lab, tool: str, name: str, vlan: int) -> None:
    """Into a VLAN: it has an address and the name server of that one."""
    told = lab.tarr("join", tool, name, "--vlan", str(vlan), user="root")
    assert (told["vlan"], told["changed"], told["live"]) == (vlan, True, True), told
    require_in(lab, name, f"vd0-{name}", vlan, kind=tool, via="veth", owner="root")
    found = networks(lab, name)
    assert f"vd0 inet 10.{vlan}.0." in found and f"nameserver 10.{vlan}.0.1" in found, found


def networks(lab: Lab, name: str) -> str:
    """Addresses, routes and name servers, as a container has them."""
    return lab.run(f"pid=$(cat /run/lab/{name}.pid); nsenter -n -t $pid ip -4 -o address | awk '{{print $2, $3, $4}}'; "
                   f"nsenter -n -t $pid ip route; cat /proc/$pid/root/etc/resolv.conf")


# --- libvirt -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def libvirt(lab: Lab) -> Lab:
    lab.run(_LIBVIRT)
    for place in ("system", "session"):
        lab.until(f"cd / && HOME=~alice runuser -u alice -- virsh -c qemu:///{place} list")
    return lab


@pytest.mark.parametrize("place", ["system", "session"])
def test_a_domain(libvirt: Lab, place: str) -> None:
    """By a tap that is kept, and put into its VLAN before libvirt opens it."""
    lab, uri, name = libvirt, f"qemu:///{place}", f"dom{place}"
    port = f"vd0-{name}"

    def virsh(*words: str) -> str:
        return lab.run(f"cd / && HOME=~alice runuser -u alice -- virsh -q -c {uri} {shlex.join(words)}")

    lab.write("/srv/domain.xml", _DOMAIN.format(name=name))
    virsh("define", "/srv/domain.xml")
    before = virsh("dumpxml", "--inactive", name)
    try:
        told = lab.tarr("join", "libvirt", "--connect", uri, name, "--vlan", "33")
        assert (told["vlan"], told["via"], told["changed"]) == (33, "tap", True), told
        assert pvid(lab, port) == [33]
        virsh("start", name)
        assert "LOWER_UP" in lab.run(f"ip link show dev {port}")
        require_asks(lab, name, told["mac"], 33)
        moved = lab.tarr("join", "libvirt", "--connect", uri, name, "--vlan", "44")
        assert (moved["vlan"], moved["live"], moved["mac"]) == (44, True, told["mac"]), moved
        assert pvid(lab, port) == [44]
        virsh("reset", name)
        require_asks(lab, name, told["mac"], 44)
        virsh("destroy", name)
        assert lab.tarr("leave", "libvirt", "--connect", uri, name)["left"]
        assert virsh("dumpxml", "--inactive", name) == before
        require_gone(lab, name, port)
    finally:
        virsh("undefine", name)


def require_asks(lab: Lab, name: str, mac: str, vlan: int) -> None:
    """Its firmware asks for an address and gets one of that VLAN."""
    lab.until(f"grep -q '{mac} 10.{vlan}.0.' /var/lib/vdenet/vdenet0/dns/leases")
    require_in(lab, name, f"vd0-{name}", vlan, kind="libvirt", via="tap", owner="alice")


# --- Incus -------------------------------------------------------------------------------------------

def test_an_instance(lab: Lab) -> None:
    """By a veth that is put into its VLAN when Incus has made it: at the start, and while the instance runs."""
    lab.run(_INCUS)
    lab.run("incus init box inst --no-profiles --storage=default --quiet")
    try:
        before = lab.run("incus config device show inst")
        told = lab.tarr("join", "incus", "inst", "--vlan", "33", user="root")
        assert (told["vlan"], told["changed"]) == (33, True), told
        lab.run("incus start inst && incus list inst --columns=p --format=csv >/run/lab/inst.pid")
        up = "ip link show up master vdenet0 | grep -q vd0-inst"
        lab.until(up)
        lab.inside("inst", "ip link set eth0 up")
        require_in(lab, "inst", "vd0-inst", 33, kind="incus", via="veth", owner="root")
        require_apart(lab, ["run33", "inst"])
        moved = lab.tarr("join", "incus", "inst", "--vlan", "44", user="root")
        assert (moved["vlan"], moved["live"], moved["mac"]) == (44, True, told["mac"]), moved
        require_in(lab, "inst", "vd0-inst", 44)
        require_apart(lab, ["run33"], ["inst"])
        assert lab.tarr("leave", "incus", "inst", user="root")["left"]
        assert lab.run("incus config device show inst") == before
        require_gone(lab, "inst", "vd0-inst")
        assert lab.tarr("join", "incus", "inst", "--vlan", "33", user="root")["live"]
        lab.until(up)
        require_in(lab, "inst", "vd0-inst", 33)
    finally:
        lab.run("incus delete --force inst")


# --- Docker: last, since its servers are most of what the machine does ---------------------------------

def test_docker(lab: Lab) -> None:
    lab.run(_DOCKER)
    container(lab, "docker")

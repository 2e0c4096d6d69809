"""A Debian of its own on the segment, joined like anybody's container, updates its packages from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from lab import repository
from lab.frames import TCP
from lab.ground import DOMAIN, Ground
from lab.guest import Guest
from lab.lxc import Debian
from lab.machine import wait_for
from lab.roots import root
from lab.sniffer import Sniffer

NAME = "da"
PACKAGE = "lab-news"
SOURCES = """Types: deb
URIs: http://{mirror}/debian
Suites: ./
Signed-By: /etc/apt/keyrings/lab.asc
"""


@pytest.fixture(scope="module")
def debian(ground: Ground) -> Iterator[Guest]:
    """Version 1 of a package is installed there; version 2 lies in the repository that its apt knows."""
    mirror = ground.outside.www / "debian"
    mirror.mkdir()
    repository.build(mirror, PACKAGE, "2")
    key = repository.publish(mirror)
    container = Debian(ground.machine, NAME, root(ground.suite))
    try:
        repository.build(container.root / "root", PACKAGE, "1")
        (container.root / "etc/apt/keyrings").mkdir(exist_ok=True)
        (container.root / "etc/apt/keyrings/lab.asc").write_text(key)
        (container.root / "etc/apt/sources.list.d/lab.sources").write_text(
            SOURCES.format(mirror=ground.outside.name))
        ground.tarr("join", "lxc", NAME, user="root")
        container.start()
        with contextlib.closing(container.guest()) as guest:
            guest.wait_address(ground.network)
            guest.run(f"dpkg --install /root/{PACKAGE}_1_all.deb")
            yield guest
    finally:
        container.stop()
        ground.tarr("leave", "lxc", NAME, user="root", check=False)
        container.destroy()
    wait_for(lambda: not ground.listed().get(NAME, {}).get("port"), 20, f"{NAME} without a port")


def installed(guest: Guest) -> list[str]:
    return guest.run(f"dpkg-query --show --showformat '${{Status}} ${{Version}}' {PACKAGE}; "
                     f"echo; cat /usr/share/{PACKAGE}").splitlines()


def test_packages_are_updated_from_outside(ground: Ground, debian: Guest) -> None:
    outside = ground.outside
    assert installed(debian) == ["install ok installed 1", "1"]
    with ground.sniff(debian) as inner, Sniffer(outside.pid, "out0") as outer:
        told = debian.run("apt-get --quiet --yes --error-on=any update 2>&1", timeout=120)
        told += debian.run("DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes upgrade 2>&1", timeout=120)
    assert installed(debian) == ["install ok installed 2", "2"], told
    # apt downloads as an account of its own, which has to reach the mirror as root does.
    assert "unsandboxed" not in told
    assert debian.run("stat -c %U /var/lib/apt/lists/partial").strip() == "_apt"
    asked = {frame.ipv4[1] for frame in inner.frames
             if frame.ipv4 and frame.ports and frame.ports[1] == 53 and b"\6mirror\7example" in frame.data}
    assert asked == {ground.gateway}, "the name is not from the segment's DNS"
    fetched = {frame.ipv4 for frame in outer.frames if frame.protocol == TCP and frame.ports and 80 in frame.ports}
    assert fetched == {(outside.uplink, outside.address), (outside.address, outside.uplink)}


def test_it_is_a_guest_like_the_others(ground: Ground, debian: Guest) -> None:
    address = str(debian.wait_address())
    shown = ground.listed()[NAME]
    assert (shown["kind"], shown["via"], shown["owner"], shown["fqdn"]) == ("lxc", "veth", "root", f"{NAME}.{DOMAIN}")
    assert (shown["mac"], shown["address"]) == (debian.mac(), address)
    ground.guests["qa"].run(f"ping -4 -c 1 -W 5 {NAME}.{DOMAIN} | grep -F '({address})'")
    qa = ground.guests["qa"].wait_address()
    assert str(qa) in debian.run(f"getent ahostsv4 qa.{DOMAIN}")
    debian.run(f"ping -4 -c 1 -W 5 qa.{DOMAIN}")

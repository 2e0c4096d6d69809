"""Interfaces, as a directory that looks like sysfs shows them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from vdenet.model.observed import Link
from vdenet.probe import ethtool, links


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory; what a driver calls itself comes by ioctl, which no file shows."""
    monkeypatch.setattr(links, "SYS_CLASS_NET", tmp_path)
    monkeypatch.setattr(ethtool, "driver", lambda name: "veth" if name.startswith("veth") else "")
    return tmp_path


def put(sysfs: Path, name: str, ifindex: int, **files: str) -> Path:
    path = sysfs / name
    path.mkdir()
    for key, value in {"ifindex": str(ifindex), "flags": "0x1003", "address": "52:54:00:00:00:01", "mtu": "1500",
                       "carrier": "1", "ifalias": "", **files}.items():
        (path / key).write_text(f"{value}\n")
    return path


def test_each_kind(sysfs: Path) -> None:
    (put(sysfs, "vdenet0", 3, ifalias="vdenet:vdenet0") / "bridge").mkdir()
    tap = put(sysfs, "vdenet0-vde", 4, tun_flags="0x5002", owner="990", ifalias="vdenet:vdenet0", flags="0x1002")
    (tap / "master").symlink_to("../vdenet0")
    put(sysfs, "tun0", 5, tun_flags="0x1001", owner="-1")
    put(sysfs, "veth1", 6)
    put(sysfs, "eth0", 7, carrier="0")
    there = links.links()
    mac = "52:54:00:00:00:01"
    assert there == {
        "vdenet0": Link("vdenet0", 3, mac, 1500, True, True, "bridge", alias="vdenet:vdenet0"),
        "vdenet0-vde": Link("vdenet0-vde", 4, mac, 1500, False, True, "tap", "vdenet0", "vdenet:vdenet0", 990),
        "tun0": Link("tun0", 5, mac, 1500, True, True, "other"),
        "veth1": Link("veth1", 6, mac, 1500, True, True, "veth"),
        "eth0": Link("eth0", 7, mac, 1500, True, False, "other")}
    assert [link.name for link in there.values() if link.ours] == ["vdenet0", "vdenet0-vde"]
    assert links.link("eth0") == there["eth0"]


def test_what_stays_without_a_program(sysfs: Path) -> None:
    for name, flags in (("kept", "0x5802"), ("held", "0x5002")):
        put(sysfs, name, 3, tun_flags=flags)
    put(sysfs, "veth1", 4)
    assert [links.stays(name) for name in ("kept", "held", "veth1", "none")] == [True, False, False, False]


def test_what_is_no_interface_or_goes_away(sysfs: Path) -> None:
    (sysfs / "bonding_masters").write_text("bond0\n")
    put(sysfs, "half", 3, mtu="")
    path = put(sysfs, "down", 4)
    (path / "carrier").unlink()  # reading it is an error while the interface is down
    (path / "carrier").mkdir()
    # Though its flags said "up" before: one that is up without a carrier would be another thing.
    assert [(link.name, link.up, link.carrier) for link in links.links().values()] == [("down", False, False)]
    assert links.link("none") is None


@pytest.mark.parametrize("alias", ("", "vdenet", "xvdenet:a", "Vdenet:vdenet0", " vdenet:"))
def test_what_others_write_into_an_alias_is_not_our_mark(sysfs: Path, alias: str) -> None:
    put(sysfs, "eth0", 3, ifalias=alias)
    link = links.link("eth0")
    assert link is not None and link.ours is (alias.strip() == "vdenet:")


def entry(mac: str, port: int, local: bool = False) -> bytes:
    """struct __fdb_entry of linux/if_bridge.h."""
    return struct.pack("=6sBBIBBH", bytes.fromhex(mac.replace(":", "")), port & 255, local, 7, port >> 8, 0, 0)


def test_heard(sysfs: Path) -> None:
    bridge = put(sysfs, "vdenet0", 3)
    for name, number in (("vd0-web", "0x1"), ("vd0-many", "0x102")):
        (bridge / "brif" / name).mkdir(parents=True)
        (bridge / "brif" / name / "port_no").write_text(f"{number}\n")
    (bridge / "brforward").write_bytes(
        entry("52:54:00:00:00:01", 1) + entry("52:54:00:00:00:02", 0x102) + entry("02:00:00:00:00:01", 1, local=True)
        + entry("52:54:00:00:00:03", 9) + b"cut")
    assert links.heard("vdenet0") == {"52:54:00:00:00:01": "vd0-web", "52:54:00:00:00:02": "vd0-many"}
    assert links.heard("none") == {}


def test_a_guest_with_a_flood_of_addresses_hides_no_other(sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_MOST_OF_A_PORT", 5)
    bridge = put(sysfs, "vdenet0", 3)
    for name, number in (("vd0-web", "0x1"), ("vd0-flood", "0x2")):
        (bridge / "brif" / name).mkdir(parents=True)
        (bridge / "brif" / name / "port_no").write_text(f"{number}\n")
    (bridge / "brforward").write_bytes(b"".join(entry(f"52:54:00:00:01:{nth:02x}", 2) for nth in range(100))
                                       + entry("52:54:00:00:00:01", 1))
    found = links.heard("vdenet0")
    assert found["52:54:00:00:00:01"] == "vd0-web" and len(found) == 6
    monkeypatch.setattr(links, "_MOST_HEARD", 3)
    assert len(links.heard("vdenet0")) == 3

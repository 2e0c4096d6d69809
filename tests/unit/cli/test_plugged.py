"""The keeper of a container's end: its resolv.conf, and how it ends."""

from __future__ import annotations

import os
import socket
import tempfile
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from vdenet.cli import plugged
from vdenet.cli.resolvconf import MOST, ResolvConf
from vdenet.errors import Refused, ToolFailed
from vdenet.text.lease import Lease
from vdenet.wire.channel import Channel, Closed

LEASE = Lease(IPv4Interface("10.9.8.7/24"), dns=(IPv4Address("10.9.8.1"),), search=("vdenet.internal",))


@pytest.mark.parametrize("before", [b"nameserver 192.0.2.1\n", b"", b"# caf\xe9\xff\nnameserver 192.0.2.1\n"])
def test_the_servers_come_first_and_go_again(tmp_path: Path, before: bytes) -> None:
    file = tmp_path / "resolv.conf"
    file.write_bytes(before)
    conf = ResolvConf(file)
    for _renewal in range(2):
        assert conf.put(LEASE)
        assert file.read_bytes().startswith(b"search vdenet.internal\nnameserver 10.9.8.1\n")
        assert [line for line in before.splitlines() if line not in file.read_bytes()] == []
    conf.restore()
    assert file.read_bytes() == before


def test_what_the_container_wrote_since_stays(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.1\n")
    conf = ResolvConf(file)
    conf.put(LEASE)
    file.write_bytes(b"\xff its own\n")
    conf.restore()
    assert file.read_bytes() == b"\xff its own\n"


def test_a_large_one_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.1\n")
    conf = ResolvConf(file)
    assert conf.put(LEASE)
    large = b"#" * (MOST + 1)
    file.write_bytes(large)
    assert not conf.put(LEASE)
    conf.restore()
    assert file.read_bytes() == large


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root:x\n")
    (tmp_path / "link").symlink_to(tmp_path / "passwd")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name in ("link", "fifo", "directory", "nothing"):
        conf = ResolvConf(tmp_path / name)
        assert not conf.put(LEASE)
        conf.restore()
    assert (tmp_path / "passwd").read_text() == "root:x\n"


class Kept:
    """What stands for the interface: it comes up, and each step may fail."""

    interface, named = "tarr0", False
    fails: dict[str, Exception] = {}

    def __init__(self, *_given: object) -> None:
        self.do("init")

    def do(self, step: str) -> None:
        if step in self.fails:
            raise self.fails[step]

    def bring_up(self, _seconds: float) -> str:
        self.do("bring_up")
        return "10.9.8.7"

    def keep(self) -> None:
        self.do("keep")

    def end(self) -> None:
        self.do("end")


UP = {"interface": "tarr0", "address": "10.9.8.7", "named": False}


@pytest.mark.parametrize(("step", "error", "told"), [
    ("", None, UP),
    ("init", Refused(what="a", why="b"), "refused"),
    ("bring_up", ToolFailed(what="a", tool="ip", why="b"), "tool-failed"),
    ("bring_up", ValueError("b"), "tool-failed"),
    ("keep", ToolFailed(what="a", tool="ip", why="b"), UP),
    ("keep", OSError("b"), UP),
    ("end", ValueError("b"), UP),
])
def test_it_is_heard_once_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str,
                                             error: Exception | None, told: object) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(plugged, "Plugged", Kept)
    monkeypatch.setattr(Kept, "fails", {step: error} if error else {})
    ours, theirs = socket.socketpair()
    life = os.open("/dev/null", os.O_RDONLY)
    with ours:
        status = plugged.main([str(theirs.detach()), str(life), "52:54:00:00:00:01", "web", "1", "/resolv.conf"])
        channel = Channel(ours)
        said = channel.receive()[0]
        assert (said if told == UP else said["parameters"]["code"]) == told
        with pytest.raises(Closed):
            channel.receive()
    os.close(life)
    assert (status == 0, list(tmp_path.iterdir())) == (error is None, [])

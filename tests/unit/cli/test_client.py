from __future__ import annotations

import os
import socket

import pytest

from unit.cli.conftest import Daemon
from vdenet.cli import access, client
from vdenet.errors import DaemonUnreachable, NotPermitted, Overlap, ProtocolError
from vdenet.model.places import Places


def test_parameters_go_out_and_come_back(daemon: Daemon) -> None:
    daemon.answers["GetAddress"] = {"segment": "vdenet0", "address": "10.1.1.1/24"}
    with client.connect() as connection:
        reply = connection.call("GetAddress", segment="vdenet0", name=None)
    assert reply.parameters == {"segment": "vdenet0", "address": "10.1.1.1/24"}
    assert daemon.calls == [("GetAddress", {"segment": "vdenet0"})]


def test_an_error_comes_back_as_itself(daemon: Daemon) -> None:
    daemon.answers["SetAddress"] = Overlap(network="10.0.0.0/8", other="tun0")
    with client.connect() as connection, pytest.raises(Overlap, match="tun0"):
        connection.call("SetAddress", address="10.0.0.1/8")


def test_descriptors_come_with_the_reply(daemon: Daemon) -> None:
    reader, writer = os.pipe()
    daemon.answers["OpenTap"] = {"port": "vd0-web"}
    daemon.fds = (writer,)
    with client.connect() as connection:
        reply = connection.call("OpenTap")
    [got] = reply.fds
    os.write(got, b"x")
    assert os.read(reader, 1) == b"x"
    for fd in (got, reader, writer):
        os.close(fd)


def test_the_daemon_that_hangs_up(daemon: Daemon) -> None:
    daemon.hang_up = True
    with client.connect() as connection, pytest.raises(DaemonUnreachable, match="closed"):
        connection.call("List")


def test_the_daemon_that_says_nothing(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "REPLY_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.control))
        listener.listen()
        with client.connect() as connection, pytest.raises(DaemonUnreachable, match="no answer"):
            connection.call("List")


@pytest.mark.parametrize("raw", [b"{}x\0", b"[]\0", b'{"parameters":3}\0', b"\xff\0"])
def test_the_daemon_that_talks_nonsense(places: Places, raw: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.control))
        listener.listen()
        with client.connect() as connection:
            peer, _address = listener.accept()
            with peer:
                peer.sendall(raw)
                with pytest.raises(ProtocolError):
                    connection.call("List")


def test_no_socket(places: Places) -> None:
    with pytest.raises(DaemonUnreachable, match="not running"):
        client.connect()


def test_a_socket_that_nobody_serves(places: Places) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(places.control))
    with pytest.raises(DaemonUnreachable, match="has ended"):
        client.connect()


def test_a_socket_that_does_not_open(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_self: socket.socket, _address: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", denied)
    monkeypatch.setattr(access, "account", lambda: access.Account("alice", False, False))
    with pytest.raises(NotPermitted, match="alice is not a member"):
        client.connect()


@pytest.mark.parametrize(("there", "uid", "command"), [
    ((), 1000, "sudo apt install ./vdenet_*.deb"),
    (("/usr/sbin/vdenetd",), 1000, "sudo service vdenetd start"),
    (("/usr/sbin/vdenetd", "/run/systemd/system"), 1000, "sudo systemctl start vdenetd"),
    (("/usr/sbin/vdenetd", "/run/systemd/system"), 0, "systemctl start vdenetd"),
])
def test_how_to_start_it(monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], uid: int,
                         command: str) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: path in there)
    monkeypatch.setattr(os.path, "isdir", lambda path: path in there)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert client.starting() == command

"""The control socket with peers of every kind; no engine is behind it."""

from __future__ import annotations

import errno
import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

import vdenet
from vdenet.cli.client import Client
from vdenet.daemon import members, operations
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.daemon.operations import Answer, Operation, Request, Role
from vdenet.daemon.quota import MAX_CONNECTIONS, MAX_OPERATIONS
from vdenet.daemon.server import Server
from vdenet.errors import BadValue, NotPermitted, QuotaExceeded, UnknownOperation, VdenetError
from vdenet.wire import message
from vdenet.wire.channel import Channel, Closed, close_all

ALICE, BOB = Caller(1000, "alice"), Caller(1001, "bob")


class Door:
    """Where connections come from: as much of a listening socket as the server uses."""

    def __init__(self) -> None:
        self.caller = ALICE
        self._waiting: queue.Queue[socket.socket | None] = queue.Queue()
        self._peers: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, str]:
        sock = self._waiting.get()
        if sock is None:
            raise OSError(errno.EBADF, "closed")
        return sock, ""

    def fileno(self) -> int:
        return 3

    def connect(self) -> socket.socket:
        mine, theirs = socket.socketpair()
        mine.settimeout(5)
        self._peers.append(mine)
        self._waiting.put(theirs)
        return mine

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One call on a connection of its own."""
        channel = Channel(self.connect())
        channel.send(message.call(method, parameters))
        answer, _fds = channel.receive()
        channel.socket.close()
        return message.parse_reply(answer)

    def close(self) -> None:
        for sock in self._peers:
            sock.close()
        self._waiting.put(None)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    made = Door()
    monkeypatch.setattr(members, "peer", lambda _sock: made.caller)
    monkeypatch.setattr(members, "is_member", lambda uid: uid == ALICE.uid)
    server = Server(cast(Engine, SimpleNamespace(lock=threading.RLock())), cast(socket.socket, made))
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield made
    made.close()
    thread.join(5)
    assert not thread.is_alive()


def offer(monkeypatch: pytest.MonkeyPatch, operation: Operation) -> None:
    monkeypatch.setitem(cast(dict[str, Operation], operations.TABLE), operation.name, operation)


def settled(expected: int, seconds: float = 5) -> int:
    """How many descriptors are open, once connections that end have ended."""
    until = time.monotonic() + seconds
    while (now := len(os.listdir("/proc/self/fd"))) > expected and time.monotonic() < until:
        time.sleep(0.01)
    return now


def test_a_call_and_another_on_the_same_connection(door: Door) -> None:
    channel = Channel(door.connect())
    for _nth in range(3):
        channel.send(message.call("Version", {}))
        assert channel.receive() == ({"parameters": {"version": vdenet.__version__}}, [])


def test_a_connection_that_cannot_be_served_is_only_itself(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_words: object, **_more: object) -> None:
        raise RuntimeError("can't start new thread")
    with monkeypatch.context() as out_of_threads:
        out_of_threads.setattr(threading.Thread, "start", none)
        for _nth in range(MAX_CONNECTIONS + 1):
            with pytest.raises((Closed, ConnectionError)):
                Channel(door.connect()).receive()
    assert door.call("Version") == {"version": vdenet.__version__}


def test_who_is_no_member_is_told_before_anything_is_read(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.caller = BOB
    with caplog.at_level(logging.WARNING, "vdenetd"):
        answer, _fds = Channel(door.connect()).receive()
    assert "refused uid=1001" in caplog.text
    with pytest.raises(NotPermitted, match="bob is not in the group vdenet"):
        message.parse_reply(answer)


def test_a_refusal_reaches_a_client_that_was_about_to_ask(door: Door) -> None:
    door.caller = BOB
    for _nth in range(20):
        sock = door.connect()
        time.sleep(0.005)
        with pytest.raises(NotPermitted), Client(sock, "control") as client:
            client.call("Version")


def test_who_left_the_group_is_told_at_the_next_call(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Channel(door.connect())
    channel.send(message.call("Version", {}))
    channel.receive()
    monkeypatch.setattr(members, "is_member", lambda _uid: False)
    channel.send(message.call("Version", {}))
    with pytest.raises(NotPermitted):
        message.parse_reply(channel.receive()[0])


@pytest.mark.parametrize(("sent", "error"), (
    ({"method": "org.vdenet.Control.Format"}, UnknownOperation),
    ({"method": "org.example.Control.Version"}, UnknownOperation),
    ({"method": "Version"}, UnknownOperation),
    ({"method": "org.vdenet.Control.Version", "parameters": {"path": "/etc/passwd"}}, BadValue),
    ({"method": "org.varlink.service.Reset"}, UnknownOperation),
), ids=lambda value: str(value)[:50])
def test_what_is_not_in_the_table(door: Door, sent: dict[str, Any], error: type[VdenetError]) -> None:
    channel = Channel(door.connect())
    channel.send(sent)
    with pytest.raises(error):
        message.parse_reply(channel.receive()[0])
    channel.send(message.call("Version", {}))
    assert "version" in message.parse_reply(channel.receive()[0]), "the connection goes on"


def test_descriptors_that_nobody_asked_for_are_refused_and_closed(door: Door) -> None:
    channel = Channel(door.connect())
    before = len(os.listdir("/proc/self/fd"))
    for _nth in range(10):
        channel.send(message.call("Version", {}), [0, 1, 2])
        with pytest.raises(BadValue, match="descriptors"):
            message.parse_reply(channel.receive()[0])
    assert settled(before) <= before


def test_operations_of_root_are_for_root(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, Operation("Wipe", Role.ROOT, False, (), lambda _request: Answer({"done": True})))
    with pytest.raises(NotPermitted, match="only root"):
        door.call("Wipe")
    door.caller = Caller(0, "root")
    assert door.call("Wipe") == {"done": True}


def test_a_fault_of_ours_is_an_answer_and_the_next_call_works(
        door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def break_down(request: Request) -> Answer:
        raise ZeroDivisionError("oops")

    offer(monkeypatch, Operation("Break", Role.MEMBER, False, (), break_down))
    with caplog.at_level(logging.ERROR, "vdenetd"), pytest.raises(VdenetError, match="internal error"):
        door.call("Break")
    assert "ZeroDivisionError" in caplog.text
    assert "version" in door.call("Version")


def test_every_change_is_a_line_in_the_log(
        door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def paint(request: Request) -> Answer:
        raise BadValue(what="colour", value=request.parameters.required("colour"), why="no such colour")

    offer(monkeypatch, Operation("Paint", Role.MEMBER, True, ("colour",), paint))
    with caplog.at_level(logging.INFO, "vdenetd"), pytest.raises(BadValue):
        door.call("Paint", colour="red\nuid=0 operation=Forged")
    line, = [record.getMessage() for record in caplog.records]
    assert line.startswith("uid=1000 operation=Paint object=colour=red\\nuid=0") and "\n" not in line


def test_a_change_that_is_done_is_logged_and_its_descriptors_are_closed(
        door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def hand_out(_request: Request) -> Answer:
        return Answer({"ok": True}, list(os.pipe()))

    offer(monkeypatch, Operation("HandOut", Role.MEMBER, True, ("name",), hand_out))
    channel = Channel(door.connect())
    before = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.INFO, "vdenetd"):
        channel.send(message.call("HandOut", {"name": "web"}))
        _answer, fds = channel.receive()
    assert len(fds) == 2
    close_all(fds)
    assert settled(before) <= before
    assert caplog.messages == ["uid=1000 operation=HandOut object=name=web result=done"]


def test_who_hangs_up_may_come_again(door: Door) -> None:
    until = time.monotonic() + 5
    done = 0
    while done < MAX_CONNECTIONS + 2:
        try:
            done += "version" in door.call("Version")
        except QuotaExceeded:  # the server has not seen yet that the one before has gone
            assert time.monotonic() < until
            time.sleep(0.01)


def test_faster_than_allowed(door: Door) -> None:
    channel = Channel(door.connect())
    refused = 0
    for _nth in range(MAX_OPERATIONS + 10):
        channel.send(message.call("Version", {}))
        try:
            message.parse_reply(channel.receive()[0])
        except QuotaExceeded:
            refused += 1
    assert refused > 0


def test_four_hundred_idle_connections(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    told = 0
    idle = [door.connect() for _nth in range(400)]
    for sock in idle[MAX_CONNECTIONS:]:
        with pytest.raises(QuotaExceeded, match="8 connections"):
            message.parse_reply(Channel(sock).receive()[0])
        told += 1
        sock.close()
    assert told == 400 - MAX_CONNECTIONS
    begun = time.monotonic()
    door.caller = Caller(0, "root")
    assert "version" in door.call("Version")
    assert time.monotonic() - begun < 1
    for sock in idle[:MAX_CONNECTIONS]:
        sock.close()
    assert settled(before) <= before


@pytest.mark.parametrize("raw", (b"\0", b"nonsense\0", b"[]\0", b"{" * 1000 + b"\0", b"GET / HTTP/1.1\r\n\r\n\0",
                                 b"x" * 2_000_000), ids=lambda raw: ascii(raw)[:20])
def test_nonsense_ends_its_connection_only(door: Door, raw: bytes) -> None:
    sock = door.connect()
    channel = Channel(sock)
    try:
        sock.sendall(raw)
        answer, _fds = channel.receive()
        assert json.loads(json.dumps(answer))["parameters"]["code"] == "protocol"
        with pytest.raises((Closed, ConnectionError)):
            channel.receive()
    except ConnectionError:
        assert len(raw) > 100_000, "refused while it was still being sent"
    assert "version" in door.call("Version")

"""Framing over a real socket pair: what a peer may send, and what it costs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from vdenet.errors import ProtocolError
from vdenet.wire import channel
from vdenet.wire.channel import MAX_DEPTH, MAX_FDS, MAX_MESSAGE, Channel, Closed


class Pair:
    """A channel, and the raw socket of its peer."""

    def __init__(self) -> None:
        sock, self.peer = socket.socketpair()
        sock.settimeout(5)
        self.peer.settimeout(5)
        self.channel = Channel(sock)

    def close(self) -> None:
        self.channel.socket.close()
        self.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):
            os.close(fd)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_there_and_back(pair: Pair) -> None:
    message = {"method": "org.vdenet.Control.List", "parameters": {"segment": "vdenet0", "word": "é\n\0"}}
    pair.channel.send(message)
    assert Channel(pair.peer).receive() == (message, [])


def test_a_message_in_single_bytes(pair: Pair) -> None:
    for byte in b'{"a": 1}\0':
        pair.peer.sendall(bytes([byte]))
    assert pair.channel.receive() == ({"a": 1}, [])


def test_several_messages_in_one_packet(pair: Pair) -> None:
    pair.peer.sendall(b'{"a": 1}\0{"b": 2}\0{"c"')
    assert pair.channel.receive() == ({"a": 1}, [])
    assert pair.channel.receive() == ({"b": 2}, [])
    pair.peer.sendall(b': 3}\0')
    assert pair.channel.receive() == ({"c": 3}, [])


def test_an_orderly_end_and_another(pair: Pair) -> None:
    pair.peer.sendall(b'{"a": 1}\0')
    pair.peer.shutdown(socket.SHUT_WR)
    assert pair.channel.receive() == ({"a": 1}, [])
    with pytest.raises(Closed):
        pair.channel.receive()
    other = Pair()
    other.peer.sendall(b'{"a"')
    other.peer.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError, match="middle"):
        other.channel.receive()
    other.close()


@pytest.mark.parametrize("raw", (
    b"", b"null", b"1", b'"text"', b"[]", b"{", b"}", b'{"a": }', b"{'a': 1}", b'{"a": 1} {"b": 2}', b"\xff\xfe",
    b"\xc3",
    b'{"a": ' + b"[" * 5 + b"}", b'{"a": ' + b"1" * 5000 + b"}", b"{" * 100, b"\n", b"GET / HTTP/1.1\r\n\r\n",
    b'{"a": ' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), b"[" * 60_000, b'{"a":' * 12_000,
), ids=lambda raw: ascii(raw)[:30])
def test_what_is_no_message(pair: Pair, raw: bytes) -> None:
    pair.peer.sendall(raw + b"\0")
    with pytest.raises(ProtocolError) as caught:
        pair.channel.receive()
    assert str(caught.value).startswith("cannot understand the peer")


def test_as_deep_as_allowed(pair: Pair) -> None:
    pair.peer.sendall(b'{"a": ' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH + b"\0")
    message, _fds = pair.channel.receive()
    assert "a" in message


def test_too_long_is_refused_before_it_is_all_here(pair: Pair) -> None:
    pair.peer.settimeout(0.2)
    pair.channel.socket.settimeout(0.01)
    sent = 0
    with pytest.raises(ProtocolError, match="too long"):
        while sent < 10 * MAX_MESSAGE:
            with contextlib.suppress(TimeoutError):
                sent += pair.peer.send(b"x" * 30_000)
            with contextlib.suppress(TimeoutError):
                pair.channel.receive()
    assert sent <= 4 * MAX_MESSAGE


def test_the_longest_message(pair: Pair) -> None:
    whole = json.dumps({"a": "x" * (MAX_MESSAGE - 9)}).encode()
    assert len(whole) == MAX_MESSAGE
    for raw, passes in ((whole, True), (whole + b" ", False)):
        writer = threading.Thread(target=pair.peer.sendall, args=(raw + b"\0",))
        writer.start()
        end: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        with end if passes else pytest.raises(ProtocolError, match="too long"):
            pair.channel.receive()
        writer.join()


def test_a_long_reply_to_a_slow_reader(pair: Pair) -> None:
    reply = {"guests": ["x" * 1000] * 2000}
    received: list[object] = []
    reader = Channel(pair.peer, limit=channel.MAX_REPLY)
    thread = threading.Thread(target=lambda: received.append(reader.receive()))
    thread.start()
    pair.channel.send(reply)
    thread.join(10)
    assert received == [(reply, [])]


# --- descriptors ----------------------------------------------------------------------------------------

def test_descriptors_arrive_with_their_message(pair: Pair, pipe: tuple[int, int]) -> None:
    read, write = pipe
    pair.channel.send({"ok": 1}, [write])
    message, fds = Channel(pair.peer).receive()
    assert message == {"ok": 1} and len(fds) == 1 and fds[0] != write
    assert not os.get_inheritable(fds[0]), "not for a child to have"
    os.write(fds[0], b"through")
    assert os.read(read, 10) == b"through"
    channel.close_all(fds)


def test_descriptors_come_with_the_first_byte(pair: Pair, pipe: tuple[int, int]) -> None:
    socket.send_fds(pair.peer, [b"{"], [pipe[0]])
    pair.peer.sendall(b'"a": 1}\0')
    message, fds = pair.channel.receive()
    assert message == {"a": 1} and len(fds) == 1
    channel.close_all(fds)


def test_the_sender_closes_at_once(pair: Pair, pipe: tuple[int, int]) -> None:
    pair.channel.send({"a": 1}, [pipe[1]])
    pair.channel.socket.close()
    _message, fds = Channel(pair.peer).receive()
    assert len(fds) == 1
    channel.close_all(fds)


def test_a_reader_that_has_all_and_goes_is_no_error(pair: Pair, pipe: tuple[int, int]) -> None:
    data: list[bytes] = []

    def take_and_close() -> None:
        data.append(pair.peer.recv(1000))
        pair.peer.close()

    thread = threading.Thread(target=take_and_close)
    thread.start()
    pair.channel.send({"a": 1}, [pipe[1]])
    thread.join()
    assert data == [b'{"a":1}\0']
    with pytest.raises(OSError):
        pair.channel.send({"a": 1}, [pipe[1]])


@pytest.mark.parametrize("number", (MAX_FDS + 1, 20, 250))
def test_too_many_descriptors_are_closed(pair: Pair, pipe: tuple[int, int], number: int) -> None:
    before = descriptors()
    socket.send_fds(pair.peer, [b'{"a": 1}\0'], [pipe[0]] * number)
    with pytest.raises(ProtocolError, match="too many file descriptors"):
        pair.channel.receive()
    assert descriptors() == before


def test_descriptors_in_drips_are_closed_too(pair: Pair, pipe: tuple[int, int]) -> None:
    before = descriptors()
    for _drip in range(MAX_FDS + 1):
        socket.send_fds(pair.peer, [b" "], [pipe[0]])
    with pytest.raises(ProtocolError, match="too many file descriptors"):
        pair.channel.receive()
    assert descriptors() == before


@pytest.mark.parametrize("raw", (b"nonsense\0", b"[]\0", b"{" * 50 + b"\0"))
def test_descriptors_of_a_bad_message_are_closed(pair: Pair, pipe: tuple[int, int], raw: bytes) -> None:
    before = descriptors()
    socket.send_fds(pair.peer, [raw], [pipe[0], pipe[1]])
    with pytest.raises(ProtocolError):
        pair.channel.receive()
    assert descriptors() == before


def test_descriptors_of_a_message_that_does_not_end_are_closed(pair: Pair, pipe: tuple[int, int]) -> None:
    before = descriptors()
    pair.channel.socket.settimeout(0.05)
    socket.send_fds(pair.peer, [b'{"a"'], [pipe[0]])
    with pytest.raises(TimeoutError):
        pair.channel.receive()
    assert descriptors() == before


def test_other_ancillary_data_is_no_descriptor(pair: Pair) -> None:
    pair.channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    pair.peer.sendmsg([b'{"a": 1}\0'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack(
        "3i", os.getpid(), os.getuid(), os.getgid()))])
    assert pair.channel.receive() == ({"a": 1}, [])


# --- a thousand peers that mean no good --------------------------------------------------------------------

def malformed(dice: random.Random) -> bytes:
    """Something like a message, spoilt."""
    good = json.dumps({"method": "org.vdenet.Control.List", "parameters": {
        "segment": dice.choice(["vdenet0", None, 7, "\x00\ud800", ["x"], {"y": {}}, 1e308, "x" * 600])}})
    raw = bytearray(good.encode())
    for _damage in range(dice.randint(1, 6)):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(5):
            case 0:
                raw[at:at + 1] = bytes([dice.randrange(256)])
            case 1:
                del raw[at:at + dice.randrange(20)]
            case 2:
                raw[at:at] = dice.choice([b"{", b"[", b"\\u0000", b'"', b"\0", b"\xff", b"1e999", b"NaN", b","]) \
                    * dice.choice([1, 2, 50])
            case 3:
                raw[at:at] = raw[:dice.randrange(20)]
            case _:
                raw[at:at] = dice.randbytes(dice.randrange(30))
    return bytes(raw) + dice.choice([b"\0", b"", b"\0\0"])


def test_a_thousand_malformed_messages() -> None:
    dice = random.Random(2)
    before = descriptors()
    refused = 0
    for _nth in range(1000):
        pair = Pair()
        if dice.randrange(3):
            pair.peer.sendall(malformed(dice))
        else:
            socket.send_fds(pair.peer, [malformed(dice) or b"x"], [0] * dice.randrange(1, 8))
        pair.peer.close()
        try:
            while True:
                message, fds = pair.channel.receive()
                assert isinstance(message, dict)
                channel.close_all(fds)
        except ProtocolError:
            refused += 1
        except Closed:
            pass
        pair.close()
    assert refused > 700
    assert descriptors() == before


def test_brackets_in_strings_are_no_levels(pair: Pair) -> None:
    message = {"guest": "[[[[[[[[[[{{{{\\", "other": '"[[[[[[[[[', "deep": [["[[["]]}
    pair.channel.send(message)
    assert Channel(pair.peer).receive() == (message, [])

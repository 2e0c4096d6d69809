"""What the gate reads off the wire, and what it hands on."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.gate.request import LONGEST, BadRequest, Request, compose, parse

PATH = b"/run/vdenet/vdenet0/switch/.04711-00000"


def raw(path: bytes = PATH, *, magic: int = 0xFEEDFACE, version: int = 3, kind: int = 0, family: int = 1,
        words: bytes = b"QEMU user=alice PID=4711") -> bytes:
    return struct.pack("=IIiH108s", magic, version, kind, family, path) + words


def test_as_libvdeplug_asks() -> None:
    assert parse(raw()) == Request(0, PATH, False, "QEMU user=alice PID=4711")
    assert parse(raw(kind=7 << 8)).port == 7
    assert parse(raw(words=b"")).words == ""


def test_a_name_without_a_file() -> None:
    asked = parse(raw(b"\0\0\x12\x34"))
    assert asked.abstract and asked.socket == b"\0\x12\x34".ljust(107, b"\0")
    assert parse(compose(0, asked.socket, True, "x")) == Request(0, asked.socket, True, "x")


@pytest.mark.parametrize("asked", [
    b"", raw()[:121], raw(magic=1), raw(version=2), raw(version=4), raw(kind=1), raw(kind=-1), raw(kind=-256),
    raw(family=2), raw(b"")], ids=["nothing", "short", "magic", "older", "newer", "management", "minus", "negative",
                                   "family", "no address"])
def test_what_is_refused(asked: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(asked)


def test_words_are_one_line_of_ascii_and_have_an_end() -> None:
    said = parse(raw(words="a\nb\x1b[0m\u00e9".encode() + b"\0rest")).words
    assert said == "a?b?[0m??"
    assert len(compose(1, PATH, False, "x" * 999)) == LONGEST


@pytest.mark.parametrize(("path", "abstract"), [(b"/" * 108, False), (b"x" * 108, True)])
def test_an_address_that_is_too_long(path: bytes, abstract: bool) -> None:
    with pytest.raises(ValueError, match="address"):
        compose(0, path, abstract, "")


@given(st.binary(max_size=300) | st.binary(max_size=180).map(lambda rest: struct.pack("=II", 0xFEEDFACE, 3) + rest))
def test_whatever_comes(text: bytes) -> None:
    try:
        asked = parse(text)
    except BadRequest:
        return
    assert 0 <= asked.port < 1 << 23 and asked.words.isascii() and asked.words.isprintable()
    assert parse(compose(asked.port, asked.socket, asked.abstract, asked.words)) == asked

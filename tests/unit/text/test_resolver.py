"""The host's resolvers, and the question whether a server serves."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.model.wanted import Resolver
from vdenet.text import dnsquery, resolver

OURS = Resolver("dnsmasq", "vdenet0", "10.83.14.1", "vdenet.internal")
QUESTION = dnsquery.query("web.vdenet.internal.", 0x1234)


def answer(*records: bytes, identity: int = 0x1234, flags: int = 0x8180, questions: bytes = QUESTION[12:]) -> bytes:
    head = struct.pack("!6H", identity, flags, 1 if questions else 0, len(records), 0, 0)
    return head + questions + b"".join(records)


def record(name: bytes, kind: int, data: bytes) -> bytes:
    return name + struct.pack("!2HIH", kind, 1, 60, len(data)) + data


def test_files_for_resolvers() -> None:
    assert "server=/vdenet.internal/10.83.14.1\n" in resolver.dnsmasq(OURS)
    assert resolver.resolvconf(OURS) == "nameserver 10.83.14.1\nsearch vdenet.internal\n"


def test_the_systems_dnsmasq_is_kept_off() -> None:
    said = resolver.directives(resolver.keep_off("lan"))
    assert said == ["except-interface=lan", "except-interface=lan.*"]
    assert resolver.is_excepted("lan", said) and resolver.is_excepted("lan.33", said)
    assert not resolver.is_excepted("lan2", said) and not resolver.is_excepted("la", said)


def test_what_a_file_of_dnsmasq_says() -> None:
    said = resolver.directives("# bind-interfaces\n\n bind-dynamic # all\nexcept-interface = eth0, vd*\ninterface=lan\n")
    assert said == ["bind-dynamic", "except-interface=eth0, vd*", "interface=lan"]
    assert [name for name in ("eth0", "eth01", "vdenet0", "lan") if resolver.is_excepted(name, said)] == [
        "eth0", "vdenet0"]


def test_what_resolvectl_says() -> None:
    assert resolver.resolvectl("Link 3 (vdenet0): 10.83.14.1 fd5e:1::1\n") == ["10.83.14.1", "fd5e:1::1"]
    assert resolver.resolvectl("Link 3 (vdenet0): ~vdenet.internal lab\n") == ["vdenet.internal", "lab"]
    assert resolver.resolvectl("") == resolver.resolvectl("Link 3 (vdenet0):\n") == []


def test_domains_that_are_searched() -> None:
    text = "search corp.example lan\nnameserver 9.9.9.9\ndomain Fritz.Box\nsearch . a/b\n"
    assert resolver.search_domains(text) == ("corp.example", "fritz.box", "lan")
    assert resolver.search_domains("") == ()


def test_a_question() -> None:
    assert QUESTION == bytes.fromhex("1234 0100 0001 0000 0000 0000") + b"\3web\6vdenet\x08internal\0" + b"\0\1\0\1"


def test_answers() -> None:
    pointer, address = b"\xc0\x0c", bytes([10, 83, 14, 23])
    assert dnsquery.addresses(answer(record(pointer, 1, address)), 0x1234) == [IPv4Address("10.83.14.23")]
    assert dnsquery.addresses(answer(record(pointer, 5, b"\1x\0"), record(b"\1x\0", 1, address)), 0x1234) == [
        IPv4Address("10.83.14.23")], "by an alias"
    others = answer(record(pointer, 28, bytes(16)), record(pointer, 1, bytes(16)), record(pointer, 16, b"\3abc"))
    assert dnsquery.addresses(others, 0x1234) == [], "other records"
    assert dnsquery.addresses(answer(flags=0x8183), 0x1234) == [], "no such name is an answer"


@pytest.mark.parametrize("message", (
    b"", b"\x12\x34", QUESTION, answer(identity=1), answer(record(b"\xc0\x0c", 1, b"1234"))[:-1],
    answer(record(b"\xc0\x0c", 1, b"1234"))[:-6], answer(questions=b"\x3f" + b"a" * 10)))
def test_what_is_no_answer(message: bytes) -> None:
    assert dnsquery.addresses(message, 0x1234) is None


@given(st.binary(max_size=80), st.integers(0, 65535), st.integers(0, 65535))
def test_any_datagram(body: bytes, questions: int, answers: int) -> None:
    dnsquery.addresses(struct.pack("!6H", 7, 0x8000, questions, answers, 0, 0) + body, 7)

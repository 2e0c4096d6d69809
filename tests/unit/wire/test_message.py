"""Calls and replies, and what an untrusted peer may write into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from unit.examples import st
from vdenet import errors
from vdenet.errors import BadValue, ProtocolError, VdenetError
from vdenet.wire import message
from vdenet.wire.message import Parameters

json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                           max_leaves=4)
keys = st.sampled_from(("method", "parameters", "error", "code", "data")) | st.text()
objects = st.dictionaries(keys, json_values, max_size=4)


def test_a_call() -> None:
    sent = message.call("List", {"segment": "vdenet0"})
    assert sent == {"method": "org.vdenet.Control.List", "parameters": {"segment": "vdenet0"}}
    call = message.parse_call(sent)
    assert call.method == "org.vdenet.Control.List" and call.parameters.text("segment") == "vdenet0"
    assert message.parse_call({"method": "x" * 128}).method == "x" * 128
    assert message.parse_call({"method": "x"}).parameters == Parameters({}), "parameters may be absent"


@pytest.mark.parametrize("bad", (
    {}, {"method": None}, {"method": 1}, {"method": "a\nb"}, {"method": "x" * 129}, {"method": "x", "parameters": None},
    {"method": "x", "parameters": []}, {"method": "x", "parameters": "text"}))
def test_what_is_no_call(bad: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        message.parse_call(bad)


def test_parameters() -> None:
    given_ones = Parameters({"a": "text", "null": None, "empty": ""})
    assert given_ones.text("a") == given_ones.required("a") == "text"
    assert given_ones.text("null") is given_ones.text("absent") is None
    assert given_ones.text("empty") == ""
    assert Parameters({"long": "x" * 512}).text("long") == "x" * 512
    given_ones.only("a", "null", "empty", "more")
    for key in ("null", "absent"):
        with pytest.raises(BadValue, match=key):
            given_ones.required(key)
    with pytest.raises(BadValue, match="empty"):
        given_ones.only("a", "null")


@pytest.mark.parametrize("value", (1, 1.5, True, [], {}, ["a"], "x" * 513, "a\nb", "\x1b[2J", "\0", "\ud800", "\u202e"),
                         ids=lambda value: ascii(value)[:20])
def test_a_bad_parameter_is_named(value: object) -> None:
    with pytest.raises(BadValue, match="segment") as caught:
        Parameters({"segment": value}).text("segment")
    assert str(caught.value).isprintable()
    json.dumps(message.refusal(caught.value))


@pytest.mark.parametrize("error", (
    errors.Refused(what="join", why="no name is left"), errors.QuotaExceeded(what="join", limit=32, unit="ports"),
    errors.NotPermitted(what="x", why="y", self="z"), VdenetError(why="oops")))
def test_an_error_comes_back_as_it_was(error: VdenetError) -> None:
    with pytest.raises(type(error)) as caught:
        message.parse_reply(json.loads(json.dumps(message.refusal(error))))
    assert str(caught.value) == str(error)


def test_an_error_of_another_version_still_says_something() -> None:
    data = {"what": ["a", "list"], "why": None, "more": 1.5}
    with pytest.raises(errors.Refused, match=r"\['a', 'list'\]: None") as caught:
        message.parse_reply({"error": "x", "parameters": {"code": "refused", "data": data}})
    assert caught.value.data == {"what": "['a', 'list']", "why": None, "more": "1.5"}
    with pytest.raises(ProtocolError, match="whatever"):
        message.parse_reply({"error": "whatever", "parameters": {"code": 7}})


def test_a_reply() -> None:
    assert message.parse_reply(message.reply({"a": 1})) == {"a": 1}
    assert message.parse_reply({}) == {}


@given(objects)
def test_any_object_is_a_call_or_refused(sent: dict[str, Any]) -> None:
    try:
        call = message.parse_call(sent)
        call.parameters.only("segment")
        value = call.parameters.text("segment")
        assert value is None or value.isprintable()
    except (ProtocolError, BadValue) as error:
        json.dumps(message.refusal(error))


@given(objects, objects)
def test_any_object_is_a_reply_or_an_error(sent: dict[str, Any], inner: dict[str, Any]) -> None:
    refusal = {"error": "x", "parameters": {"code": "refused", "data": inner}}
    for reply in (sent, {**sent, "parameters": inner}, refusal):
        try:
            assert isinstance(message.parse_reply(reply), dict)
        except VdenetError as error:
            assert str(error)

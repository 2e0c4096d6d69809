"""Every error has a code, a sentence, and survives the way over the socket."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet import errors
from vdenet.errors import VdenetError, printable

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VdenetError)]


def sample(kind: type[VdenetError]) -> VdenetError:
    """The error with something in every place of its sentence."""
    words = {word for _text, word, _spec, _conversion in string.Formatter().parse(kind.sentence) if word}
    return kind(**{word: f"({word})" for word in words})


@pytest.mark.parametrize("kind", ERRORS, ids=[kind.__name__ for kind in ERRORS])
def test_each_error(kind: type[VdenetError]) -> None:
    error = sample(kind)
    assert kind.__doc__ and kind.code and kind.sentence
    assert all(f"({word})" in str(error) for word in error.data), "the sentence says all it knows"
    assert kind is VdenetError or str(error).startswith("cannot ")
    assert not str(error).endswith(".")
    again = errors.from_code(kind.code, error.data)
    assert type(again) is kind and str(again) == str(error)


def test_codes_are_unique() -> None:
    assert len({kind.code for kind in ERRORS}) == len(ERRORS) > 15


def test_an_unknown_code_and_missing_data_still_say_something() -> None:
    assert "future-code" in str(errors.from_code("future-code", {"why": "because"}))
    assert str(errors.Refused(why="because")) == "refused: why=because"


@given(st.sampled_from(ERRORS), st.dictionaries(st.text(max_size=8) | st.just("self"), st.text() | st.integers()))
def test_whatever_comes_off_the_wire_is_one_printable_line(kind: type[VdenetError], data: dict[str, str | int]) -> None:
    assert printable(str(errors.from_code(kind.code, data)), 10_000).isprintable()


@given(st.text())
def test_printable(text: str) -> None:
    shown = printable(text, limit=50)
    assert shown.isprintable() and len(shown) <= 50
    if text.isprintable() and len(text) <= 50:
        assert shown == text

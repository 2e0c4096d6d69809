"""What is written for a segment is read as the same segment: every field of it, also one that is yet to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from ipaddress import IPv4Interface

import pytest
from hypothesis import given, settings

from unit.examples import st
from unit.samples import PLAIN, bridged_segments, segments
from vdenet.model.segment import Segment
from vdenet.text import config
from vdenet.text.config import emitting


@settings(max_examples=300)
@given(segments("lab") | bridged_segments("lab"))
def test_what_is_written_is_read_again(segment: Segment) -> None:
    assert config.parse(config.emit(segment), "lab", "lab.toml") == segment


def _seen(value: object, path: str, found: dict[str, set[object]]) -> None:
    if is_dataclass(value):
        if path:
            found.setdefault(path, set()).add("some")
        for field in fields(value):
            _seen(getattr(value, field.name), f"{path}.{field.name}", found)
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        found.setdefault(path, set()).add("some")
        for entry in value:
            _seen(entry, path, found)
    else:
        found.setdefault(path, set()).add(value)


def _fields(kind: type, path: str) -> Iterator[str]:
    for field in fields(kind):
        yield f"{path}.{field.name}"


def test_the_arbitrary_segment_has_arbitrary_fields_all_of_them() -> None:
    """A field that samples.segments() never sets would pass the test above whatever emit does with it."""
    found: dict[str, set[object]] = {}

    @settings(max_examples=200)
    @given(segments("lab") | bridged_segments("lab"))
    def collect(segment: Segment) -> None:
        _seen(segment, "", found)

    collect()
    constant = {path for path, values in found.items() if len(values) < 2} - {".name"}
    assert not constant, "draw these in tests/unit/samples.py"
    assert {*_fields(Segment, "")} <= found.keys()


def test_the_shortest_file() -> None:
    assert config.emit(PLAIN) == (
        'address = "10.83.14.1/24"\naddress6 = "fd5e:8a01:22c4:1::1/64"\nmode = "nat"\ndomain = "vdenet.internal"\n')


def test_a_comment_stands_above() -> None:
    text = config.emit(Segment("lab", IPv4Interface("10.9.8.1/24")), "The lab.\n\nOf alice.")
    assert text.startswith("# The lab.\n#\n# Of alice.\naddress = ")


@dataclass(frozen=True)
class _More(Segment):
    colour: object = None


def test_a_field_of_a_new_kind_cannot_be_forgotten() -> None:
    with pytest.raises(TypeError, match="emit"):
        config.emit(_More("lab", IPv4Interface("10.9.8.1/24"), colour=1.5))
    assert "colour = 3\n" in config.emit(_More("lab", IPv4Interface("10.9.8.1/24"), colour=3)), "nor one of an old kind"


@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_any_string_survives(text: str) -> None:
    import tomllib

    assert tomllib.loads(f"a = {emitting.toml(text)}") == {"a": text}

"""Files in /etc/vdenet: which are segments, and what is said of those that cannot be read."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from vdenet.daemon.configuration import MAX_SIZE, Configuration
from vdenet.errors import BadConfig, BadValue, UnknownSegment
from vdenet.model.places import Places

GOOD = 'address = "10.83.14.1/24"\n'


def put(places: Places, name: str, text: str | bytes) -> Path:
    path = Path(places.etc) / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_only_files_of_segments_are_segments(places: Places) -> None:
    for name in ("vdenet0.toml", "lab.toml", "lab.toml~", ".lab.toml.swp", "Policy.toml", "my-lab.toml",
                 "lab.toml.dpkg-old", "all.toml", "x.conf", " .toml", "a\nb.toml"):
        put(places, name, GOOD)
    configuration = Configuration(places)
    assert configuration.names() == ["lab", "vdenet0"]
    assert [segment.name for segment in configuration.all()] == ["lab", "vdenet0"]


def test_no_directory(places: Places) -> None:
    Path(places.etc).rmdir()
    assert Configuration(places).names() == []
    assert Configuration(places).all() == []


@pytest.mark.parametrize("name", ("../vdenet0", "", "/etc/passwd", "a/b", "lab\n", "LAB"))
def test_a_name_that_is_none_opens_nothing(places: Places, name: str) -> None:
    with pytest.raises(BadValue):
        Configuration(places).segment(name)


@pytest.mark.parametrize(("text", "why"), (
    ("addres = 1", ":1: addres"), (b"\xff\xfe", "UTF-8"), (b"#" * (MAX_SIZE + 1), "too large"), ("", "missing"),
    (GOOD.encode() + b"\0", ":2:1")), ids=("key", "bytes", "large", "empty", "nul"))
def test_a_file_that_cannot_be_read(places: Places, text: str | bytes, why: str) -> None:
    path = put(places, "lab.toml", text)
    with pytest.raises(BadConfig, match=why) as caught:
        Configuration(places).segment("lab")
    assert str(caught.value.data["where"]).startswith(str(path))


def test_what_is_no_file(places: Places) -> None:
    configuration = Configuration(places)
    with pytest.raises(UnknownSegment, match="lab"):
        configuration.segment("lab")
    (Path(places.etc) / "lab.toml").mkdir()
    with pytest.raises(BadConfig, match="directory"):
        configuration.segment("lab")


def test_one_bad_file_leaves_the_others(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    put(places, "lab.toml", "mode = 1")
    put(places, "vdenet0.toml", GOOD)
    with caplog.at_level(logging.ERROR, "vdenetd"):
        configuration = Configuration(places)
        for _look in range(3):
            assert [segment.name for segment in configuration.all()] == ["vdenet0"]
        assert len(caplog.messages) == 1, "the watch looks every second"
        put(places, "lab.toml", GOOD)
        configuration.all()
        put(places, "lab.toml", "mode = 1")
        configuration.all()
    assert len(caplog.messages) == 2, "broken again is news"


def test_written_as_a_whole(places: Places) -> None:
    path = put(places, "vdenet0.toml", GOOD)
    before = os.stat(path).st_ino
    configuration = Configuration(places)
    configuration.write("vdenet0", GOOD + 'mode = "routed"\n')
    assert configuration.text("vdenet0") == GOOD + 'mode = "routed"\n'
    assert os.stat(path).st_ino != before and os.stat(path).st_mode & 0o777 == 0o640
    assert [each.name for each in Path(places.etc).iterdir()] == ["vdenet0.toml"]

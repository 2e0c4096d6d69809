"""The files in examples/ are what the program reads, and what is written of them is the same again."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdenet.text import config

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_can_be_read(path: Path) -> None:
    segment = config.parse(path.read_text(), "lab", str(path))
    assert config.parse(config.emit(segment), "lab", "lab.toml") == segment


def test_there_are_examples() -> None:
    assert {"hosts.toml", "netboot.toml", "guest-dhcp.toml"} <= {path.name for path in EXAMPLES}

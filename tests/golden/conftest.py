"""Whole files as they are generated: `pytest tests/golden --regenerate` writes what is there now.

Look at the difference before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the golden files anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("regenerate"):
        os.environ["VDENET_GOLDEN"] = "write"


Same = Callable[[Path, str], None]


@pytest.fixture
def same() -> Same:
    """Compares a text with a golden file, or writes it."""
    def check(path: Path, text: str) -> None:
        if os.environ.get("VDENET_GOLDEN") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text()
    return check

"""The machine, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.bare import Lab, booted


@pytest.fixture(scope="package")
def lab(deb: Path) -> Iterator[Lab]:
    with booted(deb, "openvswitch-switch") as found:
        yield found

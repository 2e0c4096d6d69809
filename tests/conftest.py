"""What every test shares: the test library on the path, and the package under test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
for place in (TESTS, TESTS.parent / "src"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))


def missing(why: str) -> None:
    """Skip on a laptop, fail in CI: there nothing may be left out."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {why}")
    pytest.skip(why)


@pytest.fixture(scope="session")
def as_root() -> None:
    if os.geteuid() != 0:
        missing("needs root for namespaces")


@pytest.fixture(scope="session")
def deb(as_root: None) -> Path:
    """The .deb under test (VDENET_DEB, else what `make deb` left in dist/)."""
    from lab import roots

    built = roots.package()
    if built is None:
        missing("no .deb: run `make deb`")
    assert built is not None
    return built

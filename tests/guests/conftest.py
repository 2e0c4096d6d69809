"""The segment with its five kinds of guests, once for all tests of a release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.ground import Ground

# What this room needs on the test machine besides pytest and mmdebstrap.
TOOLS = ("busybox", "dropbear", "dbclient", "dropbearconvert", "ssh-keygen", "dnsmasq", "nsenter")


@pytest.fixture(scope="session", params=["trixie", "bookworm"])
def ground(request: pytest.FixtureRequest, deb: Path) -> Iterator[Ground]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"install {' '.join(missing)} first: see `make test`"
    with Ground(request.param, deb) as ready:
        ready.populate()
        yield ready

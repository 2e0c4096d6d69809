"""The daemon's directories, below a temporary one."""

from __future__ import annotations

import grp
import os
from pathlib import Path, PurePosixPath

import pytest

from vdenet.effect import files
from vdenet.model.places import Places


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Places:
    """Files get the group of whoever runs the tests: only root could give them another."""
    class Groups:
        @staticmethod
        def getgrnam(_name: str) -> grp.struct_group:
            return grp.getgrgid(os.getegid())

    monkeypatch.setattr(files, "grp", Groups)
    ours = Places(*(PurePosixPath(tmp_path) / name for name in ("run", "etc", "var")))
    for path in (ours.etc, ours.state("vdenet0"), ours.records("vdenet0")):
        Path(path).mkdir(parents=True)
    return ours

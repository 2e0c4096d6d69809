"""What a container's configuration includes is read as far as that ends."""

from __future__ import annotations

import os
from pathlib import Path

from vdenet.cli.kinds import lxc


def test_included_files(tmp_path: Path) -> None:
    (tmp_path / "b.conf").write_text("lxc.net.0.type = veth\n")
    (tmp_path / "a.conf").write_bytes(b"# \xff\n")
    (tmp_path / "c").write_text("not included")
    assert lxc._files(str(tmp_path)) == ["# \ufffd\n", "lxc.net.0.type = veth\n"]
    assert list(lxc._files(str(tmp_path / "c"))) == ["not included"]
    assert not any(lxc._files(str(tmp_path / "none")))


def test_an_included_fifo_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.conf")
    (tmp_path / "b.conf").symlink_to("/dev/zero")
    assert not any(lxc._files(str(tmp_path)))

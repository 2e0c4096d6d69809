"""The .deb under test, and a successor of it to upgrade to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def successor(deb: Path, directory: Path) -> Path:
    """The same package with a higher version."""
    tree = directory / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+next", control.read_text()))
    made = directory / "vdenet_next_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, made],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return made

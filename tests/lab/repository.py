"""A repository of Debian packages, signed by a key of its own, for apt in a guest."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path


def build(place: Path, name: str, version: str) -> Path:
    """A package in the directory `place` that installs nothing but /usr/share/NAME, which holds its version."""
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work, "tree")
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Lab <lab@mirror.example>\n"
            "Description: what a guest updates\n")
        file = tree / "usr/share" / name
        file.parent.mkdir(parents=True)
        file.write_text(f"{version}\n")
        made = place / f"{name}_{version}_all.deb"
        _run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(made))
    return made


def publish(place: Path) -> str:
    """Make a flat repository of the packages in `place`; the key to verify it with, in ASCII."""
    index = "\n".join(
        f"{_run('dpkg-deb', '--field', str(deb)).strip()}\nFilename: ./{deb.name}\n"
        f"Size: {deb.stat().st_size}\nSHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n"
        for deb in sorted(place.glob("*.deb"))).encode()
    (place / "Packages").write_bytes(index)
    # The home of a key is short-lived, and so is the agent that gpg starts for it: it ends with its directory.
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
        _run(*gpg, "--quick-generate-key", "mirror.example", "ed25519", "sign", "never")
        signed = _run(*gpg, "--clearsign", input=(
            f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}\n"
            f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"))
        key = _run(*gpg, "--armor", "--export")
        _run("gpgconf", "--homedir", home, "--kill", "all")
    (place / "InRelease").write_text(signed)
    return key


def _run(*argv: str, input: str | None = None) -> str:
    return subprocess.run(argv, input=input, check=True, text=True, stdout=subprocess.PIPE, timeout=60).stdout

"""The verb import."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.cli.conftest import Daemon, TarrSteps
from vdenet.cli import importing
from vdenet.text import foreign

LXC = 'USE_LXC_BRIDGE="true"\nLXC_BRIDGE=lxcbr0\n'


@pytest.fixture
def lxc(tmp_path: Path) -> Path:
    path = tmp_path / "lxc-net"
    path.write_text(LXC)
    return path


def test_the_help_names_every_format() -> None:
    assert importing.FORMATS == tuple(foreign.FORMATS)


def test_the_configuration_is_printed(daemon: Daemon, tarr_steps: TarrSteps, lxc: Path) -> None:
    done = tarr_steps("import", str(lxc))
    assert (done.status, daemon.calls) == (0, [])
    assert done.out.startswith(f"# Imported from {lxc}, lxc-net.\naddress = \"10.0.3.1/24\"\n")
    assert done.err.startswith(f"{lxc}:2: left out: LXC_BRIDGE=lxcbr0: ")
    assert done.err.count("\n") == 1
    quiet = tarr_steps("import", "--quiet", str(lxc))
    assert (quiet.out, quiet.err) == (done.out, "")
    told = json.loads(tarr_steps("import", str(lxc), "--json").out)
    assert told["text"] == done.out
    assert (told["segment"], told["from"], told["output"]) == ("vdenet0", "lxc-net", None)
    assert [one["line"] for one in told["left_out"]] == [2]


def test_it_is_written(tarr_steps: TarrSteps, lxc: Path, tmp_path: Path) -> None:
    to = tmp_path / "out.toml"
    done = tarr_steps("import", "--output", str(to), str(lxc), "--segment", "lab")
    assert f"tarr-steps plan {to} --segment lab" in done.out
    assert 'domain = "lab.internal"' in to.read_text()
    refused = tarr_steps("import", "--output", str(tmp_path / "no/out.toml"), str(lxc))
    assert (refused.status, refused.out) == (1, "")
    assert "No such file" in refused.err


def test_a_switch_is_that_of_the_segment(daemon: Daemon, tarr_steps: TarrSteps, tmp_path: Path) -> None:
    daemon.answers["Export"] = {"segment": "vdenet0", "text": 'address = "10.9.9.1/24"\nmode = "routed"\n'}
    script = tmp_path / "lab.rc"
    script.write_text("port/setnumports 8\n")
    done = tarr_steps("import", str(script))
    assert 'mode = "routed"' in done.out
    assert "ports = 8" in done.out
    assert [method for method, _given in daemon.calls] == ["Export"]
    alone = tarr_steps("import", str(script), "--address", "10.7.7.1/24")
    assert 'address = "10.7.7.1/24"' in alone.out
    assert 'mode = "nat"' in alone.out
    assert len(daemon.calls) == 1


@pytest.mark.parametrize("words, status, said", [
    (("import",), 2, "missing argument"),
    (("import", "/nowhere/x"), 1, "cannot read /nowhere/x: No such file"),
    (("import", "FILE", "--from", "docker"), 2, "expected one of vde, lxc-net, libvirt"),
    (("import", "FILE", "--from", "libvirt"), 2, "FILE:1: "),
    (("import", "FILE", "--address", "8.8.8.8/24"), 2, "private"),
    (("import", "FILE", "--segment", "Lab"), 2, "segment name"),
])
def test_what_is_refused(tarr_steps: TarrSteps, lxc: Path, words: tuple[str, ...], status: int, said: str) -> None:
    done = tarr_steps(*(word.replace("FILE", str(lxc)) for word in words))
    assert (done.status, done.out) == (status, "")
    assert said.replace("FILE", str(lxc)) in done.err
    assert "Traceback" not in done.err

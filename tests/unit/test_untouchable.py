"""The barrier around the unit tests holds."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("touch", (
    lambda: subprocess.run(["true"], check=False),
    lambda: os.system("true"),
    lambda: os.posix_spawn("/bin/true", ["true"], os.environ),
    lambda: os.kill(os.getpid(), 0),
    lambda: socket.socket(socket.AF_INET),
    lambda: socket.socket(socket.AF_UNIX).connect("/run/vdenet/control"),
    lambda: Path("/run/vdenet-unit-test").write_text(""),
), ids=("run", "system", "spawn", "kill", "inet", "connect", "write"))
def test_a_unit_test_cannot_touch_the_machine(touch: Callable[[], object]) -> None:
    with pytest.raises(BaseException, match="subprocess|os[.]|socket[.]|open") as caught:
        touch()
    assert not isinstance(caught.value, Exception)


def test_but_may_use_its_own_directory_and_a_socket_pair(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")
        assert right.recv(1) == b"x"

"""vdenetd that ends as by kill -9 at a chosen point; runs inside a machine.

A point is each step of a plan, and each change to the machine within a step, in the daemon's own process. While
the file of the first argument exists, each point counts the number in it down, and at 0 the daemon is killed.
The product has no hook for this but `Engine.on_step`; the rest is seen through Python's audit events.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from vdenet.daemon import engine
from vdenet.daemon.main import main

_TUN = range(0x400454C8, 0x400454D4)
_CHANGES = {"os.rename", "os.remove", "shutil.rmtree", "socket.bind", "socket.sendto"}


class Fuse:
    """Burns down while its file is there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._busy = False

    def point(self, what: str) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            self._burn(what)
        finally:
            self._busy = False

    def _burn(self, what: str) -> None:
        try:
            left = int(Path(self._path).read_text())
        except FileNotFoundError:
            return
        print(f"point {what}", file=sys.stderr, flush=True)
        if left == 0:
            os.unlink(self._path)
            os.kill(os.getpid(), signal.SIGKILL)
        Path(self._path).write_text(str(left - 1))

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in _CHANGES or (event == "fcntl.ioctl" and arguments[1] in _TUN):
            self.point(f"{event} {arguments[0]}")
        elif event == "subprocess.Popen":
            command = arguments[1]
            assert isinstance(command, list)
            if not {"list", "--check"} & {*command}:  # nft only looks then
                self.point(" ".join(command))


def start(fuse: Fuse) -> None:
    make = engine.Engine.__init__

    def made(self: engine.Engine, *arguments: object, **named: object) -> None:
        make(self, *arguments, **named)  # type: ignore[arg-type]
        self.on_step = fuse.point

    engine.Engine.__init__ = made  # type: ignore[assignment]
    sys.addaudithook(fuse.audit)


if __name__ == "__main__":
    start(Fuse(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))

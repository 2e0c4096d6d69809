"""What passes on an interface, seen by a raw socket in its network namespace."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from .frames import Frame

# Auxiliary data hold the VLAN tag that the kernel took off and whether the checksum is yet to come:
# struct tpacket_auxdata {u32 status, len, snaplen; u16 mac, net, vlan_tci, vlan_tpid}.
_WATCH = """
import socket, struct, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
raw.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
raw.bind((sys.argv[1], 3))
print('ready', flush=True)
while True:
    data, extra, _, sender = raw.recvmsg(70000, 256)
    status = tag = 0
    for level, kind, value in extra:
        if (level, kind) == (263, 8):
            status, _, _, _, _, tag, _ = struct.unpack('IIIHHHH', value[:20])
    seen = tag if status & 16 else -1
    print(int(sender[2] == 4), seen, int(bool(status & 8)), data.hex(), flush=True)
"""


class Sniffer:
    """A context: frames seen between its start and `stop()` or its end."""

    def __init__(self, pid: int, interface: str) -> None:
        self.pid = pid
        self.interface = interface
        self.frames: list[Frame] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def __enter__(self) -> Sniffer:
        self._process = subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "-n", sys.executable, "-c", _WATCH, self.interface],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if self._process.stdout.read(6) != b"ready\n":
            raise RuntimeError(f"cannot watch {self.interface}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    def look(self, seconds: float = 0.3) -> list[Frame]:
        """All frames so far, after `seconds` in which more may come."""
        self._read(time.monotonic() + seconds, lambda frame: False)
        return self.frames

    def wait(self, wanted: Callable[[Frame], bool], seconds: float = 10) -> Frame:
        """The first frame that is wanted, among those seen or to come."""
        for frame in self.frames:
            if wanted(frame):
                return frame
        found = self._read(time.monotonic() + seconds, wanted)
        if found is None:
            raise AssertionError(f"no such frame on {self.interface} within {seconds} s, "
                                 f"{len(self.frames)} others")
        return found

    def stop(self) -> list[Frame]:
        """End it, and give all that it saw."""
        if self._process is not None:
            self.look(0.2)
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
        return self.frames

    def _read(self, deadline: float, wanted: Callable[[Frame], bool]) -> Frame | None:
        assert self._process is not None and self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([pipe], [], [], left)[0]:
                break
            data = os.read(pipe, 1 << 20)
            if not data:
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            found = None
            for line in lines:
                outgoing, vlan, partial, raw = line.split()
                frame = Frame(bytes.fromhex(raw.decode()), outgoing == b"1",
                              int(vlan) & 0xFFF if int(vlan) >= 0 else None, partial == b"1")
                self.frames.append(frame)
                if found is None and wanted(frame):
                    found = frame
            if found is not None:
                return found
        return None


def process_in(namespace: str) -> int:
    """A process of this machine in the network namespace that a guest calls `net:[…]`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "ns/net") == namespace:
                    return int(entry.name)
            except OSError:
                continue
    raise LookupError(f"no process in {namespace}")

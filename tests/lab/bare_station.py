"""Runs in the emulated machine: guests that hold a tap or a VDE port, and ears in every network.

    bare_station.py tap PORT MAC            hold the tap PORT as a hypervisor does, for an eth0 in a network of its own
    bare_station.py vde URL USER [MAC]      the same with vde_plug, as USER
    bare_station.py hear STATION=PID …      a word from each station to all, and who has heard what, as JSON
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable

TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x1002
CLONE_NEWNET = 0x40000000
ETH_P_ALL, OUTGOING = 3, 4
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 1 << 4
"""packet(7) and linux/if_packet.h: the kernel has taken a tag off before we see the frame, and says so beside it."""
PROTOCOL = b"\x88\xb5"  # IEEE 802: local experiments
WORD = b"vdenet lab: "
QUIET = 3.0
"""Seconds without a word after which no more is expected."""


def tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    return fd


def hold(port: str, mac: str) -> None:
    outer = tap(port)
    _leave()
    inner = tap("eth0")
    subprocess.run(["ip", "link", "set", "eth0", "address", mac, "up"], check=True)
    while True:
        for fd in select.select([outer, inner], [], [])[0]:
            os.write(inner if fd == outer else outer, os.read(fd, 65536))


def plug(url: str, user: str, *mac: str) -> None:
    _leave()
    subprocess.run(["ip", "tuntap", "add", "eth0", "mode", "tap", "user", user], check=True)
    subprocess.run(["ip", "link", "set", "eth0", *(("address", *mac) if mac else ()), "up"], check=True)
    sys.exit(subprocess.run(["runuser", "-u", user, "--", "vde_plug", url, "tap://eth0"], check=False).returncode)


class Station:
    """A socket on an interface in the network of a process. What it hears: `[tag or 0, word]`."""

    def __init__(self, name: str, pid: str) -> None:
        self.name = name
        self.interface = name.partition(":")[2] or "eth0"
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        if pid:
            _enter(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY))
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self.socket.bind((self.interface, ETH_P_ALL))
            self.mac = self.socket.getsockname()[4]
        finally:
            _enter(home)
        self.heard: set[tuple[int, str]] = set()

    def say(self, word: str, tags: str = "") -> None:
        """A broadcast behind tags such as `33` or `q33.44`; q: the outer one is a service tag (802.1ad)."""
        header = b""
        for number, tag in enumerate(tags.lstrip("q").split(".") if tags else ()):
            header += (b"\x88\xa8" if tags[0] == "q" and not number else b"\x81\x00") + struct.pack("!H", int(tag))
        self.socket.send(b"\xff" * 6 + self.mac + header + PROTOCOL + WORD + word.encode() + b"\0" * 46)

    def listen(self) -> bool:
        data, beside, _flags, where = self.socket.recvmsg(2048, 64)
        begins = data.find(WORD)
        if begins < 0 or where[2] == OUTGOING:
            return False
        tag = 0
        for level, kind, value in beside:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, tci = struct.unpack_from("=I12xH", value)
                tag = tci & 0xFFF if status & VLAN_VALID else 0
        self.heard.add((tag, data[begins + len(WORD):].split(b"\0")[0].decode()))
        return True


def _leave() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


def _enter(fd: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def hear(forged: str, *words: str) -> None:
    """Each says its name, and then behind each of the `forged` tags, separated by commas, `NAME>TAGS`."""
    stations = [Station(*word.rsplit("=", 1)) for word in words]
    by_socket = {station.socket: station for station in stations}
    for tags in ("", "", *(forged.split(",") if forged else ())):  # the first frame teaches the bridges where it is
        for station in stations:
            # The host's own are the host.
            if not tags or not station.name.startswith(":"):
                station.say(f"{station.name}>{tags}" if tags else station.name, tags)
        end = time.monotonic() + (QUIET if not tags else 0.5)
        while (left := end - time.monotonic()) > 0:
            for ready in select.select(by_socket, [], [], left)[0]:
                if by_socket[ready].listen():
                    end = time.monotonic() + (QUIET if not tags else 0.5)
    end = time.monotonic() + QUIET
    while (left := end - time.monotonic()) > 0:
        for ready in select.select(by_socket, [], [], left)[0]:
            by_socket[ready].listen()
    print(json.dumps({station.name: sorted(station.heard) for station in stations}))


if __name__ == "__main__":
    DOES: dict[str, Callable[..., None]] = {"tap": hold, "vde": plug, "hear": hear}
    DOES[sys.argv[1]](*sys.argv[2:])

"""What systemd tells a service and wants to hear from it (sd_notify(3), sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket

_FIRST_FD = 3


def ready() -> None:
    """Say that the service is up; without systemd there is nobody to tell."""
    _send("READY=1")


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(message.encode())


def listener() -> socket.socket | None:
    """The socket that systemd listens on for us, when there is one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_FIRST_FD, False)
    return socket.socket(fileno=_FIRST_FD)

"""Frames between a tap and a UDP tunnel of one guest.

Theory. VirtualBox's driver listens on every address of the host, takes what anybody sends, and lets others
share its port (SO_REUSEADDR). So:

* What goes in. Datagrams are taken only from the guest's port, to which our socket is connected, and the
  segment's packet filter lets only the guest's account send to ours, only us send to the guest's, and nothing
  to either from outside.
* What goes out must reach the guest's account and nobody else. A second socket of ours, the bolt, is bound to
  the guest's port and connected elsewhere, so that it receives nothing. While it does not share the port,
  nobody can bind to it any more: with the bolt closed, the kernel is asked who has the port; if it is the
  guest's account, it stays so, and frames flow. Once the guest is gone, the bolt is opened for it to come back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

from vdenet.relay.receiver import Receivers

HOST = "127.0.0.1"
LOOK_SECONDS = 0.2
GONE_SECONDS = 0.05
"""How soon a guest that has let its port go can have it again."""
RETRY_SECONDS = 1.0
_FRAME = 65536
# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x0002 | 0x1000


class Relay:
    """One guest's; `run` ends when the tap is gone."""

    def __init__(self, tap: str, here: tuple[str, int], guest_port: int, uid: int) -> None:
        """`here` is our own end, `uid` the account of the guest's. Raises OSError."""
        self._uid = uid
        self._here = here
        self._guest = (HOST, guest_port)
        self._receivers = Receivers()
        with contextlib.ExitStack() as stack:
            self._socket = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._socket.bind(here)
            self._socket.connect(self._guest)
            self._socket.setblocking(False)
            self._bolt = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._open_bolt()
            self._bolt.bind(self._guest)
            # From here on it receives from this address only, which is our own and sends nothing to it.
            self._bolt.connect((here[0], guest_port))
            self._tap = _open_tap(tap)
            stack.pop_all()
        self._flows = False

    def run(self) -> None:
        """Relay until the tap is gone. Raises OSError."""
        looked = 0.0
        poll = select.poll()
        poll.register(self._tap, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        while True:
            now = time.monotonic()
            pause = GONE_SECONDS if self._flows else LOOK_SECONDS
            if now - looked >= pause:
                looked = now
                self._look()
            for fd, events in poll.poll(pause * 1000):
                if fd == self._tap:
                    if not self._from_tap():
                        return
                elif events:
                    self._from_guest()

    def _look(self) -> None:
        """Let frames flow, or stop them, by who has the guest's port."""
        if self._flows:
            if self._receivers.uid(self._here, self._guest) != self._uid:
                self._flows = False
                self._open_bolt()
            return
        if self._receivers.uid(self._here, self._guest) is None:
            return
        self._close_bolt()
        if self._receivers.uid(self._here, self._guest) == self._uid:
            self._flows = True
        else:
            self._open_bolt()

    def _open_bolt(self) -> None:
        self._bolt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def _close_bolt(self) -> None:
        self._bolt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def _from_tap(self) -> bool:
        """A frame to the guest; False when the tap is gone."""
        try:
            frame = os.read(self._tap, _FRAME)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno == errno.EIO:  # it is down
                time.sleep(LOOK_SECONDS)
                return True
            return False
        if frame and self._flows:
            try:
                self._socket.send(frame)
            except ConnectionRefusedError:
                self._look()  # nobody listens any more
            except OSError:
                pass  # no room: as on any wire
        return True

    def _from_guest(self) -> None:
        try:
            frame = self._socket.recv(_FRAME)
        except OSError:
            return
        if self._flows and frame:
            with contextlib.suppress(OSError):
                os.write(self._tap, frame)


def main(argv: Sequence[str]) -> int:
    """TAP ADDRESS PORT GUEST-PORT UID. Tries again while the ports are another's."""
    tap, address, port, guest_port, uid = argv
    told = ""
    while True:
        try:
            relay = Relay(tap, (address, int(port)), int(guest_port), int(uid))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EBUSY):
                print(f"{tap}: {error}", file=sys.stderr)
                return 1
            if told != str(error):
                told = str(error)
                print(f"{tap}: {told}", file=sys.stderr, flush=True)
            time.sleep(RETRY_SECONDS)
            continue
        relay.run()
        return 0


def _open_tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP_NO_PI))
    except BaseException:
        os.close(fd)
        raise
    return fd


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

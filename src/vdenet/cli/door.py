"""Connect to a socket and hand the connection over: `python3 -I -m vdenet.cli.door SOCKET`.

`vdenet.cli.access` starts it through `sg`. Standard input is the socket to whoever asked: it gets the
connected socket, or the number of the error.
"""

from __future__ import annotations

import socket
import sys


def main(path: str, asked: socket.socket) -> None:
    """Connect to `path`, and answer on `asked`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5.0)
        try:
            sock.connect(path)
        except OSError as error:
            asked.send(str(error.errno or 0).encode())
        else:
            socket.send_fds(asked, [b"connected"], [sock.fileno()])


if __name__ == "__main__":
    main(sys.argv[1], socket.socket(fileno=0))

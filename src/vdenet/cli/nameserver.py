"""One DNS question to one server: does the segment's own DNS answer?

`socket.getaddrinfo` would ask the host's resolver instead, which may or may not lead here.
"""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address

from vdenet.i18n import _
from vdenet.text import dnsquery


class NoAnswer(Exception):
    """The server said nothing, or nothing that can be understood; the text says which."""


def addresses(server: str, name: str, seconds: float = 2.0, port: int = 53) -> list[IPv4Address]:
    """The A records of `name` as `server` has them; none when it knows none. Raises `NoAnswer`."""
    number = int.from_bytes(os.urandom(2), "big")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect((server, port))
            sock.send(dnsquery.query(name, number))
            found = dnsquery.addresses(sock.recv(4096), number)
        except TimeoutError:
            raise NoAnswer(_("no answer within {seconds} s").format(seconds=round(seconds))) from None
        except OSError as error:
            raise NoAnswer(error.strerror or str(error)) from None
    if found is None:
        raise NoAnswer(_("that is no DNS server"))
    return found

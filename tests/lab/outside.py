"""The internet, as far as a test needs it: a network namespace behind an uplink of a machine.

It has the address .1 of a network for benchmarks (dnsmasq takes those for documentation for private
ones, and answers with them for rebinding). It answers DNS (every name under `example` is its own
address) and HTTP: /whoami says who asks, /file sends a large body, /sum its SHA-256, and the rest is
what lies in the directory `www`.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import ipaddress
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

NAME = "mirror.example"
SIZE = 2_000_000


class Outside:
    """A context: an uplink `interface` in the network namespace of the process `pid`.

    With `default`, it is the machine's default route.
    """

    def __init__(self, pid: int, interface: str = "eth0", network: str = "198.18.1.0/24",
                 default: bool = True) -> None:
        self.machine = pid
        self.interface = interface
        self.network = ipaddress.IPv4Network(network)
        self.address = str(self.network[1])
        self.uplink = str(self.network[2])
        self.name = NAME
        self.default = default
        self._children: list[subprocess.Popen[bytes]] = []
        self._directory = tempfile.TemporaryDirectory(prefix="outside-")
        self.www = Path(self._directory.name)

    @property
    def pid(self) -> int:
        """A process in the namespace outside."""
        return self._children[0].pid

    def run(self, *argv: str) -> str:
        """Run a command outside."""
        return self._in(self.pid, *argv)

    def __enter__(self) -> Outside:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End everything outside; its end of the cable goes with it, and so the uplink."""
        for child in reversed(self._children):
            child.kill()
            child.wait()
        self._children.clear()
        self._directory.cleanup()

    def _start(self) -> None:
        self._children.append(subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL))
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.pid}/ns/net") == own:
            time.sleep(0.01)
        size = self.network.prefixlen
        self._in(self.machine, "ip", "link", "add", self.interface, "type", "veth",
                 "peer", "name", "out0", "netns", str(self.pid))
        self._in(self.machine, "ip", "link", "set", self.interface, "up")
        self._in(self.machine, "ip", "addr", "add", f"{self.uplink}/{size}", "dev", self.interface)
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "set", "out0", "up")
        self.run("ip", "addr", "add", f"{self.address}/{size}", "dev", "out0")
        if self.default:
            self._in(self.machine, "ip", "route", "add", "default", "via", self.address)
        # No route back to what is behind the uplink: an answer proves NAT. Names under `internal` do
        # not exist here, as they do not for the root servers.
        self._serve("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                    "--no-hosts", "--bind-interfaces", f"--listen-address={self.address}",
                    f"--address=/example/{self.address}", "--local=/example/", "--local=/internal/",
                    "--pid-file=", "--user=root",
                    "--log-facility=-")
        self._serve(sys.executable, __file__, self.address, str(self.www))
        for port in (53, 80):
            self._wait(port)

    def _serve(self, *argv: str) -> None:
        self._children.append(subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "-n", *argv], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if f":{port} " in self.run("ss", "-Hltn"):
                return
            time.sleep(0.05)
        raise RuntimeError(f"nothing listens outside on port {port}")

    @staticmethod
    def _in(pid: int, *argv: str) -> str:
        return subprocess.run(["nsenter", "-t", str(pid), "-n", *argv], check=True, text=True,
                              capture_output=True, timeout=60).stdout


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET


class _Answers(http.server.SimpleHTTPRequestHandler):
    body = (b"0123456789abcdef" * (SIZE // 16 + 1))[:SIZE]

    def do_GET(self) -> None:
        answers = {"/whoami": str(self.client_address[0]).encode(), "/file": self.body,
                   "/sum": hashlib.sha256(self.body).hexdigest().encode()}
        body = answers.get(self.path)
        if body is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    _Server((sys.argv[1], 80), functools.partial(_Answers, directory=sys.argv[2])).serve_forever()

"""The gate: programs that speak VDE connect here, and are plugged into the switch as who they are.

Theory. vde_switch lets in whoever reaches its socket, and takes the owner of the file that a client names for the
client. So a client without such a file could take any port, the bridge's with all VLANs too; one with another's file
was that other; and a file of an account without a name (of a user namespace) overran a buffer of the switch.
Therefore the switch's own socket is in a directory where only its account may connect, and this program, of that
account, is in between:

* It asks the kernel who connects (SO_PEERCRED, unix(7)) and the account database whether he is a member.
* The client's socket has to be his own. It is passed on as what was looked at, not as the name that it had then:
  by this process's descriptor in /proc.
* What the client says of itself follows what the kernel says, and has no line ends.
* A connection stands for the port: when either end closes it, so does the gate, and the switch frees the port.

Frames do not come this way: the switch and its client exchange them through sockets of their own.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import resource
import selectors
import socket
import stat
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vdenet.gate import request
from vdenet.gate.request import BadRequest, Request

PATIENCE_SECONDS = 5.0
"""How long a client may take to say what it wants, and the switch to answer."""
START_SECONDS = 8.0
MAX_LINES = 1000
"""That it says of clients who are not let in."""
LOOK_SECONDS = 2.0
"""How often it looks whether its socket is still there."""
MAX_WAITING = 64
"""Connections of one account that have no port yet: many machines may be started at once."""
BRIDGE_PORT = 1
"""Of the switch: the way to the bridge."""
DIRECTORY_MODE = 0o3770
"""Members may put their reply sockets into the control directory, where the switch surely sees them, but the sticky
bit keeps them from removing the gate's own socket or each other's."""
_ELSEWHERE = (Path("/run"), Path("/var/run"), Path("/var/tmp"), Path("/tmp"))
"""Where libvdeplug puts its socket when it cannot put it into the control directory."""


class Refusal(Exception):
    """A client is not plugged in; the text says why."""


@dataclass(eq=False, slots=True)
class Client:
    """A connection, and where it is passed on to."""

    here: socket.socket
    pid: int
    uid: int
    since: float
    there: socket.socket | None = None
    """The connection to the switch, once the client has said what it wants."""
    file: int | None = None
    """The client's own socket, until the switch has answered."""
    joined: bool = False


class Gate:
    """One switch's; `run` never ends."""

    def __init__(self, front: Path, switch: Path, most: int, group: str, plugs: str) -> None:
        """`front` is the directory for clients, `switch` the switch's own, `most` how many ports it has.

        `group` is the members', `plugs` the account of our own plugs. Raises OSError.
        """
        self._front, self._switch = front, switch
        self._most = most
        self._gid = grp.getgrnam(group).gr_gid
        self._ours = {0, os.getuid(), pwd.getpwnam(plugs).pw_uid}
        self._clients: set[Client] = set()
        self._said = 0.0
        self._left = MAX_LINES
        self._selector = selectors.DefaultSelector()
        self._listener = self._listen()

    def run(self) -> None:
        """Let clients in for as long as the program runs."""
        while True:
            for key, _events in self._selector.select(LOOK_SECONDS):
                if key.data is None:
                    self._accept()
                elif key.data in self._clients:
                    self._go_on(key.data, key.fileobj)
            late = time.monotonic() - PATIENCE_SECONDS
            for client in [one for one in self._clients if not one.joined and one.since < late]:
                self._end(client)
            if not (self._front / "ctl").exists():
                # Somebody has removed it. Who is plugged in stays so.
                with contextlib.suppress(OSError):
                    removed, self._listener = self._listener, self._listen()
                    self._selector.unregister(removed)
                    removed.close()

    def _listen(self) -> socket.socket:
        front = self._front
        front.mkdir(mode=0o700, exist_ok=True)
        os.chown(front, -1, self._gid)
        # A program that is asked for port N looks first for a socket of that name: nobody shall put one there.
        for port in range(self._most):
            with contextlib.suppress(FileExistsError):
                os.close(os.open(front / str(port), os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(str(front / "ctl"))
        os.chown(front / "ctl", -1, self._gid)
        os.chmod(front / "ctl", 0o660)
        listener.listen(64)
        os.chmod(front, DIRECTORY_MODE)
        self._selector.register(listener, selectors.EVENT_READ)
        return listener

    def _accept(self) -> None:
        try:
            here, _address = self._listener.accept()
        except OSError:
            time.sleep(0.1)  # no descriptor is free: it would be asked again at once
            return
        here.setblocking(False)
        pid, uid, _gid = struct.unpack("iII", here.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        client = Client(here, pid, uid, time.monotonic())
        try:
            self._require_room(uid)
        except Refusal as refusal:
            self._say(client, refusal)
            here.close()
            return
        self._clients.add(client)
        self._selector.register(here, selectors.EVENT_READ, client)

    def _require_room(self, uid: int) -> None:
        if len(self._clients) >= self._most + 4 * MAX_WAITING:
            raise Refusal("too many connections")
        his = [client for client in self._clients if client.uid == uid]
        if uid not in self._ours and len(his) >= self._most * 3 // 4:
            raise Refusal("too many ports of one account")
        if sum(not client.joined for client in his) >= MAX_WAITING:
            raise Refusal("too many connections without a port")

    def _go_on(self, client: Client, ready: object) -> None:
        try:
            if ready is client.there:
                self._answered(client)
            else:
                self._asked(client)
        except (Refusal, BadRequest) as refusal:
            self._say(client, refusal)
            self._end(client)
        except OSError as error:
            if not client.joined:
                self._say(client, error)
            self._end(client)

    def _asked(self, client: Client) -> None:
        raw = client.here.recv(request.LONGEST)
        if not raw or client.there is not None:
            self._end(client)  # a client says one thing only
            return
        self._require_member(client.uid)
        wish = request.parse(raw)
        if wish.port == BRIDGE_PORT or wish.port >= self._most:
            raise Refusal(f"no port {wish.port} for guests")
        name = wish.socket
        if wish.abstract:
            # The switch cannot tell whose it is, and would take such a client for any other one.
            if wish.port:
                raise Refusal(f"port {wish.port} is for who has a socket in the file system")
        else:
            client.file = self._own_socket(wish, client.uid)
            name = f"/proc/{os.getpid()}/fd/{client.file}".encode()
        there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.there = there
        self._close_way_past()
        there.settimeout(1.0)
        there.connect(str(self._switch / "ctl"))
        there.setblocking(False)
        there.send(request.compose(wish.port, name, wish.abstract, f"pid={client.pid} uid={client.uid} {wish.words}"))
        self._selector.register(there, selectors.EVENT_READ, client)

    def _answered(self, client: Client) -> None:
        assert client.there is not None
        answer = client.there.recv(request.LONGEST)
        if client.joined and answer:
            return
        if not answer:
            if not client.joined:
                raise Refusal("the switch has no such port for it")
            self._end(client)
            return
        self._forget_file(client)
        client.here.send(answer)
        client.joined = True

    def _require_member(self, uid: int) -> None:
        """The database decides, as for the daemon: who was taken out of the group is out at once."""
        if uid in self._ours:
            return
        try:
            account = pwd.getpwuid(uid)
        except KeyError:
            raise Refusal("there is no such account") from None
        if self._gid not in os.getgrouplist(account.pw_name, account.pw_gid):
            raise Refusal("not a member")

    def _own_socket(self, wish: Request, uid: int) -> int:
        """A descriptor of the client's socket, which nobody can make another file of."""
        path = Path(os.fsdecode(wish.socket))
        if path.parent not in (self._front, *_ELSEWHERE) or path.name == "..":
            raise Refusal("its socket is in another place")
        file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        found = os.fstat(file)
        if stat.S_ISSOCK(found.st_mode) and found.st_uid == uid:
            return file
        os.close(file)
        raise Refusal("the socket that it names is not its own")

    def _close_way_past(self) -> None:
        """Let members reach the switch's sockets for frames, and none but this account the one that makes ports.

        The switch makes them all with one mode, in a directory that only its account may enter, until now.
        """
        ctl = self._switch / "ctl"
        if ctl.stat().st_mode & 0o077:
            ctl.chmod(0o600)
        if self._switch.stat().st_mode & 0o777 != 0o710:
            self._switch.chmod(0o2710)

    def _end(self, client: Client) -> None:
        self._clients.discard(client)
        self._forget_file(client)
        for one in (client.here, client.there):
            if one is not None:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(one)
                one.close()

    @staticmethod
    def _forget_file(client: Client) -> None:
        if client.file is not None:
            os.close(client.file)
            client.file = None

    def _say(self, client: Client, why: object) -> None:
        """For who looks for the reason: a line, but no more than one each second, whoever asks how often, and no more
        in all than a small file holds."""
        if time.monotonic() - self._said < 1 or self._left == 0:
            return
        self._said = time.monotonic()
        self._left -= 1
        with contextlib.suppress(OSError):  # a full file system ends nobody's connection
            print(f"account {client.uid}, process {client.pid}: not plugged in: {why}", flush=True)


def main(argv: Sequence[str]) -> int:
    """FRONT SWITCH PORTS GROUP PLUGS: see `Gate`."""
    front, switch, most, group, plugs = argv
    until = time.monotonic() + START_SECONDS
    while not (Path(switch) / "ctl").exists():
        if time.monotonic() > until:
            print(f"there is no switch in {switch}", file=sys.stderr)
            return 1
        time.sleep(0.02)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Gate(Path(front), Path(switch), int(most), group, plugs).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

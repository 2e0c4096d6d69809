"""Every account of the host can take the ports of the UDP tunnels: then it is said who did."""

from __future__ import annotations

import pytest
from lab.daemon import Daemon
from lab.machine import Machine
from lab.peer import Peer
from vdenet.errors import Refused
from vdenet.model.tunnel import TUNNELS, guest_port

TAKE = """
import socket, sys
socks = []
for port in range(int(sys.argv[1]), int(sys.argv[2])):
    socks.append(socket.socket(socket.AF_INET6 if port % 2 else socket.AF_INET, socket.SOCK_DGRAM))
    socks[-1].bind(("::" if port % 2 else "127.0.0.1", port))
print("bound", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("who, hint", [
    ("nora", "join it another way, or have them end what holds the ports; ss -u -a shows them"),
    ("alice", "switch off a machine that has left one while it ran")])
def test_who_has_them_all(machine: Machine, daemon: Daemon, who: str, hint: str) -> None:
    with machine.popen(["python3", "-c", TAKE, str(guest_port(0)), str(guest_port(TUNNELS))], user=who,
                       stdin=-1) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "bound\n"
        with Peer(machine, "alice") as alice:
            with pytest.raises(Refused) as caught:
                alice.call("KeepTunnel", name="box", kind="virtualbox")
        holder.communicate(timeout=20)
    assert str(caught.value) == (
        f"cannot join: there is no UDP tunnel left: the ports from 29200 to 29455 are open in programs of {who} (256)")
    assert caught.value.data["hint"] == hint
    with Peer(machine, "alice") as alice:
        assert alice.call("KeepTunnel", name="box", kind="virtualbox")["guest_port"] in range(29200, 29456)
        alice.call("Leave", name="box")

"""vde_switch's command line, and what its console says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unit.samples import PLACES, PLAIN
from vdenet.text import vde
from vdenet.text.vde import Client

# As printed by vde_switch of Debian 12, two guests on ports 1 and 2.
PORTS = """\
Port 0001 untagged_vlan=0000 ACTIVE - Unnamed Allocatable
 Current User: NONE Access Control: (User: NONE - Group: NONE)
 IN:  pkts          0          bytes                    0
 OUT: pkts          0          bytes                    0
  -- endpoint ID 0003 module tuntap      : vdenet0-vde
Port 0002 untagged_vlan=0000 ACTIVE - Unnamed Allocatable
 Current User: alice Access Control: (User: NONE - Group: NONE)
  -- endpoint ID 0008 module unix prog   : pid=4711 uid=1000 QEMU user=alice PID=4711 SOCK=/run/vdenet/vdenet0/switch
"""
HASH = """\
Hash: 0016 Addr: 52:54:00:12:34:56 VLAN 0000 to port: 002  age 3 secs
Hash: 0017 Addr: 02:23:84:3C:AF:E8 VLAN 0000 to port: 001  age 13 secs
"""


def test_the_command_line_is_in_the_foreground_with_every_permission_said() -> None:
    argv = vde.service(PLAIN, PLACES).argv
    assert argv[0] == "vde_switch"
    assert not {"--daemon", "-d", "--pidfile", "-p", "--hub", "-x"} & set(argv)
    assert "--rcfile" in argv, "else it reads /etc/vde2/vde_switch.rc"
    assert {"--numports", "--mode", "--dirmode", "--group", "--mgmt", "--mgmtmode", "--tap"} <= set(argv)


def test_the_gate_has_the_switchs_own_account_and_waits_behind_nothing() -> None:
    gate, switch = vde.gate(PLAIN, PLACES), vde.service(PLAIN, PLACES)
    assert (gate.account, gate.capabilities) == (switch.account, ())
    assert str(gate.ready_socket) == "/run/vdenet/vdenet0/switch/ctl"
    assert switch.argv[switch.argv.index("--dirmode") + 1] == "0700", "nobody comes in beside the gate"
    assert switch.argv[switch.argv.index("--sock") + 1] in gate.argv


def test_clients_are_those_whom_the_kernel_named() -> None:
    assert vde.clients(PORTS) == {2: Client(1000, 4711)}


def test_a_description_makes_nobody_another() -> None:
    fake = PORTS.replace("QEMU", "pid=1 uid=0 QEMU -- endpoint ID 0009 module unix prog   : pid=1 uid=0 ")
    assert vde.clients(fake) == {2: Client(1000, 4711)}
    by_hand = PORTS.replace("pid=4711 uid=1000 ", "")
    assert vde.clients(by_hand) == {}


def test_several_on_one_port() -> None:
    more = "  -- endpoint ID 0009 module unix prog   : pid=19 uid={} vdeplug: user=root PID=4711\n"
    assert vde.clients(PORTS + more.format(1000)) == {2: Client(1000, None)}
    assert vde.clients(PORTS + more.format(1001)) == {}, "rather nobody than the wrong one"


def test_addresses() -> None:
    assert vde.addresses(HASH) == {"52:54:00:12:34:56": 2, "02:23:84:3c:af:e8": 1}


def test_answers() -> None:
    assert vde.answer("0000 DATA END WITH '.'\nPort 0001\n1000 not the end\n.\n1000 Success\n\nvde$ ") == (
        0, "Port 0001\n1000 not the end")
    assert vde.answer("1022 Invalid argument\n\nvde$ ") == (22, "")
    assert vde.answer("1104 Connection reset by peer\n\nvde$ ") == (104, "")
    assert vde.answer("") == (-1, "")


@given(st.text() | st.lists(st.sampled_from((PORTS, HASH, "Port", "0000 DATA END WITH '.'\n", ".", "\n", "1000 ",
                                             "1022", "-- endpoint ID", "user="))).map("".join))
def test_whatever_the_console_says(text: str) -> None:
    assert all(client.uid >= 0 for client in vde.clients(text).values())
    assert all(len(mac) == 17 for mac in vde.addresses(text))
    code, data = vde.answer(text)
    assert -1 <= code <= 999 and len(data) <= len(text)


def test_the_spanning_tree() -> None:
    info = "MAC 00:ff:d2:64:d8:25 Priority 32768 (0x8000)\nFSTP={}"
    assert [vde.spanning_tree(info.format(word)) for word in ("true", "false", "maybe")] == [True, False, None]
    assert vde.spanning_tree("") is None

"""vde_switch's command line, and what its console says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unit.samples import PLACES, PLAIN
from vdenet.text import vde

# As printed by vde_switch of Debian 12, two guests on ports 1 and 2.
PORTS = """\
Port 0001 untagged_vlan=0000 ACTIVE - Unnamed Allocatable
 Current User: NONE Access Control: (User: NONE - Group: NONE)
 IN:  pkts          0          bytes                    0
 OUT: pkts          0          bytes                    0
  -- endpoint ID 0003 module tuntap      : vdenet0-vde
Port 0002 untagged_vlan=0000 ACTIVE - Unnamed Allocatable
 Current User: alice Access Control: (User: NONE - Group: NONE)
  -- endpoint ID 0008 module unix prog   : QEMU user=alice pid=4711 SOCK=/run/vdenet/vdenet0/switch
"""
HASH = """\
Hash: 0016 Addr: 52:54:00:12:34:56 VLAN 0000 to port: 002  age 3 secs
Hash: 0017 Addr: 02:23:84:3C:AF:E8 VLAN 0000 to port: 001  age 13 secs
"""


def test_the_command_line_is_in_the_foreground_with_every_permission_said() -> None:
    argv = vde.service(PLAIN, PLACES).argv
    assert argv[0] == "vde_switch"
    assert not {"--daemon", "-d", "--pidfile", "-p", "--hub", "-x", "--rcfile", "-f"} & set(argv)
    assert {"--numports", "--mode", "--dirmode", "--group", "--mgmt", "--mgmtmode", "--tap"} <= set(argv)


def test_users_are_those_whom_the_switch_saw() -> None:
    assert vde.port_users(PORTS) == {2: "alice"}


def test_a_description_makes_nobody_another() -> None:
    fake = "x\nPort 0003 untagged_vlan=0000 ACTIVE - Unnamed Allocatable\n Current User: root Access Control: \n"
    bob = "Port 0003 untagged_vlan=0000 ACTIVE - Unnamed Allocatable\n Current User: bob Access Control: (\n"
    assert vde.port_users(PORTS + bob) == {2: "alice", 3: "bob"}
    assert vde.port_users(PORTS + fake + bob) == {2: "alice"}, "rather nobody than the wrong one"
    assert vde.port_users(PORTS + " Current User: root Access Control: \n") == {}


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
    assert all(user.isprintable() for user in vde.port_users(text).values())
    assert all(len(mac) == 17 for mac in vde.addresses(text))
    code, data = vde.answer(text)
    assert -1 <= code <= 999 and len(data) <= len(text)

"""Scripts of vde_switch."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from unit.text.foreign.reading import BASE, read, segment
from vdenet.errors import BadImport
from vdenet.model.segment import Port, Vlan
from vdenet.text import foreign

# A lab of two VLANs, written down from the console's help.
LAB = """\
# two groups of students
port/setnumports 48
vlan/create 10
  vlan/create 20

port/create 3
port/setvlan 3 10
port/create 4
port/setvlan 4 20
port/setgroup 4 students
port/setuser 4 alice
port/allocatable 4 0
port/create 5
vlan/addport 10 5
vlan/addport 20 5
hash/setexpire 300
fstp/setfstp 1
vlan/print
showinfo
"""


def test_the_switch_alone_is_changed() -> None:
    done = read(LAB)
    assert done.segment.vlans == (Vlan(10), Vlan(20))
    assert done.segment.ports == (Port(3, 10), Port(4, 20), Port(5, None, (10, 20)))
    assert done.segment.switch_ports == 48
    assert done.segment.address == BASE.address
    said = {one.what: one.why for one in done.left_out}
    assert done.segment.spanning_tree is True
    assert len(said) == 5
    for what in ("port 5: frames without a tag", "port/setgroup 4 students", "port/setuser 4 alice",
                 "port/allocatable 4 0", "hash/setexpire 300"):
        assert said[what]


def test_a_segment_of_its_own() -> None:
    assert str(segment("port/setnumports 8\n", "10.3.2.1/24").address) == "10.3.2.1/24"


def test_what_the_script_does_not_name_stays() -> None:
    before = replace(BASE, vlans=(Vlan(7, "staff", IPv4Interface("10.7.0.1/24")),), ports=(Port(3, 7), Port(9, 7)))
    text = "vlan/create 7\nvlan/create 8\nport/create 3\nport/setvlan 3 8\n"
    after = foreign.read("vde", text, "in", before).segment
    assert after.vlans == (before.vlans[0], Vlan(8))
    assert after.ports == (Port(9, 7), Port(3, 8))
    done = foreign.read("vde", "port/setnumports 8\nvlan/create 8\nport/create 3\n", "in", before)
    assert (done.segment.switch_ports, done.segment.ports) == (before.switch_ports, (Port(9, 7), Port(3)))
    assert [(one.what, "from 2 to 7" in one.why) for one in done.left_out] == [("port/setnumports 8", True)]


def test_ports_of_all_kinds() -> None:
    done = read("""vlan/create 1\nvlan/create 5\nvlan/create 6\nport/create 1\nport/create 2\nport/create 3
port/create 4\nport/create 99\nport/setvlan 2 4095\nport/setvlan 3 4095\nvlan/addport 5 3\nport/setvlan 4 5
vlan/addport 6 4\n""")
    assert done.segment.vlans == (Vlan(5), Vlan(6))
    assert done.segment.ports == (Port(3, None, (5,)), Port(4, 5), Port(99))
    assert done.segment.switch_ports == 100
    assert [one.what for one in done.left_out] == [
        "vlan/create 1", "port/create 1", "port/create 2", "vlan/addport 6 4"]


@pytest.mark.parametrize("line, why", [
    ("port/setvlan 9 0", "port 9 has not been created"),
    ("port/setvlan 2 7", "VLAN 7 has not been created"),
    ("vlan/addport 7 2", "VLAN 7 has not been created"),
    ("vlan/addport 7 9", "port 9 has not been created"),
    ("vlan/delport 7 2", "not in this VLAN"),
    ("vlan/create 4094", "from 1 to 4093"),
    ("vlan/create 0", "from 1 to 4093"),
    ("vlan/remove 7", "VLAN 7 has not been created"),
    ("port/remove 9", "port 9 has not been created"),
    ("port/create 0", "any port that is free"),
    ("port/setnumports 5000", "2 to 1024"),
    ("port/sethub 1", "never a hub"),
    ("plugin/add pdump.so", "no plugins"),
    ("load /etc/vde2/more.rc", "by itself"),
    ("pdump/active 1", "no command that is known"),
])
def test_what_is_left_out(line: str, why: str) -> None:
    left_out = {one.line: one for one in read(f"port/create 2\n{line}\n").left_out}
    assert left_out[2].what == line
    assert why in left_out[2].why


@pytest.mark.parametrize("line", [
    "vlan/create", "vlan/create x", "vlan/create 1 2", "port/setvlan 3", "port/setvlan 3 -1", "port/setvlan 3 0x10",
    "vlan/create 010",
])
def test_bad_numbers(line: str) -> None:
    with pytest.raises(BadImport) as raised:
        read(f"# a script\n{line}\n")
    assert raised.value.data["where"] == "in:2"
    assert "expected" in str(raised.value)


@pytest.mark.parametrize("text", ["", "hello\n", "address = '10.1.1.1/24'\n", "\x00\xff"])
def test_what_it_is_cannot_be_told(text: str) -> None:
    with pytest.raises(BadImport, match="cannot import in: it is no script") as raised:
        read(text)
    assert raised.value.data["hint"] == "--from says which it is"

"""Who hears whom in VLANs across the bridge and the VDE switch, and who notices when they change.

The guests are not put back between the tests: one machine is told of VLANs, of others, and of none again.
"""

from __future__ import annotations

import re

import pytest
from lab.bare import LONG, SWITCH, Lab

VLANS = """
[[vlan]]
id = 33
name = "students"
address = "10.33.0.1/24"

[[vlan]]
id = 44

[[vlan]]
id = 55

[[port]]
number = 5
vlan = 33

[[port]]
number = 6
trunk = [33, 44]

[[host]]
name = "router"
trunk = [33, 44]
"""
OWN = 1
"""The segment's own network."""
UNTAGGED = {"veth1": OWN, "plug1": OWN, "tap1": OWN, "router": OWN, ":vdenet0": OWN,
            "veth33": 33, "tap33": 33, "plug5": 33, "own33": 33, ":vdenet0.33": 33,
            "plug6:eth0.33": 33, "router:eth0.33": 33,
            "veth44": 44, "plug6:eth0.44": 44, "router:eth0.44": 44, "veth55": 55}
"""Where each is without a tag; `plug6` is nowhere."""
TAGGED = {"plug6": {33, 44}, "router": {33, 44}, ":vdenet0": {33}}
"""What each gets with a tag."""
FORGED = ("33", "44", "55", "0", "1", "33.44", "1.33", "0.33", "33.33", "q33.44", "q44")


@pytest.fixture(scope="module")
def plain(lab: Lab) -> str:
    """The segment's file as the installation wrote it."""
    return lab.run("cat /etc/vdenet/vdenet0.toml")


@pytest.fixture(scope="module")
def coming(lab: Lab, plain: str) -> dict[str, str]:
    """Two guests that know nothing of VLANs, on a veth and behind the switch: their addresses; how all was before the
    segment had VLANs, and how many packets of theirs were lost when it got them."""
    found = lab.veths({"veth1": ()})
    lab.plug("plug1")
    found["plug1"] = lab.dhcp("plug1")
    assert found["plug1"]
    found["state"] = lab.state()
    lab.ping("veth1", found["plug1"])
    lab.ping("plug1", found["veth1"])
    lab.apply(plain + VLANS)
    found["lost"] = str(lab.lost("veth1", "plug1"))
    return found


@pytest.fixture(scope="module")
def guests(lab: Lab, coming: dict[str, str]) -> dict[str, str]:
    """One of each kind in each VLAN; the addresses of those that have one."""
    found = dict(coming)
    # Three that ask for no number before anybody asks for 5: they get others.
    for _each in range(3):
        lab.run(f"runuser -u bob -- vde_plug vde://{SWITCH} 'cmd://sleep 100000' </dev/null >/dev/null 2>&1 &")
    found |= lab.veths({"veth33": ("--vlan", "33"), "veth44": ("--vlan", "44"), "veth55": ("--vlan", "55"), "router": ()})
    lab.tap("tap33", "--vlan", "33")
    lab.tap("tap1")
    lab.until("test $(python3 /run/lab/ask port/allprint | grep -c '^Port .* ACTIVE ') -ge 5")
    found["without a number"] = lab.ask_switch("port/allprint")
    lab.plug("plug5", 5)
    lab.plug("plug6", 6)
    own = lab.tarr("join", "qemu", "--name", "own33", "--vlan", "33", "--print")
    assert own["vlan"] == 33 and f"port={own['vde_port']}" in own["arguments"][1]
    lab.plug("own33", own["vde_port"], own["mac"])
    for name in ("plug6", "router"):
        for vlan in (33, 44):
            lab.inside(name, f"ip link add link eth0 name eth0.{vlan} type vlan id {vlan}")
            lab.inside(name, f"ip link set eth0.{vlan} up")
    return found


def _separate(heard: dict[str, set[tuple[int, str]]], untagged: dict[str, int], tagged: dict[str, set[int]]) -> None:
    """Each heard everybody of its VLANs, and nobody heard anything out of a VLAN in which it is not."""
    for one, words in heard.items():
        own = {untagged[one]} if one in untagged else set[int]()
        for other in heard:
            if other.partition(":")[0] == one.partition(":")[0]:
                continue  # nobody hears himself
            vlan = untagged.get(other)
            as_said = {tag for tag, word in words if word == other}
            assert as_said == ({0} if vlan in own else {vlan} & tagged.get(one, set())), (one, other)
            if not {vlan, *tagged.get(other, set())} & (own | tagged.get(one, set())):
                assert not [word for _tag, word in words if word.startswith(f"{other}>")], (one, other, words)
        for _tag, word in words:
            name, _arrow, forged = word.partition(">")
            if forged.isdigit() and ":" not in name:
                assert int(forged) in {0, untagged.get(name)} | tagged.get(name, set()), (one, word)


def test_nobody_lost_a_packet_when_the_vlans_came(coming: dict[str, str]) -> None:
    assert coming["lost"] == str({"veth1": 0, "plug1": 0})


def test_everything_is_as_it_should_be(lab: Lab, guests: dict[str, str]) -> None:
    assert lab.tarr("apply", "--check", "/tmp/wished.toml")["steps"] == []
    assert [one for one in lab.tarr("check")["findings"] if one["severity"] == "error"] == []


def test_who_hears_whom(lab: Lab, guests: dict[str, str]) -> None:
    """On a tap, a veth, the VDE switch and the host itself; and no forged tag gets anybody anywhere."""
    _separate(lab.heard([*UNTAGGED, "plug6"], FORGED), UNTAGGED, TAGGED)


def test_dhcp_and_dns_of_a_vlan(lab: Lab, guests: dict[str, str]) -> None:
    own = guests["veth1"].rpartition(".")[0]
    assert guests["plug1"].startswith(f"{own}.") and guests["router"].startswith(f"{own}.")
    assert guests["veth33"].startswith("10.33.0.")
    for name, interface in (("plug5", "eth0"), ("tap33", "eth0"), ("own33", "eth0"),
                            ("plug6", "eth0.33"), ("router", "eth0.33")):
        assert lab.dhcp(name, interface).startswith("10.33.0."), name
    assert "10.33.0.1" in lab.inside("veth33", "busybox nslookup students.vdenet.internal 10.33.0.1")
    assert guests["veth33"] in lab.inside("plug5", "busybox nslookup veth33.vdenet.internal 10.33.0.1")
    lab.inside("plug5", f"ping -c 1 -W 20 {guests['veth33']}")
    lab.inside("router", f"ping -c 1 -W 20 -I eth0.33 {guests['veth33']}")


def test_a_vlan_without_an_address_has_no_dhcp(lab: Lab, guests: dict[str, str]) -> None:
    """A command runs there all the same."""
    assert guests["veth44"] == guests["veth55"] == ""
    assert lab.dhcp("plug6", "eth0.44", patience=12) == ""


def test_list_says_where_they_are(lab: Lab, guests: dict[str, str]) -> None:
    there = {guest["name"]: guest for guest in lab.tarr("list")["segments"][0]["guests"]}
    assert (there["veth33"]["vlan"], there["tap33"]["vlan"], there["veth44"]["vlan"]) == (33, 33, 44)
    assert (there["own33"]["vlan"], there["own33"]["via"]) == (33, "vde")
    assert (there["veth1"]["vlan"], there["router"]["vlan"]) == (None, None)


def test_nobody_gets_a_reserved_port_by_chance(guests: dict[str, str]) -> None:
    active = {int(number) for number in re.findall(r"(?m)^Port (\d+) .* ACTIVE ", guests["without a number"])}
    assert len(active) == 5 and not active & {5, 6}, "the tap, plug1 and three more"


def test_a_port_of_its_own_is_for_its_owner(lab: Lab, guests: dict[str, str]) -> None:
    """The switch gives no answer to another member, and vde_plug waits for it."""
    own = lab.tarr("join", "qemu", "--name", "mine33", "--vlan", "33", "--print")["vde_port"]
    said = lab.run(f"runuser -u bob -- timeout 10 vde_plug 'vde://{SWITCH}[{own}]' 'cmd://sleep 100' >/dev/null 2>&1 & "
                   f"sleep 5; python3 /run/lab/ask 'port/allprint {own}'; wait")
    assert f"Port {own:04} untagged_vlan=0033 INACTIVE " in said, said
    lab.plug("mine33", own)
    assert f"Port {own:04} untagged_vlan=0033 ACTIVE " in lab.ask_switch(f"port/allprint {own}")
    assert lab.tarr("join", "qemu", "--print", "--name", "mine33")["vlan"] is None
    assert f"Port {own:04} untagged_vlan=0001 INACTIVE " in lab.ask_switch(f"port/allprint {own}"), "unplugged first"
    lab.end("mine33")
    own = lab.tarr("join", "qemu", "--print", "--name", "mine33", "--vlan", "33")["vde_port"]
    lab.plug("mine33", own)
    assert lab.tarr("leave", "qemu", "mine33")["left"]
    assert f"Port {own:04} untagged_vlan=0001 INACTIVE " in lab.ask_switch(f"port/allprint {own}"), "unplugged first"
    lab.end("mine33")


def test_a_vlan_that_is_not_declared_is_refused(lab: Lab, guests: dict[str, str]) -> None:
    said = lab.machine.try_("runuser -u alice -- tarr-steps join run --vlan 34 -- true", timeout=400)
    assert said.code == 2 and "vdenet0 has the VLANs 33, 44, 55" in said.output


def test_the_port_of_another_hypervisors_is_moved_by_its_guest_alone(lab: Lab, plain: str) -> None:
    """A tap that stands for libvirt's, whose MAC is the guest's but for the first octet."""
    host = '\n[[host]]\nname = "domain"\nvlan = 33\n'
    lab.run("ip tuntap add vnet0 mode tap && ip link set vnet0 address fe:54:00:aa:bb:cc master vdenet0 up")
    try:
        join = ("join", "qemu", "--print", "--name")
        lab.apply(plain + VLANS)
        assert lab.tarr(*join, "mine", "--mac", "52:54:00:aa:bb:cc", "--vlan", "33")["vlan"] == 33
        assert lab.vlans_of("vnet0") == {1}, "by the kernel it is nobody's, so a member's word moves it nowhere"
        lab.tarr("leave", "qemu", "mine")
        assert lab.tarr(*join, "domain", "--mac", "52:54:00:aa:bb:cc")["vlan"] is None
        lab.apply(plain + VLANS + host)
        assert lab.vlans_of("vnet0") == {33}
        near = "56:54:00:aa:bb:cc"
        lab.write("/tmp/stolen.toml", f'{plain}{VLANS}{host}\n[[host]]\nmac = "{near}"\nvlan = 44\n')
        for words, code in ((f"join qemu --print --name thief --mac {near} --vlan 44", "mac-taken"),
                            ("apply /tmp/stolen.toml", "not-permitted")):
            said = lab.machine.try_(f"runuser -u bob -- tarr-steps --json {words}", timeout=LONG)
            assert said.code != 0 and f'"{code}"' in said.output, said
        assert lab.tarr("reload")["segment"] == "vdenet0"
        assert lab.vlans_of("vnet0") == {33}
    finally:
        lab.apply(plain + VLANS)
        lab.tarr("leave", "qemu", "domain")
        lab.run("ip link del vnet0")


def test_a_change_is_noticed_by_nobody_else(lab: Lab, guests: dict[str, str], plain: str) -> None:
    """44 goes, 66 comes, a guest is moved into 33, and all of it back: 33 and the segment's own stay as they are."""
    before = lab.state()
    lab.ping("veth33", lab.dhcp("plug5"))
    lab.ping("tap33", guests["veth33"])
    lab.ping("plug1", guests["veth1"])
    lab.apply(plain + VLANS.replace("44", "66") + '\n[[host]]\nname = "veth55"\nvlan = 33\n')
    untagged = {**UNTAGGED, "veth55": 33}
    del untagged["veth44"], untagged["plug6:eth0.44"], untagged["router:eth0.44"]
    stations = ["veth44", "veth55", "veth33", "tap33", "plug5", "veth1", "plug1", "plug6", "plug6:eth0.33", ":vdenet0"]
    _separate(lab.heard(stations, ("33", "44", "66")), untagged, {"plug6": {33, 66}, ":vdenet0": {33}})
    lab.apply(plain + VLANS)
    assert lab.settled(before) == before
    assert lab.lost("veth33", "tap33", "plug1") == {"veth33": 0, "tap33": 0, "plug1": 0}


def test_without_vlans_nobody_finds_himself_among_the_others(lab: Lab, guests: dict[str, str], plain: str) -> None:
    lab.ping("plug1", guests["veth1"])
    lab.apply(plain)
    assert lab.lost("plug1") == {"plug1": 0}
    assert lab.tarr("apply", "--check", "/tmp/wished.toml")["steps"] == []
    stations = {"veth1": OWN, "plug1": OWN, "plug5": OWN, "plug6": OWN, "router": OWN, ":vdenet0": OWN}
    _separate(lab.heard([*stations, "veth33", "tap33", "own33", "veth44"]), stations, {})


def test_when_all_is_undone_nothing_is_left(lab: Lab, guests: dict[str, str]) -> None:
    lab.end("veth33", "veth44", "veth55", "router", "tap33", "tap1", "plug5", "plug6", "own33")
    lab.run("pkill -u bob vde_plug; true")
    for name in ("tap33", "tap1", "own33"):
        assert lab.tarr("leave", "qemu", name)["left"]
    assert lab.settled(guests["state"]) == guests["state"]

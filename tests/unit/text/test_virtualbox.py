"""What VBoxManage 7.2 printed and wrote, cut to what is read, and the commands made from it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from vdenet.model import tunnel
from vdenet.text import virtualbox
from vdenet.text.virtualbox import Machine, Nic

SWITCH = "/run/vdenet/vdenet0/switch"
MAC = "08:00:27:62:de:06"
TOKEN = "0123456789abcdef" * 2
READABLE = '''WARNING: The character device /dev/vboxdrv does not exist.
\t You will not be able to start VMs until this problem is fixed.
name="my web"
groups="/"
UUID="09afe48b-8375-4470-b115-85463ac5a1b7"
CfgFile="/home/alice/VirtualBox VMs/my web/my web.vbox"
VMState="poweroff"
natnet1="nat"
macaddress1="08002762DE06"
cableconnected1="off"
nic1="nat"
nictype1="82540EM"
generic2="VDE"
macaddress2="080027B2B5A0"
cableconnected2="on"
nic2="Generic"
bridgeadapter3="eth0"
macaddress3="080027B2B5A1"
cableconnected3="on"
nic3="bridged"
nic4="none"
macaddress5="080027B2B5A2"
cableconnected5="on"
nic5="null"
intnet6="lab"
macaddress6="080027B2B5A3"
nic6="intnet"
hostonlyadapter7="vboxnet0"
macaddress7="080027B2B5A4"
nic7="hostonly"
nat-network8="nn"
macaddress8="080027B2B5A5"
nic8="natnetwork"
description="
nic4="nat"
nic9="nat"
nic04="nat"
UUID="another"
"
'''
HUMAN = """NIC 1:                       MAC: 08002762DE06, Attachment: NAT, Cable connected: off, Trace: off
NIC 1 Settings:
NIC 2:                       MAC: 080027B2B5A0, Attachment: Generic 'VDE' { network='/run/a'b', x='1' }, Cable \
connected: on, Trace: off (file: none), Type: 82540EM
NIC 3:                       MAC: 080027B2B5A1, Attachment: Bridged Interface 'eth0', Cable connected: on
NIC 4:                       disabled
Description:
NIC 2:                       MAC: 080027B2B5A0, Attachment: Generic 'VDE' { network='/run/c' }, Cable connected: on
NIC 4:                       MAC: 080027B2B5A0, Attachment: Generic 'VDE' { network='/run/c' }, Cable connected: on
"""
SETTINGS = """<?xml version="1.0"?>
<VirtualBox xmlns="http://www.virtualbox.org/" version="1.19-linux">
  <Machine uuid="{09afe48b-8375-4470-b115-85463ac5a1b7}" name="my web">
    <Snapshot name="old"><Hardware><Network>
      <Adapter slot="3" MACAddress="080027000000"/>
    </Network></Hardware></Snapshot>
    <Hardware>
      <Network>
        <Adapter slot="0" enabled="true" MACAddress="08002762DE06" type="82540EM">
          <DisabledModes>
            <BridgedInterface name="wlan0"/>
            <GenericInterface driver="UDPTunnel">
              <Property name="dest" value="192.0.2.1"/>
              <Property name="sport" value="10001"/>
            </GenericInterface>
          </DisabledModes>
          <NAT/>
        </Adapter>
        <Adapter slot="3" MACAddress="080027b2b5a9" type="82540EM"/>
      </Network>
    </Hardware>
  </Machine>
</VirtualBox>
"""


def vm(settings: str | None = SETTINGS) -> Machine:
    return virtualbox.machine(READABLE, HUMAN, settings)


def test_a_machine_is_read() -> None:
    found = vm()
    assert (found.name, found.uuid, found.running) == ("my web", "09afe48b-8375-4470-b115-85463ac5a1b7", False)
    assert virtualbox.settings_file(READABLE) == "/home/alice/VirtualBox VMs/my web/my web.vbox"
    assert [(nic.kind, nic.target) for _number, nic in sorted(found.nics.items())] == [
        ("nat", None), ("generic", "VDE"), ("bridged", "eth0"), ("none", None), ("null", None),
        ("intnet", "lab"), ("hostonly", "vboxnet0"), ("natnetwork", "nn")]
    assert not found.nics[1].cable
    assert found.nics[5].cable


def test_properties_come_from_where_they_are_shown() -> None:
    assert vm().nics[2].properties == {"network": "/run/a'b", "x": "1"}


@pytest.mark.parametrize(("shown", "properties"), [
    ("{ network='' }", {"network": ""}), ("{ a.b-c='x y' d='} , {' }", {"a.b-c": "x y", "d": "} , {"}),
    ("{ a=' }, Cable' }", {"a": " }, Cable"}), ("{  }", {}), ("{ a='b }", {}), ("{ a=' b', c=', d' }", {"a": " b", "c": ", d"}),
])
def test_properties_as_they_are_shown(shown: str, properties: dict[str, str]) -> None:
    human = f"NIC 2:  MAC: 080027B2B5A0, Attachment: Generic 'VDE' {shown}, Cable connected: on, Trace: off (file: none)\n"
    assert virtualbox.machine(READABLE, human, None).nics[2].properties == properties


@pytest.mark.parametrize("long", [
    "Attachment: Generic ''{ " * 1000, "Attachment: Generic 'VDE' { " + "a" * 50_000 + " }, Cable",
    "Attachment: Generic 'VDE' { " + "a='" * 20_000 + "x }, Cable", "Attachment: Generic '" + "' " * 20_000], ids=range(4))
def test_a_long_line_does_not_hold_it_up(long: str) -> None:
    before = time.process_time()
    assert not virtualbox.machine(READABLE, f"NIC 2: {long}\n", None).nics[2].properties
    assert time.process_time() - before < 1


def test_numbers_of_no_adapter() -> None:
    huge = "1" * 5000  # more digits than int() takes
    found = virtualbox.machine(f'{READABLE.partition("description")[0]}nic{huge}="nat"\n', f"NIC {huge}: x\n{HUMAN}",
                               SETTINGS.replace('slot="3"', f'slot="{huge}"'))
    assert sorted(found.nics) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_settings_file_tells_what_is_not_in_use() -> None:
    nic = vm().nics[1]
    assert (nic.driver, nic.properties) == ("UDPTunnel", {"dest": "192.0.2.1", "sport": "10001"})
    assert nic.interface == "wlan0"
    assert vm().nics[4].mac == "08:00:27:b2:b5:a9"  # the snapshot's is another


@pytest.mark.parametrize("settings", [None, "", "<VirtualBox", "encrypted \x00", "<html/>"])
def test_without_a_settings_file_the_rest_is_known(settings: str | None) -> None:
    found = vm(settings)
    assert found.nics[1].mac == MAC
    assert found.nics[4] == Nic(4, "none")


@pytest.mark.parametrize("state", ["running", "paused", "gurumeditation", "deletingsnapshotlive"])
def test_a_machine_that_runs(state: str) -> None:
    assert virtualbox.machine(READABLE.replace("poweroff", state), HUMAN, None).running


@pytest.mark.parametrize("state", ["poweroff", "saved", "aborted", "teleported"])
def test_a_machine_that_does_not_run(state: str) -> None:
    found = virtualbox.machine(READABLE.replace("poweroff", state), HUMAN, None)
    assert (found.running, found.off) == (False, state != "saved")


@pytest.mark.parametrize("state", ["restoringsnapshot", "deletingsnapshot", "settingup", "snapshotting"])
def test_a_machine_that_is_worked_on(state: str) -> None:
    found = virtualbox.machine(READABLE.replace("poweroff", state), HUMAN, None)
    assert not found.running and not found.off and not found.saved


@pytest.mark.parametrize("network", [SWITCH, f"{SWITCH}/", f"{SWITCH}[5]", f"vde://{SWITCH}", f"vde://{SWITCH}[1]"])
def test_a_plugged_adapter_is_on_the_segment(network: str) -> None:
    nic = Nic(1, "generic", "VDE", properties={"network": network})
    assert virtualbox.on_segment(nic, "vdenet0", SWITCH)


@pytest.mark.parametrize("nic", [
    Nic(1, "generic", "VDE", properties={"network": "/run/vdenet/lab/switch"}),
    Nic(1, "generic", "VDE"),
    Nic(1, "generic", "UDPTunnel", properties={"network": SWITCH}),
    Nic(1, "nat", properties={"network": SWITCH}),
    Nic(1, "bridged", "eth0"),
    Nic(1, "hostonly", "vdenet0"),
])
def test_another_adapter_is_not(nic: Nic) -> None:
    assert not virtualbox.on_segment(nic, "vdenet0", SWITCH)


def test_a_machine_that_is_off_is_changed_by_one_command_and_back() -> None:
    before = vm().nics[1]
    after = virtualbox.plugged(before, SWITCH, 5, MAC)
    assert " ".join(virtualbox.modify("U", before, after)) == (
        f"VBoxManage modifyvm U --nic1 generic --nicgenericdrv1 VDE --nicproperty1 dest= --nicproperty1 sport= "
        f"--nicproperty1 network={SWITCH}[5] --cableconnected1 on")
    assert " ".join(virtualbox.modify("U", after, before)) == (
        "VBoxManage modifyvm U --nic1 nat --nicgenericdrv1 UDPTunnel --nicproperty1 network= "
        "--nicproperty1 dest=192.0.2.1 --nicproperty1 sport=10001 --cableconnected1 off")


def test_the_interface_that_the_user_had_bridged_comes_back() -> None:
    before = vm().nics[1]
    after = virtualbox.bridged(before, "vdenet0", MAC)
    assert virtualbox.modify("U", before, after)[3:] == (
        "--nic1", "bridged", "--bridgeadapter1", "vdenet0", "--cableconnected1", "on")
    assert virtualbox.modify("U", after, before)[3:] == (
        "--nic1", "nat", "--bridgeadapter1", "wlan0", "--cableconnected1", "off")


@pytest.mark.parametrize(("nic", "options"), [
    (Nic(6, "intnet", "lab"), "--nic6 intnet --intnet6 lab"),
    (Nic(6, "hostonly", "vboxnet0"), "--nic6 hostonly --hostonlyadapter6 vboxnet0"),
    (Nic(6, "natnetwork", "nn"), "--nic6 natnetwork --nat-network6 nn"),
    (Nic(6, "hostonlynetwork", "hn"), "--nic6 hostonlynetwork --host-only-net6 hn"),
    (Nic(6, "null"), "--nic6 null"),
])
def test_every_kind_comes_back(nic: Nic, options: str) -> None:
    after = virtualbox.bridged(nic, "vdenet0", MAC)
    assert " ".join(virtualbox.modify("U", after, nic)[3:]) == options


def test_a_new_mac_is_set_and_a_known_one_is_left_alone() -> None:
    new = Nic(4, "none")
    assert virtualbox.modify("U", new, virtualbox.bridged(new, "vdenet0", MAC))[-2:] == ("--macaddress4", "08002762DE06")
    known = Nic(4, "none", mac=MAC)
    assert "--macaddress4" not in virtualbox.modify("U", known, virtualbox.bridged(known, "vdenet0", MAC))


def live(before: Nic, after: Nic) -> list[tuple[str, str]]:
    return [(" ".join(do[3:]), " ".join(undo[3:]))
            for do, undo in virtualbox.control("U", before, after, halt=True)]


def test_a_running_machine_gets_the_properties_before_the_driver_is_plugged() -> None:
    before = vm().nics[1]
    after = virtualbox.plugged(before, SWITCH, None, MAC)
    assert live(before, after) == [
        ("nicproperty1 dest=", "nicproperty1 dest=192.0.2.1"),
        ("nicproperty1 sport=", "nicproperty1 sport=10001"),
        (f"nicproperty1 network={SWITCH}", "nicproperty1 network="),
        ("nic1 generic VDE", "nic1 nat"),
        ("setlinkstate1 on", "setlinkstate1 off")]


def test_a_running_machine_loses_the_driver_before_the_properties() -> None:
    before = vm().nics[1]
    after = virtualbox.plugged(before, SWITCH, None, MAC)
    assert [do for do, _undo in live(after, before)] == [
        "nic1 nat", "nicproperty1 network=", "nicproperty1 dest=192.0.2.1", "nicproperty1 sport=10001",
        "setlinkstate1 off"]


def test_a_running_machine_has_its_tunnel_unplugged_before_an_interface_is_named() -> None:
    """Or VirtualBox would plug it in once more, and it listened twice."""
    before = virtualbox.tunnelled(Nic(1, "none"), "127.83.0.1", ("29201", "513"), MAC)
    assert [do for do, _undo in live(before, virtualbox.bridged(before, "vdenet0", MAC))] == [
        "pause", "nic1 null", "nic1 bridged vdenet0", "resume"]


@pytest.mark.parametrize("cable", [True, False])
@pytest.mark.parametrize("kind", ["none", "null"])
def test_an_adapter_on_a_network_of_its_own_is_told_from_others(kind: str, cable: bool) -> None:
    was = Nic(1, kind, None, MAC, cable, properties={"dest": "192.0.2.1"}, driver="UDPTunnel", interface="wlan0")
    aside = virtualbox.parked(was, "my-lab", TOKEN)
    assert aside.target == f"vdenet-unplugged-{kind}{'' if cable else '+out'}-my-lab-{TOKEN}" and aside.cable
    assert virtualbox.unparked(aside) == virtualbox.unparked(aside, "my-lab") == was
    assert virtualbox.unparked(aside, "lab") is None
    assert not virtualbox.on_segment(aside, "vdenet0", SWITCH)
    for other in (was, replace(aside, kind="bridged"), replace(aside, target="lab"), replace(aside, target=None),
                  replace(aside, target=f"vdenet-unplugged-{kind}-lab-"), replace(aside, target=f"{aside.target}0")):
        assert virtualbox.unparked(other) is None


def test_what_another_driver_was_told_comes_back_on_a_network_of_its_own() -> None:
    was = Nic(1, "null", None, MAC, properties={"dest": "192.0.2.1"}, driver="UDPTunnel")
    on = virtualbox.plugged(was, SWITCH, None, MAC)
    assert live(on, virtualbox.parked(was, "lab", TOKEN)) == [
        ("pause", "resume"), ("nic1 null", "nic1 generic VDE"),
        ("nicproperty1 network=", f"nicproperty1 network={SWITCH}"), ("nicproperty1 dest=192.0.2.1", "nicproperty1 dest="),
        (f"nic1 intnet vdenet-unplugged-null-lab-{TOKEN}", "nic1 null"), ("resume", "pause")]
    assert live(virtualbox.parked(was, "lab", TOKEN), on)[-1] == (
        "nic1 generic VDE", f"nic1 intnet vdenet-unplugged-null-lab-{TOKEN}")


def test_a_tunnel_of_the_segment_is_told_from_others() -> None:
    here = tunnel.address("vdenet0")
    nic = virtualbox.tunnelled(Nic(2, "none"), here, ("29201", "513"), MAC)
    assert virtualbox.on_segment(nic, "vdenet0", SWITCH)
    assert not virtualbox.on_segment(nic, "vdenet1", SWITCH)
    for other in ({"dest": "192.0.2.1"}, {}):
        assert not virtualbox.on_segment(replace(nic, properties=other), "vdenet0", SWITCH)
    assert not virtualbox.on_segment(replace(nic, kind="null", target=None), "vdenet0", SWITCH)


def test_a_running_machine_goes_from_a_tunnel_to_the_switch_and_back() -> None:
    """Both drivers refuse the other's properties, so the adapter is unplugged in between."""
    before = virtualbox.tunnelled(Nic(2, "none"), "127.83.0.1", ("29201", "513"), MAC)
    after = virtualbox.plugged(before, SWITCH, None, MAC)
    done, undone = zip(*virtualbox.control("vm", before, after, halt=False), strict=True)
    assert [argv[3:] for argv in done] == [
        ("nic2", "null"), ("nicproperty2", "dest="), ("nicproperty2", "sport="), ("nicproperty2", "dport="),
        ("nicproperty2", f"network={SWITCH}"), ("nic2", "generic", "VDE")]
    assert [argv[3:] for argv in reversed(undone)] == [
        ("nic2", "null"), ("nicproperty2", "network="), ("nicproperty2", "dport=513"), ("nicproperty2", "sport=29201"),
        ("nicproperty2", "dest=127.83.0.1"), ("nic2", "generic", "UDPTunnel")]


@pytest.mark.parametrize(("sport", "port"), [
    ("29201", 29201), ("65535", 65535), ("65536", None), ("", None), ("0", None), ("x", None), ("123456", None)])
def test_where_a_tunnel_listens(sport: str, port: int | None) -> None:
    nic = virtualbox.tunnelled(Nic(2, "none"), "127.83.0.1", (sport, "513"), MAC)
    assert virtualbox.listens_at(nic) == port
    assert virtualbox.listens_at(virtualbox.plugged(nic, SWITCH, None, MAC)) is None
    assert virtualbox.listens_at(virtualbox.unplugged(nic, "null")) is None


def test_another_port_of_the_switch_is_taken_by_unplugging() -> None:
    before = Nic(1, "generic", "VDE", MAC, properties={"network": SWITCH}, driver="VDE")
    after = virtualbox.plugged(before, SWITCH, 3, MAC)
    assert [do for do, _undo in live(before, after)] == [
        "pause", "nic1 null", f"nicproperty1 network={SWITCH}[3]", "nic1 generic VDE", "resume"]


def test_an_adapter_cannot_be_taken_out_of_a_running_machine() -> None:
    on = Nic(1, "bridged", "vdenet0", MAC)
    assert live(on, virtualbox.unplugged(on, "none")) == [("nic1 null", "nic1 bridged vdenet0")]

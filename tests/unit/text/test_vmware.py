"""VMware's files: as it reads them, and byte for byte what they were where nobody asked for a change."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lab import vmx

from vdenet.errors import BadValue, Refused
from vdenet.text import lines, vmnets, vmware_file, vmware_machine, vmware_networks
from vdenet.text.vmware_file import Settings
from vdenet.text.vmware_machine import Holder, Machine

MAC = "00:50:56:01:02:03"
HUGE = "1" * 5000
"""More digits than int() takes."""


def text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def machine(raw: bytes) -> Machine:
    return vmware_machine.machine(Settings(text(raw)))


each_machine = pytest.mark.parametrize("raw", vmx.MACHINES.values(), ids=vmx.MACHINES)
any_bytes = st.binary(max_size=200).map(text)
# Dense in what the grammar cares about.
dense = st.text(st.sampled_from('ab=#"| \t\r\n\0.\ufeff2' + "\udcff"), max_size=60)
name = st.from_regex(r"[A-Za-z0-9.:_]{1,12}", fullmatch=True)
value = st.text(st.characters(blacklist_categories=["Cs"]) | st.sampled_from('"|\n\r\t\0#\udcff'), max_size=20)
settings = st.dictionaries(name, value, max_size=5).filter(lambda one: len({key.lower() for key in one}) == len(one))


# --- the grammar ----------------------------------------------------------------------------------

@pytest.mark.parametrize(("line", "expected"), [
    ('a = "b"', "b"), ("a=b", "b"), ("\ta \t=\t b\t", "b"), ('a = "b # c" # d', "b # c"), ("a = b # c", "b"), ("a =", ""),
    ("a = # c", ""), ('A = ""', ""), ('a = "|22x|22 |7c |7C |0A"', '"x" | | \n'), ('a = "|2|zz|"', "|2|zz|"),
    ('a = "|C3|A9"', "é"), ("a = b\"c", "b\"c"), ("\ufeffa = b", "b"), ('a = b"', 'b"'),
    ("# a = b", None), ("", None), ("a", None), ("a b = c", None), ('a = "b', None), ('a = "b" c', None), ("a = b c", None),
    ("= b", None), ("#!/usr/bin/vmware", None), ('a = "b"c', None),
])
def test_a_line_as_vmware_reads_it(line: str, expected: str | None) -> None:
    assert Settings(line).get("a") == expected


@pytest.mark.parametrize("line", [f"a={' ' * 16_000}x y", f"a{' ' * 16_000}b", f"a = \"{'x' * 16_000}", f"a=b{' ' * 16_000}c"],
                         ids=range(4))
def test_a_long_line_does_not_hold_it_up(line: str) -> None:
    before = time.process_time()
    assert Settings(line).get("a") is None
    assert time.process_time() - before < 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_end_of_a_line(end: str) -> None:
    found = Settings(f'a = "1"{end}{end}b = "2"')
    assert (found.get("a"), found.get("B")) == ("1", "2")


def test_names_in_any_case_and_the_last_one_counts() -> None:
    found = Settings('Ab.c = "1"\nx = 3\naB.C = "2"\n')
    assert found.get("ab.C") == "2"
    assert dict(found.items()) == {"ab.c": "2", "x": "3"}
    assert found.contradicted("AB.") == ("ab.c", [1, 3])
    assert found.contradicted("x") is None


@pytest.mark.parametrize(("raw", "name"), [
    (vmx.WORKSTATION_12, "Debian 9 café"), (vmx.WORKSTATION_17, "Büro | Fenster 11"), (vmx.SHIFT_JIS, "ソフト表"),
    (vmx.PLAYER_MINIMAL, None), (vmx.BY_HAND, "by hand"), (b'.encoding = "klingon"\ndisplayName = "\xc3\xa9"\n', "é"),
    (b'.encoding = "idna"\ndisplayName = "\xff"\n', "\ufffd"), (b'.encoding = "a|00b"\ndisplayName = x\n', "x"),
    (b'displayName = "\xe9"\n', "\ufffd"),
])
def test_a_name_in_the_files_own_encoding(raw: bytes, name: str | None) -> None:
    assert Settings(text(raw)).text("displayName") == name


# --- changes, and back ----------------------------------------------------------------------------

@given(any_bytes | dense)
def test_lines_put_together_are_the_text(one: str) -> None:
    assert lines.joined(lines.split(one)) == one


@given(any_bytes | dense, settings)
@example("", {"a": "1"})
@example("a", {"a": "1", "b": "2"})
@example("\ufeff", {"a": "1"})
@example("a = 1\r\nA = 2\r\nx", {"a": "3", "b": ""})
def test_an_edit_sets_its_keys_and_comes_back_byte_for_byte(before: str, wanted: dict[str, str]) -> None:
    after = vmware_file.edited(before, wanted)
    found, old = Settings(after), Settings(before)
    assert {key: found.get(key) for key in wanted} == wanted
    others = {key.lower() for key in wanted}
    assert {key: one for key, one in found.items() if key not in others} == {
        key: one for key, one in old.items() if key not in others}
    assert vmware_file.edited(after, wanted) == after
    assert vmware_file.restored(after, vmware_file.taken(before, wanted)) == before
    assert after.encode(errors="surrogateescape").decode(errors="surrogateescape") == after


@given(any_bytes | dense)
def test_nothing_asked_for_changes_nothing(one: str) -> None:
    assert vmware_file.edited(one, {}) == vmware_file.restored(one, {}) == one
    assert vmware_file.edited(one, dict(Settings(one).items())) == one or any(
        Settings(one).contradicted(key) for key, _value in Settings(one).items())


@given(settings)
def test_what_was_written_is_read(wanted: dict[str, str]) -> None:
    assert {key: Settings(vmware_file.edited("", wanted)).get(key) for key in wanted} == wanted


def test_only_the_value_of_a_line_changes() -> None:
    before = '# x\r\n  Ethernet0.Present\t= false  # why\r\nother = "|22"\r\n'
    after = vmware_file.edited(before, {"ethernet0.present": "TRUE", "ethernet0.vnet": "vmnet2"})
    assert after == '# x\r\n  Ethernet0.Present\t= "TRUE"  # why\r\nother = "|22"\r\nethernet0.vnet = "vmnet2"\r\n'


def test_what_vmware_wrote_anew_is_put_back() -> None:
    """It drops comments, writes each name once, quotes, and adds names of its own."""
    before = 'a = 1 # one\nA = 1\nb = 2\n'
    told = vmware_file.taken(before, ["a", "b", "c"])
    assert vmware_file.restored('new = "x"\na = "5"\nc = "6"\n', told) == 'new = "x"\na = 1 # one\nb = 2\n'


def test_a_whole_device_can_go() -> None:
    assert vmware_file.without('ethernet1.a = 1\nEthernet1.b = 2\nethernet10.a = 3\nx = 4', "ethernet1.") == \
        "ethernet10.a = 3\nx = 4"


# --- machines -------------------------------------------------------------------------------------

@each_machine
@pytest.mark.parametrize("asked", [None, 0, 1, 9])
def test_a_machine_joins_and_leaves_byte_for_byte(raw: bytes, asked: int | None) -> None:
    before, vm = text(raw), machine(raw)
    nic = next(nic for nic in vm.nics.values() if not nic.present) if asked is None else vm.nics[asked]
    wanted = vmware_machine.joined(vm, nic, 7, MAC)
    after = vmware_file.edited(before, wanted)
    changed = vmware_machine.machine(Settings(after))
    joined = changed.nics[nic.number]
    assert (joined.present, joined.vmnet, joined.mac, joined.connected) == (True, 7, MAC, True)
    assert joined.device is not None or nic.present
    assert {number: one for number, one in changed.nics.items() if number != nic.number} == {
        number: one for number, one in vm.nics.items() if number != nic.number}
    assert (changed.name, changed.known) == (vm.name, True)
    assert vmware_machine.joined(changed, joined, 7, MAC).items() <= {
        key: Settings(after).get(key) for key in wanted}.items()
    assert vmware_file.restored(after, vmware_file.taken(before, wanted)) == before


def test_adapters() -> None:
    vm = machine(vmx.WORKSTATION_15)
    assert [(nic.present, nic.vmnet, nic.mac) for nic in list(vm.nics.values())[:4]] == [
        (True, 0, None), (True, 3, "00:50:56:12:34:56"), (False, None, None), (False, 0, None)]
    assert [machine(raw).nics[0].vmnet for raw in (vmx.WORKSTATION_12, vmx.WORKSTATION_17, vmx.ESXI, vmx.BY_HAND)] == [8, 1, 0, 8]
    assert machine(vmx.WORKSTATION_12).nics[0].mac == "00:0c:29:2b:f3:37"
    assert machine(vmx.WORKSTATION_17).nics[0].mac == "00:0c:29:aa:bb:cc"
    assert machine(vmx.VAGRANT).nics[1].vmnet == 2


def test_an_adapter_that_is_there_keeps_its_address_and_card() -> None:
    vm = machine(vmx.WORKSTATION_12)
    assert vmware_machine.joined(vm, vm.nics[0], 2, "00:0c:29:2b:f3:37") == {
        "ethernet0.present": "TRUE", "ethernet0.connectionType": "custom", "ethernet0.vnet": "vmnet2"}


def test_a_new_adapter_has_the_card_that_the_guest_knows() -> None:
    vm = machine(vmx.WORKSTATION_12)
    assert vmware_machine.joined(vm, vm.nics[1], 2, MAC) == {
        "ethernet1.present": "TRUE", "ethernet1.connectionType": "custom", "ethernet1.vnet": "vmnet2",
        "ethernet1.virtualDev": "vmxnet3", "ethernet1.addressType": "static", "ethernet1.address": MAC}
    bare = machine(vmx.PLAYER_MINIMAL)
    assert vmware_machine.joined(bare, bare.nics[0], 2, MAC)["ethernet0.virtualDev"] == "e1000"


def test_one_that_is_not_plugged_in_is_plugged_in() -> None:
    vm = machine(b'config.version = 8\nethernet0.present = TRUE\nethernet0.startConnected = "FALSE"\n')
    assert vmware_machine.joined(vm, vm.nics[0], 2, MAC)["ethernet0.startConnected"] == "TRUE"


def test_what_a_machine_is() -> None:
    assert machine(vmx.ENCRYPTED).encrypted
    assert not machine(vmx.ENCRYPTED).known
    # Only its secrets are: the rest can be read and changed.
    assert not machine(vmx.WORKSTATION_17).encrypted
    assert machine(vmx.WORKSTATION_17).known
    assert not machine(b"\x7fELF").known
    assert machine(b'checkpoint.vmState = "web.vmss"\n').suspended == "web.vmss"
    assert machine(vmx.PACKER).suspended is None


@given(st.lists(st.text(max_size=8), max_size=3))
def test_an_address_is_one_that_vmware_takes(parts: list[str]) -> None:
    mac = vmware_machine.static_mac(*parts)
    assert re.fullmatch("00:50:56:[0-3][0-9a-f]:[0-9a-f]{2}:[0-9a-f]{2}", mac)
    assert mac == vmware_machine.static_mac(*parts)


@pytest.mark.parametrize(("lock", "expected"), [
    ("uuid=bf-ef-05-3f-d0-e2-64-4e-a5-4d-f3-4e-9d-c8-3a-a7 25156-134219(vmware-vmx) 1 X lc=0", Holder(25156, 134219)),
    ("name=host 7-0(vmware) 3 X", Holder(7, 0)), ("host 12 1 X", Holder(12, 0)),
    ("", None), ("host", None), ("host vmware 1 X", None),
])
def test_who_holds_a_lock(lock: str, expected: Holder | None) -> None:
    assert vmware_machine.holder(lock) == expected


def test_a_lock_with_numbers_that_nobody_has() -> None:
    held = vmware_machine.holder(f"host {HUGE}-{HUGE}(vmware-vmx) 1 X")
    assert held is None or held.pid > 2**22


# --- /etc/vmware/networking -----------------------------------------------------------------------

NETWORKING = vmx.NETWORKING.decode()


def test_networks_are_read() -> None:
    assert vmware_networks.mappings(NETWORKING) == {"eth0": 0, "eth1": 2}
    more = "add_bridge_mapping eth1 5\nadd_bridge_mapping br 999\nadd_bridge_mapping x\nremove_bridge_mapping eth0\n"
    assert vmware_networks.mappings(NETWORKING + more) == {"eth1": 5}
    assert vmware_networks.free(NETWORKING) == 4
    assert vmware_networks.is_known(NETWORKING)
    assert vmware_networks.is_known("\nVERSION=1,0 \r\n")
    for other in ("", "answer VNET_1_DHCP yes\n", "VERSION=2,0\n"):
        assert not vmware_networks.is_known(other)


def test_numbers_of_no_vmnet() -> None:
    more = f"add_bridge_mapping br {HUGE}\nanswer VNET_{HUGE}_NAT no\nremove_bridge_mapping eth0 {HUGE}\n"
    assert vmware_networks.mappings(NETWORKING + more) == {"eth1": 2}
    assert vmware_networks.free(NETWORKING + more) == 4


def test_all_vmnets_in_use() -> None:
    with pytest.raises(Refused):
        vmware_networks.free("".join(f"answer VNET_{number}_DHCP no\n" for number in range(255)))


@given(any_bytes | dense | st.just(NETWORKING), st.integers(0, 254))
@example(NETWORKING.rstrip("\n"), 4)
@example(NETWORKING.replace("\n", "\r\n"), 4)
def test_a_network_is_bridged_and_the_file_comes_back(one: str, number: int) -> None:
    after = vmware_networks.mapped(one, "vdenet0", number)
    assert vmware_networks.mappings(after) == {**vmware_networks.mappings(one), "vdenet0": number}
    assert number in vmware_networks.RESERVED or vmware_networks.free(after) != number
    assert vmware_networks.unmapped(after, "vdenet0", number) == one
    assert vmware_networks.unmapped(one, "vdenet0", number) == one


@pytest.mark.parametrize("bridge", ["", "a b", "a\nanswer VNET_8_NAT no", "a\r", "-", "é", "a" * 16])
def test_no_name_becomes_a_line(bridge: str) -> None:
    with pytest.raises(BadValue):
        vmware_networks.mapped(NETWORKING, bridge, 4)


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 254), max_size=3))
def test_the_record(found: dict[str, int]) -> None:
    assert vmnets.parse(vmnets.emit(found)) == found


@pytest.mark.parametrize("one", ["", "{", "[]", "3", '{"vmnets": []}', "[" * 100_000])
def test_a_record_that_cannot_be_understood(one: str) -> None:
    assert vmnets.parse(one) == {}

"""join vmware and leave, on real files: what is done to them, and that they come back byte for byte."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import vmx

from unit.cli.conftest import SEGMENT, Daemon, TarrSteps
from vdenet.cli import carrying
from vdenet.cli.kinds.vmware import VMware
from vdenet.errors import NoGuest, Refused, VdenetError
from vdenet.model.joining import Place, Where, Wish
from vdenet.probe import vmware
from vdenet.text.vmware_file import Settings

WHERE = Where("vdenet0", "vdenet0", "")
PLACE = Place("vdenet0", "vdenet0", SEGMENT["switch"], "box", "00:50:56:01:02:03")


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What VMware has bridged to what."""
    mapped = {"vdenet0": 4, "eth0": 0}
    monkeypatch.setattr(vmware, "networks", lambda: mapped)
    return mapped


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "web.vmx"
    made.write_bytes(vmx.WORKSTATION_12)
    return made


def there_and_back(file: Path, wish: Wish) -> None:
    before = file.read_bytes()
    guest = VMware(str(file))
    found = guest.found(wish, WHERE)
    place = Place("vdenet0", "vdenet0", "", "box", found.mac or "")
    joining = guest.join(wish, place)
    carrying.perform(joining.actions)
    joined = file.read_bytes()
    again = VMware(str(file))
    assert again.found(Wish(), WHERE).joined
    assert again.join(Wish(), place).actions == ()
    assert Settings(joined.decode(errors="surrogateescape")).get(f"ethernet{joining.nic}.vnet") == "vmnet4"
    remembered = json.loads(json.dumps(dict(joining.memory)))  # as it is kept
    carrying.perform(again.leave(WHERE, remembered).actions)
    assert file.read_bytes() == before
    assert VMware(str(file)).leave(WHERE, remembered).actions == ()


lines = st.sampled_from([
    b'ethernet0.present = "TRUE"', b"Ethernet0.Present=true", b'ethernet1.present = "FALSE"', b'ethernet1.vnet = "x"',
    b'ethernet1.startConnected = "FALSE"', b"# \xff", b"", b"weird", b'a = "|22"', b'ethernet2.addressType = "vpx"'])
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(lines | st.binary(max_size=20), ends)), st.binary(max_size=5), st.none() | st.integers(0, 9))
def test_any_file_comes_back(found: list[tuple[bytes, bytes]], last: bytes, nic: int | None) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "any.vmx"
        file.write_bytes(b"config.version = 8\n" + b"".join(line + end for line, end in found) + last)
        try:
            VMware(str(file)).found(Wish(nic=nic), WHERE)
        except Refused:
            return  # it contradicts itself
        there_and_back(file, Wish(nic=nic))


@pytest.mark.parametrize("raw", vmx.MACHINES.values(), ids=vmx.MACHINES)
@pytest.mark.parametrize("nic", [None, 0])
def test_each_kind_of_file_comes_back(file: Path, raw: bytes, nic: int | None) -> None:
    file.write_bytes(raw)
    there_and_back(file, Wish(nic=nic))


@pytest.mark.parametrize("memory", [
    None, 3, [], {}, {"nic": 1}, {"nic": 9, "vmnet": 4, "fresh": True, "before": {}},
    {"nic": 1, "vmnet": 4, "fresh": True, "before": {"displayName": ["x"]}},
    {"nic": 1, "vmnet": 4, "fresh": False, "before": {"ethernet1.present": ["a = b\nc = d"]}},
    {"nic": 1, "vmnet": 4, "fresh": False, "before": {"ethernet1.present": "x"}},
])
def test_a_memory_that_is_none_takes_the_adapter_out(file: Path, memory: object) -> None:
    carrying.perform(VMware(str(file)).join(Wish(), PLACE).actions)
    joined = file.read_bytes()
    carrying.perform(VMware(str(file)).leave(WHERE, memory).actions)
    assert file.read_bytes() == joined.replace(b'ethernet1.present = "TRUE"', b'ethernet1.present = "FALSE"')


def test_the_segment_has_lost_its_vmnet(file: Path, networks: dict[str, int]) -> None:
    joining = VMware(str(file)).join(Wish(), PLACE)
    carrying.perform(joining.actions)
    del networks["vdenet0"]
    with pytest.raises(Refused, match="none of VMware's networks") as caught:
        VMware(str(file)).found(Wish(), WHERE)
    assert caught.value.data["hint"] == "sudo vdenetd --vmware"
    carrying.perform(VMware(str(file)).leave(WHERE, joining.memory).actions)
    assert file.read_bytes() == vmx.WORKSTATION_12


def test_the_address_is_the_machines_own(file: Path, tmp_path: Path) -> None:
    """A copy has another; an adapter that the guest knows keeps its own."""
    other = tmp_path / "copy.vmx"
    other.write_bytes(file.read_bytes())
    mac, again, copied = (VMware(str(path)).found(Wish(), WHERE).mac for path in (file, file, other))
    assert mac == again != copied
    assert VMware(str(file)).found(Wish(nic=0), WHERE).mac == "00:0c:29:2b:f3:37"


def test_a_second_adapter_is_not_asked_for_an_address_by_itself(file: Path) -> None:
    """One that the machine has already, its guest has set up."""
    assert "told to ask for an address" in VMware(str(file)).join(Wish(), PLACE).notes[0]
    assert VMware(str(file)).join(Wish(nic=0), PLACE).notes == ()


def test_a_file_that_somebody_writes_meanwhile(file: Path) -> None:
    joining = VMware(str(file)).join(Wish(), PLACE)
    file.write_bytes(vmx.WORKSTATION_15)
    with pytest.raises(Refused, match="somebody else changed it meanwhile"):
        carrying.perform(joining.actions)
    assert file.read_bytes() == vmx.WORKSTATION_15


def test_a_file_that_is_too_long(file: Path) -> None:
    file.write_bytes(vmx.WORKSTATION_12 + b"\n" * 5_000_000)
    with pytest.raises(Refused, match="File too large"):
        VMware(str(file))


@pytest.mark.parametrize("guest", ["", "none/", "none.vmx", "none/none.vmx"])
def test_no_such_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guest: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoGuest):
        VMware(guest and f"{tmp_path}/{guest}")


def test_a_directory_stands_for_the_machine_in_it(file: Path, tmp_path: Path) -> None:
    assert VMware(str(tmp_path)).id == str(file)
    (tmp_path / "b.vmx").touch()
    with pytest.raises(VdenetError, match="several machines"):
        VMware(str(tmp_path))


@pytest.mark.parametrize("vlans", [[], [33]])
def test_into_a_vlan_whether_there_is_one_or_not(daemon: Daemon, tarr_steps: TarrSteps, file: Path,
                                                 vlans: list[int]) -> None:
    """To declare one would not help."""
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [], "vlans": vlans}]}
    done = tarr_steps("join", "vmware", str(file), "--vlan", "33")
    assert (done.status, "VMware bridges its guests" in done.err, "[[vlan]]" in done.err) == (1, True, False), done.err


def test_a_path_that_is_no_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: Daemon,
                                tarr_steps: TarrSteps) -> None:
    place = os.fsencode(tmp_path) + b"/vmware/caf\xe9"
    os.makedirs(place)
    with open(place + b"/x.vmx", "wb") as file:
        file.write(vmx.WORKSTATION_15)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    daemon.answers |= {"List": {"segments": [{**SEGMENT, "guests": []}]}, "Leave": {"left": True}, "Reserve": {
        "segment": "vdenet0", "mac": "00:50:56:01:02:03", "name": "web", "fqdn": "web.vdenet.internal"}}
    assert "web.vdenet.internal" in tarr_steps("join", "vmware", "web").out
    assert "already" in tarr_steps("join", "vmware", "web").out
    assert "has left" in tarr_steps("leave", "vmware", "web").out
    with open(place + b"/x.vmx", "rb") as file:
        assert file.read() == vmx.WORKSTATION_15

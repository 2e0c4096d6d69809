from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.text import incus

MAC = "52:54:00:aa:bb:cc"
ENTRY: dict[str, Any] = {
    "name": "web", "project": "user-1000", "status": "Running", "profiles": ["default", "seg"],
    "config": {"volatile.eth1.hwaddr": "10:66:6A:00:00:01", "volatile.eth1.name": "eth0"},
    "devices": {"wire": {"type": "nic", "nictype": "bridged", "parent": "vdenet0", "hwaddr": MAC, "name": "eth3"}},
    "expanded_devices": {
        "root": {"type": "disk", "path": "/", "pool": "default"},
        "eth1": {"type": "nic", "network": "incusbr0"},
        "wire": {"type": "nic", "nictype": "bridged", "parent": "vdenet0", "hwaddr": MAC, "name": "eth3"}}}

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner:
                    st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from([*ENTRY]), inner,
                                                                  max_size=4))


def test_an_instance_is_read() -> None:
    found = incus.instance(json.dumps([{"name": "web2"}, ENTRY]), "web")
    assert found is not None
    assert (found.project, found.running, found.profiles) == ("user-1000", True, ("default", "seg"))
    assert found.devices == {"root", "eth1", "wire"}
    first, second = found.nics
    assert (first.device, first.own, first.mac, first.name, first.on("vdenet0", "vd0-")) == (
        "eth1", False, "10:66:6a:00:00:01", "eth0", False)
    assert (second.device, second.own, second.mac, second.name, second.on("vdenet0", "vd0-")) == (
        "wire", True, MAC, "eth3", True)


def test_a_nic_that_is_left_to_the_daemon() -> None:
    wire = {"type": "nic", "nictype": "p2p", "host_name": "vd0-web"}
    found = incus.instance(json.dumps([{**ENTRY, "expanded_devices": {"wire": wire}}]), "web")
    assert found is not None
    assert (found.nics[0].port, found.nics[0].on("vdenet0", "vd0-"), found.nics[0].on("lab", "vd1-")) == (
        "vd0-web", True, False)


def test_only_the_whole_name_counts() -> None:
    assert incus.instance(json.dumps([{"name": "web2"}, {"name": "w"}, "web"]), "web") is None


def test_the_first_that_is_free() -> None:
    found = incus.instance(json.dumps([ENTRY]), "web")
    assert found is not None
    assert incus.free(found) == 2  # eth1 is a device, eth0 its interface


@pytest.mark.parametrize(("status", "running"), [("Running", True), ("Frozen", True), ("Stopped", False)])
def test_what_runs(status: str, running: bool) -> None:
    found = incus.instance(json.dumps([{"name": "web", "status": status}]), "web")
    assert found is not None
    assert found.running is running


@pytest.mark.parametrize(("config", "settings"), [
    ({}, ()),
    ({"restricted": "false"}, ()),
    ({"restricted": "true"}, ("restricted.devices.nic=allow", "restricted.networks.access=incusbr0,lab,vdenet0")),
    ({"restricted": "true", "restricted.networks.access": "vdenet0, a"}, ("restricted.devices.nic=allow",)),
    ({"restricted": "true", "restricted.devices.nic": "allow"}, ()),
    ({"restricted": "true", "restricted.devices.nic": "allow", "restricted.networks.access": "a,vdenet0"}, ()),
    ({"restricted": "true", "restricted.networks.access": "incusbr-1000"},
     ("restricted.devices.nic=allow", "restricted.networks.access=incusbr-1000,vdenet0")),
])
def test_what_a_restricted_project_needs(config: dict[str, str], settings: tuple[str, ...]) -> None:
    assert incus.lifting(json.dumps({"config": config}), "vdenet0", lambda: {"lab", "incusbr0"}) == settings


def test_a_restricted_project_without_networks() -> None:
    assert incus.lifting(json.dumps({"config": {"restricted": "true"}}), "vdenet0", set) == (
        "restricted.devices.nic=allow", "restricted.networks.access=vdenet0")


def test_networks_in_use() -> None:
    users = ["/1.0/instances/web?project=lab", "/1.0/profiles/default", 1]
    networks = json.dumps([
        {"name": "incusbr0", "managed": True, "used_by": users}, {"name": "eth0", "managed": False, "used_by": users},
        {"name": "other", "managed": True, "used_by": users[1:]}, {"name": "odd", "managed": True, "used_by": "lab"}])
    assert (incus.in_use(networks, "lab"), incus.in_use(networks, "default")) == ({"incusbr0"}, {"incusbr0", "other"})


def test_where_a_remote_is() -> None:
    remotes = json.dumps({"local": {"Addr": "unix://"}, "far": {"Addr": "https://192.0.2.1:8443"}, "odd": 1})
    assert [incus.address(remotes, name) for name in ("local", "far", "odd", "none")] == [
        "unix://", "https://192.0.2.1:8443", None, None]


@given(JSON)
def test_whatever_is_printed(data: object) -> None:
    text = json.dumps(data)
    incus.instance(text, "web")
    incus.address(text, "local")
    incus.lifting(text, "vdenet0", set)
    incus.in_use(text, "default")

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.text import container
from vdenet.text.container import Container, End

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner:
                    st.lists(inner, max_size=3) | st.dictionaries(
                        st.text() | st.sampled_from(["Id", "Name", "State", "Pid", "Running"]), inner, max_size=4))


@pytest.mark.parametrize(("name", "state", "pid"), [
    ("web", {"Running": True, "Pid": 17}, 17),
    ("/web", {"Running": False, "Pid": 0}, None),
    ("web", {"Running": True, "Pid": 0}, None),
    ("web", {"Running": True, "Pid": "1"}, None),
])
def test_a_container_is_read(name: str, state: dict[str, object], pid: int | None) -> None:
    said = json.dumps([{"Id": "aa", "Name": name, "State": state, "ResolvConfPath": "/run/resolv.conf"}])
    assert container.container(said) == Container("aa", "web", pid, "/run/resolv.conf")


def test_one_without_name_servers() -> None:
    found = container.container(json.dumps([{"Id": "aa", "Name": "web", "State": {}, "ResolvConfPath": ""}]))
    assert found is not None
    assert found.resolver is None


@pytest.mark.parametrize(("text", "has"), [
    ("search lan\nnameserver 192.0.2.1\n", False), ("nameserver 127.0.0.11\noptions ndots:0\n", True),
    ("search dns.podman lan\nnameserver 10.89.0.1\n", True), ("# nameserver 127.0.0.11\n", False), ("", False)])
def test_a_name_service_of_its_own(text: str, has: bool) -> None:
    assert container.has_names(text) == has


def test_ends_of_veths() -> None:
    links = [{"ifname": "lo", "ifindex": 1, "address": "00:00:00:00:00:00"},
             {"ifname": "eth0", "ifindex": 2, "link_index": 7, "address": "52:54:00:00:00:01"}]
    assert container.ends(links) == [End("eth0", 2, 7, "52:54:00:00:00:01")]


@pytest.mark.parametrize(("given", "addressed"), [
    ([], False), (None, False), (["inet"], False), ([{"family": "inet6", "local": "fe80::1"}], False),
    ([{"family": "inet6"}, {"family": "inet", "local": "192.0.2.1"}], True)])
def test_an_end_with_an_address(given: object, addressed: bool) -> None:
    link = {"ifname": "eth0", "ifindex": 2, "link_index": 7, "address": "52:54:00:00:00:01", "addr_info": given}
    assert [end.addressed for end in container.ends([link])] == [addressed]


def test_a_pair_is_of_one_namespace() -> None:
    """Those of rootless bridge networks have the same small indexes as those of the host."""
    inside = [End("lo", 1, 1, "00:00:00:00:00:00"), End("eth0", 2, 7, "52:54:00:00:00:01", 0)]
    other, here, ours = End("a", 7, 2, "", 4), End("b", 7, 2, "", None), End("c", 7, 2, "", 5)
    assert container.pair(inside, [other, here], 5) is None
    assert container.pair(inside, [other, here], None) is None
    assert container.pair(inside, [other, here, ours], 5) == (inside[1], ours)
    assert container.ends([{"ifname": "v", "ifindex": 7, "link_index": 2, "address": "m", "link_netnsid": 5}]) == [
        End("v", 7, 2, "m", 5)]


@given(JSON)
def test_whatever_is_printed(data: object) -> None:
    container.container(json.dumps(data))
    container.ends([entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else [])

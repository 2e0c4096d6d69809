"""The whole of a segment: what hangs together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from unit.samples import HOST, NOT_WORDS, PLACES, PLAIN, WANTED, segments, surroundings
from vdenet.model.segment import Mode, Retiring, Segment
from vdenet.text import blueprint
from vdenet.text.blueprint import Guests, HostFacts
from vdenet.text.dnsmasq import Reservation


@given(segments(), surroundings())
def test_any_segment(segment: Segment, around: tuple[HostFacts, Guests]) -> None:
    host, guests = around
    wanted = blueprint.wanted(segment, host, guests, PLACES)
    assert len({directory.path for directory in wanted.directories}) == len(wanted.directories)
    seen = {PLACES.run, PLACES.var, PLACES.run / "state", PLACES.run / "dns", PLACES.run / "vde"}
    for directory in wanted.directories:
        assert directory.path.parent in seen, "parents come first"
        seen.add(directory.path)
        assert not directory.mode & 0o006, "nobody else reads or writes"
    assert {file.path.parent for file in wanted.files} <= seen
    assert all(not file.mode & 0o007 for file in wanted.files)
    assert all(service.account not in ("root", "") for service in wanted.services)
    assert wanted.addresses[0] == segment.address
    assert len(set(wanted.addresses)) == len(wanted.addresses)
    if not host.ipv6:
        assert not [sysctl for sysctl in wanted.sysctls if "ipv6" in sysctl.key]
        assert all(address.version == 4 for address in wanted.addresses)
    shared = {sysctl.key for sysctl in wanted.sysctls if sysctl.shared}
    assert ("net/ipv4/ip_forward" in shared) == (
        segment.mode is not Mode.ISOLATED or any(other.reachable for other in host.neighbours)
        or any(vlan.reach for vlan in segment.vlans))
    assert all("/vdenet0" in sysctl.key for sysctl in wanted.sysctls if not sysctl.shared)


def test_only_dnsmasq_has_capabilities() -> None:
    assert {service.name: service.capabilities for service in WANTED.services} == {
        "switch": (), "gate": (), "dnsmasq": ("net_admin", "net_raw", "net_bind_service")}


def test_hosts_alone_restart_nothing() -> None:
    joined = Guests(joined=(Reservation("52:54:00:00:00:01", "web"),))
    after = blueprint.wanted(PLAIN, HOST, joined, PLACES)
    for one, other in zip(WANTED.services, after.services, strict=True):
        assert replace(one, reload_text="") == replace(other, reload_text="")
    assert after.firewall == WANTED.firewall


def test_the_address_is_not_retired_by_itself() -> None:
    assert blueprint.wanted(PLAIN, HOST, Guests(retiring=(Retiring(PLAIN.address, 1e10),)), PLACES) == WANTED


@pytest.mark.parametrize(("hostname", "labels"), (
    ("tower", ["tower"]), ("Tower.Example.ORG", ["tower"]), ("vdenet0", []), ("localhost", []), ("gateway", []),
    ("42", []), ("under_score", []), ("", []), (".", []), ("-a", [])))
def test_host_labels(hostname: str, labels: list[str]) -> None:
    assert blueprint.host_labels(hostname, "vdenet0") == labels


@pytest.mark.parametrize("word", NOT_WORDS, ids=ascii)
def test_whatever_the_host_calls_itself(word: str) -> None:
    blueprint.wanted(PLAIN, replace(HOST, hostname=word), Guests(), PLACES)


def test_the_systems_dnsmasq_is_told_of_a_segment_that_the_packages_file_does_not_name() -> None:
    for name, dnsmasq, told in (("lan", True, True), ("lan", False, False), ("vdenet0", True, False)):
        segment, host = replace(PLAIN, name=name), replace(HOST, dnsmasq=dnsmasq)
        assert blueprint.wanted(segment, host, Guests(), PLACES).keeps_dnsmasq_off is told
    bridged = replace(PLAIN, name="lan", address=None, address6=None, mode=Mode.BRIDGED, adopt="virbr0")
    assert not blueprint.wanted(bridged, replace(HOST, dnsmasq=True), Guests(), PLACES).keeps_dnsmasq_off


def test_the_packages_file_names_what_blueprint_says() -> None:
    said = (Path(__file__).parents[3] / "debian/integration/dnsmasq").read_text()
    assert f"except-interface={blueprint.KEPT_OFF}*" in said.splitlines()


def test_no_resolver() -> None:
    assert blueprint.wanted(PLAIN, replace(HOST, resolver="none"), Guests(), PLACES).resolver is None

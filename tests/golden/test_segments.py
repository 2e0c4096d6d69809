"""What is generated for a segment, whole, and whether the programs that read it take it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from pathlib import Path

import pytest
from conftest import missing
from hypothesis import given, settings

from unit.samples import HOST, NEIGHBOURS, PLACES, PLAIN, segments, surroundings
from vdenet.model import plan
from vdenet.model.netboot import Netboot
from vdenet.model.observed import Observed
from vdenet.model.plug import Plug
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import Host, Mode, OpenPort, Port, Retiring, Segment, Vlan
from vdenet.model.vlans import SwitchPort, of_guest
from vdenet.model.wanted import DhcpServer, Tap, Wanted
from vdenet.text import blueprint, nftables
from vdenet.text.blueprint import Guests, HostFacts
from vdenet.text.dnsmasq import Reservation

HERE = Path(__file__).parent / "segments"

FULL = replace(
    PLAIN, name="lab", mode=Mode.ROUTED, domain="lab.example", lease_seconds=7200,
    dhcp_range=(IPv4Address("10.83.14.100"), IPv4Address("10.83.14.199")),
    hosts=(Host("52:54:00:00:00:01", "web", IPv4Address("10.83.14.10"), ("www", "tower")),
           Host("52:54:00:00:00:02", None, IPv4Address("10.83.14.11"), ("files",)),
           Host("52:54:00:00:00:03", "db", None, ("sql",)), Host(None, "debian", IPv4Address("10.83.14.12")),
           Host(None, "mail", IPv4Address("10.83.14.13"))),
    records=(
        Record(RecordType.A, "printer.lab.example", "10.83.14.77"),
        Record(RecordType.AAAA, "printer.lab.example", "fd5e:8a01:22c4:1::77"),
        Record(RecordType.A, "tower.lab.example", "10.83.14.66"),
        Record(RecordType.CNAME, "print.lab.example", "printer.lab.example"),
        Record(RecordType.TXT, "lab.example", ("v=spf1 -all", "a, b; c")),
        Record(RecordType.SRV, "_ipp._tcp.lab.example", "printer.lab.example", 5, 10, 631),
        Record(RecordType.MX, "lab.example", "mail.lab.example", 10),
        Record(RecordType.PTR, "10.83.14.78", "printer.lab.example")),
    open_ports=(OpenPort("tcp", 22), OpenPort("udp", 514)), guard=False, switch_ports=128,
    plugs=(Plug("vde:///run/vde2/lab[5]", "cellar", 9), Plug("vxvde://239.1.2.3"),
           Plug("vxlan://239.0.0.1/port=14789/vni=42/ttl=4/if=eth1"), Plug("udp://5000->192.0.2.7:6000"),
           Plug("udp://[fd5e::1]:5001->[fd5e::2]:5000"),
           Plug("ssh://vdenet@tower.example:2222/run/vdenet/vdenet0/switch", "tower")))
GUESTS = Guests(
    joined=(Reservation("52:54:00:00:00:04", "alice-1"), Reservation("52:54:00:00:00:05", "web")),
    pinned=(Reservation("52:54:00:00:00:06", "debian"), Reservation("52:54:00:00:00:07", "alice-1")),
    ports=("vd5a30-alice-1",), present=("lab-vde", "vnet7"), taps=(Tap("vd5a30-vm", 1000, 1500),),
    retiring=(Retiring(IPv4Interface("10.99.0.1/24"), 1e10), Retiring(IPv4Interface("10.83.14.9/32"), 1e10)))

CASES: dict[str, Wanted] = {
    "plain": blueprint.wanted(PLAIN, HOST, Guests(), PLACES),
    "full": blueprint.wanted(FULL, replace(HOST, matches_bridge=False, plug_groups=("vde2-net",)), GUESTS, PLACES),
    "vlans": blueprint.wanted(
        replace(PLAIN, switch_ports=12, vlans=(
            Vlan(33, "students", IPv4Interface("10.33.0.1/24"), IPv6Interface("fd33::1/64"), reach=(1,)),
            Vlan(44, None, IPv4Interface("10.44.0.1/24"), dhcp=False), Vlan(55)),
            ports=(Port(5, 33), Port(6, None, (33, 55)), Port(7))),
        HOST, Guests(memberships={"vd0-web": of_guest(33), "vd0-fw": of_guest(None, (33, 44))}, ports=("vd0-fw", "vd0-web"),
                     plugged=(SwitchPort(11, 33, user=1000),)), PLACES),
    "isolated": blueprint.wanted(
        replace(PLAIN, mode=Mode.ISOLATED, address=IPv4Interface("172.16.0.2/30")), HOST, Guests(), PLACES),
    "neighbours": blueprint.wanted(
        replace(PLAIN, mode=Mode.ISOLATED), replace(HOST, neighbours=NEIGHBOURS[3]), Guests(), PLACES),
    "names-only": blueprint.wanted(
        replace(PLAIN, address6=None, dhcp=False), replace(HOST, ipv6=False, hostname="42", resolver="none"),
        Guests(), PLACES),
    "netboot": blueprint.wanted(
        replace(PLAIN, mode=Mode.ISOLATED, netboot=Netboot(
            "/srv/tftp", "pxelinux.0", "efi/grubx64.efi", "grubia32.efi", "grubaa64.efi",
            "http://gateway.vdenet.internal:8080/boot.efi", "http://10.9.9.9/arm.efi", "boot.ipxe")),
        HOST, Guests(), PLACES),
    "guest-dhcp": blueprint.wanted(
        replace(PLAIN, dhcp=False, guest_dhcp=True, netboot=Netboot("/srv/tftp"),
                hosts=(Host("52:54:00:00:00:01", dhcp_server=True),)),
        HOST, Guests(dhcp_server=DhcpServer("52:54:00:00:00:01", "vd0-pxe")), PLACES),
}
each_case = pytest.mark.parametrize("name", CASES)


def described(wanted: Wanted) -> str:
    """The programs, as whom and how they are run."""
    paragraphs = []
    for service in wanted.services:
        words = [f"{service.name} as {service.account}", *(f"group {group}" for group in service.groups),
                 *service.capabilities]
        paragraphs.append("# " + ", ".join(words) + "\n" + shlex.join(service.argv) + "\n")
    return "\n".join(paragraphs)


@each_case
def test_files(name: str, same: Callable[[Path, str], None]) -> None:
    wanted = CASES[name]
    for file in wanted.files:
        same(HERE / name / file.path.name, file.text)
    same(HERE / name / "ruleset.nft", wanted.firewall.text)
    same(HERE / name / "services", described(wanted))
    same(HERE / name / "steps", "".join(f"{line}\n" for line in plan.sentences(plan.up(wanted, Observed()))))


def test_nothing_is_left_over() -> None:
    assert {path.name for path in HERE.iterdir()} == set(CASES)


# --- the programs that read them ----------------------------------------------------------------------

def ran(argv: list[str], text: str = "") -> str:
    """Nothing when the program takes it, else what it says."""
    if shutil.which(argv[0]) is None:
        missing(f"{argv[0]} is not installed")
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=30,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"


def dnsmasq_says(wanted: Wanted, place: Path) -> str:
    config, hosts, _addresses = (file.text for file in wanted.files if file.path.name != "start")
    place.write_text(config + "".join(f"dhcp-host={line}\n" for line in hosts.splitlines()))
    return ran(["dnsmasq", "--test", f"--conf-file={place}"])


def away() -> list[str]:
    """A network namespace of its own."""
    found = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if said := ran([*found, "true"]):
        missing(f"no network namespace: {said}")
    return found


def nft_says(text: str) -> str:
    """In a network namespace of its own, and only checked there."""
    if ran([*away(), "nft", "--check", "--file", "-"], nftables.BRIDGE_META_PROBE):
        text = text.replace("meta ibrname ", "iifname ")  # this kernel cannot, and vdenetd asks it first
    return ran([*away(), "nft", "--check", "--file", "-"], text)


def test_frames_with_a_tag_are_guarded_as_the_others() -> None:
    """Where a frame has a tag, the type in its header is the tag's: only the rules about tags may look there."""
    text = CASES["vlans"].firewall.text.replace("meta ibrname ", "iifname ")
    told = subprocess.run([*away(), "nft", "--check", "--debug=netlink", "--file", "-"], input=text, capture_output=True,
                          text=True, check=True, timeout=30)
    rules = re.split(r"^bridge vdenet_vdenet0 ", told.stdout + told.stderr, flags=re.M)[1:]
    assert len(rules) > 20
    by_type = [rule for rule in rules if re.search(r"payload load \S+ @ link header \+ 12 ", rule)]
    assert len(by_type) >= 4
    assert [rule for rule in by_type for deeper in ("l4proto", "exthdr", "network header", "transport header")
            if deeper in rule] == []


@each_case
def test_dnsmasq_takes_it(name: str, tmp_path: Path) -> None:
    assert dnsmasq_says(CASES[name], tmp_path / "dnsmasq.conf") == ""


@each_case
def test_nft_takes_it(name: str) -> None:
    assert nft_says(CASES[name].firewall.text) == ""
    assert nft_says(nftables.unload(CASES[name].firewall)) == ""


def test_a_mistake_would_show(tmp_path: Path) -> None:
    plain = CASES["plain"]
    spoilt = replace(plain, files=(replace(plain.files[0], text=plain.files[0].text + "bogus\n"), *plain.files[1:]))
    assert "bad option" in dnsmasq_says(spoilt, tmp_path / "dnsmasq.conf")
    assert "rror" in nft_says(plain.firewall.text.replace("accept", "acept", 1))


@settings(max_examples=20)
@given(segments(), surroundings())
def test_they_take_any_segment(tmp_path_factory: pytest.TempPathFactory, segment: Segment,
                               around: tuple[HostFacts, Guests]) -> None:
    wanted = blueprint.wanted(segment, *around, PLACES)
    assert dnsmasq_says(wanted, tmp_path_factory.getbasetemp() / "any.conf") == ""
    assert nft_says(wanted.firewall.text) == ""

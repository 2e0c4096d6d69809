"""What DHCP tells each kind of client to load, and TFTP: to the segment only, and only while it is configured.

That real firmware boots by it is shown in tests/netboot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface

import pytest
from lab.daemon import Daemon
from lab.leaks import nothing_leaks
from lab.machine import Machine
from lab.outside import Outside
from lab.station import Station

CONFIG, POLICY = "/etc/vdenet/vdenet0.toml", "/etc/vdenet/policy.toml"
MAC = "52:54:00:cc:00:01"
ROOT = "/srv/tftp"
STANZA = f"""
[netboot]
root = "{ROOT}"
bios = "pxelinux.0"
uefi = "efi/boot.efi"
uefi_arm = "arm.efi"
http = "http://gateway.vdenet.internal/boot.efi"
"""


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[[str], Machine]) -> Machine:
    made = new_machine(request.param)
    made.path("/etc/vdenet/other.toml").write_text('address = "10.199.7.1/24"\n')
    made.sh("ip link add spare0 type veth peer name spare1; ip link set spare0 up; ip link set spare1 up")
    made.sh(f"mkdir -p {ROOT}/efi; for each in pxelinux.0 efi/boot.efi arm.efi; do echo $each >{ROOT}/$each; done; "
            f"chmod -R a+rX {ROOT}; echo secret >{ROOT}/secret; chmod 600 {ROOT}/secret")
    return made


@pytest.fixture(scope="module")
def outside(machine: Machine) -> Iterator[Outside]:
    with Outside(machine.pid) as made:
        yield made


@pytest.fixture
def configure(machine: Machine, daemon: Daemon) -> Iterator[Callable[[str], None]]:
    path = machine.path(CONFIG)
    plain = path.read_text()

    def made(more: str) -> None:
        path.write_text(plain + more)
        machine.run(["tarr-steps", "reload"])

    yield made
    made("")


@pytest.fixture
def station(machine: Machine, daemon: Daemon) -> Iterator[Station]:
    with Station(machine, "n", MAC) as made:
        yield made


def offered(station: Station, architecture: int, *options: str) -> dict[str, str]:
    assert station.lease(None, None, "-x", f"0x5d:{architecture:04x}", "-O", "bootfile", "-O", "vendor", *options)
    return station.answers()


def file(answers: dict[str, str]) -> str | None:
    return answers.get("boot_file") or answers.get("bootfile")


def fetch(station: Station, path: str, server: str) -> str | None:
    """A file by TFTP; None where there is no answer or a refusal."""
    done = station.machine.run(station.command(
        "busybox", "timeout", "6", "busybox", "tftp", "-g", "-l", "/tmp/fetched", "-r", path, server), check=False)
    return station.machine.path("/tmp/fetched").read_text() if done.returncode == 0 else None


def test_off_by_default(station: Station, configure: Callable[[str], None]) -> None:
    answers = offered(station, 0)
    assert file(answers) is None
    assert fetch(station, "pxelinux.0", answers["router"]) is None


@pytest.mark.parametrize("mode", ['mode = "nat"', 'mode = "isolated"', 'mode = "isolated"\nhost_access = false'],
                         ids=["nat", "isolated", "guests only"])
def test_each_kind_of_client_is_told_its_own(machine: Machine, station: Station, configure: Callable[[str], None],
                                             mode: str) -> None:
    configure(STANZA)
    text = machine.path(CONFIG).read_text()
    assert 'mode = "nat"' in text
    machine.path(CONFIG).write_text(text.replace('mode = "nat"', mode))
    machine.run(["tarr-steps", "reload"])
    told = {number: file(offered(station, number)) for number in (0, 6, 7, 9, 11, 16, 19)}
    assert told == {0: "pxelinux.0", 6: None, 7: "efi/boot.efi", 9: "efi/boot.efi", 11: "arm.efi",
                    16: "http://gateway.vdenet.internal/boot.efi", 19: None}
    server = offered(station, 0)["siaddr"]
    assert fetch(station, "pxelinux.0", server) == "pxelinux.0\n"
    assert fetch(station, "efi/boot.efi", server) == "efi/boot.efi\n"
    assert fetch(station, "secret", server) is None
    assert fetch(station, "../../etc/passwd", server) is None
    assert fetch(station, "/etc/passwd", server) is None


def test_ipxe_goes_on_with_its_script(station: Station, configure: Callable[[str], None]) -> None:
    configure(STANZA + 'ipxe = "http://boot.example/menu.ipxe"\n')
    assert file(offered(station, 0, "-x", "0xaf:010101")) == "http://boot.example/menu.ipxe"
    assert file(offered(station, 0)) == "pxelinux.0"


def own(machine: Machine, segment: str = "vdenet0") -> IPv4Interface:
    """The host's address on a segment."""
    segments = json.loads(machine.run(["tarr-steps", "list", "--json"]).stdout)["segments"]
    return IPv4Interface(next(each["address"] for each in segments if each["name"] == segment))


def test_nothing_leaks(machine: Machine, outside: Outside, configure: Callable[[str], None]) -> None:
    configure(STANZA)
    network = str(own(machine).network)
    with Station(machine, "n", MAC) as station, nothing_leaks(machine, outside, "vdenet0", (network,), (MAC,)):
        server = offered(station, 0)["siaddr"]
        assert fetch(station, "efi/boot.efi", server) == "efi/boot.efi\n"
    # And the ears hear.
    with Station(machine, "o", MAC, "other") as other, pytest.raises(AssertionError, match="a service"), \
            nothing_leaks(machine, outside, "vdenet0", (network,), ()):
        offered(other, 0)


def test_no_other_segment_is_served(machine: Machine, configure: Callable[[str], None]) -> None:
    configure(STANZA)
    with Station(machine, "o", MAC, "other") as other:
        answers = offered(other, 0)
        assert file(answers) is None
        assert fetch(other, "pxelinux.0", "10.199.7.1") is None
        assert fetch(other, "pxelinux.0", str(own(machine).ip)) is None


def test_check_says_what_is_missing(machine: Machine, configure: Callable[[str], None]) -> None:
    def found() -> set[str]:
        told = json.loads(machine.run(["tarr-steps", "check", "--json", "vdenet0"], check=False).stdout)
        return {finding["code"] for finding in told["findings"] if finding["code"].startswith("netboot")}

    configure(STANZA)
    assert found() == set()
    configure(STANZA.replace("pxelinux.0", "secret"))
    assert found() == {"netboot-file"}
    configure(STANZA.replace(ROOT, "/srv/nowhere"))
    assert found() == {"netboot-root"}
    # And all the rest goes on.
    assert machine.run(["pidof", "dnsmasq"]).stdout.split()


def test_members_serve_what_the_policy_lets_them(machine: Machine, station: Station,
                                                 configure: Callable[[str], None]) -> None:
    plain = machine.path(CONFIG).read_text()

    def apply(text: str) -> str:
        done = machine.run(["tarr-steps", "apply", "-"], user="alice", input=text, check=False)
        assert done.returncode in (0, 4) and "Traceback" not in done.stderr, done.stderr
        assert (done.returncode == 0) == (machine.path(CONFIG).read_text() == text)
        return done.stderr

    try:
        said = apply(plain + STANZA)
        assert f"netboot.root: {ROOT} is not allowed" in said and f"may allow it in {POLICY}" in said, said
        machine.path(POLICY).write_text(f'netboot = ["{ROOT}/efi"]\n')
        assert "is not allowed" in apply(plain + STANZA)
        machine.path(POLICY).write_text('netboot = ["/srv"]\n')
        assert apply(plain + STANZA) == ""
        assert fetch(station, "pxelinux.0", offered(station, 0)["siaddr"]) == "pxelinux.0\n"
        # What is there already may stay, and what it says to clients is the member's affair.
        machine.path(POLICY).write_text("netboot = []\n")
        assert apply(plain + STANZA.replace("pxelinux.0", "arm.efi")) == ""
        assert file(offered(station, 0)) == "arm.efi"
        assert apply(plain) == ""
    finally:
        machine.path(POLICY).unlink(missing_ok=True)

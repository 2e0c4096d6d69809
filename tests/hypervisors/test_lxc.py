"""join lxc, on real containers."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab.machine import Machine, wait_for
from lab.roots import root

from . import renaming
from .conftest import DOMAIN, SEGMENT, Host

ANOTHER = """lxc.net.0.type = veth
lxc.net.0.link = lxcbr0
lxc.net.0.flags = up
lxc.net.0.name = lan0
lxc.net.0.ipv4.address = 192.0.2.7/24
"""


class Container:
    """A container of busybox, of root's, without a network."""

    user = "root"

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.name = name
        host.machine.run(["lxc-create", "-n", name, "-t", "busybox", "-f", "/dev/null"], timeout=120)
        self.file = host.machine.path(f"/var/lib/lxc/{name}/config")
        self.write("lxc.apparmor.profile = unconfined\n# no network yet\n")

    def write(self, more: str) -> None:
        """Put lines in place of those about networks."""
        kept = [line for line in self.file.read_text().splitlines(keepends=True)
                if not line.startswith(("lxc.net.", "lxc.apparmor"))]
        self.file.write_text("".join(kept) + more)

    def key(self, key: str) -> str:
        """What LXC itself makes of the configuration."""
        said = self.host.machine.run(["lxc-info", "-n", self.name, "-c", key], user=self.user, check=False).stdout
        return said.partition("=")[2].strip()

    def join(self, *argv: str) -> str:
        return self.host.tarr("join", "lxc", self.name, *argv, user=self.user).stdout

    def leave(self, *argv: str) -> str:
        return self.host.tarr("leave", "lxc", self.name, *argv, user=self.user).stdout

    def start(self) -> None:
        self.host.machine.run(["lxc-start", "-n", self.name, "-o", f"/tmp/{self.name}.log", "-l", "info"])
        self.host.machine.run(["lxc-wait", "-n", self.name, "-s", "RUNNING", "-t", "20"])

    def run(self, *argv: str) -> str:
        return self.host.machine.run(["lxc-attach", "-n", self.name, "--clear-env", "--", *argv]).stdout

    def stop(self) -> None:
        self.host.machine.run(["lxc-stop", "-k", "-n", self.name], check=False)


class Own(Container):
    """The configuration of a container of a member's, which has nothing else."""

    def __init__(self, host: Host, user: str, name: str = "mine") -> None:
        self.host, self.user, self.name = host, user, name
        place = f".local/share/lxc/{name}"
        host.machine.sh(f"mkdir -p {place}; echo '# mine' >{place}/config; chmod 600 {place}/config", user=user)
        self.file = host.machine.path(f"/home/{user}/{place}/config")

    def remove(self) -> None:
        self.host.tarr("leave", "lxc", self.name, user=self.user, check=False)
        self.host.machine.sh(f"rm -r .local/share/lxc/{self.name}", user=self.user)


@pytest.fixture
def box(lxc: Host, request: pytest.FixtureRequest) -> Iterator[Container]:
    made = Container(lxc, f"c{len(request.node.name)}-{abs(hash(request.node.name)) % 10000}")
    yield made
    made.stop()
    lxc.tarr("leave", "lxc", made.name, user="root", check=False)
    lxc.machine.run(["lxc-destroy", "-n", made.name])
    # Left by lxc in each hierarchy of control groups, which are not the machine's own.
    lxc.machine.sh("rmdir /sys/fs/cgroup/lxc.pivot /sys/fs/cgroup/*/lxc.pivot 2>/dev/null", check=False)


@pytest.fixture
def mine(lxc: Host) -> Iterator[Own]:
    made = Own(lxc, "alice")
    yield made
    made.remove()


@pytest.fixture(params=["box", "mine"])
def each(request: pytest.FixtureRequest) -> Container:
    """A container of root's, and one of a member's own."""
    made: Container = request.getfixturevalue(request.param)
    return made


def test_a_container_joins_starts_and_leaves(lxc: Host, box: Container) -> None:
    before = box.file.read_bytes()
    told = lxc.told("join", "lxc", box.name, user="root")
    assert (told["changed"], told["via"], told["nic"], told["running"]) == (True, "veth", "0", False)
    assert [box.key(f"lxc.net.0.{key}") for key in ("type", "link", "flags", "name", "hwaddr")] == [
        "veth", SEGMENT, "up", "eth0", told["mac"]]
    box.start()
    network = ipaddress.IPv4Interface(lxc.segment()["address"]).network

    def listed() -> bool:
        guest = lxc.listed(box.name)
        return guest is not None and guest["address"] is not None
    wait_for(listed, 30, f"{box.name} listed")
    guest = lxc.listed(box.name)
    assert guest is not None
    assert (guest["kind"], guest["via"], guest["mac"], guest["owner"]) == ("lxc", "veth", told["mac"], "root")
    assert ipaddress.IPv4Address(guest["address"]) in network
    address: str = guest["address"]
    wait_for(lambda: address in box.run("ip", "addr", "show", "eth0"), 20, "its address in the container")
    gateway = str(ipaddress.IPv4Interface(lxc.segment()["address"]).ip)
    assert address in box.run("nslookup", f"{box.name}.{DOMAIN}", gateway)
    assert "it is running" in box.leave()
    assert box.file.read_bytes() == before
    # It runs on, and nobody is given its MAC address beside it.
    assert "is there until it ends" in box.leave()
    said = lxc.refused(1, "name-taken", "join", "run", "--name", box.name, "--", "true", user="root")
    assert "until that one ends" in said
    box.stop()
    wait_for(lambda: lxc.listed(box.name) is None, 10, f"{box.name} gone")


def test_a_container_that_runs_is_told_to_start_anew(box: Container) -> None:
    box.start()
    assert "its next start" in box.join()


def test_a_container_that_was_renamed(lxc: Host, box: Container) -> None:
    renaming.leaves_by_its_new_name(
        lxc, "lxc", box.name,
        lambda old, new: lxc.machine.run(["lxc-copy", "--rename", "--name", old, "--newname", new], timeout=120),
        lambda name: f"lxc.net.0.link = {SEGMENT}\n" in lxc.machine.path(f"/var/lib/lxc/{name}/config").read_text())


def test_both_are_idempotent(lxc: Host, each: Container) -> None:
    before = each.file.read_bytes()
    assert "is not on" in each.leave()
    each.join()
    joined = each.file.read_bytes()
    assert "already" in each.join()
    assert not lxc.told("join", "lxc", each.name, user=each.user)["changed"]
    assert each.file.read_bytes() == joined
    each.leave()
    assert "is not on" in each.leave()
    assert each.file.read_bytes() == before


def test_dry_run_changes_nothing(lxc: Host, each: Container) -> None:
    def all_there_is() -> tuple[object, ...]:
        return each.file.read_bytes(), *lxc.remembered(each.user)
    before = all_there_is()
    assert f"+lxc.net.0.link = {SEGMENT}" in each.join("--dry-run")
    assert all_there_is() == before
    each.join()
    joined = all_there_is()
    assert all(one != other for one, other in zip(joined, before, strict=True))
    assert f"-lxc.net.0.link = {SEGMENT}" in each.leave("--dry-run")
    assert all_there_is() == joined


def test_another_network_stays(each: Container) -> None:
    each.write(ANOTHER)
    before = each.file.read_bytes()
    assert "inside, eth1 has to be told to ask for an address" in each.join()
    assert [each.key(f"lxc.net.{key}") for key in ("0.link", "0.ipv4.address", "1.link", "1.name")] == [
        "lxcbr0", "192.0.2.7/24", SEGMENT, "eth1"]
    each.leave()
    assert each.file.read_bytes() == before


def test_another_network_is_taken_when_asked(box: Container) -> None:
    box.write(ANOTHER.rstrip("\n"))  # its last line has no end
    before = box.file.read_bytes()
    box.join("--nic", "0")
    assert [box.key(f"lxc.net.0.{key}") for key in ("link", "name", "ipv4.address")] == [SEGMENT, "lan0", ""]
    box.leave()
    assert box.file.read_bytes() == before


def test_what_is_included_counts(lxc: Host, box: Container) -> None:
    place = lxc.machine.path(f"/var/lib/lxc/{box.name}/conf.d")
    place.mkdir()
    (place / "net.conf").write_text("lxc.net.0.type = empty\nlxc.include = /tmp/more.lxc\n")
    (place / "not.txt").write_text("lxc.net.2.type = veth\n")
    lxc.machine.path("/tmp/more.lxc").write_text("lxc.net.1.type = veth\nlxc.net.1.link = lxcbr0\n")
    box.write(f"lxc.include = /var/lib/lxc/{box.name}/conf.d\n")
    before = box.file.read_bytes()
    box.join()
    assert [box.key(f"lxc.net.{key}") for key in ("0.type", "0.link", "1.link", "2.type")] == [
        "veth", SEGMENT, "lxcbr0", ""]
    box.leave()
    box.join("--nic", "1")
    assert [box.key(f"lxc.net.{key}") for key in ("0.type", "1.link")] == ["empty", SEGMENT]
    box.leave()
    assert box.file.read_bytes() == before


def test_joined_by_hand(each: Container) -> None:
    each.write(f"lxc.net.3.type = veth\nlxc.net.3.link = {SEGMENT}\nlxc.net.3.flags = up\n")
    each.join()
    assert (each.key("lxc.net.3.link"), each.key("lxc.net.3.hwaddr")[:9]) == (SEGMENT, "52:54:00:")
    each.leave()
    assert "lxc.net" not in each.file.read_text()


def test_a_container_that_is_not_there(lxc: Host, each: Container) -> None:
    before = each.file.read_bytes()
    for verb in ("join", "leave"):
        lxc.refused(1, "no-guest", verb, "lxc", "nobody", user=each.user)
        lxc.refused(1, "no-guest", verb, "lxc", "../lxc", user=each.user)
        lxc.refused(1, "no-guest", verb, "lxc", each.name, user="bob")  # it is another's
        lxc.refused(2, "bad-value", verb, "lxc", "--", "-n", user=each.user)
    assert each.file.read_bytes() == before


def test_without_lxc(lxc: Host, box: Container) -> None:
    lxc.machine.sh("mkdir /tmp/tools; ln -s /usr/bin/* /tmp/tools/; rm /tmp/tools/lxc-*")
    said = lxc.refused(5, "tool-missing", "join", "lxc", box.name, user="root", env={"PATH": "/tmp/tools"})
    assert "apt install lxc" in said


def test_lxc_is_taken_away_meanwhile(lxc: Host, box: Container) -> None:
    lxc.machine.sh("mkdir -p /tmp/without; ln -sf /usr/bin/* /tmp/without/; rm /tmp/without/lxc-*")
    box.join()
    joined = box.file.read_bytes()
    done = lxc.tarr("leave", "lxc", box.name, user="root", env={"PATH": "/tmp/without"})
    assert done.stdout == f"{box.name} has left {SEGMENT}\n"
    assert done.stderr == f"what joining changed in {box.name} stays, since lxc-info is not installed\n"
    assert box.file.read_bytes() == joined
    lxc.tarr("join", "run", "--name", box.name, "--", "true", user="bob")  # the name is anybody's


def test_the_segment_is_deleted_meanwhile(lxc: Host, box: Container) -> None:
    """Its bridge is gone, without which the container does not start."""
    before = box.file.read_bytes()
    lxc.tarr("segment", "create", "lab", user="root")
    try:
        box.join("--segment", "lab")
    finally:
        lxc.tarr("segment", "delete", "--force", "lab", user="root")
    assert lxc.machine.run(["lxc-start", "-n", box.name], check=False).returncode != 0
    lxc.refused(2, "unknown-segment", "leave", "lxc", box.name, "--segment", "lab2", user="root")
    assert box.leave("--segment", "lab") == f"{box.name} has left lab\n"
    assert box.file.read_bytes() == before
    box.start()
    lxc.refused(2, "unknown-segment", "leave", "lxc", box.name, "--segment", "lab", user="root")


def test_two_joins_at_once(each: Container) -> None:
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda _number: each.join(), range(3)))
    assert sum("already" in one for one in said) == 2
    assert each.file.read_text().count(f"link = {SEGMENT}") == 1


def test_two_members_want_one_name_at_once(lxc: Host, mine: Own) -> None:
    """Who is too late finds all as it was, and may have the name when the other has left."""
    his = Own(lxc, "bob", "his")

    def join(own: Own) -> subprocess.CompletedProcess[str]:
        return lxc.tarr("join", "lxc", own.name, "--name", name, user=own.user, check=False)
    try:
        for name in ("shop", "store"):
            before = {own: (own.file.read_bytes(), lxc.remembered(own.user)[1]) for own in (mine, his)}
            with ThreadPoolExecutor() as pool:
                done = dict(zip(before, pool.map(join, before), strict=True))
            winner, loser = sorted(done, key=lambda own: done[own].returncode)
            assert (done[winner].returncode, done[loser].returncode) == (0, 1), done
            assert f"cannot use the name {name}: another user's guest has it" in done[loser].stderr
            assert (loser.file.read_bytes(), lxc.remembered(loser.user)[1]) == before[loser]
            assert winner.key("lxc.net.0.hwaddr") == lxc.remembered(winner.user)[0][name]["mac"]
            winner.leave()
            assert (winner.file.read_bytes(), lxc.remembered(winner.user)[1]) == before[winner]
            loser.join("--name", name)
            loser.leave()
    finally:
        his.remove()


def test_join_beside_leave(lxc: Host, each: Container) -> None:
    """Whichever comes last: all of it is there, or nothing."""
    before = (each.file.read_bytes(), *lxc.remembered(each.user))
    each.join()
    joined = (each.file.read_bytes(), *lxc.remembered(each.user))
    for _turn in range(2):
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(verb) for verb in (each.join, each.leave, each.join, each.leave)]:
                done.result()
        assert (each.file.read_bytes(), *lxc.remembered(each.user)) in (before, joined)


def test_while_the_segment_is_down(lxc: Host, each: Container) -> None:
    before, known = each.file.read_bytes(), lxc.remembered(each.user)
    each.join()
    lxc.tarr("stop")
    try:
        each.leave()
        assert each.file.read_bytes() == before
        lxc.refused(1, "segment-down", "join", "lxc", each.name, user=each.user)
        assert (each.file.read_bytes(), lxc.remembered(each.user)) == (before, known)
    finally:
        lxc.tarr("start")


@pytest.fixture
def own(mine: Own) -> Path:
    """The configuration of a container of alice's."""
    return mine.file


def test_a_members_own_container(lxc: Host, own: Path) -> None:
    told = lxc.told("join", "lxc", "mine")
    assert (told["changed"], told["name"]) == (True, "mine")
    assert lxc.machine.run(["lxc-info", "-n", "mine", "-c", "lxc.net.0.link"], user="alice").stdout.split()[-1] == SEGMENT
    status = own.stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o600, lxc.machine.account("alice")[0])
    lxc.refused(1, "name-taken", "join", "run", "--name", "mine", "--", "true", user="bob")
    lxc.told("leave", "lxc", "mine")
    assert own.read_text() == "# mine\n"


def test_a_member_whom_root_does_not_let(lxc: Host, own: Path) -> None:
    usernet = lxc.machine.path("/etc/lxc/lxc-usernet")
    text = usernet.read_text()
    assert text == f"@vdenet veth {SEGMENT} 10\n"
    usernet.write_text("@vdenet veth lxcbr0 10\n")
    try:
        assert f"@vdenet veth {SEGMENT} 10" in lxc.refused(1, "refused", "join", "lxc", "mine")
        assert own.read_text() == "# mine\n"
    finally:
        usernet.write_text(text)


def test_settings_that_cannot_be_written(lxc: Host, own: Path) -> None:
    own.parent.chmod(0o500)
    try:
        lxc.refused(1, "refused", "join", "lxc", "mine", "--name", "half")
    finally:
        own.parent.chmod(0o755)
    assert own.read_text() == "# mine\n"
    lxc.tarr("join", "run", "--name", "half", "--", "true", user="bob")


@pytest.mark.parametrize("theirs", ["", "@staff veth lxcbr0 3"])
def test_the_list_of_bridges_after_purge(deb: Path, theirs: str) -> None:
    with Machine(root("trixie", "depends"), "lab") as machine:
        usernet = machine.path("/etc/lxc/lxc-usernet")
        if theirs:
            usernet.parent.mkdir()
            usernet.write_text(theirs)  # its last line has no end
        host = Host(machine, deb)
        host.tarr("segment", "create", "lab")
        assert usernet.read_text().splitlines() == [
            *theirs.splitlines(), f"@vdenet veth {SEGMENT} 10", "@vdenet veth lab 10"]
        assert usernet.stat().st_mode & 0o777 == 0o644
        host.machine.run(["apt-get", "-qq", "purge", "vdenet"], timeout=120)
        assert usernet.exists() == usernet.parent.exists() == bool(theirs)
        assert not theirs or usernet.read_text() == f"{theirs}\n"


def test_into_a_vlan_by_a_port_that_the_daemon_puts_there(lxc: Host, box: Container) -> None:
    """LXC makes it by its name and leaves it alone, so that no frame of it gets anywhere else."""
    before = box.file.read_bytes()
    with lxc.vlan():
        known = lxc.remembered("root")
        told = lxc.told("join", "lxc", box.name, "--vlan", "33", "--dry-run", user="root")
        assert (told["vlan"], told["changed"], box.file.read_bytes()) == (33, False, before)
        assert lxc.remembered("root") == known
        box.file.write_text(box.file.read_text() + "".join(
            f"{line[1:]}\n" for line in told["actions"][0].splitlines() if line.startswith("+") and line[1] != "+"))
        port = box.key("lxc.net.0.veth.pair")
        assert port.startswith("vd0-") and box.key("lxc.net.0.link") == ""
        box.start()
        end = lxc.end(port)
        assert end["linkinfo"]["info_kind"] == "veth" and "UP" in end["flags"] and "master" not in end
        assert told["mac"] in box.run("ip", "link", "show", "eth0")
        assert "has left" in box.leave()
        assert box.file.read_bytes() == before


def test_a_vlan_that_cannot_be(lxc: Host, box: Container, own: Path) -> None:
    before = box.file.read_bytes()
    assert "has no VLANs" in lxc.refused(2, "bad-value", "join", "lxc", box.name, "--vlan", "33", user="root")
    with lxc.vlan():
        assert "has the VLANs 33" in lxc.refused(2, "bad-value", "join", "lxc", box.name, "--vlan", "34", user="root")
        said = lxc.refused(1, "refused", "join", "lxc", "mine", "--vlan", "33")
        assert "lxc-user-nic" in said and "hint: a container of root's" in said
    assert (box.file.read_bytes(), own.read_text()) == (before, "# mine\n")
    lxc.tarr("join", "run", "--name", "mine", "--", "true", user="bob")

"""Segments that members create and delete: whose they are, how many, and what is left of them."""

from __future__ import annotations

import json
import shutil
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine
from lab.peer import Peer
from vdenet.errors import QuotaExceeded
from vdenet.wire.channel import close_all

POLICY = "/etc/vdenet/policy.toml"


@pytest.fixture(autouse=True)
def cleared(machine: Machine, daemon: Daemon) -> Iterator[None]:
    yield
    machine.path(POLICY).unlink(missing_ok=True)
    for path in machine.path("/etc/vdenet").iterdir():
        if path.stem != "vdenet0":
            machine.run(["tarr-steps", "segment", "delete", "--force", path.stem], check=False)


def tarr(machine: Machine, *words: str, user: str = "alice", text: str | None = None) -> str:
    return machine.run(["tarr-steps", *words], user=user, input=text).stdout


def refused(machine: Machine, *words: str, status: int, user: str = "alice", text: str | None = None) -> str:
    before = traces.files(machine, "/etc/vdenet", "/var/lib/vdenet")
    links = os.listdir(machine.path("/sys/class/net"))
    done = machine.run(["tarr-steps", *words], user=user, check=False, input=text)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.startswith("tarr-steps: cannot ")
    assert not traces.difference(before, traces.files(machine, "/etc/vdenet", "/var/lib/vdenet"))
    assert links == os.listdir(machine.path("/sys/class/net"))
    return done.stderr


def listed(machine: Machine) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(tarr(machine, "segment", "list", "--json"))["segments"]}


def test_created_used_and_deleted(machine: Machine, daemon: Daemon) -> None:
    before = traces.everything(machine)
    made = json.loads(tarr(machine, "segment", "create", "lab", "--json"))
    assert (made["owner"], made["domain"]) == ("alice", "lab.internal")
    there = listed(machine)
    assert there["lab"]["state"] == there["vdenet0"]["state"] == "up" and there["lab"]["owner"] == "alice"
    assert there["lab"]["address"] == made["address"] != there["vdenet0"]["address"]
    assert "alice" in tarr(machine, "segment", "list")
    shown = machine.run(["tarr-steps", "join", "run", "--segment", "lab", "--name", "one", "--", "ip", "-4", "addr"],
                        user="alice").stdout
    assert made["address"].rpartition(".")[0] in shown
    assert tarr(machine, "plan", "--segment", "lab") == "lab is as it should be\n"
    assert tarr(machine, "segment", "delete", "lab") == "lab is deleted\n"
    # dnsmasq of the other segment may be written anew; what lay there before, lies there now.
    left = {name: value for name, value in traces.everything(machine).items() if "fe80::" not in name}
    assert not traces.difference({n: v for n, v in before.items() if "fe80::" not in n}, left)


def test_from_a_file_and_with_what_was_asked_for(machine: Machine, daemon: Daemon) -> None:
    text = '# Mine.\nmode = "isolated"\naddress = "10.71.3.1/24"\n[dhcp]\nlease = "2h"\n'
    tarr(machine, "segment", "create", "lab", "-", text=text)
    assert machine.path("/etc/vdenet/lab.toml").read_text() == 'owner = "alice"\n' + text
    assert tarr(machine, "apply", "-", "--segment", "lab", text=tarr(machine, "export", "--segment", "lab")) \
        == "lab is as it should be\n"
    tarr(machine, "segment", "create", "lab2", "--address", "10.71.4.1/24", "--mode", "routed")
    assert (listed(machine)["lab2"]["address"], listed(machine)["lab2"]["mode"]) == ("10.71.4.1/24", "routed")
    canonical = tarr(machine, "export", "--segment", "lab", "--canonical")
    assert "#" not in canonical and 'lease = 7200' in canonical


def test_an_address_from_the_pools(machine: Machine, daemon: Daemon) -> None:
    machine.path(POLICY).write_text('pools = ["10.84.7.0/24", "10.84.9.0/25"]\n')
    tarr(machine, "segment", "create", "lab1")
    tarr(machine, "segment", "create", "lab2")
    assert {listed(machine)[name]["address"] for name in ("lab1", "lab2")} == {"10.84.7.1/24", "10.84.9.1/25"}
    assert "overlaps one in use" in refused(machine, "segment", "create", "lab3", status=1)
    tarr(machine, "segment", "create", "lab3", user="root")


def test_so_many_and_no_more(machine: Machine, daemon: Daemon) -> None:
    machine.path(POLICY).write_text("segments = 1\n")
    tarr(machine, "segment", "create", "lab1")
    assert "limit of 1 segments per user" in refused(machine, "segment", "create", "lab2", status=1)
    tarr(machine, "segment", "create", "lab2", user="bob")
    tarr(machine, "segment", "create", "lab3", user="root")


def test_so_many_guests_of_all_segments_and_no_more(machine: Machine, daemon: Daemon) -> None:
    """One that has ended does not count, also before the watch has looked."""
    machine.path(POLICY).write_text("guests = 1\n")
    tarr(machine, "segment", "create", "lab")
    with Peer(machine, "alice") as alice:
        for first, second in (("vdenet0", "lab"), ("lab", "vdenet0")):
            port = alice.call("OpenTap", segment=first, name="web")["port"]
            taps = alice.take()
            with pytest.raises(QuotaExceeded, match="limit of 1 guests per user"):
                alice.call("OpenTap", segment=second, name="web")
            close_all(taps)
            until = time.monotonic() + 10
            while machine.path(f"/sys/class/net/{port}").exists():  # the daemon closes its own copy when it has sent it
                assert time.monotonic() < until
            alice.call("OpenTap", segment=second, name="web")
            close_all(alice.take())
            until = time.monotonic() + 10
            while [name for name in os.listdir(machine.path("/sys/class/net")) if "web" in name]:
                assert time.monotonic() < until


def test_what_cannot_be_created(machine: Machine, daemon: Daemon, request: pytest.FixtureRequest) -> None:
    taken = listed(machine)["vdenet0"]["address"]
    for words, status, said in (
            (["vdenet0"], 1, "there is a segment of that name"), (["policy"], 2, "segment name"), (["Lab"], 2, "segment name"),
            (["lab", "--address", taken], 1, "overlaps"), (["lab", "--mode", "magic"], 2, "expected one of nat"),
            (["vdenet"], 1, "the segment vdenet0 has vdenet.internal")):
        assert said in refused(machine, "segment", "create", *words, status=status)
    for text, place, said in (
            ('mode = "magic"\n', "1:1", "mode"), ('address = "10.71.3.1/24"\n\nguard = 1\n', "3:1", "guard"),
            ('x = = 1\n', "1:5", "invalid")):
        told = refused(machine, "segment", "create", "lab", "-", status=2, text=text)
        assert f"cannot read standard input:{place}: " in told and said in told
    for name in ("docker0", "wg0", "enlab", "eth7", "virbr1"):
        assert "looks like an interface" in refused(machine, "segment", "create", name, status=4)
    resolv = machine.path("/etc/resolv.conf")
    kept = resolv.read_text() if resolv.exists() else ""
    request.addfinalizer(lambda: resolv.write_text(kept))
    resolv.write_text("search corp.internal\nnameserver 10.9.9.9\n")
    vpn = machine.path("/etc/wireguard/wg0.conf")
    vpn.parent.mkdir()
    request.addfinalizer(lambda: shutil.rmtree(vpn.parent))
    vpn.write_text("[Interface]\nAddress = 10.7.3.2/24\n")
    for text, said in (('owner = "bob"\n', "owner: only root"), ('open = ["tcp/22"]\n', "open: tcp/22"),
                       ('domain = "debian.org"\n', "domain: debian.org"), ('domain = "internal"\n', "domain: internal"),
                       ('domain = "a.corp.internal"\n', "the host itself is in corp.internal"),
                       ('address = "10.9.9.1/24"\n', "the host asks the name server 10.9.9.9"),
                       ('address = "10.7.3.1/24"\n', "10.7.3.0/24 is in /etc/wireguard/wg0.conf")):
        assert said in refused(machine, "segment", "create", "lab", "-", status=4, text=text)
    machine.sh("ip link add lab type bridge")
    try:
        assert "interface of that name exists" in refused(machine, "segment", "create", "lab", status=1)
    finally:
        machine.sh("ip link del lab")


def test_another_members_segment(machine: Machine, daemon: Daemon) -> None:
    tarr(machine, "segment", "create", "lab")
    text = tarr(machine, "export", "--segment", "lab", user="bob")
    for words in (["stop"], ["start"], ["reload"], ["ip", "10.71.3.1/24"], ["apply", "-"], ["plan", "-"]):
        assert "belongs to alice" in refused(machine, *words, "--segment", "lab", status=4, user="bob", text=text + "# x\n")
    assert "belongs to alice" in refused(machine, "segment", "delete", "lab", status=4, user="bob")
    assert "belongs to the admin" in refused(machine, "segment", "delete", "vdenet0", status=4)
    shown = machine.run(["tarr-steps", "join", "run", "--segment", "lab", "--", "true"], user="bob")
    assert shown.returncode == 0, "all may use it"
    tarr(machine, "ip", "--segment", "lab", "10.71.3.1/24")
    tarr(machine, "stop", "--segment", "lab", user="root")


def test_a_segment_with_guests_is_not_deleted_unasked(machine: Machine, daemon: Daemon) -> None:
    tarr(machine, "segment", "create", "lab")
    with Peer(machine, "bob") as peer:
        peer.call("OpenTap", segment="lab", name="bobs")
        said = refused(machine, "segment", "delete", "lab", status=1)
        assert "guests are on it: bobs" in said and "hint: tarr-steps segment delete --force lab" in said
        assert "guests that lost it: bobs" in tarr(machine, "segment", "delete", "lab", "--force")
        assert not [name for name in os.listdir(machine.path("/sys/class/net")) if "lab" in name or "bobs" in name]


def test_a_segment_that_guests_have_joined_is_not_deleted_unasked(machine: Machine, daemon: Daemon) -> None:
    """Of those that are off, or whose port is their hypervisor's: their owners could not let them leave any more."""
    tarr(machine, "segment", "create", "lab")
    with Peer(machine, "bob") as bob:
        bob.call("Reserve", segment="lab", name="box", kind="virtualbox")
        assert refused(machine, "segment", "delete", "lab", status=1).splitlines() == [
            "tarr-steps: cannot delete lab: guests have joined it that are off or silent: box",
            "hint: tarr-steps segment delete --force lab takes it from them"]
        bob.call("OpenTap", segment="lab", name="bobs")
        said = refused(machine, "segment", "delete", "lab", status=1)
        assert "guests are on it: bobs; guests have joined it that are off or silent: box" in said
        bob.call("Leave", segment="lab", name="bobs")
        bob.call("Leave", segment="lab", name="box")
        assert tarr(machine, "segment", "delete", "lab") == "lab is deleted\n"
        tarr(machine, "segment", "create", "lab")
        bob.call("Reserve", segment="lab", name="box", kind="virtualbox")
        assert "guests that lost it: box" in tarr(machine, "segment", "delete", "lab", "--force")


@pytest.mark.parametrize("harm", ("gone", "broken"))
def test_a_segment_whose_file_is_gone_or_broken_can_be_stopped(machine: Machine, daemon: Daemon, harm: str) -> None:
    tarr(machine, "segment", "create", "lab")
    config = machine.path("/etc/vdenet/lab.toml")
    good = config.read_text()
    config.unlink() if harm == "gone" else config.write_text("= =\n")
    done = machine.run(["tarr-steps", "stop", "lab"], user="bob", check=False)
    assert done.returncode == 4 and "belongs to alice" in done.stderr, "its owner is known yet"
    tarr(machine, "stop", "lab")
    assert "lab" not in os.listdir(machine.path("/sys/class/net"))
    config.write_text(good)
    tarr(machine, "start", "lab")


def test_nothing_of_them_outlives_the_package(machine: Machine, daemon: Daemon) -> None:
    tarr(machine, "segment", "create", "lab")
    machine.path("/etc/vdenet/lab.toml").unlink()
    daemon.stop()
    machine.run(["vdenetd", "--down"])
    assert not {"lab", "vdenet0", "lab-vde"} & {*os.listdir(machine.path("/sys/class/net"))}
    assert not traces.services(machine)
    machine.sh("rm -rf /run/vdenet/state/lab /var/lib/vdenet/lab")

"""plan and apply FILE: by members, within the policy, as one change that happens or does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import traces
from lab.daemon import Daemon
from lab.machine import Machine

CONFIG, POLICY = "/etc/vdenet/vdenet0.toml", "/etc/vdenet/policy.toml"


@pytest.fixture(autouse=True)
def as_before(machine: Machine, daemon: Daemon) -> Iterator[None]:
    """Each test finds the segment as it was installed, and no policy."""
    good = machine.path(CONFIG).read_text()
    yield
    machine.path(POLICY).unlink(missing_ok=True)
    tarr(machine, "apply", "--rollback", user="root", check=False)
    machine.path(CONFIG).write_text(good)
    machine.run(["tarr-steps", "reload"])


def tarr(machine: Machine, *words: str, user: str = "alice", text: str | None = None, check: bool = True) -> str:
    done = machine.run(["tarr-steps", *words], user=user, input=text, check=check)
    return done.stdout


def refused(machine: Machine, *words: str, status: int, text: str | None = None, user: str = "alice") -> str:
    """The message; nothing has changed."""
    before = here(machine)
    done = machine.run(["tarr-steps", *words], user=user, input=text, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.startswith("tarr-steps: cannot ") and "Traceback" not in done.stderr
    assert not traces.difference(before, here(machine))
    return done.stderr


def here(machine: Machine) -> traces.Traces:
    kernel = {name: value for name, value in traces.kernel(machine).items() if "fe80::" not in name}
    return {**kernel, **traces.files(machine, "/etc/vdenet", "/run/vdenet/dns"),
            **{args: str(pid) for args, pid in traces.services(machine).items()}}


def current(machine: Machine) -> str:
    return machine.path(CONFIG).read_text()


def edited(machine: Machine, old: str, new: str) -> str:
    text = current(machine)
    assert old in text
    return text.replace(old, new)


def test_the_present_file_changes_nothing(machine: Machine, daemon: Daemon) -> None:
    text = tarr(machine, "export")
    assert text == current(machine)
    before = here(machine)
    assert tarr(machine, "plan", "-", text=text) == "vdenet0 is as it should be\n"
    assert tarr(machine, "apply", "-", text=text) == "vdenet0 is as it should be\n"
    assert tarr(machine, "apply", "--check", "-", text=text) == "vdenet0 is as it should be\n"
    assert not traces.difference(before, here(machine))


def test_the_plan_is_what_apply_does(machine: Machine, daemon: Daemon) -> None:
    wanted = "# ours\n" + edited(machine, 'mode = "nat"', 'mode = "isolated"').replace("vdenet.internal", "lab.internal")
    machine.path("/tmp/wanted").write_text(wanted)
    before = here(machine)
    steps = json.loads(tarr(machine, "plan", "/tmp/wanted", "--json"))["steps"]
    drift = machine.run(["tarr-steps", "apply", "--check", "/tmp/wanted"], user="alice", check=False)
    assert drift.returncode == 1 and not drift.stderr and steps[0] in drift.stdout
    assert not traces.difference(before, here(machine)), "looking changes nothing"
    assert f"~ file {CONFIG}" in steps and "~ firewall and NAT of vdenet0" in steps
    assert {"- service dnsmasq", "+ service dnsmasq", "~ sysctl net/ipv4/ip_forward as it was before"} <= {*steps}
    assert all(step[:2] in ("+ ", "~ ", "- ") for step in steps)
    assert json.loads(tarr(machine, "apply", "/tmp/wanted", "--json")) == {
        "segment": "vdenet0", "changed": True, "steps": steps, "confirm": None}
    assert current(machine) == wanted, "comments and all"
    assert machine.path(CONFIG).stat().st_mode & 0o777 == 0o640
    assert tarr(machine, "plan") == tarr(machine, "plan", "/tmp/wanted") == "vdenet0 is as it should be\n"
    assert machine.sh("cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    assert "domain=lab.internal" in machine.path("/run/vdenet/dns/vdenet0/dnsmasq.conf").read_text()


def test_a_change_of_the_address_serves_the_old_one_on(machine: Machine, daemon: Daemon) -> None:
    old = json.loads(tarr(machine, "ip", "--json"))["address"]
    steps = json.loads(tarr(machine, "apply", "-", "--json", text=edited(machine, old, "10.9.8.1/24")))["steps"]
    assert f"~ {old} is served until the guests have renewed" in steps and f"- address {old}" not in str(steps)
    shown = machine.run(["ip", "-4", "addr", "show", "vdenet0"]).stdout
    assert "10.9.8.1/24" in shown and old in shown


MISTAKES = {
    "mode = \"magic\"": ("mode: 'magic': expected one of nat, routed, isolated", 3),
    "guard = 1": ("guard: expected true or false", 3),
    "colour = 1": ("colour: no such key; expected one of address", 3),
    "broken = = 1": ("invalid value", 3),
    "[[host]]\nmac = \"52:54\"": ("host.mac: '52:54': expected a form like 52:54:00:12:34:56", 4),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_bad_toml(machine: Machine, daemon: Daemon, line: str) -> None:
    words, number = MISTAKES[line]
    text = f'address = "10.9.8.1/24"\n# a lab\n{line}\n'
    machine.path("/tmp/bad.toml").write_text(text)
    for verb in ("plan", "apply"):
        said = refused(machine, verb, "/tmp/bad.toml", status=2)
        assert f"cannot read /tmp/bad.toml:{number}:" in said and words in said
        assert f"cannot read standard input:{number}:" in refused(machine, verb, "-", status=2, text=text)


def test_files_that_cannot_be_read(machine: Machine, daemon: Daemon) -> None:
    assert "/nowhere: No such file" in refused(machine, "apply", "/nowhere", status=1)
    assert "Is a directory" in refused(machine, "plan", "/tmp", status=1)
    machine.path("/tmp/latin").write_bytes(b"# \xff\n")
    assert "UTF-8" in refused(machine, "apply", "/tmp/latin", status=2)
    machine.path("/tmp/large").write_text("#" * 300_000)
    assert "too large" in refused(machine, "apply", "/tmp/large", status=2)
    assert "missing" in refused(machine, "apply", "-", status=2, text="")


def test_a_file_that_is_called_as_another_segment_is_not_applied_to_this_one(machine: Machine, daemon: Daemon) -> None:
    machine.path("/tmp/vdenet0.toml").write_text(current(machine))
    assert tarr(machine, "plan", "/tmp/vdenet0.toml") == "vdenet0 is as it should be\n"
    assert "no such segment" in refused(machine, "apply", "/tmp/vdenet0.toml", "--segment", "lab", status=2)


def test_strangers(machine: Machine, daemon: Daemon) -> None:
    for words in (["plan", "-"], ["apply", "-"], ["export"], ["apply", "--confirmed"], ["apply", "--rollback"],
                  ["segment", "create", "lab"], ["segment", "delete", "vdenet0"]):
        assert "adduser nora vdenet" in refused(machine, *words, status=4, text="", user="nora")


# --- the policy -----------------------------------------------------------------------------------------

def test_members_stay_within_the_policy_and_root_does_not(machine: Machine, daemon: Daemon) -> None:
    machine.path(POLICY).write_text('modes = ["nat"]\npools = ["10.84.0.0/16"]\n')
    wanted = edited(machine, 'mode = "nat"', 'mode = "isolated"')
    said = refused(machine, "apply", "-", status=4, text=wanted)
    assert "mode: isolated is not allowed; allowed: nat" in said and f"may allow it in {POLICY}" in said
    assert "10.9.8.0/24 is in none of the pools 10.84.0.0/16" in refused(machine, "ip", "10.9.8.1/24", status=4)
    refused(machine, "plan", "-", status=4, text=wanted)
    tarr(machine, "ip", "10.84.1.1/24")
    tarr(machine, "apply", "-", text=wanted, user="root")


def test_what_is_there_already_is_not_refused(machine: Machine, daemon: Daemon) -> None:
    machine.path(POLICY).write_text('modes = ["isolated"]\npools = ["10.84.0.0/16"]\ndomains = ["example"]\n')
    tarr(machine, "apply", "-", text=current(machine) + "\n[dhcp]\nlease = \"2h\"\n")
    assert "lease" in current(machine)


def test_the_admins_own_segment(machine: Machine, daemon: Daemon) -> None:
    machine.path(POLICY).write_text("change = false\n")
    assert "only root may" in refused(machine, "apply", "-", status=4, text=current(machine) + "# x\n")
    assert "only root may" in refused(machine, "ip", "10.9.8.1/24", status=4)
    tarr(machine, "stop")
    tarr(machine, "start")


@pytest.mark.parametrize(("line", "words"), (
    ('open = ["tcp/22"]', "open: tcp/22"), ("guard = false", "guard: only root"), ('owner = "alice"', "owner: only root"),
    ('domain = "debian.org"', "domain: debian.org"),
))
def test_what_the_policy_does_not_allow_by_itself(machine: Machine, daemon: Daemon, line: str, words: str) -> None:
    key = line.split()[0]
    text = "".join(each for each in current(machine).splitlines(True) if not each.startswith(key)) + line + "\n"
    assert words in refused(machine, "apply", "-", status=4, text=text)


def test_another_members_guest_is_not_made_a_fixed_host(machine: Machine, daemon: Daemon) -> None:
    machine.run(["tarr-steps", "join", "qemu", "--print", "--name", "bobs"], user="bob")
    mac = next(guest["mac"] for guest in json.loads(machine.path("/var/lib/vdenet/vdenet0/guests.json").read_text())
               ["guests"] if guest["name"] == "bobs")
    text = current(machine) + f'\n[[host]]\nname = "mine"\nmac = "{mac}"\n'
    assert "bobs is a guest of another user" in refused(machine, "apply", "-", status=4, text=text)
    tarr(machine, "apply", "-", text=text, user="bob")
    machine.run(["tarr-steps", "leave", "qemu", "bobs"], user="bob", check=False)


def test_another_members_address_is_not_given_away(machine: Machine, daemon: Daemon) -> None:
    guest = machine.popen(["tarr-steps", "join", "run", "--name", "victim", "--", "sleep", "300"], user="bob")
    try:
        def where() -> str:
            told = json.loads(tarr(machine, "list", "--json"))["segments"]
            return next((one["address"] or "" for each in told for one in each["guests"] if one["name"] == "victim"), "")
        machine.wait_for(where, 30, "an address")
        text = current(machine) + f'\n[[host]]\nname = "mine"\nmac = "02:00:00:00:00:77"\naddress = "{where()}"\n'
        assert f"{where()} is the address of another user's guest" in refused(machine, "apply", "-", status=4, text=text)
    finally:
        guest.send_signal(15)
        guest.wait(20)


@pytest.mark.parametrize("text", (".".join("a" * 60000) + "=1\n", "x=1\n[[host]]\n" * 2000,
                                  'x = """\n# """\n' + ".".join("ab" * 5000) + "=1\n"), ids=("dots", "tables", "hidden"))
def test_what_would_take_the_daemons_memory(machine: Machine, daemon: Daemon, text: str) -> None:
    refused(machine, "plan", "-", status=2, text=current(machine) + text)
    assert daemon.alive


def test_a_policy_with_a_mistake_stops_members(machine: Machine, daemon: Daemon) -> None:
    machine.path(POLICY).write_text('# ours\npools = ["8.8.8.0/24"]\n')
    place = f"{POLICY}:2:1: pools: '8.8.8.0/24': expected a private network"
    assert place in refused(machine, "apply", "-", status=1, text=current(machine) + "# x\n")
    assert place in refused(machine, "ip", "10.9.8.1/24", status=1)
    assert place in refused(machine, "segment", "create", "lab", status=1)
    assert place in refused(machine, "join", "qemu", "--print", status=1)
    checked = machine.run(["tarr-steps", "check"], user="alice", check=False)
    assert checked.returncode == 1 and place in checked.stdout
    tarr(machine, "apply", "-", text=current(machine) + "# x\n", user="root")


# --- a step that fails ----------------------------------------------------------------------------------

def test_a_failed_step_leaves_file_and_machine_as_before(machine: Machine, daemon: Daemon) -> None:
    """The resolver's port is taken on the new address, so dnsmasq cannot start there."""
    tool = machine.path("/usr/sbin/nft")
    away = tool.with_name("nft.away")
    before = here(machine)
    tool.rename(away)
    tool.write_text("#!/bin/sh\ncase \"$*\" in '-f -') echo no luck >&2; exit 1 ;; esac\nexec /usr/sbin/nft.away \"$@\"\n")
    tool.chmod(0o755)
    try:
        done = machine.run(["tarr-steps", "apply", "-"], user="alice", check=False,
                           input=edited(machine, 'mode = "nat"', 'mode = "isolated"'))
        assert done.returncode == 5 and "no luck" in done.stderr
    finally:
        away.rename(tool)
    machine.run(["tarr-steps", "reload"])
    after = here(machine)
    assert not [line for line in traces.difference(before, after) if "dnsmasq" not in line]


def test_root_mends_a_broken_file(machine: Machine, daemon: Daemon) -> None:
    good = current(machine)
    machine.path(CONFIG).write_text(good + "broken = = 1\n")
    assert f"{CONFIG}:" in machine.run(["tarr-steps", "apply", "-"], user="alice", input=good, check=False).stderr
    tarr(machine, "apply", "-", text=good, user="root")
    assert current(machine) == good


def test_a_stopped_segment_is_configured_and_stays_down(machine: Machine, daemon: Daemon) -> None:
    tarr(machine, "stop")
    done = json.loads(tarr(machine, "apply", "-", "--json", text=edited(machine, 'mode = "nat"', 'mode = "routed"')))
    assert done["steps"] == [f"~ file {CONFIG}"]
    assert not Path(machine.path("/sys/class/net/vdenet0")).exists()
    tarr(machine, "start")
    assert tarr(machine, "plan") == "vdenet0 is as it should be\n"


def test_an_imported_network_is_planned_and_applied(machine: Machine, daemon: Daemon) -> None:
    text = tarr(machine, "import", "-", text='LXC_ADDR="10.77.3.1"\nLXC_DHCP_RANGE="10.77.3.50,10.77.3.99"\n')
    assert "10.77.3.1/24" in tarr(machine, "plan", "-", text=text)
    tarr(machine, "apply", "-", text=text)
    assert json.loads(tarr(machine, "ip", "--json"))["address"] == "10.77.3.1/24"
    assert tarr(machine, "plan", "-", text=text) == "vdenet0 is as it should be\n"
    # A script of the switch's changes the switch, and nothing else.
    text = tarr(machine, "import", "-", text="port/setnumports 16\nhash/setexpire 300\n")
    assert 'address = "10.77.3.1/24"' in text
    tarr(machine, "apply", "-", text=text)
    assert any("--numports 16" in args for args in traces.services(machine))
    assert 'range = ["10.77.3.50", "10.77.3.99"]' in current(machine)
    why = refused(machine, "import", "-", text="vlan/create x\n", status=2)
    assert "cannot import standard input:1: vlan/create" in why

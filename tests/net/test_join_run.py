"""`join run`: a command on the segment, as the user that started it and as nobody more."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from lab.daemon import Daemon
from lab.machine import Inside, Machine, wait_for

USER = "alice"


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[[str], Machine]) -> Machine:
    made = new_machine(request.param)
    if request.param == "trixie":
        # The lab covers parts of /proc as a container does: without that, there are process namespaces.
        made.sh("umount /proc/sys/net /proc/sys")
    return made


@pytest.fixture(scope="module", autouse=True)
def segment(machine: Machine, daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.run(["tarr-steps", "list", "--json"], user=USER).stdout)["segments"][0]
    return found


def run(machine: Machine, script: str, *options: str, check: bool = True, user: str = USER,
        input: str | None = None) -> subprocess.CompletedProcess[str]:
    return machine.run(["tarr-steps", "join", "run", *options, "--", "sh", "-c", script], user=user, check=check,
                       input=input)


def start(machine: Machine, script: str, *options: str, user: str = USER) -> Inside:
    return machine.popen(["tarr-steps", "join", "run", *options, "--", "sh", "-c", script], user=user)


def guests(machine: Machine) -> dict[str, dict[str, Any]]:
    listed = json.loads(machine.run(["tarr-steps", "list", "--json"], user=USER).stdout)
    return {guest["name"]: guest for guest in listed["segments"][0]["guests"]}


def address_of(machine: Machine, name: str) -> str | None:
    return (guests(machine).get(name) or {}).get("address")


def no_ports(machine: Machine) -> bool:
    return "vd0-" not in machine.sh("ip -oneline link")


@pytest.fixture(autouse=True)
def nothing_is_left(machine: Machine) -> Any:
    yield
    wait_for(lambda: no_ports(machine), 5, "no port left")
    assert machine.run(["pgrep", "-a", "udhcpc"], check=False).stdout == ""
    assert machine.run(["pgrep", "-af", "run_inside"], check=False).stdout == ""


def test_it_is_a_guest(machine: Machine, segment: dict[str, Any]) -> None:
    host = IPv4Interface(segment["address"])
    done = run(machine, "ip -j address show eth0; ip -j route; cat /etc/resolv.conf; ls /sys/class/net",
               "--name", "web")
    shown, routes, rest = done.stdout.split("\n", 2)
    inside = next(each for each in json.loads(shown)[0]["addr_info"] if each["family"] == "inet")
    assert IPv4Address(inside["local"]) in host.network
    assert inside["prefixlen"] == host.network.prefixlen
    assert any(route["dst"] == "default" and route["gateway"] == str(host.ip) for route in json.loads(routes))
    assert rest == f"search vdenet.internal\nnameserver {host.ip}\neth0\nlo\n"
    assert done.stderr == f"joined as web.vdenet.internal, {inside['local']}\n"


def test_listed_while_it_runs(machine: Machine) -> None:
    running = start(machine, "sleep 60", "--name", "seen")
    wait_for(lambda: address_of(machine, "seen"), 10, "an address")
    guest = guests(machine)["seen"]
    running.terminate()
    assert running.wait(10) == 128 + 15
    assert (guest["owner"], guest["via"], guest["kind"], guest["fqdn"]) == (
        USER, "veth", "run", "seen.vdenet.internal")
    wait_for(lambda: "seen" not in guests(machine), 5, "the guest gone")


def test_its_address_ends_with_it(machine: Machine) -> None:
    first = run(machine, "getent hosts brief", "--name", "brief")
    assert "brief.vdenet.internal" in first.stdout
    wait_for(lambda: "brief" not in guests(machine), 3, "the guest gone")
    assert run(machine, "getent hosts brief.vdenet.internal", check=False).returncode == 2
    # Whoever asks first may have the name of a guest that is gone.
    run(machine, "true", "--name", "brief", user="bob")


def test_names_resolve_and_guests_reach_one_another(machine: Machine) -> None:
    server = start(machine, "cd /usr/share/doc/vdenet && exec python3 -m http.server 80", "--name", "www")
    wait_for(lambda: address_of(machine, "www"), 10, "an address")
    fetch = ("import urllib.request as u; "
             "print(u.urlopen('http://www/copyright', timeout=5).read()[:8].decode())")
    # A port under 1024 is its own to serve, its name is known to the next guest.
    done = wait_for(lambda: (got := machine.run(
        ["tarr-steps", "join", "run", "--quiet", "--", "python3", "-c", fetch], user="bob", check=False)
        ).returncode == 0 and got, 15, "an answer")
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.stderr == ""
    run(machine, "ping -c 1 -W 2 www && ping -c 1 -W 2 gateway.vdenet.internal")
    server.terminate()
    server.wait(10)


def test_ipv6(machine: Machine, segment: dict[str, Any]) -> None:
    done = run(machine, "i=0; while [ $i -lt 50 ]; do ip -6 -o address show dev eth0 scope global | grep inet6 "
                        "&& break; i=$((i+1)); sleep 0.2; done")
    prefix = segment["address6"].rpartition("::")[0]
    assert f"inet6 {prefix}:" in done.stdout


@pytest.mark.parametrize("script, status", [("true", 0), ("exit 1", 1), ("exit 77", 77), ("kill -KILL $$", 137),
                                            ("kill -TERM $$", 143)])
def test_status_is_the_commands(machine: Machine, script: str, status: int) -> None:
    assert run(machine, script, check=False).returncode == status


@pytest.mark.parametrize("command, status", [("no-such-command", 127), ("/no/such", 127), ("/etc/passwd", 126)])
def test_no_command(machine: Machine, command: str, status: int) -> None:
    done = machine.run(["tarr-steps", "join", "run", "--", command], user=USER, check=False)
    assert done.returncode == status
    assert done.stderr.startswith(f"tarr-steps: cannot run {command}: ") and done.stderr.count("\n") == 1


def test_streams_arguments_environment_directory(machine: Machine) -> None:
    done = machine.run(["tarr-steps", "join", "run", "--quiet", "--", "sh", "-c",
                        'cat; printf "%s|" "$@" "$GREETING" "$PWD"; echo err >&2', "sh", "a b", "--json", ""],
                       user=USER, input="some\0thing\n", env={"GREETING": "hello"}, cwd="/usr/share")
    assert done.stdout == "some\0thing\na b|--json||hello|/usr/share|"
    assert done.stderr == "err\n"


def test_it_is_the_user_and_nobody_more(machine: Machine) -> None:
    uid, gid, _home, _shell = machine.account(USER)
    done = run(machine, "id -u; id -g; grep CapEff /proc/self/status; touch ~/made; "
                        "ip link set eth0 down 2>&1; cat /etc/shadow 2>&1; mount -t tmpfs t /mnt 2>&1; true")
    said = done.stdout.splitlines()
    assert said[:3] == [str(uid), str(gid), "CapEff:\t0000000000000000"]
    assert "not permitted" in said[3]
    assert "denied" in said[4]
    assert "must be superuser" in said[5] or "denied" in said[5]
    made = machine.path(f"/home/{USER}/made").stat()
    assert (made.st_uid, made.st_gid) == (uid, gid)


def test_the_hosts_own_network_is_out_of_sight(machine: Machine) -> None:
    inside = run(machine, "readlink /proc/self/ns/net; ip -oneline link").stdout
    assert "vdenet0" not in inside
    assert machine.sh("readlink /proc/self/ns/net").strip() not in inside


def test_what_it_leaves_running_ends_with_it(machine: Machine) -> None:
    run(machine, "sleep 4711 & setsid sleep 4712 & (setsid sh -c 'sleep 4713 & sleep 4714' &) ; sleep 0.3")
    assert machine.run(["pgrep", "-af", "sleep 471"], check=False).stdout == ""


def test_signals_are_passed_on(machine: Machine) -> None:
    running = start(machine, "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    assert running.stdout is not None
    wait_for(lambda: "ready" in running.stdout.readline() if running.stdout else False, 10, "the command")
    running.terminate()
    assert running.wait(10) == 9
    assert "caught" in running.stdout.read()


def test_killed_it_takes_the_command_along(machine: Machine) -> None:
    running = start(machine, "sleep 4720")
    wait_for(lambda: machine.run(["pgrep", "-fx", "sleep 4720"], check=False).stdout, 10, "the command")
    running.kill()
    running.wait(10)
    wait_for(lambda: not machine.run(["pgrep", "-fx", "sleep 4720"], check=False).stdout, 5, "its end")


def test_resolver_stays_when_the_host_replaces_its_own(machine: Machine, segment: dict[str, Any]) -> None:
    host = machine.path("/etc/resolv.conf")
    before = host.read_text()
    running = start(machine, "echo ready; read x </dev/null; sleep 1.5; cat /etc/resolv.conf; getent hosts gateway",
                    "--quiet")
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    machine.sh("echo nameserver 192.0.2.1 >/etc/new && mv /etc/new /etc/resolv.conf")
    said = running.stdout.read()
    assert running.wait(10) == 0, said
    own = str(IPv4Interface(segment["address"]).ip)
    assert f"nameserver {own}\n" in said and "192.0.2.1" not in said
    assert machine.sh("cat /etc/resolv.conf") == "nameserver 192.0.2.1\n"
    host.write_text(before)


@pytest.mark.parametrize("before", [
    "rm /etc/resolv.conf",
    "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf",
    "mkdir -p /run/systemd/resolve && echo nameserver 127.0.0.53 >/run/systemd/resolve/stub-resolv.conf"
    " && ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf",
], ids=["missing", "dangling", "systemd-resolved"])
def test_resolver_whatever_the_hosts_is(machine: Machine, segment: dict[str, Any], before: str) -> None:
    machine.sh(before)
    entries = machine.sh("ls -A /etc")
    try:
        done = run(machine, "cat /etc/resolv.conf; getent hosts gateway >/dev/null; echo $?; ls -A /etc", "--quiet")
        address = IPv4Interface(segment["address"]).ip
        head = f"search vdenet.internal\nnameserver {address}\n0\n"
        assert done.stdout.startswith(head)
        assert set(done.stdout.removeprefix(head).split()) == set(entries.split()) | {"resolv.conf"}
        assert machine.sh("ls -A /etc") == entries
    finally:
        machine.sh("rm -rf /run/systemd; rm -f /etc/resolv.conf; : >/etc/resolv.conf")


def test_included_ssh_configuration_is_usable(machine: Machine) -> None:
    machine.sh("mkdir -p /etc/ssh/ssh_config.d && echo 'Host *' >/etc/ssh/ssh_config.d/lab.conf")
    # ssh refuses files that belong neither to root nor to the user.
    assert run(machine, "stat -c %U /etc/ssh/ssh_config.d/lab.conf").stdout.strip() == USER


def test_the_lease_is_renewed(machine: Machine) -> None:
    running = start(machine, "a() { ip -o -4 address show eth0 | grep -o 'valid_lft [0-9]*' | tr -dc 0-9; }; "
                             "echo ready; sleep 3; b=$(a); n=0; "
                             "while c=$(a); [ $c -le $b ] && [ $n -lt 100 ]; do sleep 0.2; n=$((n + 1)); done; "
                             "[ $c -gt $b ]; echo $b $c $?", "--quiet")
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    time.sleep(4)
    # SIGUSR1 makes udhcpc renew now, which it else does at half the time.
    machine.sh("pkill -USR1 udhcpc")
    assert running.stdout.read().split()[-1] == "0"
    assert running.wait(10) == 0


def test_many_at_once(machine: Machine) -> None:
    # Each stays until all are there: the name of one that has ended, and with it the address, is free again.
    script = ("ip -o -4 address show eth0 | tr -s ' ' | cut -d' ' -f4; "
              "until [ -e /tmp/all-are-there ]; do sleep 0.1; done")
    running = [start(machine, script, "--quiet", user=user) for user in ("alice", "bob") * 4]
    said = []
    for each in running:
        assert each.stdout is not None
        said.append(each.stdout.readline().strip())
    machine.sh(": >/tmp/all-are-there")
    assert [each.wait(60) for each in running] == [0] * len(running)
    assert len(set(said)) == len(running) and all(said)


def test_a_name_is_given_once(machine: Machine) -> None:
    first = start(machine, "echo ready; sleep 30", "--name", "one", "--quiet")
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    done = run(machine, "true", "--name", "one", check=False, user="bob")
    first.terminate()
    first.wait(10)
    assert done.returncode == 1
    assert done.stderr.startswith("tarr-steps: cannot use the name one: ")


@pytest.mark.parametrize("way", ["--print", "--tap"])
def test_a_name_of_a_guest_of_another_kind(machine: Machine, way: str) -> None:
    """Which may be off, and then nobody sees it; who takes its name is told whose it is."""
    join = ["tarr-steps", "join", "qemu", "--json", *(["--print", "--name"] if way == "--print" else ["--tap"]), "box"]
    told = json.loads(machine.run(join, user=USER).stdout)
    try:
        for words, what, why in ((["--name", "box"], "name box", "your qemu guest of that name has it"),
                                 (["--mac", told["mac"]], f"MAC address {told['mac']}", "your qemu guest box has it")):
            done = run(machine, "true", *words, check=False)
            assert (done.returncode, done.stderr.splitlines()) == (1, [
                f"tarr-steps: cannot use the {what}: {why}", "hint: tarr-steps leave qemu box frees it"])
        assert json.loads(machine.run(join, user=USER).stdout)["mac"] == told["mac"], "it is as it was"
    finally:
        assert "has left" in machine.run(["tarr-steps", "leave", "qemu", "box"], user=USER).stdout
    # Of a command that has ended the name is free at once.
    run(machine, "true", "--name", "box")
    assert json.loads(machine.run(join, user=USER).stdout)["mac"] == told["mac"]
    machine.run(["tarr-steps", "leave", "qemu", "box"], user=USER)


@pytest.mark.parametrize(("name", "words"), [
    ("a-run", ("run", "--name", "a-run", "--", "true")), ("a-qemu", ("qemu", "--name", "a-qemu", "--", "true")),
    ("a-vde", ("qemu", "--print", "--name", "a-vde")), ("a-tap", ("qemu", "--tap", "a-tap"))])
def test_while_the_segment_is_down(machine: Machine, name: str, words: tuple[str, ...]) -> None:
    machine.run(["tarr-steps", "stop"], user=USER)
    try:
        done = machine.run(["tarr-steps", "join", *words], user=USER, check=False)
        assert (done.returncode, done.stdout, done.stderr.splitlines()) == (1, "", [
            "tarr-steps: cannot join: the segment vdenet0 is down", "hint: tarr-steps start vdenet0"])
        assert no_ports(machine)
    finally:
        machine.run(["tarr-steps", "start"], user=USER)
    assert name not in guests(machine) and no_ports(machine)
    run(machine, "true", "--name", name, user="bob")


def test_a_stranger_is_told_how_to_get_in(machine: Machine) -> None:
    done = run(machine, "true", check=False, user="nora")
    assert done.returncode == 4
    assert "adduser nora vdenet" in done.stderr


def test_where_namespaces_are_forbidden(machine: Machine) -> None:
    # user_namespaces(7): a process in a chroot may make none.
    machine.sh("mkdir -p /srv/jail && mount --rbind / /srv/jail")
    uid, gid, _home, _shell = machine.account(USER)
    done = machine.run(["chroot", "/srv/jail", "setpriv", f"--reuid={uid}", f"--regid={gid}",
                        f"--groups={machine.gid('vdenet')}", "tarr-steps", "join", "run", "--", "true"], check=False)
    machine.sh("umount -l /srv/jail")
    assert done.returncode == 5
    assert done.stderr.splitlines()[0] == ("tarr-steps: cannot make a network namespace: unshare failed: "
                                           "unshare: unshare failed: Operation not permitted")


def test_no_address_in_time(machine: Machine) -> None:
    machine.sh("pkill -STOP dnsmasq")
    try:
        begun = time.monotonic()
        done = run(machine, "echo never", check=False)
    finally:
        machine.sh("pkill -CONT dnsmasq")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == ("tarr-steps: cannot run the command on the segment: no address by DHCP within 15 s\n"
                           "hint: tarr-steps check\n")
    assert time.monotonic() - begun < 20


# Runs in the machine, as a session of its own on a terminal of its own.
TERMINAL = r"""
import os, pty, select, sys, time
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[1], sys.argv[1:])
out = b""
def until(text, seconds=15):
    global out
    end = time.monotonic() + seconds
    while text not in out:
        if time.monotonic() > end:
            sys.exit("no %r in %r" % (text, out))
        if select.select([fd], [], [], 0.1)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:
                data = b""
            if not data:
                sys.exit("ended without %r: %r" % (text, out))
            out += data
    out = out.partition(text)[2]
for line in sys.stdin.read().splitlines():
    wanted, _, sent = line.partition(" <- ")
    until(wanted.encode())
    time.sleep(0.2)
    os.write(fd, sent.encode().decode("unicode_escape").encode())
while True:
    try:
        if not os.read(fd, 4096):
            break
    except OSError:
        break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def terminal(machine: Machine, argv: list[str], dialogue: str) -> int:
    return machine.run(["python3", "-c", TERMINAL, *argv], user=USER, input=dialogue, check=False,
                       env={"TERM": "dumb"}, timeout=90).returncode


JOIN = ["tarr-steps", "join", "run", "--quiet", "--"]


def test_keys_of_the_terminal_reach_the_command(machine: Machine) -> None:
    assert terminal(machine, [*JOIN, "sh", "-c", "echo up; exec sleep 100"], "up <- \\x03\n") == 130
    script = "trap 'echo int' INT; trap 'echo quit; exit 8' QUIT; echo up; while :; do sleep 0.1; done"
    assert terminal(machine, [*JOIN, "sh", "-c", script], "up <- \\x03\nint <- \\x1c\n") == 8


def test_job_control(machine: Machine) -> None:
    assert terminal(machine, ["bash", "--norc", "-i"],
                    "$ <- tarr-steps join run --quiet -- sh -c 'echo u''p; sleep 1; echo do''ne'\\r\n"
                    "up <- \\x1a\nStopped <- fg\\r\ndone <- \nbash <- exit 3\\r\n") == 3


def test_a_shell_gives_the_terminal_back(machine: Machine) -> None:
    script = "tarr-steps join run --quiet -- bash --norc -i; read x; test $x = back"
    assert terminal(machine, ["sh", "-c", script],
                    "$ <- sleep 100; echo aft''er\\r\nsleep <- \\x03\n$ <- exit\\r\nexit <- back\\r\n") == 0

"""Plugs: how they are run, where mistakes in their tables are shown, whom they let in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from unit.examples import st
from unit.samples import PLACES, PLAIN, TARGETS
from vdenet.errors import BadConfig
from vdenet.model.plug import Plug
from vdenet.text import config, plugs

OWN = "vde:///run/vdenet/vdenet0/switch"
FILE = """\
address = "10.83.14.1/24"

[[plug]]
url = "vde:///run/vde2/lab[5]"
name = "cellar"
port = 9

[[plug]]
url = "vxvde://"
"""


def parsed(text: str) -> tuple[Plug, ...]:
    return config.parse(text, "vdenet0", "vdenet0.toml").plugs


def test_a_file() -> None:
    assert parsed(FILE) == (Plug("vde:///run/vde2/lab[5]", "cellar", 9), Plug("vxvde://239.0.0.1"))


@pytest.mark.parametrize(("old", "new", "place"), (
    ('"vde:///run/vde2/lab[5]"', '"cmd://id"', "4:1"), ('"vde:///run/vde2/lab[5]"', "5", "4:1"),
    ('"vde:///run/vde2/lab[5]"', '"vde:///run/vdenet/vdenet0/switch"', "4:1"), ('url = "vxvde://"', "", "8:1"),
    ('"vxvde://"', '"vde:///run/vde2/lab[5]"', "9:1"), ('"vxvde://"', '"vxvde://10.0.0.1"', "9:1"),
    ('"vxvde://"', '"ssh://a@b/x"\\nname = "cellar"', "10:1"), ('"vxvde://"', '"ssh://a@b/x"\\nport = 9', "10:1"),
    ("port = 9", "port = 1", "6:1"), ("port = 9", "port = 64", "6:1"), ("port = 9", 'port = "9"', "6:1"),
    ('"cellar"', '"-x"', "5:1"), ('"cellar"', '"a b"', "5:1"), ("port = 9", "prot = 9", "6:1"),
    ('[[plug]]\nurl = "vxvde://"', "[plug]", "8:6"),
))
def test_each_mistake_is_shown_where_it_is(old: str, new: str, place: str) -> None:
    assert old in FILE
    with pytest.raises(BadConfig) as caught:
        parsed(FILE.replace(old, new.replace("\\n", "\n"), 1))
    assert str(caught.value).startswith(f"cannot read vdenet0.toml:{place}: ")


def test_there_is_an_end() -> None:
    table = '[[plug]]\nurl = "vxvde://239.1.2.3/vni={}"\n'
    some = 'address = "10.83.14.1/24"\n' + "".join(table.format(n + 1) for n in range(16))
    assert len(parsed(some)) == 16
    with pytest.raises(BadConfig, match=r"vdenet0\.toml:34:1: plug: there are more than 16"):
        parsed(some + table.format(99))


def argv(url: str, port: int | None = None) -> tuple[str, ...]:
    service, = plugs.services(replace(PLAIN, plugs=(Plug(url, None, port),)), PLACES)
    assert (service.account, service.groups, service.capabilities, service.patient) == (
        "vdenet-plug", ("vdenet",), (), True)
    return service.argv


def test_the_command_lines() -> None:
    assert argv("vde:///run/vde2/lab[5]") == ("vde_plug", "--", "vde:///run/vde2/lab[5]", OWN)
    assert argv("vxvde://239.1.2.3/vni=5", 7) == ("vde_plug", "--", "vxvde://239.1.2.3/vni=5", f"{OWN}[7]")
    assert argv("udp://[fd5e::1]:5000->[fd5e::2]:6000") == (
        "vde_plug", "--", "udp://fd5e::1:5000->fd5e::2:6000", OWN)
    ssh = argv("ssh://alice@tower:2222/srv/switch")
    assert ssh[:4] == ("vde_plug", "--", OWN, "=") and "BatchMode=yes" in ssh and "StrictHostKeyChecking=yes" in ssh
    assert ssh[-7:] == ("-l", "alice", "-p", "2222", "--", "tower", "vde_plug /srv/switch")


@given(st.sampled_from(TARGETS), st.none() | st.integers(2, 60))
def test_no_argument_becomes_an_option(url: str, port: int | None) -> None:
    line = argv(url, port)
    assert line[1] == "--" and not any(word.startswith("-") for word in line[2:] if word.startswith(("vde", "ud", "vx")))
    assert line[-1][0] != "-" and line[-2][0] != "-"


def test_what_is_not_wanted_any_more_is_found() -> None:
    before = plugs.services(replace(PLAIN, plugs=tuple(Plug(url) for url in TARGETS)), PLACES)
    after = plugs.services(replace(PLAIN, plugs=(Plug(TARGETS[2]),)), PLACES)
    other = plugs.services(replace(PLAIN, name="vdenet01", plugs=(Plug(TARGETS[0]),)), PLACES)
    running = [("/usr/bin/vde_plug", *one.argv[1:]) for one in (*before, *other)] + [("ssh", "-x", OWN), ("sh",)]
    strays = plugs.strays(running, "vdenet0", after, PLACES)
    assert {one.argv for one in strays} == {one.argv for one in before} - {after[0].argv}
    # As those who started them called them: so a change is taken back.
    names = {one.argv: (one.name, one.title) for one in before}
    assert all((one.name, one.title.replace("->fd5e::2:", "->[fd5e::2]:").replace("//fd5e::1:", "//[fd5e::1]:"))
               == names[one.argv] for one in strays)


def test_only_the_peer_gets_into_a_udp_plug() -> None:
    assert plugs.rules((Plug("vxvde://239.1.2.3"), Plug("vde:///x"))) == ""
    text = plugs.rules((Plug("udp://5000->192.0.2.7:6000"), Plug("udp://[fd5e::1]:5001->[fd5e::2]:5000")))
    assert [line.strip() for line in text.splitlines() if "drop" in line or "dport" in line] == [
        "icmp type destination-unreachable icmp code != 4 @th,224,32 0x13881770 drop",
        "ip saddr 192.0.2.7 udp sport 6000 udp dport 5000 accept", "udp dport 5000 drop",
        "icmpv6 type destination-unreachable @th,384,32 0x13891388 drop",
        "ip6 daddr fd5e::1 ip6 saddr fd5e::2 udp sport 5000 udp dport 5001 accept",
        "ip6 daddr fd5e::1 udp dport 5001 drop"]


@pytest.mark.parametrize(("said", "why"), (
    ("", ""), ("vde_open vde:///x: No such file or directory\n", "vde_open vde:///x: No such file or directory"),
    ("Authenticated to tower ([192.0.2.7]:22) using \"publickey\".\nTransferred: sent 1, received 2 bytes\n"
     "Bytes per second: sent 1, received 2\n", ""),
    ("Host key verification failed.\r\n", "Host key verification failed."),
))
def test_why_it_ended(said: str, why: str) -> None:
    assert plugs.complaint(said) == why


@pytest.mark.parametrize(("urls", "on"), (
    ((), False), (TARGETS[:1], True), (TARGETS[2:3], False), (TARGETS[5:6], False), (TARGETS[2:4], True),
    (TARGETS[7:8], True),
))
def test_the_spanning_tree_is_on_where_a_loop_may_be(urls: tuple[str, ...], on: bool) -> None:
    segment = replace(PLAIN, plugs=tuple(Plug(url) for url in urls))
    assert segment.breaks_loops is on
    assert [replace(segment, spanning_tree=said).breaks_loops for said in (True, False)] == [True, False]


@pytest.mark.parametrize(("said", "value"), (("", None), ("spanning_tree = true", True), ("spanning_tree = false", False)))
def test_what_the_file_says_of_it(said: str, value: bool | None) -> None:
    text = f'address = "10.83.14.1/24"\n[switch]\n{said}\n'
    assert config.parse(text, "vdenet0", "vdenet0.toml").spanning_tree is value


def test_what_it_may_not_say_of_it() -> None:
    with pytest.raises(BadConfig, match=r"vdenet0\.toml:3:1: switch.spanning_tree: expected true or false"):
        config.parse('address = "10.83.14.1/24"\n[switch]\nspanning_tree = "on"\n', "vdenet0", "vdenet0.toml")

"""policy.toml: what each key means, and where each mistake is shown."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given

from unit.examples import st
from vdenet.errors import BadConfig, VdenetError
from vdenet.model.policy import DEFAULT, Policy
from vdenet.model.segment import Mode, OpenPort
from vdenet.text import policy

FULL = """\
# The classroom's.
pools = ["10.83.0.0/16", "192.168.64.0/20"]
modes = ["nat"]
domains = ["internal", "lab.example"]
open = ["tcp/22"]
change = false
segments = 2
guests = 0
uplinks = ["eth1"]
adopt = ["virbr0"]
plugs = ["vxvde"]
netboot = ["/srv/tftp/"]
vlans = false
"""


def test_every_key() -> None:
    assert policy.parse(FULL, "policy.toml") == Policy(
        (IPv4Network("10.83.0.0/16"), IPv4Network("192.168.64.0/20")), (Mode.NAT,), ("internal", "lab.example"),
        (OpenPort("tcp", 22),), False, 2, 0, ("eth1",), ("virbr0",), ("vxvde",), ("/srv/tftp",), False)
    assert {line.split()[0] for line in FULL.splitlines()[1:]} == set(policy.KEYS)


def test_an_empty_file_is_the_default() -> None:
    assert policy.parse("# nothing yet\n", "policy.toml") == DEFAULT


@pytest.mark.parametrize(("old", "new", "place"), (
    ("pools", "pool", "2:1"), ('"10.83.0.0/16"', '"10.83.0.1/16"', "2:1"), ('"10.83.0.0/16"', '"8.8.0.0/16"', "2:1"),
    ('"10.83.0.0/16"', "10", "2:1"), ('["nat"]', '"nat"', "3:1"), ('["nat"]', '["magic"]', "3:1"),
    ('"internal"', '"a..b"', "4:1"), ('"tcp/22"', '"tcp/0"', "5:1"), ('"tcp/22"', '"icmp/1"', "5:1"),
    ("change = false", "change = 0", "6:1"), ("segments = 2", "segments = -1", "7:1"),
    ("guests = 0", "guests = true", "8:1"), ("guests = 0", "guests = 5000", "8:1"), ('"eth1"', '"eth 1"', "9:1"),
    ('"eth1"', '"../x"', "9:1"), ('"virbr0"', '""', "10:1"), ('"vxvde"', '"VDE://"', "11:1"),
    ('"/srv/tftp/"', '"srv"', "12:1"), ('"/srv/tftp/"', '"/srv/../etc"', "12:1"), ("vlans = false", 'vlans = "no"', "13:1"),
    ("modes = [", "modes = [[", "4:1"),
))
def test_each_mistake_is_shown_where_it_is(old: str, new: str, place: str) -> None:
    assert old in FULL
    with pytest.raises(BadConfig) as caught:
        policy.parse(FULL.replace(old, new, 1), "policy.toml")
    assert str(caught.value).startswith(f"cannot read policy.toml:{place}: ")


@given(st.text())
def test_arbitrary_text_is_a_policy_or_a_mistake(text: str) -> None:
    try:
        policy.parse(text, "policy.toml")
    except VdenetError as error:
        assert isinstance(error, BadConfig) and str(error).isprintable()

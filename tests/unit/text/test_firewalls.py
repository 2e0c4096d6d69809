"""Foreign rule sets walked with a segment's packets."""

from __future__ import annotations

import json
import time
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.errors import BadValue
from vdenet.model.report import Severity
from vdenet.model.segment import Mode, Segment, Vlan
from vdenet.text import firewalls, ruleset
from vdenet.text import verdict as walk
from vdenet.text.matching import Packet
from vdenet.text.ruleset import ACCEPT, DROP

NAT = Segment("vdenet0", IPv4Interface("10.83.14.1/24"))
DUAL = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), IPv6Interface("fd5e:1::1/64"))
ISOLATED = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), mode=Mode.ISOLATED)
ROUTED = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), mode=Mode.ROUTED)
LAN = Segment("vdenet0", IPv4Interface("10.83.14.1/24"), vlans=(Vlan(33, None, IPv4Interface("10.33.0.1/24")), Vlan(44)))


def chain(name: str, hook: str | None = None, policy: str = "accept", *, table: str = "filter",
          family: str = "ip") -> dict[str, Any]:
    base = {} if hook is None else {"type": "filter", "hook": hook, "prio": 0, "policy": policy}
    return {"chain": {"family": family, "table": table, "name": name, "handle": 1, **base}}


def rule(where: str, *expressions: Any, table: str = "filter", family: str = "ip") -> dict[str, Any]:
    return {"rule": {"family": family, "table": table, "chain": where, "handle": 1, "expr": list(expressions)}}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def meta(key: str, right: Any, op: str = "==") -> dict[str, Any]:
    return match({"meta": {"key": key}}, right, op)


def payload(protocol: str, field: str, right: Any, op: str = "==") -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": field}}, right, op)


def jump(target: str, how: str = "jump") -> dict[str, Any]:
    return {how: {"target": target}}


ACCEPTS: dict[str, Any] = {"accept": None}
DROPS: dict[str, Any] = {"drop": None}
RETURNS: dict[str, Any] = {"return": None}
REJECTS: dict[str, Any] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
CONNTRACK = {"xt": {"type": "match", "name": "conntrack"}}


def text(*objects: Any) -> str:
    return json.dumps({"nftables": [{"metainfo": {"version": "1.1.3", "json_schema_version": 1}}, *objects]})


def codes(ruleset_json: str, segment: Segment = NAT, **more: Any) -> list[str]:
    return [finding.code for finding in firewalls.findings(ruleset_json, segment, **more)]


DOCKER = (chain("FORWARD", "forward", "drop"), chain("DOCKER"), chain("DOCKER-USER"),
          rule("FORWARD", jump("DOCKER-USER")),
          rule("FORWARD", meta("iifname", "docker0"), ACCEPTS),
          rule("FORWARD", meta("oifname", "docker0"), CONNTRACK, ACCEPTS),
          rule("FORWARD", meta("iifname", "docker0"), meta("oifname", "docker0", "!="), ACCEPTS))
MENDED = (rule("DOCKER-USER", meta("iifname", "vdenet0"), ACCEPTS),
          rule("DOCKER-USER", meta("oifname", "vdenet0"), CONNTRACK, ACCEPTS))


def test_no_rules() -> None:
    assert codes("") == codes(text()) == []


def test_docker() -> None:
    found, = firewalls.findings(text(*DOCKER), NAT)
    assert (found.code, found.severity, found.segment) == ("docker-forward-drop", Severity.ERROR, "vdenet0")
    assert found.hint == ("sudo iptables -I DOCKER-USER -i vdenet0 -j ACCEPT && sudo iptables -I DOCKER-USER"
                          " -o vdenet0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    assert codes(text(*DOCKER, *MENDED)) == []


def test_docker_and_a_routed_segment() -> None:
    # Replies alone are not enough: others reach the guests too.
    found, = firewalls.findings(text(*DOCKER, *MENDED), ROUTED)
    assert found.hint is not None and found.hint.endswith("-I DOCKER-USER -o vdenet0 -j ACCEPT")


def test_docker_does_not_touch_an_isolated_segment() -> None:
    assert codes(text(*DOCKER), ISOLATED) == []
    assert codes(text(*DOCKER), ISOLATED, bridged=True) == ["docker-forward-drop"]
    assert codes(text(*DOCKER, *MENDED), ISOLATED, bridged=True) == []


def test_docker_over_ipv6_is_a_warning() -> None:
    six = [json.loads(json.dumps(each).replace('"ip"', '"ip6"')) for each in DOCKER]
    found, = firewalls.findings(text(*six), DUAL)
    assert (found.code, found.severity) == ("docker-forward-drop", Severity.WARNING)
    assert found.hint is not None and found.hint.startswith("sudo ip6tables -I DOCKER-USER -i vdenet0")
    assert codes(text(*six), NAT) == []


def test_ufw() -> None:
    rules = (chain("INPUT", "input", "drop"), chain("FORWARD", "forward", "drop"), chain("ufw-user-input"),
             chain("ufw-not-local"), chain("ufw-user-forward"), chain("DOCKER-USER"),
             rule("INPUT", CONNTRACK, ACCEPTS),
             rule("INPUT", payload("ip", "protocol", "icmp"), {"xt": {"type": "match", "name": "icmp"}}, ACCEPTS),
             rule("INPUT", jump("ufw-not-local")),
             rule("ufw-not-local", {"xt": {"type": "match", "name": "addrtype"}}, RETURNS),
             rule("ufw-not-local", DROPS),
             rule("INPUT", jump("ufw-user-input")), rule("FORWARD", jump("ufw-user-forward")))
    found = firewalls.findings(text(*rules), NAT)
    assert [(each.code, each.hint) for each in found] == [
        ("ufw-forward-drop", "sudo ufw allow in on vdenet0 && sudo ufw route allow in on vdenet0"
                             " && sudo ufw route allow out on vdenet0"),
        ("ufw-input-drop", "sudo ufw allow in on vdenet0")]
    assert "DHCP, DNS" in found[1].message and "ping" not in found[1].message
    assert codes(text(*rules, rule("ufw-user-input", meta("iifname", "vdenet0"), ACCEPTS),
                      rule("ufw-user-forward", meta("iifname", "vdenet0"), ACCEPTS),
                      rule("ufw-user-forward", meta("oifname", "vdenet0"), ACCEPTS))) == []


def test_a_vlan_has_an_interface_of_its_own() -> None:
    rules = (chain("INPUT", "input", "drop"), chain("ufw-user-input"), rule("INPUT", CONNTRACK, ACCEPTS),
             rule("INPUT", jump("ufw-user-input")), rule("ufw-user-input", meta("iifname", "vdenet0"), ACCEPTS))
    assert codes(text(*rules), NAT) == []
    found, = firewalls.findings(text(*rules), LAN)
    assert found.hint == "sudo ufw allow in on vdenet0.33" and " on vdenet0.33: DHCP, DNS" in found.message
    assert codes(text(*rules, rule("ufw-user-input", meta("iifname", "vdenet0.33"), ACCEPTS)), LAN) == []


def test_firewalld() -> None:
    def f(where: str, *expressions: Any) -> dict[str, Any]:
        return rule(where, *expressions, table="firewalld", family="inet")

    def c(name: str, hook: str | None = None) -> dict[str, Any]:
        return chain(name, hook, table="firewalld", family="inet")

    established = match({"ct": {"key": "state"}}, {"set": ["established", "related"]}, "in")
    rules = (c("filter_INPUT", "input"), c("filter_FORWARD", "forward"), c("filter_IN_trusted"), c("zones"),
             f("filter_INPUT", established, ACCEPTS), f("filter_INPUT", jump("zones")),
             f("filter_INPUT", match({"ct": {"key": "state"}}, "invalid", "in"), DROPS), f("filter_INPUT", REJECTS),
             f("filter_FORWARD", established, ACCEPTS), f("filter_FORWARD", jump("zones")),
             f("filter_FORWARD", REJECTS), f("filter_IN_trusted", ACCEPTS))
    found, = firewalls.findings(text(*rules), NAT)
    assert found.code == "firewalld-reject"
    assert found.hint is not None and "--zone=vdenet --change-interface=vdenet0" in found.hint
    for zone in (f("zones", meta("iifname", "vdenet0"), jump("filter_IN_trusted", "goto")),
                 f("zones", meta("iifname", {"set": ["eth9", "vdenet0"]}), jump("filter_IN_trusted")),
                 f("zones", {"vmap": {"key": {"meta": {"key": "iifname"}},
                                      "data": {"set": [["lo", ACCEPTS], ["vdenet0", jump("filter_IN_trusted")]]}}})):
        assert codes(text(*rules, zone)) == [], zone


def test_any_other_firewall() -> None:
    rules = (chain("in", "input", "drop", table="fw", family="inet"),
             chain("fwd", "forward", table="fw", family="inet"),
             rule("in", payload("udp", "dport", {"set": [53, {"range": [67, 68]}]}), ACCEPTS, table="fw",
                  family="inet"),
             rule("fwd", payload("ip", "saddr", {"prefix": {"addr": "10.0.0.0", "len": 8}}), REJECTS, table="fw",
                  family="inet"))
    found = firewalls.findings(text(*rules), NAT)
    assert [(each.code, each.severity.value) for each in found] == [
        ("firewall-forward-drop", "error"), ("firewall-input-drop", "warning")]
    assert found[0].hint == ("sudo nft insert rule inet fw fwd iifname vdenet0 accept && sudo nft insert rule inet fw"
                             " fwd oifname vdenet0 ct state established,related accept")


def test_our_own_tables_are_not_foreign() -> None:
    assert codes(text(chain("forward", "forward", "drop", table="vdenet_vdenet0", family="inet"))) == []
    assert codes(text(chain("forward", "forward", "drop", table="vdenet_x-y", family="inet"))) != []


def test_uplink_by_name() -> None:
    rules = (chain("F", "forward", "drop"), rule("F", meta("iifname", "vdenet0"), meta("oifname", "eth0"), ACCEPTS),
             rule("F", meta("iifname", "eth0"), ACCEPTS))
    assert codes(text(*rules), uplink="eth0") == []
    assert codes(text(*rules), uplink="eth1") == codes(text(*rules)) == ["firewall-forward-drop"]


# --- the walk ---------------------------------------------------------------------------------

PACKET = Packet("vdenet0", None, IPv4Address("10.83.14.20"), IPv4Address("10.83.14.1"), "udp", 53, local=True)


def verdict(*rules: Any, policy: str = "accept", packet: Packet = PACKET, more: tuple[Any, ...] = ()) -> str:
    parsed = ruleset.parse(text(chain("I", "input", policy), *more, *rules))
    return walk.verdict(parsed, next(parsed.base_chains("input")), packet)


def dropped_by(*expressions: Any, more: tuple[Any, ...] = ()) -> bool:
    """Whether a rule of these matches and a drop drops the packet."""
    return verdict(rule("I", *expressions, DROPS), more=more) == DROP


@pytest.mark.parametrize("expression, matches", [
    (meta("iifname", "vdenet0"), True),
    (meta("iifname", "vdenet1"), False),
    (meta("iifname", "vdenet*"), True),
    (meta("iifname", "eth*", "!="), True),
    (meta("iifname", "vdenet0", "!="), False),
    (meta("oifname", "eth0"), False),            # not known
    (meta("oifname", "eth0", "!="), False),
    (meta("l4proto", "udp"), True),
    (meta("l4proto", 17), True),
    (meta("l4proto", {"set": ["tcp", "udp"]}), True),
    (meta("nfproto", "ipv4"), True),
    (meta("protocol", "ip6"), False),
    (meta("skuid", 0), False),
    (payload("udp", "dport", 53), True),
    (payload("udp", "dport", "domain"), True),
    (payload("udp", "dport", 53, "!="), False),
    (payload("udp", "sport", 53), False),        # not known
    (payload("tcp", "dport", 53), False),
    (payload("tcp", "dport", 54, "!="), False),  # no TCP at all
    (payload("th", "dport", {"range": [1, 1023]}), True),
    (payload("ip", "daddr", "10.83.14.1"), True),
    (payload("ip", "saddr", {"prefix": {"addr": "10.83.14.0", "len": 24}}), True),
    (payload("ip", "saddr", {"prefix": {"addr": "10.83.15.0", "len": 24}}, "!="), True),
    (payload("ip", "saddr", {"range": ["10.83.14.19", "10.83.14.21"]}), True),
    (payload("ip", "saddr", {"set": ["10.0.0.1", {"elem": {"val": "10.83.14.20", "comment": "x"}}]}), True),
    (payload("ip6", "saddr", "fd00::1", "!="), False),
    (payload("ip", "saddr", "@here"), True),
    (payload("ip", "saddr", "@gone"), False),
    (match({"ct": {"key": "state"}}, ["new", "established"]), True),
    (match({"ct": {"key": "state"}}, {"set": ["established"]}), False),
    (match({"ct": {"key": "state"}}, "new", "in"), True),
    (match({"&": [{"meta": {"key": "mark"}}, 1]}, 1), False),
    (match({"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "udp", "field": "dport"}}]},
           {"set": [{"concat": ["vdenet0", 53]}]}), True),
    (match({"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "udp", "field": "dport"}}]},
           {"set": [{"concat": ["vdenet0", 54]}]}), False),
    ({"limit": {"rate": 1, "per": "second"}}, False),
    ({"counter": {"packets": 0, "bytes": 0}}, True),
    ({"xt": {"type": "match", "name": "comment"}}, True),
    ({"xt": {"type": "match", "name": "conntrack"}}, False),
    ({"xt": {"type": "target", "name": "LOG"}}, True),
    ({"xt": None}, False),
])
def test_matches(expression: Any, matches: bool) -> None:
    here = ({"set": {"family": "ip", "table": "filter", "name": "here", "type": "ipv4_addr", "handle": 2,
                     "elem": [{"prefix": {"addr": "10.83.0.0", "len": 16}}]}},)
    assert dropped_by(expression, more=here) is matches


def test_order_jumps_and_returns() -> None:
    inner = (chain("inner"), rule("inner", RETURNS), rule("inner", DROPS))
    assert verdict(rule("I", jump("inner")), rule("I", DROPS), more=inner) == DROP
    assert verdict(rule("I", jump("inner", "goto")), rule("I", DROPS), more=inner) == ACCEPT
    assert verdict(rule("I", ACCEPTS), rule("I", DROPS)) == ACCEPT
    assert verdict(policy="drop") == DROP
    assert verdict(rule("I", REJECTS)) == verdict(rule("I", {"xt": {"type": "target", "name": "REJECT"}})) == DROP


def test_a_blocklist_is_quick_to_judge() -> None:
    strangers = {"set": {"family": "ip", "table": "filter", "name": "bad", "type": "ipv4_addr", "handle": 2,
                         "elem": [str(IPv4Address(0x0B000000 + number)) for number in range(200_000)]}}
    parsed = ruleset.parse(text(chain("I", "input"), strangers, rule("I", payload("ip", "saddr", "@bad"), DROPS)))
    begun = time.process_time()
    assert walk.verdict(parsed, next(parsed.base_chains("input")), PACKET) == ACCEPT
    assert time.process_time() - begun < 0.1


def test_a_loop_ends() -> None:
    assert verdict(rule("I", jump("a")), more=(chain("a"), rule("a", jump("a")))) == ACCEPT


@pytest.mark.parametrize("wrong", ["{", "[]", '{"nftables": 3}', '{"nftables": [{"chain": {}}]}', "nonsense"])
def test_no_rule_set(wrong: str) -> None:
    with pytest.raises(BadValue):
        ruleset.parse(wrong)


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["match", "left", "right", "op", "meta", "key", "payload", "ct", "xt", "vmap", "data", "set", "elem", "val",
         "prefix", "range", "concat", "jump", "goto", "target", "accept", "drop", "name", "type"]), inner, max_size=3),
    max_leaves=12)


@given(st.lists(anything, max_size=4))
def test_unknown_expressions_are_passed_over(expressions: list[Any]) -> None:
    assert verdict(rule("I", *expressions)) in (ACCEPT, DROP)

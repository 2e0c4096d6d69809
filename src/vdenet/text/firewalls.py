"""Which firewall of the host's drops what belongs to a segment, and the command that stops it.

An accept in vdenet's own tables does not help: a packet has to pass the chains of every table of its hook.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from itertools import product

from vdenet.i18n import N_, _
from vdenet.model.report import Finding, Severity
from vdenet.model.segment import Mode, Segment
from vdenet.text import ruleset
from vdenet.text.matching import Packet
from vdenet.text.ruleset import DROP, Chain, Ruleset
from vdenet.text.verdict import verdict

OURS = re.compile(r"vdenet_[a-z0-9]+", re.ASCII)
"""Names of our own tables (`vdenet.text.nftables.table_name`)."""

_WORLD4, _WORLD6 = IPv4Address("203.0.113.1"), IPv6Address("2001:db8::1")
_NEIGHBOUR4 = IPv4Address("192.0.2.10")


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What a packet stands for, in words; `vital`: without it the segment does not work."""

    hook: str
    words: str
    packet: Packet
    vital: bool = True


def findings(ruleset_json: str, segment: Segment, *, uplink: str | None = None,
                      bridged: bool = False) -> list[Finding]:
    """Chains of other programs that drop what belongs to the segment; `ruleset_json` is from `nft -j list ruleset`.

    An accept in vdenet's table does not help against them. `uplink` is the interface of the default
    route, where it is known; `bridged`: frames between ports of a bridge pass the firewall as well
    (br_netfilter). Raises `BadValue` when the text is not a rule set.
    """
    rules = ruleset.parse(ruleset_json)
    blocked: dict[tuple[str, str], list[tuple[Chain, _Purpose]]] = {}
    for purpose in _purposes(segment, uplink, bridged):
        families = ("inet", "ip" if purpose.packet.version == 4 else "ip6")
        for chain in rules.base_chains(purpose.hook):
            if chain.family in families and not OURS.fullmatch(chain.table) \
                    and verdict(rules, chain, purpose.packet) == DROP:
                who = _culprit(rules, chain)
                # firewalld has one cure for both hooks.
                hook = "" if who == "firewalld" else purpose.hook
                blocked.setdefault((who, hook), []).append((chain, purpose))
    return [_finding(segment, who, hook, found) for (who, hook), found in sorted(
        blocked.items(), key=lambda item: item[0])]


def _purposes(segment: Segment, uplink: str | None, bridged: bool) -> list[_Purpose]:
    if segment.address is None:
        return [_between(segment.bridge, _NEIGHBOUR4)] if bridged else []
    found = _of_network(segment, uplink, segment.bridge, segment.own.ip, segment.pool[0], segment.dhcp,
                        segment.address6)
    for vlan in segment.served_vlans:
        assert vlan.address is not None
        found += _of_network(segment, uplink, vlan.link(segment.bridge), vlan.address.ip, vlan.pool[0], vlan.dhcp,
                             vlan.address6)
    if bridged:
        found.append(_between(segment.bridge, segment.pool[0]))
    return found


def _of_network(segment: Segment, uplink: str | None, link: str, host: IPv4Address, guest: IPv4Address, dhcp: bool,
                address6: IPv6Interface | None) -> list[_Purpose]:
    """What goes over one interface of the host's, the bridge or one in a VLAN; `guest` stands for all there."""
    found = [
        _Purpose("input", _("DHCP"), Packet(link, None, IPv4Address(0), None, "udp", 67, local=True)),
        _Purpose("input", _("DNS"), Packet(link, None, guest, host, "udp", 53, local=True)),
        _Purpose("input", _("ping to the host"), Packet(link, None, guest, host, "icmp", local=True), vital=False),
    ]
    if not dhcp:
        del found[0]
    reply = "new" if segment.mode is Mode.ROUTED else "established"
    out, back = _("the guests' way out"), (_("the way to the guests") if segment.mode is Mode.ROUTED
                                           else _("replies to the guests"))
    if segment.mode is not Mode.ISOLATED:
        found += [
            _Purpose("forward", out, Packet(link, uplink, guest, _WORLD4, "tcp", 443)),
            _Purpose("forward", back, Packet(uplink, link, _WORLD4, guest, "tcp", 40000, reply)),
        ]
    if address6 is not None:
        guest6 = address6.network[0x5054]
        found.append(_Purpose("input", _("DNS over IPv6"), Packet(
            link, None, guest6, address6.ip, "udp", 53, local=True), vital=False))
        if segment.mode is not Mode.ISOLATED:
            found += [
                _Purpose("forward", _("IPv6"), Packet(link, uplink, guest6, _WORLD6, "tcp", 443), vital=False),
                _Purpose("forward", _("IPv6"), Packet(uplink, link, _WORLD6, guest6, "tcp", 40000, reply),
                         vital=False),
            ]
    return found


def _between(bridge: str, guest: IPv4Address) -> _Purpose:
    return _Purpose("forward", _("traffic between guests"), Packet(bridge, bridge, guest, guest + 1, "tcp", 22))


def _culprit(rules: Ruleset, chain: Chain) -> str:
    """Who made the chain, by the names that are the maker's habit."""
    names = rules.chains_of(chain)
    if chain.table == "firewalld":
        return "firewalld"
    # Where both are, ufw's own rules are those that last over a reboot.
    if any(name.startswith(("ufw-", "ufw6-")) for name in names):
        return "ufw"
    if chain.hook == "forward" and {"DOCKER-USER", "DOCKER-FORWARD", "DOCKER"} & names:
        return "docker"
    return "firewall"


_NAMES = {"docker": "Docker", "ufw": "ufw", "firewalld": "firewalld", "firewall": N_("the host's firewall")}


def _finding(segment: Segment, who: str, hook: str,
                      blocked: Sequence[tuple[Chain, _Purpose]]) -> Finding:
    words = list(dict.fromkeys(purpose.words for _chain, purpose in blocked))
    chains = list({(chain.family, chain.table, chain.name): chain for chain, _purpose in blocked}.values())
    where = ", ".join(f"{chain.family} {chain.table} {chain.name}" for chain in chains)
    links = [link for link in segment.links
             if any(link in (purpose.packet.iifname, purpose.packet.oifname) for _chain, purpose in blocked)]
    hint = {"docker": _docker_hint, "ufw": _ufw_hint, "firewalld": _firewalld_hint,
            "firewall": _nft_hint}[who](segment.mode, links, hook, chains)
    return Finding(
        code="firewalld-reject" if who == "firewalld" else f"{who}-{hook}-drop",
        severity=Severity.ERROR if any(purpose.vital for _chain, purpose in blocked) else Severity.WARNING,
        segment=segment.name,
        message=_("{who} ({where}) drops on {bridge}: {what}").format(
            who=_(_NAMES[who]), where=where, bridge=", ".join(links), what=", ".join(words)),
        hint=hint)


def _docker_hint(mode: Mode, links: Sequence[str], _hook: str, chains: Sequence[Chain]) -> str:
    replies = "" if mode is Mode.ROUTED else " -m conntrack --ctstate RELATED,ESTABLISHED"
    lines = []
    for chain, link in product(chains, links):
        tool = "ip6tables" if chain.family == "ip6" else "iptables"
        lines += [f"sudo {tool} -I DOCKER-USER -i {link} -j ACCEPT",
                  f"sudo {tool} -I DOCKER-USER -o {link}{replies} -j ACCEPT"]
    return " && ".join(lines)


def _ufw_hint(_mode: Mode, links: Sequence[str], hook: str, _chains: Sequence[Chain]) -> str:
    lines = []
    for link in links:
        # One command for both hooks: who has read it once need not come back.
        lines.append(f"sudo ufw allow in on {link}")
        if hook == "forward":
            lines += [f"sudo ufw route allow in on {link}", f"sudo ufw route allow out on {link}"]
    return " && ".join(lines)


def _firewalld_hint(_mode: Mode, links: Sequence[str], _hook: str, _chains: Sequence[Chain]) -> str:
    # The zone comes with the package, perhaps after firewalld was started.
    added = " && ".join(f"sudo firewall-cmd --permanent --zone=vdenet --change-interface={link}"
                        for link in links)
    return f"sudo firewall-cmd --reload && {added} && sudo firewall-cmd --reload"


def _nft_hint(mode: Mode, links: Sequence[str], hook: str, chains: Sequence[Chain]) -> str:
    replies = "" if mode is Mode.ROUTED else " ct state established,related"
    lines = []
    for chain, link in product(chains, links):
        line = f"sudo nft insert rule {chain.family} {chain.table} {chain.name}"
        lines.append(f"{line} iifname {link} accept")
        if hook == "forward":
            lines.append(f"{line} oifname {link}{replies} accept")
    return " && ".join(lines)


def legacy_iptables(segment: Segment, ip_tables_names: str) -> Finding | None:
    """Rules that nft does not list; `ip_tables_names` is the file of that name in /proc/net."""
    if "filter" not in ip_tables_names.split():
        return None
    return Finding("iptables-legacy", Severity.INFO, segment.name,
                   _("the kernel has a filter table of iptables-legacy, whose rules are not looked at here"),
                   "sudo iptables-legacy -S FORWARD")

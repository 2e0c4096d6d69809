"""What on a host gets in a segment's way, read from text that others wrote.

`check` shows the findings; each has a stable code and, where something can be done, the exact command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from vdenet.i18n import N_, _
from vdenet.model.report import Finding, Severity
from vdenet.model.segment import Mode, Segment
from vdenet.text import ruleset
from vdenet.text.ruleset import DROP, Chain, Packet, Ruleset

OURS = re.compile(r"vdenet_[a-z0-9]+", re.ASCII)
"""Names of our own tables (`vdenet.text.nftables.table_name`)."""

_WORLD4, _WORLD6 = IPv4Address("203.0.113.1"), IPv6Address("2001:db8::1")
_NEIGHBOUR4 = IPv4Address("192.0.2.10")
_BROADCAST = IPv4Address("255.255.255.255")


# --- firewalls ----------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class _Purpose:
    """What a packet stands for, in words; `vital`: without it the segment does not work."""

    hook: str
    words: str
    packet: Packet
    vital: bool = True


def firewall_findings(ruleset_json: str, segment: Segment, *, uplink: str | None = None,
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
                    and rules.verdict(chain, purpose.packet) == DROP:
                who = _culprit(rules, chain)
                # firewalld has one cure for both hooks.
                hook = "" if who == "firewalld" else purpose.hook
                blocked.setdefault((who, hook), []).append((chain, purpose))
    return [_firewall_finding(segment, who, hook, found) for (who, hook), found in sorted(
        blocked.items(), key=lambda item: item[0])]


def _purposes(segment: Segment, uplink: str | None, bridged: bool) -> list[_Purpose]:
    bridge = segment.bridge
    if segment.address is None:
        return [_between(bridge, _NEIGHBOUR4)] if bridged else []
    guest = segment.pool[0]
    host = segment.own.ip
    found = [
        _Purpose("input", _("DHCP"), Packet(bridge, None, IPv4Address(0), None, "udp", 67, local=True)),
        _Purpose("input", _("DNS"), Packet(bridge, None, guest, host, "udp", 53, local=True)),
        _Purpose("input", _("ping to the host"), Packet(bridge, None, guest, host, "icmp", local=True),
                 vital=False),
    ]
    if not segment.dhcp:
        del found[0]
    reply = "new" if segment.mode is Mode.ROUTED else "established"
    out, back = _("the guests' way out"), (_("the way to the guests") if segment.mode is Mode.ROUTED
                                           else _("replies to the guests"))
    if segment.mode is not Mode.ISOLATED:
        found += [
            _Purpose("forward", out, Packet(bridge, uplink, guest, _WORLD4, "tcp", 443)),
            _Purpose("forward", back, Packet(uplink, bridge, _WORLD4, guest, "tcp", 40000, reply)),
        ]
    if segment.address6 is not None:
        guest6 = segment.address6.network[0x5054]
        found.append(_Purpose("input", _("DNS over IPv6"), Packet(
            bridge, None, guest6, segment.address6.ip, "udp", 53, local=True), vital=False))
        if segment.mode is not Mode.ISOLATED:
            found += [
                _Purpose("forward", _("IPv6"), Packet(bridge, uplink, guest6, _WORLD6, "tcp", 443), vital=False),
                _Purpose("forward", _("IPv6"), Packet(uplink, bridge, _WORLD6, guest6, "tcp", 40000, reply),
                         vital=False),
            ]
    if bridged:
        found.append(_between(bridge, guest))
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


def _firewall_finding(segment: Segment, who: str, hook: str,
                      blocked: Sequence[tuple[Chain, _Purpose]]) -> Finding:
    words = list(dict.fromkeys(purpose.words for _chain, purpose in blocked))
    chains = list({(chain.family, chain.table, chain.name): chain for chain, _purpose in blocked}.values())
    where = ", ".join(f"{chain.family} {chain.table} {chain.name}" for chain in chains)
    hint = {"docker": _docker_hint, "ufw": _ufw_hint, "firewalld": _firewalld_hint,
            "firewall": _nft_hint}[who](segment, hook, chains)
    return Finding(
        code="firewalld-reject" if who == "firewalld" else f"{who}-{hook}-drop",
        severity=Severity.ERROR if any(purpose.vital for _chain, purpose in blocked) else Severity.WARNING,
        segment=segment.name,
        message=_("{who} ({where}) drops on {bridge}: {what}").format(
            who=_(_NAMES[who]), where=where, bridge=segment.bridge, what=", ".join(words)),
        hint=hint)


def _docker_hint(segment: Segment, _hook: str, chains: Sequence[Chain]) -> str:
    replies = "" if segment.mode is Mode.ROUTED else " -m conntrack --ctstate RELATED,ESTABLISHED"
    lines = []
    for chain in chains:
        tool = "ip6tables" if chain.family == "ip6" else "iptables"
        lines += [f"sudo {tool} -I DOCKER-USER -i {segment.bridge} -j ACCEPT",
                  f"sudo {tool} -I DOCKER-USER -o {segment.bridge}{replies} -j ACCEPT"]
    return " && ".join(lines)


def _ufw_hint(segment: Segment, hook: str, _chains: Sequence[Chain]) -> str:
    bridge = segment.bridge
    # One command for both hooks: who has read it once need not come back.
    lines = [f"sudo ufw allow in on {bridge}"]
    if hook == "forward":
        lines += [f"sudo ufw route allow in on {bridge}", f"sudo ufw route allow out on {bridge}"]
    return " && ".join(lines)


def _firewalld_hint(segment: Segment, _hook: str, _chains: Sequence[Chain]) -> str:
    # The zone comes with the package, perhaps after firewalld was started.
    return (f"sudo firewall-cmd --reload && sudo firewall-cmd --permanent --zone=vdenet"
            f" --change-interface={segment.bridge} && sudo firewall-cmd --reload")


def _nft_hint(segment: Segment, hook: str, chains: Sequence[Chain]) -> str:
    replies = "" if segment.mode is Mode.ROUTED else " ct state established,related"
    lines = []
    for chain in chains:
        line = f"sudo nft insert rule {chain.family} {chain.table} {chain.name}"
        lines.append(f"{line} iifname {segment.bridge} accept")
        if hook == "forward":
            lines.append(f"{line} oifname {segment.bridge}{replies} accept")
    return " && ".join(lines)


def legacy_iptables(segment: Segment, ip_tables_names: str) -> Finding | None:
    """Rules that nft does not list; `ip_tables_names` is the file of that name in /proc/net."""
    if "filter" not in ip_tables_names.split():
        return None
    return Finding("iptables-legacy", Severity.INFO, segment.name,
                   _("the kernel has a filter table of iptables-legacy, whose rules are not looked at here"),
                   "sudo iptables-legacy -S FORWARD")


# --- networks -----------------------------------------------------------------------------------

def routes(proc_net_route: str) -> list[tuple[str, IPv4Network]]:
    """(interface, network) of /proc/net/route, default routes left out, also those in two halves."""
    found = []
    for line in proc_net_route.splitlines()[1:]:
        words = line.split()
        if len(words) < 8:
            continue
        try:
            destination, mask = (int.from_bytes(bytes.fromhex(words[i]), "little") for i in (1, 7))
            network = IPv4Network((destination, mask.bit_count()))
        except ValueError:
            continue
        if network.prefixlen > 1 and not network.is_link_local and not network.is_multicast:
            found.append((words[0], network))
    return found


def uplink(proc_net_route: str) -> str | None:
    """The interface of the default route with the smallest metric."""
    found = []
    for line in proc_net_route.splitlines()[1:]:
        words = line.split()
        if len(words) >= 8 and words[1] == "00000000" == words[7] and words[6].isdigit():
            found.append((int(words[6]), words[0]))
    return min(found)[1] if found else None


def overlaps(segment: Segment, used: Iterable[tuple[str, IPv4Network]], free: str) -> list[Finding]:
    """Networks of others that overlap the segment's; `free` is a network to move to, for the hint."""
    own = segment.own.network
    found = []
    # One finding a network, though it be an interface's and a route's.
    by_network = {network: where for where, network in sorted(used, reverse=True)}
    for network, where in sorted(by_network.items(), key=lambda item: (item[1], item[0])):
        if not network.overlaps(own):
            continue
        if network.prefixlen >= own.prefixlen:
            severity = Severity.ERROR
            message = _("{other} ({where}) lies in the segment's network {own}: guests there are not reached")
        else:
            severity = Severity.WARNING
            message = _("the segment's network {own} lies in {other} ({where}): what is there is not reached")
        found.append(Finding("overlap", severity, segment.name,
                             message.format(other=network, where=where, own=own),
                             f"tarr-steps ip {free} --segment {segment.name}"))
    return found


def overlaps_configured(segment: Segment, configured: Mapping[str, Sequence[IPv4Network]],
                        free: str) -> list[Finding]:
    """Networks that are only configured, and would be in the way when they come up."""
    own = segment.own.network
    return [Finding("overlap-configured", Severity.INFO, segment.name,
                    _("{where} configures {other}, which overlaps the segment's network {own}").format(
                        where=where, other=network, own=own),
                    f"tarr-steps ip {free} --segment {segment.name}")
            for where, networks in sorted(configured.items()) for network in networks
            # A wide one is what a VPN routes; the segment's more specific route wins then.
            if network.overlaps(own) and network.prefixlen >= own.prefixlen]


# --- other services -----------------------------------------------------------------------------

_TCP_LISTEN = "0A"


def wildcard_listeners(proc_net_tcp: str, port: int) -> list[int]:
    """uids of those who listen on `port` of every address (/proc/net/tcp or tcp6), sorted."""
    found = set()
    for line in proc_net_tcp.splitlines()[1:]:
        words = line.split()
        if len(words) < 8 or words[3] != _TCP_LISTEN:
            continue
        address, _colon, own_port = words[1].partition(":")
        if not address.strip("0") and own_port == f"{port:04X}" and words[7].isdigit():
            found.add(int(words[7]))
    return sorted(found)


def dns_wildcard(segment: Segment, accounts: Sequence[str]) -> Finding:
    """Another DNS server has port 53 of every address; `accounts` run it."""
    dnsmasq = "dnsmasq" in accounts
    hint = (f"printf 'bind-interfaces\\nexcept-interface={segment.bridge}\\n' | "
            f"sudo tee /etc/dnsmasq.d/{segment.bridge}.conf && sudo service dnsmasq restart") if dnsmasq else (
        _("let it listen on the addresses that it serves, not on every one"))
    return Finding("dns-wildcard", Severity.ERROR, segment.name,
                   _("a DNS server (account {accounts}) listens on port 53 of every address, {address} too").format(
                       accounts=", ".join(accounts), address=segment.own.ip), hint)


def br_netfilter(segment: Segment) -> Finding:
    """Frames between guests pass the host's firewall: no fault as long as no firewall drops them."""
    return Finding("br-netfilter", Severity.INFO, segment.name,
                   _("frames between guests of {bridge} pass the host's IP firewall (br_netfilter)").format(
                       bridge=segment.bridge))


def managed(segment: Segment, program: str) -> Finding:
    """A network manager has the bridge under its control; `program` is networkd or NetworkManager."""
    if program == "networkd":
        hint = ("sudo install -m 644 -D /usr/lib/systemd/network/*-vdenet.network -t /etc/systemd/network"
                " && sudo networkctl reload")
    else:
        hint = f"sudo nmcli device set {segment.bridge} managed no"
    return Finding(f"{program.lower()}-manages", Severity.WARNING, segment.name,
                   _("{program} manages {bridge} and may change it").format(
                       program="systemd-networkd" if program == "networkd" else program,
                       bridge=segment.bridge), hint)


def networkd_manages(link_state: str) -> bool:
    """Whether a file of /run/systemd/netif/links says that networkd configures the link."""
    return _value(link_state, "ADMIN_STATE") not in (None, "", "unmanaged", "initialized", "pending")


def networkmanager_manages(device_state: str) -> bool:
    """Whether a file of /run/NetworkManager/devices says that the device is managed with a connection of its own.

    An `external` connection is only NetworkManager's picture of what others made.
    """
    return _value(device_state, "managed") in ("true", "full") \
        and _value(device_state, "nm-owned") != "false" \
        and _value(device_state, "connection-uuid") is not None


def _value(text: str, key: str) -> str | None:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == key:
            return value.strip()
    return None


_SYSCTL = re.compile(r"^\s*-?\s*([A-Za-z0-9_./*-]+)\s*=\s*(\S+)\s*$", re.ASCII | re.MULTILINE)


def sysctls(text: str) -> dict[str, str]:
    """Settings of a sysctl.d(5) file, by their path below /proc/sys."""
    return {_sysctl_path(key): value for key, value in _SYSCTL.findall(text)}


def _sysctl_path(key: str) -> str:
    # Whichever of the two comes first separates; the other is a literal character, exchanged.
    first = re.search(r"[./]", key)
    if first is None or first[0] == "/":
        return key
    return key.translate(str.maketrans("./", "/."))


def sysctl_findings(segment: Segment, files: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Files that switch off, whenever they are applied, what the segment needs; the last one that speaks counts."""
    if segment.mode is Mode.ISOLATED:
        return []
    wanted = {"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/forwarding": "1"}
    if segment.address6 is not None:
        wanted["net/ipv6/conf/all/forwarding"] = "1"
    found = []
    for key, value in wanted.items():
        said = [(name, settings[key]) for name, settings in files.items() if key in settings]
        if said and said[-1][1] != value:
            name, wrong = said[-1]
            found.append(Finding("sysctl-forwarding", Severity.WARNING, segment.name, _(
                "{file} sets {key}={value}: guests lose the way out whenever it is applied").format(
                    file=name, key=key.replace("/", "."), value=wrong),
                _("set it to {value} in {file}").format(file=name, value=value)))
    return found


def resolver_none(segment: Segment, systemd: bool) -> Finding:
    """Nothing on the host can look up one domain at one server; `systemd` runs the host."""
    return Finding("resolver-none", Severity.WARNING, segment.name,
                   _("the host looks up no names in {domain}: its resolver asks the same servers for every name"
                     ).format(domain=segment.domain),
                   f"sudo apt install {'systemd-resolved' if systemd else 'openresolv'}")


def resolver_full(segment: Segment) -> Finding:
    """The host's resolver can have no further server."""
    return Finding("resolver-none", Severity.WARNING, segment.name, _(
        "the host looks up no names in {domain}: its programs ask three servers at most, two are other segments' "
        "and the third is the network outside's").format(domain=segment.domain), _(
            "where systemd runs: sudo apt install systemd-resolved"))

"""What on a host gets in a segment's way, read from text that others wrote; of firewalls see `text.firewalls`.

`check` shows the findings; each has a stable code and, where something can be done, the exact command.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from itertools import product

from vdenet.i18n import _
from vdenet.model.report import Finding, Severity
from vdenet.model.segment import Mode, Segment

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
    found = []
    # One finding a network, though it be an interface's and a route's.
    by_network = {network: where for where, network in sorted(used, reverse=True)}
    for (network, where), own in product(sorted(by_network.items(), key=lambda item: (item[1], item[0])),
                                         segment.networks):
        if not network.overlaps(own):
            continue
        if network.prefixlen >= own.prefixlen:
            severity = Severity.ERROR
            message = _("{other} ({where}) lies in the segment's network {own}: guests there are not reached")
        else:
            severity = Severity.WARNING
            message = _("the segment's network {own} lies in {other} ({where}): what is there is not reached")
        found.append(Finding("overlap", severity, segment.name,
                             message.format(other=network, where=where, own=own), _move(segment, own, free)))
    return found


def overlaps_configured(segment: Segment, configured: Mapping[str, Sequence[IPv4Network]],
                        free: str) -> list[Finding]:
    """Networks that are only configured, and would be in the way when they come up."""
    return [Finding("overlap-configured", Severity.INFO, segment.name,
                    _("{where} configures {other}, which overlaps the segment's network {own}").format(
                        where=where, other=network, own=own), _move(segment, own, free))
            for where, networks in sorted(configured.items()) for network in networks for own in segment.networks
            # A wide one is what a VPN routes; the segment's more specific route wins then.
            if network.overlaps(own) and network.prefixlen >= own.prefixlen]


def _move(segment: Segment, network: IPv4Network, free: str) -> str:
    for vlan in segment.served_vlans:
        if vlan.address is not None and vlan.address.network == network:
            return _("another address for VLAN {id}, such as {free}, in /etc/vdenet/{segment}.toml").format(
                id=vlan.id, free=free, segment=segment.name)
    return f"tarr-steps ip {free} --segment {segment.name}"


# --- other services -----------------------------------------------------------------------------

_TCP_LISTEN = "0A"


def listeners(proc_net_tcp: str, port: int, address: IPv4Address | None = None) -> list[int]:
    """uids of those who listen on `port` of an address (/proc/net/tcp), sorted; without one, of every address."""
    found = set()
    wanted = "" if address is None else f"{int.from_bytes(address.packed, sys.byteorder):08X}"
    for line in proc_net_tcp.splitlines()[1:]:
        words = line.split()
        if len(words) < 8 or words[3] != _TCP_LISTEN:
            continue
        local, _colon, own_port = words[1].partition(":")
        if (local == wanted if wanted else not local.strip("0")) and own_port == f"{port:04X}" and words[7].isdigit():
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


def dns_taken(segment: Segment, accounts: Sequence[str]) -> Finding:
    """Another DNS server has port 53 of the segment's own address; `accounts` run it."""
    link = segment.bridge
    hint = (f"printf 'except-interface=%s\\n' {link} '{link}.*' | sudo tee /etc/dnsmasq.d/{link}.conf "
            "&& sudo service dnsmasq restart") if "dnsmasq" in accounts else (
        _("let it listen on the addresses that it serves, and not on {address}").format(address=segment.own.ip))
    return Finding("dns-taken", Severity.ERROR, segment.name,
                   _("a DNS server (account {accounts}) listens on port 53 of {address}, the segment's own").format(
                       accounts=", ".join(accounts), address=segment.own.ip), hint)


def br_netfilter(segment: Segment) -> Finding:
    """Frames between guests pass the host's firewall: no fault as long as no firewall drops them."""
    return Finding("br-netfilter", Severity.INFO, segment.name,
                   _("frames between guests of {bridge} pass the host's IP firewall (br_netfilter)").format(
                       bridge=segment.bridge))


def managed(segment: Segment, program: str) -> Finding:
    """A network manager has the bridge under its control; `program` is networkd or NetworkManager."""
    if program == "networkd":
        # The first file that matches counts, by its name, wherever it lies (systemd.network(5)): "0-" is before "00".
        names = f"{segment.bridge} {segment.bridge}.* {segment.tap}"
        hint = (f"printf '[Match]\\nName={names}\\n[Link]\\nUnmanaged=yes\\n' | "
                f"sudo tee /etc/systemd/network/0-{segment.bridge}.network && sudo networkctl reload")
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
    if segment.networks6:
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

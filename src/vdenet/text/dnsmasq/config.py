"""dnsmasq's configuration file, and how the program is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vdenet.model.names import RESERVED_LABELS, domain_name, guest_name, segment_name
from vdenet.model.neighbours import Neighbour
from vdenet.model.places import DNS_ACCOUNT, GROUP, Places
from vdenet.model.segment import Mode, Segment
from vdenet.model.vlans import UNTAGGED
from vdenet.model.wanted import Service
from vdenet.text.dnsmasq import netboot, ranges, records
from vdenet.text.dnsmasq.hosts import RESERVED
from vdenet.text.dnsmasq.words import word

MAX_LEASES = 4096
CAPABILITIES = ("net_admin", "net_raw", "net_bind_service")
"""What dnsmasq needs when it is started without root: DHCP sets ARP entries and sends raw frames,
ports 53 and 67 are privileged."""


def config(segment: Segment, host_names: Sequence[str], places: Places,
           local_domains: Sequence[str] = (), neighbours: Sequence[Neighbour] = ()) -> str:
    """The whole configuration file; `host_names` are the host's own labels, which no guest may claim.

    `local_domains` are those of the networks that the host is in: their names may be private addresses.
    `neighbours` are the host's other segments.
    """
    bridge, domain = segment_name(segment.bridge), domain_name(segment.domain)
    foreign = {other.domain for other in neighbours if not other.reachable}
    local_domains = [*(name for name in local_domains if name not in foreign),
                     *(other.domain for other in neighbours if other.reachable)]
    address = segment.own
    lines = [
        "# Written by vdenetd; changes here are lost. The admin's file is "
        f"{word(places.config(segment.name))}",
        "keep-in-foreground",
        "pid-file=",
        "no-hosts",
        # The upstream servers come from the host's resolver, followed as it changes. A stub on the
        # loopback (systemd-resolved) is reached from here, as this dnsmasq runs on the host.
        f"interface={bridge}",
        *(f"interface={vlan.link(bridge)}" for vlan in segment.served_vlans),
        "except-interface=lo",
        "bind-dynamic",
        "bogus-priv",
        "domain-needed",
        "stop-dns-rebind",
        # Names of the segment are private addresses by design; so are those of other local domains.
        f"rebind-domain-ok=/{'/'.join([domain, *map(domain_name, local_domains)])}/",
        # A probe of each address before its first offer would hold every guest up for three seconds.
        "no-ping",
        "cache-size=1000",
        "no-negcache",
        f"domain={domain}",
        f"local=/{domain}/",
        f"host-record=gateway.{domain},{address.ip}",
        f"host-record={segment.name}.{domain},{address.ip}",
        f"ptr-record={address.ip.reverse_pointer},gateway.{domain}",
        f"addn-hosts={word(places.dnsmasq_addresses(segment.name))}",
    ]
    if segment.mode is Mode.ISOLATED:
        lines.append("no-resolv")  # nobody gets out, not by questions to the DNS either
    for other in neighbours:
        lines += _neighbour(other)
    for name in host_names:
        lines.append(f"host-record={guest_name(name)}.{domain},{address.ip}")
    if segment.address6 is not None:
        lines.append(f"host-record=gateway.{domain},{segment.address6.ip}")
    lines += records.directives(segment, host_names)
    lines += _vlan_names(segment, domain, host_names)
    served = [*([(segment.own, segment.pool, segment.lease_seconds)] if segment.dhcp else []),
              *((vlan.address, vlan.pool, vlan.lease_seconds) for vlan in segment.vlans
                if vlan.address is not None and vlan.dhcp)]
    six = [(address6, lease) for address6, lease in (
        (segment.address6, segment.lease_seconds),
        *((vlan.address6, vlan.lease_seconds) for vlan in segment.vlans)) if address6 is not None]
    if served or six:
        # Its default is not for this account to write, and it wants one for router advertisements too.
        lines.append(f"dhcp-leasefile={word(places.leases(segment.name))}")
    if served:
        lines += _dhcp(segment, [line for network in served for line in ranges.ipv4(*network)], host_names, places,
                       neighbours)
    if six:
        lines += _router_advertisement(segment, [line for network in six for line in ranges.ipv6(*network)])
    if segment.netboot is not None:
        lines += netboot.directives(segment.netboot, bool(served), not segment.host_access)
    return "\n".join(lines) + "\n"


def _neighbour(other: Neighbour) -> list[str]:
    """Names and addresses of another segment are asked there, or of one out of reach nowhere."""
    if not other.reachable:
        return [f"local=/{domain_name(other.domain)}/"]
    networks = [other.network, *([] if other.network6 is None else [other.network6])]
    return [f"server=/{domain_name(other.domain)}/{other.server}",
            *(f"rev-server={network},{other.server}" for network in networks)]


def _vlan_names(segment: Segment, domain: str, host_names: Sequence[str]) -> list[str]:
    """The host's names in its VLANs: of several addresses a guest is told the one in its own network."""
    if not segment.served_vlans:
        return []
    lines = ["localise-queries"]
    for vlan in segment.served_vlans:
        assert vlan.address is not None
        own = [vlan.name] if vlan.name is not None else []
        addresses = [vlan.address.ip, *([vlan.address6.ip] if vlan.address6 is not None else [])]
        for label in ("gateway", segment.name, *map(guest_name, [*own, *host_names])):
            lines += [f"host-record={label}.{domain},{address}" for address in addresses]
        lines.append(f"ptr-record={vlan.address.ip.reverse_pointer},gateway.{domain}")
    return lines


def _dhcp(segment: Segment, given: Sequence[str], host_names: Sequence[str], places: Places,
          neighbours: Sequence[Neighbour]) -> list[str]:
    reserved = sorted(RESERVED_LABELS | set(host_names) | {segment.name}
                      | {vlan.name for vlan in segment.vlans if vlan.name is not None})
    lines = [
        "dhcp-authoritative",
        *given,
        f"dhcp-hostsfile={word(places.dnsmasq_hosts(segment.name))}",
        f"dhcp-lease-max={MAX_LEASES}",
        # A reservation is by MAC and must survive a guest's new client id (a cloned machine-id).
        "dhcp-ignore-clid",
        "dhcp-no-override",
        "dhcp-option=option:mtu,1500",
        # A guest's own name, once accepted, is its own: vdenetd pins it to its MAC in the hosts file.
        *(f"dhcp-name-match=set:{RESERVED},{word(name)}" for name in reserved),
        f"dhcp-ignore-names=tag:{RESERVED}",
    ]
    if segment.mode is Mode.ISOLATED:
        lines.append("dhcp-option=option:router")
        lines += [f"dhcp-option={tag}option:classless-static-route,{','.join(ways)}"
                  for tag, ways in _ways(segment, neighbours) if ways]
    return lines


def _ways(segment: Segment, neighbours: Sequence[Neighbour]) -> list[tuple[str, list[str]]]:
    """The only ways that an isolated segment has, for its own network and for each VLAN.

    dnsmasq knows a request's interface as a tag.
    """
    networks = [(UNTAGGED, segment.bridge, segment.own, frozenset[int]()),
                *((vlan.id, vlan.link(segment.bridge), vlan.address, frozenset(vlan.reach))
                  for vlan in segment.vlans if vlan.address is not None)]
    return [(f"tag:{link}," if segment.served_vlans else "", [
        *(f"{other.network},{own.ip}" for other in neighbours if other.reachable and vlan == UNTAGGED),
        *(f"{far.network},{own.ip}" for there, _link, far, back in networks if there in reach or vlan in back)])
        for vlan, link, own, reach in networks]


def _router_advertisement(segment: Segment, given: Sequence[str]) -> list[str]:
    lines = [
        "enable-ra",
        *given,
        "dhcp-option=option6:dns-server,[::]",
        f"dhcp-option=option6:domain-search,{domain_name(segment.domain)}",
    ]
    # A unique local prefix without a way out must not become the guest's default route to the world.
    if segment.mode is Mode.ISOLATED:
        lines.append("ra-param=*,0,0")
    return lines


def service(segment: Segment, config_text: str, reread: str, places: Places) -> Service:
    """The program, as the supervisor runs it; `reread` is the text of the files that SIGHUP has it read again."""
    return replace(program(segment.name, places), restart_text=config_text, reload_text=reread,
                   ready_udp=(str(segment.own.ip), 53))


def program(segment: str, places: Places) -> Service:
    """The program as it is known again, whatever texts it was started with."""
    return Service(
        name="dnsmasq",
        argv=("dnsmasq", f"--conf-file={places.dnsmasq_config(segment)}"),
        account=DNS_ACCOUNT,
        groups=(GROUP,),
        capabilities=CAPABILITIES,
    )

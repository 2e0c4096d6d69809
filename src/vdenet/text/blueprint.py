"""From a segment to everything that makes it: the one place that knows the whole shape.

Pure: what the machine contributes (its identity, its accounts, the kernel's abilities) comes in as
`HostFacts`, what guests did as `Guests`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vdenet.errors import BadValue
from vdenet.model import names
from vdenet.model.neighbours import Neighbour
from vdenet.model.places import DNS_ACCOUNT, SWITCH_ACCOUNT, Places
from vdenet.model.segment import MTU, Mode, Retiring, Segment
from vdenet.model.tunnel import Tunnel
from vdenet.model.wanted import (
    Bridge,
    DhcpServer,
    Directory,
    File,
    Resolver,
    Sysctl,
    Tap,
    Wanted,
)
from vdenet.text import bridged, dnsmasq, nftables, plugs, relay, vde
from vdenet.text.bridged import Outside
from vdenet.text.dnsmasq import Reservation


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the plan has to know of this machine."""

    machine_id: str
    hostname: str
    switch_uid: int
    matches_bridge: bool
    """The kernel's nft can match the bridge that a frame came in by (nft_meta_bridge)."""
    resolver: str
    ipv6: bool
    search: tuple[str, ...] = ()
    """Domains that the host's resolver searches: those of the networks that it is in."""
    shared_elsewhere: frozenset[str] = frozenset()
    """Kernel settings of the whole host that other segments need."""
    plug_groups: tuple[str, ...] = ()
    """Groups of the account that plugs run as, by the account database."""
    outside: Outside = Outside(None)
    """What a bridged segment is one Ethernet with."""
    neighbours: tuple[Neighbour, ...] = ()
    """The host's other segments."""
    uplinks_ra: tuple[str, ...] = ()
    """Interfaces that take routes from router advertisements, and would stop when IPv6 forwarding goes on."""


@dataclass(frozen=True, slots=True)
class Guests:
    """Who is known on the segment, and on which ports."""

    joined: tuple[Reservation, ...] = ()
    pinned: tuple[Reservation, ...] = ()
    ports: tuple[str, ...] = ()
    """Ports that belong on the bridge (ours, and those of others that were on it)."""
    present: tuple[str, ...] = ()
    """Ports that are on the bridge, for the guard of kernels that cannot match the bridge."""
    taps: tuple[Tap, ...] = ()
    """Taps that guests hold by name."""
    tunnels: tuple[Tunnel, ...] = ()
    """UDP tunnels of guests, each with its tap."""
    retiring: tuple[Retiring, ...] = field(default=())
    dhcp_server: DhcpServer | None = None
    """The one that serves DHCP in place of the host, where it is there."""
    plugs: tuple[tuple[str, ...], ...] = ()
    """Argument lists of the plugs that run, of this segment and others."""


def wanted(segment: Segment, host: HostFacts, guests: Guests, places: Places) -> Wanted:
    """All that has to be there while `segment` is up."""
    taps = (*guests.taps, *(Tap(tunnel.tap, host.switch_uid, MTU) for tunnel in guests.tunnels))
    ports = tuple(sorted({*guests.ports, *(tap.name for tap in taps)}))
    present = None if host.matches_bridge else sorted({segment.tap, *guests.present, *ports})
    chains = relay.rules(guests.tunnels, host.switch_uid) + plugs.rules(segment.plugs)
    plugged = plugs.services(segment, places, host.plug_groups)
    strays = plugs.strays(guests.plugs, segment.name, plugged, places)
    if segment.mode is Mode.BRIDGED:
        return replace(
            bridged.wanted(segment, host.outside, names.bridge_mac(host.machine_id, segment.name), host.switch_uid,
                           present, chains, host.ipv6, places),
            directories=_directories(segment.name, places), ports=ports, guest_taps=taps,
            shared_elsewhere=host.shared_elsewhere,
            services=(vde.service(segment, places), *(relay.service(tunnel) for tunnel in guests.tunnels), *plugged),
            breaks_loops=segment.breaks_loops,
            unwanted=(dnsmasq.program(segment.name, places), *strays))
    mac = names.bridge_mac(host.machine_id, segment.name)
    labels = host_labels(host.hostname, segment.name)
    config = dnsmasq.config(segment, labels, places,
                            [name for name in host.search if name != segment.domain], host.neighbours)
    hosts = dnsmasq.hosts(dnsmasq.reservations(segment.hosts, guests.joined, guests.pinned), segment.labels)
    addresses_text = dnsmasq.addresses(segment, labels)
    old = [retiring.address for retiring in guests.retiring if retiring.address != segment.address]
    addresses = [segment.own, *old]
    use6 = segment.address6 is not None and host.ipv6
    return Wanted(
        segment=segment.name,
        bridge=Bridge(segment.bridge, mac, MTU),
        tap=Tap(segment.tap, host.switch_uid, MTU),
        addresses=(*addresses, segment.address6) if use6 and segment.address6 else tuple(addresses),
        sysctls=_sysctls(segment, host, use6),
        directories=_directories(segment.name, places),
        files=(File(places.dnsmasq_config(segment.name), config, 0o640, DNS_ACCOUNT),
               File(places.dnsmasq_hosts(segment.name), hosts, 0o640, DNS_ACCOUNT),
               File(places.dnsmasq_addresses(segment.name), addresses_text, 0o640, DNS_ACCOUNT)),
        services=(vde.service(segment, places), dnsmasq.service(segment, config, hosts + addresses_text, places),
                  *(relay.service(tunnel) for tunnel in guests.tunnels), *plugged),
        firewall=nftables.firewall(segment, old, mac, present, chains, guests.dhcp_server,
                                    host.neighbours),
        server=str(segment.own.ip),
        domain=segment.domain,
        resolver=_resolver(segment, host),
        ports=ports,
        shared_elsewhere=host.shared_elsewhere,
        unwanted=strays,
        breaks_loops=segment.breaks_loops,
        guest_taps=taps,
    )


def host_labels(hostname: str, segment: str) -> list[str]:
    """The host's own name as a label of the segment's domain, where it can be one."""
    label = hostname.partition(".")[0].lower()
    try:
        return [names.guest_name(label)] if label != segment else []
    except BadValue:
        return []


def _directories(segment: str, places: Places) -> tuple[Directory, ...]:
    """Parents stand before what is in them."""
    return (
        Directory(places.records(segment), 0o700, "root", kept=True),
        Directory(places.runtime(segment), 0o771, SWITCH_ACCOUNT, writer=SWITCH_ACCOUNT),
        Directory(places.console(segment).parent, 0o750, SWITCH_ACCOUNT,
                  account=SWITCH_ACCOUNT, writer=SWITCH_ACCOUNT),
        Directory(places.dns(segment), 0o750, DNS_ACCOUNT),
        Directory(places.state(segment), 0o750, DNS_ACCOUNT, kept=True),
        Directory(places.lease_home(segment), 0o770, DNS_ACCOUNT, writer=DNS_ACCOUNT, kept=True),
    )


def shared_sysctls(segment: Segment, host: HostFacts) -> frozenset[str]:
    """Kernel settings of the whole host that `segment` needs while it is up."""
    use6 = segment.address6 is not None and host.ipv6
    return frozenset(sysctl.key for sysctl in _sysctls(segment, host, use6) if sysctl.shared)


def _sysctls(segment: Segment, host: HostFacts, use6: bool) -> tuple[Sysctl, ...]:
    bridge = segment.bridge
    own: Mapping[str, str] = {
        # A guest must not move the host's routes (RFC 792 redirects), and the host need not advise guests.
        f"net/ipv4/conf/{bridge}/accept_redirects": "0",
        f"net/ipv4/conf/{bridge}/send_redirects": "0",
        f"net/ipv4/conf/{bridge}/accept_source_route": "0",
        # Two addresses of one network, after a change: the second must survive the removal of the first.
        f"net/ipv4/conf/{bridge}/promote_secondaries": "1",
        # Answer ARP only for addresses of the segment itself.
        f"net/ipv4/conf/{bridge}/arp_ignore": "1",
    }
    result = [Sysctl(key, value) for key, value in own.items()]
    if host.ipv6:
        result += [Sysctl(f"net/ipv6/conf/{bridge}/{key}", value) for key, value in (
            ("accept_ra", "0"), ("accept_redirects", "0"), ("autoconf", "0"),
            # The link-local address from the MAC, which is the one that the firewall guards.
            ("addr_gen_mode", "0"),
            # No duplicate address detection: a guest could deny the host its address.
            ("accept_dad", "0"),
        )]
        # A port is no neighbour of the host; its own address would only be noise on the segment.
        result.append(Sysctl(f"net/ipv6/conf/{segment.tap}/disable_ipv6", "1"))
    if segment.mode in (Mode.NAT, Mode.ROUTED) or any(other.reachable for other in host.neighbours):
        result.append(Sysctl("net/ipv4/ip_forward", "1", shared=True))
        if use6:
            # Before forwarding: with it on, the kernel ignores router advertisements on an interface whose
            # accept_ra is 1, and the host would lose its own default route (ip-sysctl.rst, accept_ra).
            result += [Sysctl(f"net/ipv6/conf/{uplink}/accept_ra", "2", shared=True)
                       for uplink in host.uplinks_ra]
            result.append(Sysctl("net/ipv6/conf/all/forwarding", "1", shared=True))
    return tuple(result)


def _resolver(segment: Segment, host: HostFacts) -> Resolver | None:
    if host.resolver not in ("systemd-resolved", "networkmanager-dnsmasq", "dnsmasq", "resolvconf"):
        return None
    return Resolver(host.resolver, segment.bridge, str(segment.own.ip), segment.domain)



"""From a segment to everything that makes it: the one place that knows the whole shape.

Pure: what the machine contributes (its identity, its accounts, the kernel's abilities) comes in as
`HostFacts`, what guests did as `Guests`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vdenet.errors import BadValue
from vdenet.model import names
from vdenet.model.neighbours import Neighbour
from vdenet.model.places import DNS_ACCOUNT, SWITCH_ACCOUNT, Places
from vdenet.model.segment import MTU, Mode, Retiring, Segment, Vlan
from vdenet.model.tunnel import Tunnel
from vdenet.model.vlans import UNTAGGED, Membership, SwitchPort, access, between
from vdenet.model.wanted import (
    Address,
    Bridge,
    DhcpServer,
    Directory,
    File,
    Resolver,
    Sysctl,
    Tap,
    VlanLink,
    Wanted,
)
from vdenet.text import bridged, dnsmasq, nftables, plugs, relay, vde, vdeports
from vdenet.text.bridged import Outside
from vdenet.text.dnsmasq import Reservation

KEPT_OFF = "vdenet"
"""Interfaces whose names begin so are none of the system's dnsmasq's by the package's own file."""


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
    dnsmasq: bool = False
    """There is a place for files that the system's dnsmasq reads when it starts."""
    uplinks_ra: tuple[str, ...] = ()
    """Interfaces that take routes from router advertisements, and would stop when IPv6 forwarding goes on."""


@dataclass(frozen=True, slots=True)
class Guests:
    """Who is known on the segment, and on which ports."""

    joined: tuple[Reservation, ...] = ()
    pinned: tuple[Reservation, ...] = ()
    ports: tuple[str, ...] = ()
    """Ports that belong on the bridge (ours, and those of others that were on it)."""
    handed: tuple[str, ...] = ()
    """Ports that hypervisors made for us to put them there."""
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
    memberships: Mapping[str, Membership] = field(default_factory=dict)
    """The VLANs of guests' ports, by the port's name."""
    plugged: tuple[SwitchPort, ...] = ()
    """Ports of the VDE switch that guests joined with."""


def wanted(segment: Segment, host: HostFacts, guests: Guests, places: Places) -> Wanted:
    """All that has to be there while `segment` is up."""
    # A guest whose VLAN is declared no longer must not find itself among the others. Another program's bridge is
    # not told of VLANs: such a guest is not put on it.
    filtering = segment.adopt is None and bool(
        segment.vlans or any(port.untagged != UNTAGGED for port in guests.plugged)
        or any(member != access() for member in guests.memberships.values()))
    memberships = _memberships(segment, guests, filtering)
    switch = vdeports.table(segment, guests.plugged, filtering)
    start = File(places.switch_start(segment.name), vdeports.script(switch, segment.switch_ports), 0o640,
                 SWITCH_ACCOUNT)
    taps = (*guests.taps, *(Tap(tunnel.tap, host.switch_uid, MTU) for tunnel in guests.tunnels))
    ports = tuple(sorted(name for name in {*guests.ports, *guests.handed, *(tap.name for tap in taps)}
                         if segment.adopt is None or guests.memberships.get(name, access()) == access()))
    present = None if host.matches_bridge else sorted({segment.tap, *guests.present, *ports})
    chains = relay.rules(guests.tunnels, host.switch_uid) + plugs.rules(segment.plugs)
    switch_services = vde.service(segment, places), vde.gate(segment, places)
    plugged = plugs.services(segment, places, host.plug_groups)
    strays = plugs.strays(guests.plugs, segment.name, plugged, places)
    if segment.mode is Mode.BRIDGED:
        return replace(
            bridged.wanted(segment, host.outside, names.bridge_mac(host.machine_id, segment.name), host.switch_uid,
                           present, chains, _tags(segment, memberships, filtering), host.ipv6, places),
            directories=_directories(segment.name, places), ports=ports, handed=guests.handed, guest_taps=taps,
            files=(start,),
            shared_elsewhere=host.shared_elsewhere, vlan_filtering=filtering, memberships=memberships, switch=switch,
            services=(*switch_services, *(relay.service(tunnel) for tunnel in guests.tunnels), *plugged),
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
        sysctls=_sysctls(segment, host),
        directories=_directories(segment.name, places),
        files=(File(places.dnsmasq_config(segment.name), config, 0o640, DNS_ACCOUNT),
               File(places.dnsmasq_hosts(segment.name), hosts, 0o640, DNS_ACCOUNT),
               File(places.dnsmasq_addresses(segment.name), addresses_text, 0o640, DNS_ACCOUNT),
               start),
        services=(*switch_services, dnsmasq.service(segment, config, hosts + addresses_text, places),
                  *(relay.service(tunnel) for tunnel in guests.tunnels), *plugged),
        firewall=nftables.firewall(segment, old, mac, present, chains, guests.dhcp_server,
                                    _tags(segment, memberships, filtering), host.neighbours),
        server=str(segment.own.ip),
        domain=segment.domain,
        resolver=_resolver(segment, host),
        keeps_dnsmasq_off=host.dnsmasq and not segment.bridge.startswith(KEPT_OFF),
        ports=ports,
        handed=guests.handed,
        shared_elsewhere=host.shared_elsewhere,
        unwanted=strays,
        breaks_loops=segment.breaks_loops,
        guest_taps=taps,
        vlan_filtering=filtering,
        vlan_links=tuple(VlanLink(vlan.link(segment.bridge), segment.bridge, vlan.id, _vlan_addresses(vlan, host))
                         for vlan in segment.served_vlans),
        memberships=memberships,
        switch=switch,
    )


def _vlan_addresses(vlan: Vlan, host: HostFacts) -> tuple[Address, ...]:
    return tuple(address for address in (vlan.address, vlan.address6 if host.ipv6 else None) if address is not None)


def _tags(segment: Segment, memberships: Mapping[str, Membership], filtering: bool) -> Mapping[str, Iterable[int]]:
    """The tags that each port may send."""
    return {name: member.tagged for name, member in memberships.items()
            if filtering and member.tagged and name != segment.bridge}


def _memberships(segment: Segment, guests: Guests, filtering: bool) -> dict[str, Membership]:
    """Of the bridge itself, of the way to the switch, and of the guests' ports; of an adopted bridge, of none."""
    if segment.adopt is not None:
        return {}
    declared = frozenset(vlan.id for vlan in segment.vlans)
    found = {segment.bridge: Membership(UNTAGGED, frozenset({UNTAGGED}),
                                        frozenset(vlan.id for vlan in segment.served_vlans)),
             segment.tap: between(declared) if filtering else access()}
    for name, member in sorted(guests.memberships.items()):
        undeclared = (member.untagged | member.tagged) - declared - {UNTAGGED}
        found[name] = member.without(undeclared)
    return found


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
        Directory(places.switch_scripts(segment), 0o750, SWITCH_ACCOUNT),
        Directory(places.dns(segment), 0o750, DNS_ACCOUNT),
        Directory(places.state(segment), 0o750, DNS_ACCOUNT, kept=True),
        Directory(places.lease_home(segment), 0o770, DNS_ACCOUNT, writer=DNS_ACCOUNT, kept=True),
    )


def shared_sysctls(segment: Segment, host: HostFacts) -> frozenset[str]:
    """Kernel settings of the whole host that `segment` needs while it is up."""
    return frozenset(sysctl.key for sysctl in _sysctls(segment, host) if sysctl.shared)


def _own_sysctls(link: str, host: HostFacts) -> list[Sysctl]:
    own: Mapping[str, str] = {
        # A guest must not move the host's routes (RFC 792 redirects), and the host need not advise guests.
        f"net/ipv4/conf/{link}/accept_redirects": "0",
        f"net/ipv4/conf/{link}/send_redirects": "0",
        f"net/ipv4/conf/{link}/accept_source_route": "0",
        # Two addresses of one network, after a change: the second must survive the removal of the first.
        f"net/ipv4/conf/{link}/promote_secondaries": "1",
        # Answer ARP only for addresses of the segment itself.
        f"net/ipv4/conf/{link}/arp_ignore": "1",
    }
    result = [Sysctl(key, value) for key, value in own.items()]
    if host.ipv6:
        result += [Sysctl(f"net/ipv6/conf/{link}/{key}", value) for key, value in (
            ("accept_ra", "0"), ("accept_redirects", "0"), ("autoconf", "0"),
            # The link-local address from the MAC, which is the one that the firewall guards.
            ("addr_gen_mode", "0"),
            # No duplicate address detection: a guest could deny the host its address.
            ("accept_dad", "0"),
        )]
    return result


def _sysctls(segment: Segment, host: HostFacts) -> tuple[Sysctl, ...]:
    result = [sysctl for link in segment.links for sysctl in _own_sysctls(link, host)]
    if host.ipv6:
        # A port is no neighbour of the host; its own address would only be noise on the segment.
        result.append(Sysctl(f"net/ipv6/conf/{segment.tap}/disable_ipv6", "1"))
    if segment.mode in (Mode.NAT, Mode.ROUTED) or any(other.reachable for other in host.neighbours) \
            or any(vlan.reach for vlan in segment.vlans):
        result.append(Sysctl("net/ipv4/ip_forward", "1", shared=True))
        if host.ipv6 and (segment.address6 or any(vlan.address6 for vlan in segment.vlans)):
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



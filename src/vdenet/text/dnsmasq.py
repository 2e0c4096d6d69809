"""dnsmasq's configuration and files: written and read as text.

One dnsmasq a segment; it serves DHCP, router advertisements and DNS on the bridge and nowhere else. Every
value that reaches these texts passed `vdenet.model.names` or is an address object: names are checked here
once more, and paths by `_word`, since a newline would be a directive.
Source of the directives: dnsmasq(8) of 2.90.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from vdenet.errors import BadValue
from vdenet.i18n import _
from vdenet.model.names import RESERVED_LABELS, domain_name, guest_name, mac_address, segment_name
from vdenet.model.places import DNS_ACCOUNT, GROUP, Places
from vdenet.model.segment import Host, Mode, Segment
from vdenet.model.wanted import Service

_WORD = re.compile(r"[A-Za-z0-9._:/\[\]*-]+", re.ASCII)
_EXPIRY = re.compile(r"[0-9]{1,18}", re.ASCII)
MAX_LEASES = 4096
CAPABILITIES = ("net_admin", "net_raw", "net_bind_service")
"""What dnsmasq needs when it is started without root: DHCP sets ARP entries and sends raw frames,
ports 53 and 67 are privileged."""


def _word(value: object) -> str:
    text = str(value)
    if not _WORD.fullmatch(text):
        raise BadValue(what=_("value"), value=text, why=_("it does not fit into dnsmasq's configuration"))
    return text


def config(segment: Segment, host_names: Sequence[str], places: Places,
           local_domains: Sequence[str] = ()) -> str:
    """The whole configuration file; `host_names` are the host's own labels, which no guest may claim.

    `local_domains` are those of the networks that the host is in: their names may be private addresses.
    """
    bridge, domain = segment_name(segment.bridge), domain_name(segment.domain)
    address = segment.address
    lines = [
        "# Written by vdenetd; changes here are lost. The admin's file is "
        f"{_word(places.config(segment.name))}",
        "keep-in-foreground",
        "pid-file=",
        "no-hosts",
        # The upstream servers come from the host's resolver, followed as it changes. A stub on the
        # loopback (systemd-resolved) is reached from here, as this dnsmasq runs on the host.
        f"interface={bridge}",
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
    ]
    if segment.mode is Mode.ISOLATED:
        lines.append("no-resolv")  # nobody gets out, not by questions to the DNS either
    for name in host_names:
        lines.append(f"host-record={guest_name(name)}.{domain},{address.ip}")
    if segment.address6 is not None:
        lines.append(f"host-record=gateway.{domain},{segment.address6.ip}")
    lines += _dhcp(segment, host_names, places) if segment.dhcp else []
    if segment.address6 is not None:
        lines += _router_advertisement(segment)
    return "\n".join(lines) + "\n"


def _dhcp(segment: Segment, host_names: Sequence[str], places: Places) -> list[str]:
    first, last = segment.pool
    reserved = sorted(RESERVED_LABELS | set(host_names) | {segment.name})
    lines = [
        "dhcp-authoritative",
        f"dhcp-range={first},{last},{segment.address.network.netmask},{segment.lease_seconds}s",
        f"dhcp-leasefile={_word(places.leases(segment.name))}",
        f"dhcp-hostsfile={_word(places.dnsmasq_hosts(segment.name))}",
        f"dhcp-lease-max={MAX_LEASES}",
        # A reservation is by MAC and must survive a guest's new client id (a cloned machine-id).
        "dhcp-ignore-clid",
        "dhcp-no-override",
        "dhcp-option=option:mtu,1500",
        # A guest's own name, once accepted, is its own: vdenetd pins it to its MAC in the hosts file.
        *(f"dhcp-name-match=set:reserved,{_word(name)}" for name in reserved),
        "dhcp-ignore-names=tag:reserved",
    ]
    if segment.mode is Mode.ISOLATED:
        lines.append("dhcp-option=option:router")
    return lines


def _router_advertisement(segment: Segment) -> list[str]:
    assert segment.address6 is not None
    lines = [
        "enable-ra",
        # ra-names: guests that use SLAAC get an AAAA record from the name in their DHCPv4 lease.
        f"dhcp-range={segment.address6.network.network_address},ra-stateless,ra-names,64,{segment.lease_seconds}s",
        "dhcp-option=option6:dns-server,[::]",
        f"dhcp-option=option6:domain-search,{domain_name(segment.domain)}",
    ]
    # A unique local prefix without a way out must not become the guest's default route to the world.
    if segment.mode is Mode.ISOLATED:
        lines.append("ra-param=*,0,0")
    return lines


@dataclass(frozen=True, slots=True)
class Reservation:
    """One line of the hosts file."""

    mac: str
    name: str | None
    address: IPv4Address | None = None


def hosts(reservations: Iterable[Reservation]) -> str:
    """dhcp-hostsfile: `MAC,address,name`, sorted, a line a MAC."""
    lines = []
    for reservation in sorted(reservations, key=lambda r: r.mac):
        # Not any words: a time or `ignore` in the place of the name would be an order.
        words = [mac_address(reservation.mac)]
        if reservation.address is not None:
            words.append(str(reservation.address))
        if reservation.name is not None:
            words.append(guest_name(reservation.name))
        lines.append(",".join(words))
    return "".join(f"{line}\n" for line in lines)


def reservations(static: Iterable[Host], joined: Iterable[Reservation],
                 pinned: Iterable[Reservation]) -> list[Reservation]:
    """Who has which name: what the admin wrote wins over `join`, that over what guests claimed.

    A name or a MAC that is taken by a stronger source is left out of a weaker one.
    """
    result: list[Reservation] = []
    names: set[str] = set()
    macs: set[str] = set()
    strong = [Reservation(host.mac, host.name, host.address) for host in static]
    for reservation in (*strong, *joined, *pinned):
        if reservation.mac in macs or reservation.name in names:
            continue
        macs.add(reservation.mac)
        if reservation.name is not None:
            names.add(reservation.name)
        result.append(reservation)
    return result


@dataclass(frozen=True, slots=True)
class Lease:
    """A line of the lease file; `expires` in seconds since the epoch, 0 for never."""

    expires: int
    mac: str
    address: str
    name: str | None


def leases(text: str) -> list[Lease]:
    """The IPv4 leases of a lease file; lines that are no lease are passed over.

    Format: lease_update_file() in dnsmasq's src/lease.c: `expiry mac address name client-id`, and
    after a line `duid …` the leases of DHCPv6.
    """
    found = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["duid"]:
            break
        if len(words) < 4 or not _EXPIRY.fullmatch(words[0]):
            continue
        try:
            mac, address = mac_address(words[1]), IPv4Address(words[2])
        except (BadValue, ValueError):
            continue  # another hardware than Ethernet has a prefix: `06-…`
        found.append(Lease(int(words[0]), mac, str(address), None if words[3] == "*" else words[3]))
    return found


def service(segment: Segment, config_text: str, hosts_text: str, places: Places) -> Service:
    """The program, as the supervisor runs it."""
    return Service(
        name="dnsmasq",
        argv=("dnsmasq", f"--conf-file={places.dnsmasq_config(segment.name)}"),
        account=DNS_ACCOUNT,
        groups=(GROUP,),
        capabilities=CAPABILITIES,
        restart_text=config_text,
        reload_text=hosts_text,
        ready_udp=(str(segment.address.ip), 53),
    )


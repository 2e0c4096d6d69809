"""A segment that is one Ethernet with a network outside: the host's interface or another program's bridge.

Of our own there are only the bridge (where it is not another's), the VDE switch, the guests' ports and the
guard. Addresses, names and the way out come from the network outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vdenet.model.parts.outside import patch_names
from vdenet.model.places import DNS_ACCOUNT, Places
from vdenet.model.segment import MTU, Segment
from vdenet.model.wanted import Address, Bridge, File, Patch, Sysctl, Tap, Wanted
from vdenet.text import nftables


@dataclass(frozen=True, slots=True)
class Outside:
    """What the plan has to know of the network outside."""

    mac: str | None
    """Of the uplink, or of the adopted bridge; None while it is not there."""
    advertised: bool = False
    """The uplink takes router advertisements, and so has the bridge to."""
    addresses: tuple[Address, ...] = ()
    """The host's there, for the guard."""
    ports: tuple[str, ...] = ()
    """Ports of the bridge beyond which are no guests."""


def wanted(segment: Segment, outside: Outside, own_mac: str, switch_uid: int, present: list[str] | None,
           chains: str, tagged: Mapping[str, Iterable[int]], ipv6: bool, places: Places) -> Wanted:
    """What such a segment has in place of what the others have.

    `own_mac` is for a bridge of our own that is joined to no interface; `present`, `chains` and `tagged` as
    in `nftables.firewall`.
    """
    patch = None
    if segment.openvswitch is not None:
        patch = Patch(*patch_names(segment.name), segment.openvswitch, MTU)
    mac = outside.mac or own_mac
    beyond = {*outside.ports, *([segment.uplink] if segment.uplink else []), *([patch.inner] if patch else [])}
    return Wanted(
        segment=segment.name,
        bridge=Bridge(segment.bridge, mac, MTU, adopted=segment.adopt is not None),
        tap=Tap(segment.tap, switch_uid, MTU),
        addresses=(),
        sysctls=_sysctls(segment, outside, ipv6),
        directories=(),
        files=(),
        services=(),
        firewall=nftables.bridged(segment, outside.addresses, mac, sorted(beyond), present, chains, tagged),
        server="",
        domain=segment.domain,
        unwanted_files=tuple(File(path, "", 0o640, DNS_ACCOUNT) for path in (
            places.dnsmasq_config(segment.name), places.dnsmasq_hosts(segment.name),
            places.dnsmasq_addresses(segment.name))),
        uplink=segment.uplink,
        patch=patch,
    )


def _sysctls(segment: Segment, outside: Outside, ipv6: bool) -> tuple[Sysctl, ...]:
    if not ipv6:
        return ()
    tap = Sysctl(f"net/ipv6/conf/{segment.tap}/disable_ipv6", "1")
    if segment.uplink is None:
        return (tap,)
    bridge = segment.bridge
    taking = "1" if outside.advertised else "0"
    # 2: also where the host forwards (ip-sysctl.rst, accept_ra).
    return (tap, Sysctl(f"net/ipv6/conf/{bridge}/accept_ra", "2" if outside.advertised else "0"),
            Sysctl(f"net/ipv6/conf/{bridge}/autoconf", taking))

"""What DHCP and router advertisements give out, one network at a time.

dnsmasq picks the range of the interface that a request came in by, so each network of a segment has lines of
its own and needs no tags.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface


def ipv4(address: IPv4Interface, pool: tuple[IPv4Address, IPv4Address], lease_seconds: int) -> list[str]:
    """DHCP on the network whose host address is `address`, from the first to the last address of `pool`."""
    first, last = pool
    return [f"dhcp-range={first},{last},{address.network.netmask},{lease_seconds}s"]


def ipv6(address: IPv6Interface, lease_seconds: int) -> list[str]:
    """Router advertisements of the network of `address`: guests make their own addresses.

    ra-names: guests that use SLAAC get an AAAA record from the name in their DHCPv4 lease.
    """
    return [f"dhcp-range={address.network.network_address},ra-stateless,ra-names,64,{lease_seconds}s"]

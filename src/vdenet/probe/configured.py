"""Networks that are configured on this host, whether they are up or not.

A VPN that is off, a libvirt network that was not started, Docker's pools: a segment must not take
what they will want. Files that the caller may not read are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

from vdenet.probe import regular
from vdenet.text import networks

_LIMIT = 1024 * 1024
"""Bytes of one file; no network configuration is longer."""

_Parser = Callable[[str], list[IPv4Network]]

_SOURCES: tuple[tuple[str, _Parser], ...] = (
    ("etc/network/interfaces", networks.ifupdown),
    ("etc/network/interfaces.d/*", networks.ifupdown),
    ("etc/systemd/network/*.net*", networks.cidrs),
    ("etc/systemd/network/*.d/*.conf", networks.cidrs),
    ("etc/NetworkManager/system-connections/*", networks.cidrs),
    ("etc/netplan/*.yaml", networks.cidrs),
    ("etc/dhcpcd.conf", networks.cidrs),
    ("etc/wireguard/*.conf", networks.cidrs),
    ("etc/openvpn/**/*.conf", networks.openvpn),
    ("etc/openvpn/**/*.ovpn", networks.openvpn),
    ("etc/openvpn/ccd/*", networks.openvpn),
    ("etc/ipsec.conf", networks.cidrs),
    ("etc/ipsec.d/*.conf", networks.cidrs),
    ("etc/swanctl/swanctl.conf", networks.cidrs),
    ("etc/swanctl/conf.d/*.conf", networks.cidrs),
    ("etc/tinc/*/hosts/*", networks.cidrs),
    ("etc/libvirt/qemu/networks/*.xml", networks.libvirt),
    ("etc/default/lxc-net", networks.cidrs),
    ("etc/docker/daemon.json", networks.cidrs),
    ("etc/containers/networks/*.json", networks.cidrs),
    ("etc/cni/net.d/*", networks.cidrs),
    ("etc/kubernetes/manifests/*.yaml", networks.cidrs),
    ("etc/rancher/*/config.yaml", networks.cidrs),
    ("etc/vmware/networking", networks.vmware),
)
"""Where networks are configured. Not /etc/vbox/networks.conf: it only says what would be allowed.
Incus and LXD keep theirs in a database; their bridges are up whenever they run."""


def configured_networks(root: Path = Path("/")) -> dict[str, list[IPv4Network]]:
    """Each file below `root` that names networks, as its absolute path, with the networks, sorted."""
    found: dict[str, list[IPv4Network]] = {}
    for pattern, parse in _SOURCES:
        for path in sorted(_matches(root, pattern)):
            named = sorted(set(parse(regular.text(path, _LIMIT))))
            if named:
                found[f"/{path.relative_to(root)}"] = named
    return found


def _matches(root: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from root.glob(pattern)
    except OSError:  # a directory that only root may enter
        return

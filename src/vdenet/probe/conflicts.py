"""What on this host gets in a segment's way, as far as the file system tells.

Read-only, and without privilege but for details; the rules of firewalls, which only root may list, are
judged by `vdenet.text.firewalls.findings`.
"""

from __future__ import annotations

import pwd
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from vdenet.model.places import DNS_ACCOUNT
from vdenet.model.report import Finding
from vdenet.model.segment import Segment
from vdenet.probe import configured, resolvers
from vdenet.text import conflicts as text
from vdenet.text import firewalls
from vdenet.text.networks import choose_network

_BRIDGE_FIREWALL = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")


def conflicts(segment: Segment, root: Path = Path("/"),
              used: Iterable[tuple[str, IPv4Network]] | None = None) -> list[Finding]:
    """Everything found. `used` are networks in use by others with their places; without it, those of the main
    routing table."""
    if segment.address is None:
        return [text.br_netfilter(segment)] if bridged(root) else []
    found: list[Finding] = []
    taken = list(used) if used is not None else [
        (f"route dev {name}", network) for name, network in text.routes(_read(root, "proc/net/route"))
        if name not in segment.links]
    planned = configured.configured_networks(root)
    free = str(choose_network([network for _where, network in taken]
                              + [network for networks in planned.values() for network in networks]
                              + [*segment.networks], _seed(root)))
    found += text.overlaps(segment, taken, free)
    found += text.overlaps_configured(segment, planned, free)
    if accounts := _dns_servers(root):
        found.append(text.dns_wildcard(segment, accounts))
    elif accounts := _dns_servers(root, segment.own.ip):
        found.append(text.dns_taken(segment, accounts))
    if bridged(root):
        found.append(text.br_netfilter(segment))
    # Only for root to read.
    if legacy := firewalls.legacy_iptables(segment, _read(root, "proc/net/ip_tables_names")):
        found.append(legacy)
    if not segment.adopt:  # another program's bridge is its own to manage
        found += [text.managed(segment, program) for program in _managers(segment, root)]
    found += text.sysctl_findings(segment, {f"/{path.relative_to(root)}": text.sysctls(_read(root, path))
                                            for path in _sysctl_files(root)})
    if resolver(root) == resolvers.NONE:
        found.append(text.resolver_none(segment, (root / "run/systemd/system").is_dir()))
    return found


def resolver(root: Path = Path("/")) -> str:
    """Which program resolves names for the host; `none` when no program does that by domain."""
    return resolvers.kind(root)


def uplink(root: Path = Path("/")) -> str | None:
    """The interface of the default route."""
    return text.uplink(_read(root, "proc/net/route"))


def bridged(root: Path = Path("/")) -> bool:
    """Whether frames between ports of a bridge pass the IP firewall.

    A bridge's own nf_call_iptables can only add to this, not take away (br_netfilter_hooks.c).
    """
    return any(_read(root, f"proc/sys/net/bridge/{name}").strip() == "1" for name in _BRIDGE_FIREWALL)


def _dns_servers(root: Path, address: IPv4Address | None = None) -> list[str]:
    """Accounts but ours that listen on port 53 of an address. Without one, of every address: then nobody else can on
    any."""
    uids = {uid for name in (("tcp", "tcp6") if address is None else ("tcp",))
            for uid in text.listeners(_read(root, f"proc/net/{name}"), 53, address)}
    return [account for account in map(_account, sorted(uids)) if account != DNS_ACCOUNT]


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _managers(segment: Segment, root: Path) -> Iterator[str]:
    index = _read(root, f"sys/class/net/{segment.bridge}/ifindex").strip()
    if not index.isdigit():
        return
    if text.networkd_manages(_read(root, f"run/systemd/netif/links/{index}")):
        yield "networkd"
    if text.networkmanager_manages(_read(root, f"run/NetworkManager/devices/{index}")):
        yield "NetworkManager"


def _sysctl_files(root: Path) -> list[Path]:
    """As sysctl.d(5) orders them: by file name, of equal names the one in /etc; /etc/sysctl.conf last."""
    by_name: dict[str, Path] = {}
    for directory in ("usr/lib/sysctl.d", "usr/local/lib/sysctl.d", "run/sysctl.d", "etc/sysctl.d"):
        for path in (root / directory).glob("*.conf"):
            by_name[path.name] = path
    found = [path for _name, path in sorted(by_name.items())]
    # Debian links it as 99-sysctl.conf where it is applied at all.
    return found if "99-sysctl.conf" in by_name else [*found, root / "etc/sysctl.conf"]


def _seed(root: Path) -> str:
    return _read(root, "etc/machine-id").strip()


def _read(root: Path, path: Path | str) -> str:
    """The text of a file, empty where it is not there or not for us."""
    try:
        return (root / path).read_text(errors="replace")
    except OSError:
        return ""

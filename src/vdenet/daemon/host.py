"""Facts of this machine that a plan needs, looked up when a plan is made."""

from __future__ import annotations

import pwd
import socket
from functools import cache
from pathlib import Path

from vdenet.effect import firewall, sysctl
from vdenet.model.places import SWITCH_ACCOUNT, Places
from vdenet.probe import links, resolvers, sysctls
from vdenet.text.blueprint import HostFacts


def facts(places: Places) -> HostFacts:
    """What is true now; only what cannot change while the machine runs is remembered."""
    recorded = sysctl.recorded(places)
    # An uplink that we ourselves set to 2 stays on the list, else the next plan would drop it.
    kept = {key.split("/")[3] for key in recorded if key.endswith("/accept_ra")}
    ours = {name for name, link in links.links().items() if link.ours}
    uplinks = sorted((kept | set(sysctls.interfaces_with("ipv6", "accept_ra", "1"))) - ours)
    uplinks = [name for name in uplinks if not _own_port(name) and sysctls.read(_accept_ra(name)) is not None]
    return HostFacts(
        machine_id=machine_id(), hostname=socket.gethostname(),
        switch_uid=pwd.getpwnam(SWITCH_ACCOUNT).pw_uid,
        matches_bridge=_matches_bridge(),
        resolver=resolvers.kind(),
        ipv6=sysctls.read("net/ipv6/conf/all/disable_ipv6") == "0",
        uplinks_ra=tuple(uplinks))


def machine_id() -> str:
    """What tells this machine from others; the host name where there is no /etc/machine-id."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if len(text) == 32:
            return text
    return f"host {socket.gethostname()}"


@cache
def _matches_bridge() -> bool:
    return firewall.matches_bridge()


def _accept_ra(interface: str) -> str:
    return f"net/ipv6/conf/{interface}/accept_ra"


def _own_port(interface: str) -> bool:
    """Ports of bridges take no routes; a bridge's ports come and go and are not to be touched."""
    link = links.link(interface)
    return link is None or link.master is not None

"""What a member's segment would take away from the host itself: networks, name servers, domains.

Routes and interfaces that are there now are nobody's to take (`applying.refuse_overlap`). What is asked here only
looks like it: a VPN that is down just now, a name server behind the default route. Root may know better.
"""

from __future__ import annotations

import socket

from vdenet.daemon.engine import Engine
from vdenet.i18n import _
from vdenet.model.names import same_domain
from vdenet.model.policy import changed
from vdenet.model.segment import Segment
from vdenet.probe import resolvers
from vdenet.probe.configured import configured_networks


def taken(engine: Engine, before: Segment | None, after: Segment) -> list[str]:
    """Sentences that say what; empty when nothing is."""
    return [*_network(engine, before, after), *_domain(engine, before, after)]


def _network(engine: Engine, before: Segment | None, after: Segment) -> list[str]:
    known = before.networks if before is not None else ()
    wanted = [(f"vlan.address ({vlan.id})", vlan.address) for vlan in after.served_vlans]
    if after.address is not None:
        wanted.insert(0, ("address", after.address))
    ours = {address.ip for each in engine.configuration.all() for address in each.addresses}
    told = []
    for key, address in wanted:
        if address is None or address.network in known:
            continue
        told += [_("{key}: {other} is in {path}").format(key=key, other=other, path=path)
                 for path, networks in configured_networks().items() for other in networks
                 if other.overlaps(address.network)]
        told += [_("{key}: the host asks the name server {server}").format(key=key, server=server)
                 for server in resolvers.servers() if server in address.network and server not in ours]
    return told


def _domain(engine: Engine, before: Segment | None, after: Segment) -> list[str]:
    if before is not None and not changed(before, after, "domain"):
        return []
    ours = {each.domain for each in engine.configuration.all()}
    own = socket.gethostname().partition(".")[2].lower()
    return [_("domain: the host itself is in {domain}, or looks for names there").format(domain=domain)
            for domain in sorted({*resolvers.search_domains(), own} - ours - {""}) if same_domain(after.domain, domain)]

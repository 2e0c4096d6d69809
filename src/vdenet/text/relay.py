"""The relays of guests' UDP tunnels: their command lines, and the rules that keep others out of the tunnels."""

from __future__ import annotations

from collections.abc import Sequence

from vdenet.model.places import SWITCH_ACCOUNT
from vdenet.model.tunnel import Tunnel
from vdenet.model.wanted import Service


def service(tunnel: Tunnel) -> Service:
    """The relay as the supervisor runs it: as the switch's account, which owns the tap, and may listen where
    ordinary users cannot. It ends by itself when its tap is gone."""
    return Service(
        name=f"relay-{tunnel.number}",
        argv=("python3", "-IB", "-m", "vdenet.relay.main", tunnel.tap, tunnel.address, str(tunnel.segment_port),
              str(tunnel.guest_port), str(tunnel.uid)),
        account=SWITCH_ACCOUNT,
        capabilities=("net_bind_service",),
    )


def rules(tunnels: Sequence[Tunnel], relay: int) -> str:
    """Chains of nft(8) that let into each tunnel its own guest's account and the relay's, `relay` being its uid."""
    if not tunnels:
        return ""
    lines = []
    for tunnel in sorted(tunnels, key=lambda one: one.number):
        lines += [f"ip daddr {tunnel.address} udp dport {tunnel.segment_port} meta skuid != {tunnel.uid} drop",
                  f"udp dport {tunnel.guest_port} meta skuid != {relay} drop"]
    rules = "\n\t\t".join(lines)
    ports = ", ".join(str(tunnel.guest_port) for tunnel in sorted(tunnels, key=lambda one: one.number))
    return f"""
	chain into_tunnels {{
		type filter hook output priority filter; policy accept;
		oifname "lo" jump tunnels
	}}

	chain tunnels {{
		{rules}
	}}

	chain from_outside {{
		type filter hook input priority filter; policy accept;
		iifname != "lo" udp dport {{ {ports} }} drop
	}}
"""

"""What the host's resolvers read and write about the segment."""

from __future__ import annotations

from vdenet.model.wanted import Resolver


def dnsmasq(resolver: Resolver) -> str:
    """A drop-in for a dnsmasq that serves the host (the system's, or NetworkManager's)."""
    return (f"# Written by vdenetd: names of the segment {resolver.link}.\n"
            f"server=/{resolver.domain}/{resolver.server}\n"
            f"rebind-domain-ok=/{resolver.domain}/\n")


def resolvconf(resolver: Resolver) -> str:
    """A record for resolvconf(8)."""
    return f"nameserver {resolver.server}\nsearch {resolver.domain}\n"


def resolved_state(text: str) -> tuple[list[str], list[str]]:
    """Servers and domains in a file of /run/systemd/resolve/netif (written by link_save_user() in systemd's
    src/resolve/resolved-link.c); a routing domain loses its `~`."""
    servers: list[str] = []
    domains: list[str] = []
    for line in text.splitlines():
        key, _equals, value = line.partition("=")
        if key == "SERVERS":
            servers = value.split()
        elif key == "DOMAINS":
            domains = [domain.removeprefix("~") for domain in value.split()]
    return servers, domains

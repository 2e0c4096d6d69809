"""What the host's resolvers read and write about the segment."""

from __future__ import annotations

from vdenet.errors import BadValue
from vdenet.model.names import domain_name
from vdenet.model.wanted import Resolver


def dnsmasq(resolver: Resolver) -> str:
    """A drop-in for a dnsmasq that serves the host (the system's, or NetworkManager's)."""
    return (f"# Written by vdenetd: names of the segment {resolver.link}.\n"
            f"server=/{resolver.domain}/{resolver.server}\n"
            f"rebind-domain-ok=/{resolver.domain}/\n")


def resolvconf(resolver: Resolver) -> str:
    """A record for resolvconf(8)."""
    return f"nameserver {resolver.server}\nsearch {resolver.domain}\n"


def search_domains(text: str) -> tuple[str, ...]:
    """The domains that resolv.conf(5) has searched, sorted; what is no domain's name is passed over."""
    found = set()
    for words in map(str.split, text.splitlines()):
        if words[:1] in (["search"], ["domain"]):
            for word in words[1:]:
                try:
                    found.add(domain_name(word))
                except BadValue:
                    continue  # `.` of systemd-resolved, and what somebody mistyped
    return tuple(sorted(found))


def resolvectl(text: str) -> list[str]:
    """The servers or domains in what `resolvectl dns LINK` or `resolvectl domain LINK` prints
    (`Link 3 (vdenet0): 10.83.14.1`); a routing domain loses its `~`."""
    return [word.removeprefix("~") for line in text.splitlines()
            for word in line.partition("): ")[2].split()]

"""What the host's resolvers read and write about the segment."""

from __future__ import annotations

from collections.abc import Iterable

from vdenet.errors import BadValue
from vdenet.model.names import domain_name
from vdenet.model.wanted import Resolver


def dnsmasq(resolver: Resolver) -> str:
    """A drop-in for a dnsmasq that serves the host (the system's, or NetworkManager's)."""
    return (f"# Written by vdenetd: names of the segment {resolver.link}.\n"
            f"server=/{resolver.domain}/{resolver.server}\n"
            f"rebind-domain-ok=/{resolver.domain}/\n")


def keep_off(link: str) -> str:
    """A drop-in for the system's dnsmasq: it has no part in the segment on the bridge `link`."""
    return (f"# Written by vdenetd until the segment {link} is deleted, which has a dnsmasq of its own.\n"
            f"except-interface={link}\n"
            # The host's interfaces in its VLANs.
            f"except-interface={link}.*\n")


def directives(text: str) -> list[str]:
    """What a configuration file of dnsmasq's says, without comments and blanks (`except-interface=lan`)."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return ["=".join(part.strip() for part in line.split("=", 1)) for line in lines if line.strip()]


def is_excepted(link: str, said: Iterable[str]) -> bool:
    """Whether such directives keep dnsmasq off an interface; names may end in `*` (dnsmasq(8), --except-interface)."""
    names = [name.strip() for line in said if line.startswith("except-interface=")
             for name in line.partition("=")[2].split(",")]
    return any(link == name or (name.endswith("*") and link.startswith(name[:-1])) for name in names)


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

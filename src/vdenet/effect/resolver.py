"""Registering the segment's domain with the resolver that the host has, and taking it back.

Only names of the segment's domain are sent to the segment's DNS server; everything else stays as it was.
Where the resolver cannot route by domain (resolvconf writes plain resolv.conf), the segment's server is
put before the others and forwards what is not its own.
"""

from __future__ import annotations

from pathlib import Path

from vdenet.effect import dnsmasq, files, run
from vdenet.errors import ToolFailed, ToolMissing
from vdenet.model.wanted import Resolver
from vdenet.probe import links, resolvers
from vdenet.text import resolver as text

FILED = (resolvers.NETWORKMANAGER, resolvers.DNSMASQ, resolvers.RESOLVCONF)
"""Kinds whose registration is a file that stays."""
NETWORKMANAGER_DIRECTORY = Path("/etc/NetworkManager/dnsmasq.d")
RESOLVCONF_INTERFACES = (Path("/run/resolvconf/interface"), Path("/run/resolvconf/interfaces"),
                         Path("/run/resolvconf/keys"))


def register(resolver: Resolver) -> None:
    """Make the host look up the segment's domain at the segment. Raises `ToolFailed`, `ToolMissing`."""
    what = f"register {resolver.domain} with the host's resolver"
    if resolver.kind == resolvers.RESOLVED:
        for words in (("dns", resolver.server), ("domain", f"~{resolver.domain}"),
                      ("default-route", "no"), ("dnssec", "no"), ("dnsovertls", "no"), ("llmnr", "no"),
                      ("mdns", "no")):
            run.run(["resolvectl", words[0], resolver.link, words[1]], what=what)
    elif resolver.kind == resolvers.RESOLVCONF:
        run.run(["resolvconf", "-a", _record(resolver)], what=what, stdin=text.resolvconf(resolver))
    else:
        files.write(_drop_in(resolver), text.dnsmasq(resolver), 0o644, "root")
        _reload(resolver.kind, what)


def unregister(resolver: Resolver) -> None:
    """Take it back; that it is gone already, or that the resolver is gone, is no error."""
    what = f"remove {resolver.domain} from the host's resolver"
    try:
        if resolver.kind == resolvers.RESOLVED:
            run.run(["resolvectl", "revert", resolver.link], what=what)
        elif resolver.kind == resolvers.RESOLVCONF:
            run.run(["resolvconf", "-d", _record(resolver)], what=what)
        elif _drop_in(resolver).exists():
            files.remove(_drop_in(resolver))
            _reload(resolver.kind, what)
    except (ToolFailed, ToolMissing):
        return


def observed(resolver: Resolver) -> str | None:
    """The mark of what is registered now (`model.digests.resolver_mark`); None for nothing."""
    if resolver.kind == resolvers.RESOLVED:
        if links.link(resolver.link) is None:
            return None
        servers, domains = (text.resolvectl(_ask(["resolvectl", what, resolver.link]))
                            for what in ("dns", "domain"))
        return f"{resolver.kind} {' '.join(servers)} {' '.join(domains)}" if servers else None
    if resolver.kind == resolvers.RESOLVCONF:
        for directory in RESOLVCONF_INTERFACES:
            if state := _read(directory / _record(resolver)):
                return f"{resolver.kind} {resolver.server} {resolver.domain}" \
                    if state == text.resolvconf(resolver) else f"{resolver.kind} other"
        return None
    state = _read(_drop_in(resolver))
    if not state:
        return None
    return f"{resolver.kind} {resolver.server} {resolver.domain}" if state == text.dnsmasq(resolver) \
        else f"{resolver.kind} other"


def stale(link: str, server: str, domain: str, kind: str) -> tuple[Resolver, ...]:
    """Registrations that an earlier resolver of the host still has, `kind` being the one of now.

    systemd-resolved forgets by itself, with the link or when it ends; but where there is to be no
    registration at all (`kind` empty) the link may stay.
    """
    asked = FILED if kind or resolvers.kind() != resolvers.RESOLVED else (*FILED, resolvers.RESOLVED)
    others = (Resolver(other, link, server, domain) for other in asked if other != kind)
    return tuple(resolver for resolver in others if observed(resolver) is not None)


def _record(resolver: Resolver) -> str:
    """The name of our record with resolvconf. `lo.` puts it before those of the uplinks
    (interface-order(5)): the first name server is the one that is asked."""
    return f"lo.{resolver.link}"


def _drop_in(resolver: Resolver) -> Path:
    directory = NETWORKMANAGER_DIRECTORY if resolver.kind == resolvers.NETWORKMANAGER else dnsmasq.DIRECTORY
    return directory / f"vdenet-{resolver.link}.conf"


def _reload(kind: str, what: str) -> None:
    if kind == resolvers.NETWORKMANAGER:
        run.run(["nmcli", "general", "reload", "dns-full"], what=what)
    else:
        dnsmasq.start_anew(what)


def _ask(argv: list[str]) -> str:
    """What a program prints; nothing when it fails: the resolver may not run just now."""
    try:
        return run.run(argv, what="ask the host's resolver", timeout=3)
    except (ToolFailed, ToolMissing):
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

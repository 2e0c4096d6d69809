"""Short fingerprints, by which what was made is known again."""

from __future__ import annotations

import hashlib

from vdenet.model.wanted import Resolver, Service


def digest(text: str) -> str:
    """A short fingerprint by which a text is known again."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def restart_digest(service: Service) -> str:
    """Changes when the running program has to be replaced."""
    return digest("\0".join((service.account, *service.argv, *service.capabilities, service.restart_text)))


def reload_digest(service: Service) -> str:
    """Changes when the running program has to read its files again."""
    return digest(service.reload_text)


def resolver_mark(resolver: Resolver) -> str:
    """How a registration with the host's resolver is told from another."""
    return f"{resolver.kind} {resolver.server} {resolver.domain}"

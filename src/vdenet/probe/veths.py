"""Veths on a bridge whose other ends are in other network namespaces, as sysfs shows them."""

from __future__ import annotations

from vdenet.probe import links


def far_ends(bridge: str) -> dict[tuple[int, int], str]:
    """The bridge's ports by their own index and that of the other end (in its namespace): the port's name."""
    found = {}
    try:
        ports = sorted((links.SYS_CLASS_NET / bridge / "brif").iterdir())
    except OSError:  # no bridge
        return {}
    for port in ports:
        try:
            place = links.SYS_CLASS_NET / port.name
            own, far = (int((place / file).read_text()) for file in ("ifindex", "iflink"))
        except (OSError, ValueError):
            continue  # it went away just now
        if own != far:
            found[own, far] = port.name
    return found

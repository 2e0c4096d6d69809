"""Ears on every wire that is not the segment's: nothing of its guests, of its DHCP or of its TFTP may be heard there."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Collection, Iterator

from .frames import IPV4, IPV6, UDP, Frame
from .machine import Machine
from .outside import Outside
from .sniffer import Sniffer

# DHCP, TFTP's first packet, PXE's own port beside DHCP's (PXE 2.1, section 2.2.3), DHCPv6.
SERVICES = {67, 68, 69, 4011, 546, 547}


def others(machine: Machine, segment: str) -> list[str]:
    """The machine's interfaces but the segment's bridge, its ports, and the loopback."""
    links = json.loads(machine.run(["ip", "-j", "link", "show"]).stdout)
    return [link["ifname"] for link in links
            if segment not in (link["ifname"], link.get("master")) and "LOOPBACK" not in link["flags"]]


@contextlib.contextmanager
def nothing_leaks(machine: Machine, outside: Outside, segment: str, networks: Collection[str],
                  macs: Collection[str]) -> Iterator[None]:
    """Hear no frame of DHCP or TFTP, from an address of `networks` or from a guest of `macs`, anywhere else.

    "Anywhere" is the interfaces that the machine has now, and the outside's.
    """
    within = [ipaddress.IPv4Network(network) for network in networks]
    with contextlib.ExitStack() as stack:
        ears = [stack.enter_context(Sniffer(machine.pid, name)) for name in others(machine, segment)]
        ears.append(stack.enter_context(Sniffer(outside.pid, "out0")))
        yield
        heard = [f"{ear.interface}: {why}: {frame.data.hex()}" for ear in ears for frame in ear.look(0.3)
                 if (why := _why(frame, within, macs)) is not None]
        assert not heard, heard


def _why(frame: Frame, within: list[ipaddress.IPv4Network], macs: Collection[str]) -> str | None:
    if frame.source in macs:
        return "a guest"
    if frame.kind in (IPV4, IPV6) and frame.protocol == UDP and SERVICES & set(frame.ports or ()):
        return "a service"
    if any(ipaddress.IPv4Address(address) in network for address in frame.ipv4 or () for network in within):
        return "an address"
    return None

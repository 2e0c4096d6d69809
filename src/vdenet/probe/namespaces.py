"""Network namespaces, by the numbers that the kernel has for those that this one is tied to (ip-netns(8)).

Only the daemon asks: pyroute2 takes long to import.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

_NONE = 0xFFFFFFFF
"""What the kernel answers for a namespace that it has no number for, or for its own."""


def peers(ports: Collection[int]) -> dict[int, int]:
    """By the index of a veth here: in which namespace its other end is."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    found = {}
    with IPRoute() as netlink:
        for port in ports:
            try:
                link, = netlink.get_links(port)
            except (NetlinkError, OSError):
                continue  # it is gone
            number = link.get_attr("IFLA_LINK_NETNSID")
            if number is not None:
                found[port] = number
    return found


def of(processes: Mapping[int, Sequence[int]]) -> dict[int, frozenset[int]]:
    """Where the given processes are, under the same keys; the kernel tells that of every process."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    if not any(processes.values()):
        return {}
    found = {}
    with IPRoute() as netlink:
        for key, pids in processes.items():
            numbers = set()
            for pid in pids:
                try:
                    numbers.add(netlink.get_netnsid(pid=pid)["nsid"])
                except (NetlinkError, OSError):
                    continue  # it has ended
            found[key] = frozenset(numbers - {_NONE})
    return found

"""Whether the kernel that the tests run on keeps VLANs apart."""

from __future__ import annotations

from .machine import Machine


def vlans_possible(machine: Machine) -> bool:
    """Tried, in the machine's own network."""
    return machine.run(["sh", "-c", "ip link add probe type bridge vlan_filtering 1 && ip link add link probe name probe.2 "
                        "type vlan id 2; done=$?; ip link del probe; exit $done"], check=False).returncode == 0

"""dnsmasq's configuration and files: written and read as text.

One dnsmasq a segment; it serves DHCP, router advertisements and DNS on the bridge and nowhere else. Every
value that reaches these texts passed `vdenet.model.names` or is an address object: names are checked here
once more, and paths by `words.word`, since a newline would be a directive.
Source of the directives: dnsmasq(8) of 2.90.
"""

from __future__ import annotations

from vdenet.text.dnsmasq.config import CAPABILITIES, MAX_LEASES, config, program, service
from vdenet.text.dnsmasq.hosts import Reservation, addresses, hosts, owners, reservations
from vdenet.text.dnsmasq.leases import Lease, leases

__all__ = ["CAPABILITIES", "MAX_LEASES", "Lease", "Reservation", "addresses", "config", "hosts", "leases", "owners",
           "program", "reservations", "service"]

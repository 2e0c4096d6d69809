"""resolv.conf of a guest that has another network too."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest

from vdenet.text import lease

LEASE = lease.Lease(IPv4Interface("10.9.8.7/24"), dns=(IPv4Address("10.9.8.1"),), search=("vdenet.internal",))


@pytest.mark.parametrize(("old", "new"), [
    ("", "search vdenet.internal\nnameserver 10.9.8.1\n"),
    ("# podman\nsearch example.org\nnameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 9.9.9.9\noptions ndots:0\n",
     "search vdenet.internal example.org\nnameserver 10.9.8.1\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n"
     "# podman\noptions ndots:0\n"),
    ("nameserver 10.9.8.1\nnameserver\n", "search vdenet.internal\nnameserver 10.9.8.1\nnameserver\n"),
])
def test_our_servers_come_first(old: str, new: str) -> None:
    assert lease.resolv_conf_before(LEASE, old) == new

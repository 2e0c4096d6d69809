"""The relay's command line, and the rules that keep others out of the tunnels."""

from __future__ import annotations

from vdenet.model import tunnel
from vdenet.model.tunnel import Tunnel
from vdenet.text import relay

ONE = Tunnel("127.83.4.5", 0, "vd0-box", 1000)
OTHER = Tunnel("127.83.4.5", 255, "vd0-shop", 1001)


def test_all_ports_are_where_they_have_to_be() -> None:
    """Ours where ordinary users cannot listen, the guests' where the kernel gives none away by itself."""
    for number in (0, tunnel.TUNNELS - 1):
        assert 512 <= tunnel.segment_port(number) < 1024
        assert 1024 <= tunnel.guest_port(number) < 32768


def test_the_relay_is_told_its_own_tunnel() -> None:
    service = relay.service(OTHER)
    assert service.argv[-5:] == ("vd0-shop", "127.83.4.5", "767", "29455", "1001")
    assert (service.account, service.capabilities) == ("vdenet-switch", ("net_bind_service",))
    assert service.name != relay.service(ONE).name


def test_only_the_guests_account_gets_in_and_only_the_relay_out() -> None:
    rules = relay.rules((OTHER, ONE), 99)
    assert rules == relay.rules((ONE, OTHER), 99)
    for line in ("ip daddr 127.83.4.5 udp dport 512 meta skuid != 1000 drop",
                 "ip daddr 127.83.4.5 udp dport 767 meta skuid != 1001 drop",
                 "udp dport 29200 meta skuid != 99 drop", "udp dport 29455 meta skuid != 99 drop",
                 'iifname != "lo" udp dport { 29200, 29455 } drop'):
        assert line in rules


def test_without_tunnels_there_are_no_rules() -> None:
    assert relay.rules((), 99) == ""

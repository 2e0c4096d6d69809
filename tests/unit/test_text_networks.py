"""Which network a segment takes, and how other programs' files spell theirs."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.errors import Refused
from vdenet.model.names import segment_address, segment_address6
from vdenet.text import networks
from vdenet.text.networks import POOL, WELL_KNOWN, choose_network, choose_ula

any_network = st.builds(lambda address, length: IPv4Network((address, length), strict=False),
                        st.integers(0, 2**32 - 1), st.integers(8, 32))
near_network = st.builds(lambda offset, length: IPv4Network((0x0A400000 + offset, length), strict=False),
                         st.integers(0, 2**22 - 1), st.integers(10, 32))
taken_networks = st.lists(any_network | near_network, max_size=20)


@given(taken_networks, st.text(max_size=40))
def test_chosen_network_is_free_and_a_segments(taken: list[IPv4Network], seed: str) -> None:
    try:
        chosen = choose_network(taken, seed)
    except Refused:
        # Only when the whole of 10.0.0.0/8 and the rest are routed away.
        assert any(net.overlaps(IPv4Network("10.0.0.0/8")) for net in taken)
        return
    assert not any(chosen.network.overlaps(net) for net in taken)
    assert segment_address(str(chosen)) == chosen
    assert chosen.network.prefixlen == 24
    assert chosen.ip == chosen.network.network_address + 1


@given(st.lists(near_network.filter(lambda net: net.prefixlen >= 16), max_size=20), st.text(max_size=40))
def test_pool_and_well_known_defaults(taken: list[IPv4Network], seed: str) -> None:
    chosen = choose_network(taken, seed)
    assert chosen.network.subnet_of(POOL)
    assert not any(chosen.network.overlaps(net) for net in WELL_KNOWN)


@given(taken_networks, st.text(max_size=40), st.randoms())
def test_choice_is_the_same_whatever_the_order(
        taken: list[IPv4Network], seed: str, random: object) -> None:
    shuffled = list(taken)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    def choice(nets: list[IPv4Network]) -> object:
        try:
            return choose_network(nets, seed)
        except Refused as error:
            return str(error)
    assert choice(taken) == choice(shuffled + shuffled)


@given(st.text(max_size=40))
def test_a_second_choice_differs_from_the_first(seed: str) -> None:
    first = choose_network([], seed)
    assert choose_network([first.network], seed) != first


def test_machines_rarely_choose_the_same() -> None:
    chosen = {choose_network([], f"machine {number}") for number in range(100)}
    assert len(chosen) > 95


@pytest.mark.parametrize("taken, pool", [
    (["10.64.0.0/10"], "10.0.0.0/8"),
    (["10.0.0.0/8"], "192.168.0.0/16"),
    (["10.0.0.0/8", "192.168.0.0/16"], "172.16.0.0/12"),
    (["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"], "100.64.0.0/10"),
])
def test_fallbacks(taken: list[str], pool: str) -> None:
    chosen = choose_network(map(IPv4Network, taken), "x")
    assert chosen.network.subnet_of(IPv4Network(pool))


def test_the_last_free_network_is_found() -> None:
    last = IPv4Network("10.77.5.0/24")
    taken = [*IPv4Network("10.0.0.0/8").address_exclude(last)]
    taken += map(IPv4Network, ["172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"])
    assert choose_network(taken, "x").network == last
    with pytest.raises(Refused):
        choose_network([*taken, last], "x")


@given(st.text(max_size=40))
def test_unique_local_address(seed: str) -> None:
    chosen = choose_ula(seed)
    assert chosen.network.prefixlen == 64
    assert chosen.ip in networks.ULA
    assert int(chosen.ip) & (2**80 - 1) == 1   # subnet 0, host ::1
    assert segment_address6(str(chosen)) == chosen
    assert choose_ula(seed) == chosen


def test_seeds_give_different_prefixes() -> None:
    assert len({choose_ula(f"{number}") for number in range(1000)}) == 1000


def nets(*words: str) -> list[IPv4Network]:
    return [IPv4Network(word) for word in words]


def test_cidrs() -> None:
    assert networks.cidrs("Address=10.1.2.3/24\nDNS=10.9.9.9\n#Address=10.2.0.1/24\n") == nets("10.1.2.0/24")
    assert networks.cidrs("address1=10.3.0.5/16,10.3.0.1;\n") == nets("10.3.0.0/16")
    assert networks.cidrs('- "10.4.0.1/24": {label: x} # 10.5.0.0/16') == nets("10.4.0.0/24")


def test_cidrs_leave_out_what_is_no_network() -> None:
    assert networks.cidrs("AllowedIPs = 0.0.0.0/0, 0.0.0.0/1, 128.0.0.0/1, ::/0") == []
    assert networks.cidrs("127.0.0.1/8 224.0.0.0/4 300.1.1.1/24 10.0.0.0/33 1.10.0.0.0/8") == []


def test_ifupdown() -> None:
    assert networks.ifupdown("""
auto eth0
iface eth0 inet static
    address 192.168.7.4
    netmask 255.255.254.0
    gateway 192.168.7.1
iface eth1 inet static
    address 10.9.0.4/22
    up ip route add 10.200.0.0/16 via 10.9.0.1
iface eth2 inet static
    netmask 20
    address 10.10.0.1
# address 10.11.0.1
iface eth3 inet static
    address 10.12.0.1
iface eth4 inet dhcp
""") == nets("10.9.0.0/22", "10.200.0.0/16", "192.168.6.0/23", "10.10.0.0/20", "10.12.0.0/24")


def test_openvpn() -> None:
    assert networks.openvpn("""
server 10.8.0.0 255.255.255.0   # clients
push "route 10.66.0.0 255.255.0.0"
ifconfig 10.70.0.1 10.70.0.2
route 0.0.0.0 0.0.0.0
;route 10.67.0.0 255.255.0.0
remote 203.0.113.9 1194
""") == nets("10.8.0.0/24", "10.66.0.0/16", "10.70.0.1/32", "10.70.0.2/32")


def test_libvirt() -> None:
    assert networks.libvirt("""<!-- <ip address='10.1.1.1' prefix='24'/> -->
<network><name>default</name>
  <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2'/></dhcp></ip>
  <ip family="ipv4" address="10.5.0.1" prefix="20"/>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
  <route address='10.6.0.0' prefix='16' gateway='10.5.0.2'/>
</network>""") == nets("192.168.122.0/24", "10.5.0.0/20", "10.6.0.0/16")


def test_vmware() -> None:
    assert networks.vmware("""VERSION=1,0
answer VNET_1_HOSTONLY_NETMASK 255.255.255.0
answer VNET_1_HOSTONLY_SUBNET 172.16.201.0
answer VNET_8_HOSTONLY_SUBNET 10.71.3.0
answer VNET_8_HOSTONLY_NETMASK 255.255.255.128
answer VNL_DEFAULT_BRIDGE_VNET -1
add_bridge_mapping br0 0
""") == nets("172.16.201.0/24", "10.71.3.0/25")


@given(st.text())
def test_parsers_never_fail(text: str) -> None:
    for parse in (networks.cidrs, networks.ifupdown, networks.openvpn, networks.libvirt, networks.vmware):
        assert all(net.version == 4 for net in parse(text))

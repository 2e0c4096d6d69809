"""The guard that goes by the bridge of a frame, and Open vSwitch with its own datapath: both take Debian's kernel."""

from __future__ import annotations

from lab.bare import Lab

_SERVER = """import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
udp = bytes.fromhex('0043004400080000')
ip = bytes.fromhex('4500001c00000000401100000a4242420a424243')
for _ in range(5):
    s.send(b'\\xff' * 6 + b'\\x02\\0\\0\\0\\0\\x01' + b'\\x08\\0' + ip + udp)
"""


def test_a_port_is_guarded_from_its_first_frame(lab: Lab) -> None:
    """Whoever put it there: here a veth that nobody told the daemon of, and behind it somebody who serves DHCP."""
    assert 'meta ibrname "vdenet0" jump from_guests' in lab.run("nft list table bridge vdenet_vdenet0")
    lab.write("/run/lab/server", _SERVER)
    lab.run("nft 'table bridge count { chain c { type filter hook forward priority 10; "
            "iifname bad0 udp dport 68 counter; }; chain before { type filter hook prerouting priority -400; "
            "iifname bad0 udp dport 68 counter; }; }'")
    lab.run("ip netns add bad && ip link add bad0 type veth peer name eth0 netns bad && ip -n bad link set eth0 up && "
            "ip link set bad0 master vdenet0 up && ip netns exec bad python3 /run/lab/server")
    try:
        assert "packets 5" in lab.run("nft list chain bridge count before")
        assert "packets 0" in lab.run("nft list chain bridge count c")
    finally:
        lab.run("nft delete table bridge count; ip netns delete bad")


def test_one_ethernet_with_open_vswitch(lab: Lab) -> None:
    """A guest has its lease from beyond the Open vSwitch bridge, whose datapath is the kernel's."""
    lab.run("modprobe openvswitch && /usr/share/openvswitch/scripts/ovs-ctl --system-id=lab --no-monitor start && "
            "ovs-vsctl add-br ovs0 && ip link set ovs0 up && ip address add 10.66.0.1/24 dev ovs0")
    try:
        lab.run("dnsmasq --conf-file=/dev/null --pid-file=/run/lab/ovs0.pid --interface=ovs0 --bind-dynamic "
                "--except-interface=lo --no-ping --leasefile-ro --no-resolv --dhcp-range=10.66.0.100,10.66.0.150,1h "
                "--user=root")
        lab.write("/etc/vdenet/lab.toml", 'mode = "bridged"\nopenvswitch = "ovs0"\n')
        lab.run("tarr-steps start lab")
        assert lab.run("ovs-vsctl list-ports ovs0").split() == ["lab-ovs"]
        assert "lab-ovs" in lab.run("ovs-appctl dpctl/show system@ovs-system"), "the kernel's datapath"
        said = lab.run("runuser -u alice -- tarr-steps join run --segment lab -- ping -c 3 -W 20 10.66.0.1")
        assert "joined as" in said and "10.66.0.1" in said and " 0% packet loss" in said, said
        lab.run("tarr-steps stop lab")
        assert lab.run("ovs-vsctl list-ports ovs0").split() == []
    finally:
        lab.run("rm -f /etc/vdenet/lab.toml; kill $(cat /run/lab/ovs0.pid); ovs-vsctl --if-exists del-br ovs0; "
                "/usr/share/openvswitch/scripts/ovs-ctl stop; true")

"""Networks found in the configuration of a made-up host."""

from __future__ import annotations

import os
from ipaddress import IPv4Network
from pathlib import Path

from vdenet.probe.configured import configured_networks

FILES = {
    "etc/network/interfaces": "source interfaces.d/*\niface e0 inet static\n address 10.70.0.1/24\n",
    "etc/network/interfaces.d/lab": "iface e1 inet static\n address 10.70.1.1\n netmask 255.255.255.0\n",
    "etc/systemd/network/10-e.network": "[Network]\nAddress=10.70.2.1/24\n",
    "etc/systemd/network/20-wg.netdev": "[WireGuardPeer]\nAllowedIPs=10.70.3.0/24,0.0.0.0/0\n",
    "etc/systemd/network/10-e.network.d/more.conf": "[Network]\nAddress=10.70.4.1/24\n",
    "etc/NetworkManager/system-connections/Home.nmconnection": "[ipv4]\naddress1=10.70.5.9/24,10.70.5.1\n",
    "etc/netplan/01.yaml": "network:\n  ethernets:\n    e0:\n      addresses: [10.70.6.1/24]\n",
    "etc/wireguard/wg0.conf": "[Interface]\nAddress = 10.70.7.2/32\n[Peer]\nAllowedIPs = 10.70.7.0/24\n",
    "etc/openvpn/client/work.conf": "route 10.70.8.0 255.255.255.0\n",
    "etc/openvpn/server.conf": "server 10.70.9.0 255.255.255.0\n",
    "etc/libvirt/qemu/networks/default.xml": "<ip address='10.70.10.1' netmask='255.255.255.0'/>",
    "etc/default/lxc-net": 'LXC_NETWORK="10.70.11.0/24"\n',
    "etc/docker/daemon.json": '{"default-address-pools":[{"base":"10.71.0.0/16","size":24}]}',
    "etc/vmware/networking":
        "answer VNET_8_HOSTONLY_SUBNET 10.70.12.0\nanswer VNET_8_HOSTONLY_NETMASK 255.255.255.0\n",
    "etc/vbox/networks.conf": "* 10.72.0.0/16\n",
    "etc/hostname": "10.73.0.0/16\n",
}


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_every_source_is_read(tmp_path: Path) -> None:
    put(tmp_path, FILES)
    found = configured_networks(tmp_path)
    assert set(found) == {f"/{name}" for name in FILES} - {"/etc/vbox/networks.conf", "/etc/hostname"}
    assert found["/etc/wireguard/wg0.conf"] == [IPv4Network("10.70.7.0/24"), IPv4Network("10.70.7.2/32")]
    named = {net for nets in found.values() for net in nets}
    assert {IPv4Network(f"10.70.{third}.0/24") for third in range(13)} <= named
    assert IPv4Network("10.71.0.0/16") in named
    assert not any(net.overlaps(IPv4Network("10.72.0.0/15")) for net in named)


def test_empty_host(tmp_path: Path) -> None:
    assert configured_networks(tmp_path) == {}


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, {"etc/wireguard/wg0.conf": "Address = 10.70.7.2/32\n",
                   "etc/netplan/latin.yaml": "addresses: [10.70.6.1/24]  # \udcff"
                   .encode(errors="surrogateescape").decode("latin-1")})
    os.mkfifo(tmp_path / "etc/wireguard/pipe.conf")
    (tmp_path / "etc/wireguard/gone.conf").symlink_to("nowhere")
    (tmp_path / "etc/wireguard/loop.conf").symlink_to("loop.conf")
    (tmp_path / "etc/netplan/dir.yaml").mkdir()
    assert set(configured_networks(tmp_path)) == {"/etc/wireguard/wg0.conf", "/etc/netplan/latin.yaml"}

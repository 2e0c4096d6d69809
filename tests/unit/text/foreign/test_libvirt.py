"""Networks of libvirt's, as virsh net-dumpxml prints them and as its documentation has them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

import pytest

from unit.text.foreign.reading import lines, read, segment
from vdenet.errors import BadImport
from vdenet.model.netboot import Netboot
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import Host, Mode

# /usr/share/libvirt/networks/default.xml of Debian.
DEFAULT = """\
<network>
  <name>default</name>
  <uuid>9a05da11-e96b-47f3-8253-a3a482e445f5</uuid>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='on' delay='0'/>
  <mac address='52:54:00:0a:cd:21'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.122.2' end='192.168.122.254'/>
    </dhcp>
  </ip>
</network>
"""
LAB = """\
<!--
WARNING: THIS IS AN AUTO-GENERATED FILE.
-->

<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0' connections='2'>
  <name>lab</name>
  <forward dev='eth0' mode='route'>
    <interface dev='eth0'/>
  </forward>
  <bridge name='virbr7' stp='on' delay='0'/>
  <mtu size='9000'/>
  <domain name='lab.example' localOnly='yes'/>
  <dns>
    <forwarder addr='9.9.9.9'/>
    <txt name='note' value='a b'/>
    <srv service='ldap' protocol='tcp' target='web.lab.example' port='389' priority='1' weight='2'/>
    <srv service='sip' protocol='udp' domain='example.org' target='pbx.example.org' port='5060'/>
    <host ip='192.168.100.10'>
      <hostname>web</hostname>
      <hostname>www.lab.example</hostname>
      <hostname>www.example.org</hostname>
    </host>
    <host ip='192.168.100.77'>
      <hostname>printer</hostname>
    </host>
  </dns>
  <ip address='192.168.100.1' prefix='24'>
    <tftp root='/srv/tftp'/>
    <dhcp>
      <range start='192.168.100.1' end='192.168.100.200'>
        <lease expiry='12' unit='hours'/>
      </range>
      <range start='192.168.100.210' end='192.168.100.220'/>
      <host mac='52:54:00:00:00:01' name='web' ip='192.168.100.10'/>
      <host mac='52:54:00:00:00:02' name='web' ip='192.168.100.11'/>
      <host name='db.lab.example' ip='192.168.100.12'/>
      <host mac='52:54:00:00:00:03' name='bad_name' ip='192.168.100.13'/>
      <bootp file='pxelinux.0' server='192.168.100.1'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd5e:1::1' prefix='64'>
    <dhcp>
      <range start='fd5e:1::100' end='fd5e:1::1ff'/>
    </dhcp>
  </ip>
  <ip family='ipv4' address='10.11.0.1' netmask='255.255.0.0'/>
  <route family='ipv4' address='10.20.0.0' prefix='16' gateway='192.168.100.2'/>
  <portgroup name='slow'>
    <bandwidth><inbound average='1000'/></bandwidth>
  </portgroup>
  <dnsmasq:options>
    <dnsmasq:option value='foo=bar'/>
  </dnsmasq:options>
</network>
"""


def test_the_default_network() -> None:
    done = read(DEFAULT)
    assert done.title == "default"
    assert (done.segment.address, done.segment.mode, done.segment.dhcp_range) == (
        IPv4Interface("192.168.122.1/24"), Mode.NAT, (IPv4Address("192.168.122.2"), IPv4Address("192.168.122.254")))
    assert (done.segment.name, done.segment.domain) == ("lab", "lab.internal")
    assert lines(done) == [5, 6]


def test_a_network_with_everything() -> None:
    done = read(LAB)
    made = done.segment
    assert (made.mode, made.domain, made.lease_seconds) == (Mode.ROUTED, "lab.example", 43200)
    assert made.address6 == IPv6Interface("fd5e:1::1/64")
    assert made.dhcp_range == (IPv4Address("192.168.100.2"), IPv4Address("192.168.100.200"))
    assert made.netboot == Netboot("/srv/tftp", bios="pxelinux.0")
    assert made.hosts == (
        Host("52:54:00:00:00:01", "web", IPv4Address("192.168.100.10"), ("www",)),
        Host(None, "db", IPv4Address("192.168.100.12")),
        Host("52:54:00:00:00:03", None, IPv4Address("192.168.100.13")))
    assert set(made.records) == {
        Record(RecordType.A, "printer.lab.example", "192.168.100.77"),
        Record(RecordType.SRV, "_ldap._tcp.lab.example", "web.lab.example", 1, 2, 389),
        Record(RecordType.TXT, "note.lab.example", "a b")}
    said = {one.what: one.line for one in done.left_out}
    assert said.keys() == {
        "<forward dev='eth0'>", "<interface dev='eth0'>", "<bridge name='virbr7' stp='on' delay='0'>",
        "<mtu size='9000'>", "<forwarder addr='9.9.9.9'>",
        "<srv service='sip' protocol='udp' domain='example.org' target='pbx.example.org' port='5060'>",
        "<hostname>www.example.org</hostname> (192.168.100.10)",
        "<range start='192.168.100.210' end='192.168.100.220'>",
        "<host mac='52:54:00:00:00:02' name='web' ip='192.168.100.11'>", "name 'bad_name'",
        "<bootp file='pxelinux.0' server='192.168.100.1'> for clients with a UEFI", "<dhcp>", "<ip family='ipv4' address='10.11.0.1' "
        "netmask='255.255.0.0'>", "<route family='ipv4' address='10.20.0.0' prefix='16' gateway='192.168.100.2'>",
        "<portgroup name='slow'>", "<dnsmasq:options>"}
    for what, line in said.items():
        assert what.split("'")[0].rstrip("0123456789. ()") in LAB.splitlines()[line - 1] or what.startswith("name ")


@pytest.mark.parametrize("inside, expected", [
    ("<forward mode='bridge'/><bridge name='br0'/>", {"adopt": "br0"}),
    ("<forward mode='bridge'/><bridge name='ovsbr0'/><virtualport type='openvswitch'/>", {"openvswitch": "ovsbr0"}),
    ("<forward mode='bridge' dev='eth0'/>", {"uplink": "eth0"}),
    ("<forward mode='bridge'><interface dev='eth1'/></forward>", {"uplink": "eth1"}),
])
def test_a_network_that_hands_its_guests_over(inside: str, expected: dict[str, str]) -> None:
    done = read(f"<network><name>x</name>{inside}</network>")
    assert (done.segment.mode, done.segment.address, done.left_out) == (Mode.BRIDGED, None, ())
    for key in ("adopt", "openvswitch", "uplink"):
        assert getattr(done.segment, key) == expected.get(key)


@pytest.mark.parametrize("forward, mode", [
    ("", Mode.ISOLATED), ("<forward mode='none'/>", Mode.ISOLATED), ("<forward/>", Mode.NAT),
    ("<forward mode='nat'/>", Mode.NAT), ("<forward mode='route'/>", Mode.ROUTED), ("<forward mode='open'/>", Mode.ROUTED),
])
def test_modes(forward: str, mode: Mode) -> None:
    made = segment(f"<network>{forward}<ip address='10.1.2.1' prefix='24'/></network>")
    assert (made.mode, made.dhcp) == (mode, False)


@pytest.mark.parametrize("tftp, bootp, expected, said", [
    ("<tftp root='/srv/tftp'/>", "", Netboot("/srv/tftp"), []),
    ("<tftp root='/srv/tftp'/>", "<bootp file='grubx64.efi'/>", Netboot("/srv/tftp", uefi="grubx64.efi"),
     ["<bootp file='grubx64.efi'> for clients with a BIOS"]),
    ("<tftp root='/srv/tftp'/>", "<bootp file='a' server='10.1.2.9'/>", Netboot("/srv/tftp"),
     ["<bootp file='a' server='10.1.2.9'>"]),
    ("", "<bootp file='a'/>", None, ["<bootp file='a'>"]),
    ("<tftp root='tftp'/>", "", None, ["<tftp root='tftp'>"]),
])
def test_netboot(tftp: str, bootp: str, expected: Netboot | None, said: list[str]) -> None:
    done = read(f"<network><ip address='10.1.2.1' prefix='24'>{tftp}<dhcp>{bootp}</dhcp></ip></network>")
    assert done.segment.netboot == expected
    assert [one.what for one in done.left_out] == said


def test_without_a_length_it_is_the_class() -> None:
    assert segment("<network><ip address='192.168.9.1'/></network>").address == IPv4Interface("192.168.9.1/24")


def test_an_address_is_given_where_the_file_names_none() -> None:
    assert segment("<network><name>x</name></network>", "10.3.2.1/24").address == IPv4Interface("10.3.2.1/24")
    with pytest.raises(BadImport, match="it names no address") as raised:
        read("<network><name>x</name></network>")
    assert "--address" in str(raised.value.data["hint"])
    with pytest.raises(BadImport, match=r"in:7: .*--address has no place"):
        read(DEFAULT, "10.3.2.1/24")


@pytest.mark.parametrize("text, where, why", [
    ("<network>\n<ip", "2", "unclosed token"),
    ("<network>\n</net>", "2", "mismatched tag"),
    ("<domain>\n</domain>", "1", "<domain> instead of <network>"),
    ("<!DOCTYPE x [<!ENTITY a 'b'>]><network/>", "1", "a document type"),
    ("<network>\n<forward mode='hostdev'/></network>", "2", "forward mode 'hostdev'"),
    ("<network>\n<forward mode='bridge'/></network>", "2", "it names no bridge"),
    ("<network>\n<ip address='8.8.8.8' prefix='24'/></network>", "2", "private"),
    ("<network>\n<ip address='10.0.0.1'/></network>", "2", "from /16 to /30"),
    ("<network>\n<ip address='10.1.1.1' netmask='255.0.255.0'/></network>", "2", "netmask '255.0.255.0'"),
    ("<network>\n<ip prefix='24'/></network>", "2", "without an address"),
    ("<network>\n<ip address='10.1.1.1' prefix='24'><dhcp>\n<range start='10.1.1.2'/></dhcp></ip></network>", "3",
     "start and end"),
    ("<network>\n<ip address='10.1.1.1' prefix='24'><dhcp>\n<range start='10.1.2.2' end='10.1.2.9'/></dhcp></ip>"
     "</network>", "3", "expected addresses of 10.1.1.0/24"),
    ("<network>\n<ip address='10.1.1.1' prefix='24'><dhcp>\n<host mac='no' ip='10.1.1.5'/></dhcp></ip></network>", "3",
     "mac 'no'"),
    ("<network>" + "<a>" * 40, "1", "nested too deeply"),
    ("<?xml version='1.0' encoding='klingon'?><network/>", "1", "unknown encoding"),
])
def test_bad_files(text: str, where: str, why: str) -> None:
    with pytest.raises(BadImport) as raised:
        read(text)
    assert raised.value.data["where"] == f"in:{where}"
    assert why in str(raised.value)


def test_many_hosts_of_which_some_do_not_fit() -> None:
    hosts = "\n".join(f"<host mac='52:54:00:00:00:{n:02x}' ip='10.1.0.{n}'/>" for n in range(1, 40))
    done = read(f"<network><ip address='10.1.0.1' prefix='16'><dhcp>\n{hosts}\n{hosts}</dhcp></ip></network>")
    assert len(done.segment.hosts) == 38  # the host's own address is among them
    assert lines(done) == [2, *range(41, 80)]

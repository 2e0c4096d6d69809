"""XML as libvirt 9 to 11 prints it, of machines as virt-install, virt-manager and Vagrant make them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.model.names import port_prefix
from vdenet.text import libvirt

# virt-install --osinfo debian12, as it runs; shortened by what nobody here reads.
RUNNING = """<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>debian 12 – wéb</name>
  <uuid>60645a2a-c5d1-4f8a-9280-a7c086e55b0b</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
    <lab:notes xmlns:lab="urn:lab"><interface type='bridge'><source bridge='vdenet0'/></interface></lab:notes>
  </metadata>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <source file='/var/lib/libvirt/images/web.qcow2' index='1'/><backingStore/><target dev='vda' bus='virtio'/>
      <alias name='virtio-disk0'/><address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <controller type='usb' index='0' model='qemu-xhci' ports='15'>
      <address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/>
    </controller>
    <controller type='pci' index='0' model='pcie-root'><alias name='pcie.0'/></controller>
    <controller type='pci' index='1' model='pcie-root-port'>
      <target chassis='1' port='0x10'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0' multifunction='on'/>
    </controller>
    <controller type='pci' index='2' model='pcie-root-port'><target chassis='2' port='0x11'/></controller>
    <controller type='pci' index='3' model='pcie-root-port'><target chassis='3' port='0x12' hotplug='off'/></controller>
    <controller type='pci' index='4' model='pcie-root-port'><target chassis='4' port='0x13'/></controller>
    <interface type='network'>
      <mac address='52:54:00:AA:bb:01'/>
      <source network='default' portid='f2a40a3e-1f1c-4f6a-8a53-4b0f9be1d4a5' bridge='virbr0'/>
      <target dev='vnet3'/>
      <model type='virtio'/>
      <alias name='net0'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>
    <memballoon model='none'/>
  </devices>
</domain>
"""
CONFIGURED = RUNNING.replace(" id='7'", "").replace(
    " portid='f2a40a3e-1f1c-4f6a-8a53-4b0f9be1d4a5' bridge='virbr0'", "").replace("      <target dev='vnet3'/>\n", "")
FREE = "<controller type='pci' index='5' model='pcie-root-port'/>"
PC = """<domain type='qemu'><name>old</name><uuid>60645a2a-c5d1-4f8a-9280-a7c086e55b0c</uuid><devices>
<controller type='pci' index='0' model='pci-root'/>{more}</devices></domain>"""
X86 = """<domain type='qemu' id='1'><os><type arch='x86_64' machine='pc'>hvm</type></os>{features}<devices>
<controller type='pci' index='0' model='pci-root'>{target}</controller><interface type='bridge'>
<mac address='52:54:00:00:00:01'/><address type='pci' bus='0x00' slot='0x03'/></interface></devices></domain>"""
PREFIX = port_prefix("vdenet0")


def of(kind: str, inner: str) -> libvirt.Nic:
    return libvirt.card(f"<interface type='{kind}'><mac address='52:54:00:00:00:01'/>{inner}</interface>")


def test_a_domain() -> None:
    running, configured = libvirt.domain(RUNNING), libvirt.domain(CONFIGURED)
    assert (running.active, configured.active) == (True, False)
    nic, = running.nics
    assert replace(nic, xml="") == libvirt.Nic("", "network", "default", "virbr0", "vnet3", "52:54:00:aa:bb:01", "virtio")
    nic, = configured.nics
    assert replace(nic, xml="") == libvirt.Nic("", "network", "default", None, None, "52:54:00:aa:bb:01", "virtio")


@pytest.mark.parametrize("text", [
    "", "error: failed to get domain", "<domain>", "<network/>", "<domain/><domain/>", "<domain>\x00</domain>",
    '<!DOCTYPE domain [<!ENTITY a "b">]><domain><name>&a;</name></domain>',
    '<!DOCTYPE domain SYSTEM "file:///etc/passwd"><domain/>'])
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(ValueError):
        libvirt.domain(text)


def test_little_is_needed_of_a_domain() -> None:
    domain = libvirt.domain("<domain><devices><interface/><interface type='user'/></devices></domain>")
    assert [(nic.kind, nic.mac) for nic in domain.nics] == [("", None), ("user", None)]
    assert not any(libvirt.on_segment(nic, "vdenet0", PREFIX, None) for nic in domain.nics)


@pytest.mark.parametrize(("kind", "inner", "handed", "on"), [
    ("bridge", "<source bridge='vdenet0'/>", None, True),
    ("bridge", "<source bridge='virbr0'/>", None, False),
    ("bridge", "", None, False),
    ("network", "<source network='lan'/>", "vdenet0", True),
    ("network", "<source network='lan'/>", None, False),
    ("network", "<source network='vdenet0'/>", None, False),
    ("network", "<source network='lan' portid='x' bridge='vdenet0'/>", None, True),
    ("direct", "<source dev='vdenet0' mode='bridge'/>", None, True),
    ("direct", "<source dev='eth0' mode='bridge'/>", None, False),
    ("ethernet", "<target dev='vd0-web' managed='no'/>", None, True),
    ("ethernet", "<target dev='vd1-web' managed='no'/>", None, False),
    ("ethernet", "", None, False),
    ("user", "<source dev='vdenet0'/>", None, False),
    ("mcast", "<source address='230.0.0.1' port='5558'/>", None, False),
    ("hostdev", "<source><address type='pci' bus='0x00'/></source>", None, False),
])
def test_what_is_on_the_segment(kind: str, inner: str, handed: str | None, on: bool) -> None:
    assert libvirt.on_segment(of(kind, inner), "vdenet0", PREFIX, handed) is on


@pytest.mark.parametrize(("text", "bridge"), [
    ("<network><name>n</name><forward mode='bridge'/><bridge name='vdenet0'/></network>", "vdenet0"),
    ("<network><name>n</name><forward dev='vdenet0' mode='bridge'><interface dev='vdenet0'/></forward></network>",
     "vdenet0"),
    ("<network><forward mode='bridge'><interface dev='vdenet0'/></forward></network>", "vdenet0"),
    ("<network><forward mode='nat'/><bridge name='vdenet0' stp='on' delay='0'/></network>", None),
    ("<network><name>n</name><bridge name='virbr1'/></network>", None),
    ("<network><forward mode='bridge'/></network>", None),
])
def test_where_a_network_hands_its_guests_to(text: str, bridge: str | None) -> None:
    assert libvirt.network_bridge(text) == bridge


def test_a_card_that_cannot_be_taken_out_while_it_runs() -> None:
    """QEMU: `Bus 'pci.0' does not support hotplugging`."""
    for features, fixed in (("", True), ("<features><acpi/></features>", False)):
        nic, = libvirt.domain(X86.format(features=features, target="")).nics
        assert nic.fixed is fixed


@pytest.mark.parametrize(("text", "room", "old_room"), [
    (RUNNING, False, False),
    (RUNNING.replace("</devices>", FREE + "</devices>"), True, False),
    (RUNNING.replace("</devices>", FREE.replace("root-port", "to-pci-bridge") + "</devices>"), False, True),
    (RUNNING.replace("</devices>", FREE.replace("index='5'", "index='x'") + "</devices>"), False, False),
    (RUNNING.replace("bus='0x04'", "bus='x'"), True, False),
    (PC.format(more=""), True, True),
    (X86.format(features="<features><acpi/></features>", target=""), True, True),
    (X86.format(features="", target=""), False, False),
    (X86.format(features="", target="").replace("x86_64", "ppc64"), True, True),
    (X86.format(features="<features><acpi/></features>", target="<target hotplug='off'/>"), False, False),
    (PC.format(more="".join(f"<disk><address type='pci' bus='0x00' slot='{slot:#04x}'/></disk>" for slot in range(1, 32))),
     False, False),
    ("<domain><devices><controller type='ccw' index='0'/></devices></domain>", True, True),
])
def test_where_a_card_can_be_plugged_in(text: str, room: bool, old_room: bool) -> None:
    domain = libvirt.domain(text)
    assert (domain.takes("virtio"), domain.takes("e1000")) == (room, old_room)


@pytest.mark.parametrize(("models", "model"), [
    ([], "virtio"), (["e1000e"], "e1000e"), (["rtl8139", "virtio"], "rtl8139"), (["spapr-vlan"], "virtio"),
    (["usb-net", "e1000"], "e1000")])
def test_the_model(models: list[str], model: str) -> None:
    cards = "".join(f"<interface type='user'><model type='{each}'/></interface>" for each in models)
    assert libvirt.domain(f"<domain><devices>{cards}</devices></domain>").model == model


def test_new_cards() -> None:
    assert libvirt.bridged("vdenet0", "52:54:00:00:00:01", "virtio") == (
        '<interface type="bridge">\n  <mac address="52:54:00:00:00:01" />\n  <source bridge="vdenet0" />\n'
        '  <model type="virtio" />\n</interface>\n')
    assert libvirt.tapped("vd0-web", "52:54:00:00:00:01", "virtio") == (
        '<interface type="ethernet">\n  <mac address="52:54:00:00:00:01" />\n'
        '  <target dev="vd0-web" managed="no" />\n  <model type="virtio" />\n</interface>\n')


def test_a_card_that_is_moved_keeps_what_is_its_own() -> None:
    nic, = libvirt.domain(RUNNING).nics
    rich = libvirt.card(nic.xml.replace("</interface>", """<boot order='1'/><rom bar='off'/><mtu size='1400'/>
        <bandwidth><inbound average='1'/></bandwidth><filterref filter='x'/><virtualport type='openvswitch'/>
        <vlan><tag id='42'/></vlan><link state='up'/></interface>"""))
    moved = libvirt.card(libvirt.moved(rich, libvirt.tapped("vd0-web", "52:54:00:00:00:01", "e1000")))
    assert replace(moved, xml="") == libvirt.Nic(
        "", "ethernet", None, None, "vd0-web", "52:54:00:aa:bb:01", "virtio")
    tags = [element.tag for element in ElementTree.fromstring(moved.xml)]
    assert sorted(tags) == sorted(["target", "mac", "model", "alias", "address", "boot", "rom", "mtu", "link"])
    bridge = libvirt.card(libvirt.bridged("vdenet0", "52:54:00:00:00:01", "virtio"))
    assert libvirt.movable(nic, bridge) and libvirt.movable(bridge, nic)
    assert not libvirt.movable(nic, moved) and not libvirt.movable(of("user", ""), bridge)


def test_a_card_without_its_place() -> None:
    nic, = libvirt.domain(RUNNING).nics
    plain = libvirt.card(libvirt.plain(nic))
    assert [element.tag for element in ElementTree.fromstring(plain.xml)] == ["mac", "source", "model"]
    assert plain.mac == nic.mac
    tapped = libvirt.card(libvirt.tapped("vd0-web", "52:54:00:00:00:01", "virtio"))
    assert libvirt.plain(tapped) == tapped.xml


@pytest.mark.parametrize(("uri", "which"), [
    ("qemu:///system", "system"), ("qemu:///session", "session"), ("qemu+unix:///system", "system"),
    ("qemu:///session?socket=/run/user/1000/libvirt/libvirt-sock", "session"), ("qemu://host/system", None),
    ("qemu+ssh://root@host/system", None), ("lxc:///", None), ("test:///default", None), ("qemu:///embed?root=/x", None),
    ("", None), ("qemu:///system\n", None)])
def test_connections(uri: str, which: str | None) -> None:
    assert libvirt.connection(uri) == which


def test_what_virsh_lists() -> None:
    uuid = "60645a2a-c5d1-4f8a-9280-a7c086e55b0"
    assert libvirt.listed(f"{uuid}b my gäst                       \n{uuid}c web                           \n\n") == {
        f"{uuid}b": "my gäst", f"{uuid}c": "web"}
    assert libvirt.listed(" Id   Name\n---------\n error: x\n") == {}
    assert libvirt.facts("Id:             -\nName:           a: b\nPersistent:     yes\nManaged save:   no\n\n") == {
        "Id": "-", "Name": "a: b", "Persistent": "yes", "Managed save": "no"}


def test_commands() -> None:
    assert libvirt.command("qemu:///session", "attach-device", "U", "--live", "--config") == (
        "virsh", "--connect", "qemu:///session", "attach-device", "U", "/dev/stdin", "--live", "--config")


# --- any text in the place of names -----------------------------------------------------------------

words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(words, words, words)
def test_nothing_in_a_name_becomes_markup(bridge: str, mac: str, model: str) -> None:
    nic = libvirt.card(libvirt.bridged(bridge, mac, model))
    assert (nic.kind, nic.source, nic.mac, nic.model) == ("bridge", bridge, mac.lower(), model)
    nic = libvirt.card(libvirt.tapped(bridge, mac, model))
    assert (nic.kind, nic.target, nic.mac, nic.model) == ("ethernet", bridge, mac.lower(), model)


TAGS = ("source", "target", "boot", "alias", "address", "bandwidth", "vlan", "mtu", "link", "driver", "model", "ip")


@st.composite
def cards(draw: st.DrawFn) -> libvirt.Nic:
    """A card of any kind with any parts."""
    root = ElementTree.Element("interface", {"type": draw(st.sampled_from((
        "bridge", "network", "user", "direct", "ethernet", "vdpa", "mcast", "hostdev", "internal")))})
    ElementTree.SubElement(root, "mac", {"address": "52:54:00:00:00:07"})
    for tag in draw(st.lists(st.sampled_from(TAGS), unique=True)):
        part = ElementTree.SubElement(root, tag, draw(st.dictionaries(
            st.sampled_from(("dev", "bridge", "network", "type", "name", "mode")), words, max_size=3)))
        part.text = draw(st.none() | words)
    return libvirt.card(ElementTree.tostring(root, encoding="unicode"))


@given(cards())
def test_any_card_can_be_moved_to_the_segment_and_taken_out(nic: libvirt.Nic) -> None:
    assert libvirt.card(nic.xml) == nic, "what was read and written is read the same again"
    for place in (libvirt.bridged("vdenet0", "52:54:00:00:00:01", "virtio"),
                  libvirt.tapped("vd0-web", "52:54:00:00:00:01", "virtio")):
        moved = libvirt.card(libvirt.moved(nic, place))
        assert libvirt.on_segment(moved, "vdenet0", PREFIX, None)
        assert (moved.mac, moved.model) == (nic.mac, nic.model)
        assert libvirt.moved(moved, place) == moved.xml, "twice is as good as once"
    plain = libvirt.card(libvirt.plain(nic))
    assert (plain.kind, plain.source, plain.mac) == (nic.kind, nic.source, nic.mac)
    assert libvirt.plain(plain) == plain.xml


@given(st.text(max_size=200) | st.text("<>&;!'\"/ adeimnorsc=", max_size=60))
def test_any_text_is_a_domain_or_none(text: str) -> None:
    for parse in (libvirt.domain, libvirt.network_bridge, libvirt.card):
        try:
            parse(text)
        except ValueError:
            continue
    libvirt.listed(text)
    libvirt.facts(text)

"""The XML of a libvirt network, as `virsh net-dumpxml` prints it and /etc/libvirt/qemu/networks holds it.

https://libvirt.org/formatnetwork.html. Whatever nobody here looks at is said to be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any

from vdenet.i18n import _
from vdenet.model.names import domain_name, guest_name, mac_address, segment_address6
from vdenet.model.netboot import Netboot
from vdenet.model.record import Record, RecordType
from vdenet.model.segment import MTU, Host, Mode, Segment, default_domain
from vdenet.text.config.dhcp import MAX_LEASE, MIN_LEASE
from vdenet.text.foreign.draft import Draft
from vdenet.text.foreign.lxcnet import beside
from vdenet.text.foreign.xml import Element, Malformed, parse

_MODES: Mapping[str, Mode] = {"nat": Mode.NAT, "route": Mode.ROUTED, "open": Mode.ROUTED, "bridge": Mode.BRIDGED}
_SECONDS: Mapping[str, int] = {"seconds": 1, "minutes": 60, "hours": 3600}
_Entry = tuple[int, str, Any]


def read(draft: Draft, text: str) -> Segment:
    """The segment. Raises `BadImport`."""
    try:
        root = parse(text)
    except Malformed as error:
        raise draft.bad(error.line, str(error)) from None
    if root.tag == "networks" or root.tag == "network" and root.first("network") is not None:
        raise draft.bad(root.line, _("expected one <network>, as virsh net-dumpxml prints it"))
    if root.tag != "network":
        raise draft.bad(root.line, _("<{tag}> instead of <network>, as virsh net-dumpxml prints it").format(
            tag=root.tag))
    for tag in ("uuid", "title", "description", "metadata"):  # for people and other programs only
        for each in root.all(tag):
            each.take()
    for key in root.attributes:
        if key.partition(":")[0] in ("xmlns", "connections"):
            root.get(key)
    root.get("ipv6")  # guests always may talk IPv6 among themselves
    draft.title = name.text() if (name := root.first("name")) is not None else None
    mode = _mode(draft, root)
    segment = _bridged(draft, root) if mode is Mode.BRIDGED else _own(draft, root, mode)
    _say(draft, root)
    return segment


def _mode(draft: Draft, root: Element) -> Mode:
    forward = root.first("forward")
    if forward is None:
        return Mode.ISOLATED
    text = forward.get("mode") or "nat"
    if text == "none":
        return Mode.ISOLATED
    if text not in _MODES:
        raise draft.bad(forward.line, _("forward mode {mode!r} gives guests no segment of this host; expected one of "
                                        "{modes}").format(mode=text, modes=", ".join(("none", *_MODES))))
    if text == "open":
        draft.leave_out(forward.line, "<forward mode='open'>", _("the segment is routed, with its own packet filter"))
    return _MODES[text]


def _bridged(draft: Draft, root: Element) -> Segment:
    """The segment of a network that hands its guests over to a bridge or an interface."""
    forward, bridge, kind = (root.first(tag) for tag in ("forward", "bridge", "virtualport"))
    assert forward is not None
    if bridge is not None and (name := bridge.get("name")) is not None:
        key = "openvswitch" if kind is not None and kind.get("type") == "openvswitch" else "adopt"
    else:
        port = forward.first("interface")
        name, key = forward.get("dev") or (port.get("dev") if port is not None else None), "uplink"
    if name is None:
        raise draft.bad(forward.line, _("it names no bridge and no interface"))
    segment = Segment(draft.base.name, None, mode=Mode.BRIDGED, domain=default_domain(draft.base.name))
    outside: dict[str, Any] = {key: name}
    return replace(segment, **outside)


def _own(draft: Draft, root: Element, mode: Mode) -> Segment:
    """The segment of a network that libvirt itself serves."""
    found = next((each for each in root.all("ip") if _family(each) == "ipv4"), None)
    line, text = (root.line, None) if found is None else (found.line, _address(draft, found))
    segment = Segment(draft.base.name, draft.address(line, text), mode=mode, domain=_domain(draft, root))
    for each in root.all("ip"):
        if _family(each) == "ipv6":
            segment = _ipv6(draft, each, segment)
        elif each is not found:
            draft.leave_out(each.line, str(each), _("a segment has one IPv4 network"))
            each.take()
    mtu = root.first("mtu")
    if mtu is not None and mtu.get("size") != str(MTU):
        draft.leave_out(mtu.line, str(mtu), _("frames have {mtu} bytes everywhere, since VDE takes no longer ones")
                        .format(mtu=MTU))
    segment = replace(segment, dhcp=False) if found is None else _dhcp(draft, found, segment)
    return _dns(draft, root, segment)


def _family(ip: Element) -> str:
    return ip.get("family") or "ipv4"


def _address(draft: Draft, ip: Element) -> str:
    """ADDRESS/LENGTH. Without prefix and netmask libvirt takes the one of the address's class."""
    address, prefix, mask = ip.get("address"), ip.get("prefix"), ip.get("netmask")
    if address is None:
        raise draft.bad(ip.line, _("<ip> without an address"))
    if mask is not None and prefix is None:
        try:
            return f"{address}/{IPv4Network(f'0.0.0.0/{mask}').prefixlen}"
        except ValueError:
            raise draft.bad(ip.line, _("netmask {mask!r}: expected such as 255.255.255.0").format(mask=mask)) from None
    if prefix is None:
        try:
            first = int(IPv4Address(address)) >> 24
        except ValueError:
            first = 0
        prefix = "8" if first < 128 else "16" if first < 192 else "24"
    return f"{address}/{prefix}"


def _ipv6(draft: Draft, ip: Element, segment: Segment) -> Segment:
    text = f"{ip.get('address')}/{ip.get('prefix')}"
    if segment.address6 is not None:
        draft.leave_out(ip.line, str(ip), _("a segment has one IPv6 network"))
        ip.take()
        return segment
    address = draft.usable(ip.line, _("IPv6 address"), text, segment_address6)
    return segment if address is None else replace(segment, address6=address)


def _domain(draft: Draft, root: Element) -> str:
    element = root.first("domain")
    if element is not None:
        element.get("localOnly")  # a segment's domain always is
        element.get("register")  # the host resolves the domain in any case
        if (text := element.get("name")) is not None:
            domain = draft.usable(element.line, _("domain"), text, domain_name)
            if domain is not None:
                return domain
    return default_domain(draft.base.name)


# --- DHCP ------------------------------------------------------------------------------------------------

def _dhcp(draft: Draft, ip: Element, segment: Segment) -> Segment:
    dhcp = ip.first("dhcp")
    if dhcp is None:
        return replace(segment, dhcp=False)
    ranges = list(dhcp.all("range"))
    for each in ranges[1:]:
        draft.leave_out(each.line, str(each), _("a segment has one range"))
        each.take()
    if ranges:
        try:
            both = IPv4Address(ranges[0].get("start") or ""), IPv4Address(ranges[0].get("end") or "")
        except ValueError:
            raise draft.bad(ranges[0].line, _("<range>: expected two IPv4 addresses, start and end")) from None
        segment = replace(segment, dhcp_range=beside(draft, ranges[0].line, *both, segment.own))
        if (lease := ranges[0].first("lease")) is not None:
            segment = _lease(draft, lease, segment)
    segment = draft.with_entries(segment, "hosts", [
        (each.line, str(each), _host(draft, each, segment)) for each in dhcp.all("host")])
    return _netboot(draft, ip, dhcp.first("bootp"), segment)


def _netboot(draft: Draft, ip: Element, bootp: Element | None, segment: Segment) -> Segment:
    """libvirt has one file for all clients, so what it is for is told from its name."""
    tftp = ip.first("tftp")
    if tftp is None or (root := tftp.get("root")) is None:
        if bootp is not None:
            draft.leave_out(bootp.line, str(bootp), _("what boots is served by the host, and there is no <tftp>"))
            bootp.take()
        return segment
    if bootp is None:
        return draft.with_change(segment, replace(segment, netboot=Netboot(root)), tftp.line, str(tftp))
    file, server = bootp.get("file"), bootp.get("server")
    if server not in (None, str(segment.own.ip)):
        draft.leave_out(bootp.line, str(bootp), _("no other server than the host"))
        return draft.with_change(segment, replace(segment, netboot=Netboot(root)), tftp.line, str(tftp))
    uefi = (file or "").lower().endswith(".efi")
    draft.leave_out(bootp.line, _("{bootp} for clients with a {firmware}").format(
        bootp=bootp, firmware="BIOS" if uefi else "UEFI"), _("each kind of client has a file of its own"))
    boot = Netboot(root, uefi=file) if uefi else Netboot(root, bios=file)
    return draft.with_change(segment, replace(segment, netboot=boot), bootp.line, str(bootp))


def _lease(draft: Draft, lease: Element, segment: Segment) -> Segment:
    number, unit = lease.get("expiry") or "", lease.get("unit") or "minutes"
    seconds = int(number) * _SECONDS.get(unit, 0) if number.isdecimal() and len(number) < 10 else 0
    if not MIN_LEASE <= seconds <= MAX_LEASE:
        draft.leave_out(lease.line, str(lease), _("a lease lasts from 2 minutes to 7 days"))
        return segment
    return replace(segment, lease_seconds=seconds)


def _host(draft: Draft, element: Element, segment: Segment) -> Host:
    mac, name, ip = element.get("mac"), element.get("name"), element.get("ip")
    address = None
    if ip is not None:
        try:
            address = IPv4Address(ip)
        except ValueError:
            raise draft.bad(element.line, _("ip {ip!r}: expected an IPv4 address").format(ip=ip)) from None
    return Host(None if mac is None else draft.checked(element.line, "mac", mac, mac_address),
                None if name is None else draft.usable(
                    element.line, _("name"), name.removesuffix("." + segment.domain), guest_name), address)


# --- DNS -------------------------------------------------------------------------------------------------

def _dns(draft: Draft, root: Element, segment: Segment) -> Segment:
    dns = root.first("dns")
    if dns is None:
        return segment
    if dns.get("enable") == "no":
        draft.leave_out(dns.line, "<dns enable='no'>", _("a segment always has DNS"))
    dns.get("forwardPlainNames")  # plain names never leave the segment
    segment, entries = _names(dns, segment)
    for srv in dns.all("srv"):
        entries.append((srv.line, str(srv), _srv(draft, srv, segment)))
    for txt in dns.all("txt"):
        entries.append((txt.line, str(txt), Record(RecordType.TXT, _whole(txt.get("name") or "", segment),
                                                   txt.get("value") or "")))
    return draft.with_entries(segment, "records", entries)


def _names(dns: Element, segment: Segment) -> tuple[Segment, list[_Entry]]:
    """Names of addresses: aliases of a host that has the address, records of the others."""
    entries: list[_Entry] = []
    for element in dns.all("host"):
        ip = element.get("ip") or ""
        for each in element.all("hostname"):
            name = each.text()
            label = name.lower().removesuffix("." + segment.domain)
            nth = next((nth for nth, host in enumerate(segment.hosts) if str(host.address) == ip), None)
            if nth is not None and "." not in label:
                hosts = list(segment.hosts)
                if label not in (hosts[nth].name, *hosts[nth].aliases):
                    hosts[nth] = replace(hosts[nth], aliases=(*hosts[nth].aliases, label))
                segment = replace(segment, hosts=tuple(hosts))
                continue
            kind = RecordType.AAAA if ":" in ip else RecordType.A
            entries.append((each.line, f"<hostname>{name}</hostname> ({ip})", Record(
                kind, _whole(name, segment), _plain(ip))))
    return segment, entries


def _srv(draft: Draft, srv: Element, segment: Segment) -> Record:
    service, protocol = (srv.get(key) or "" for key in ("service", "protocol"))
    numbers = []
    for key in ("priority", "weight", "port"):
        text = srv.get(key) or "0"
        if not text.isdecimal() or len(text) > 5:
            raise draft.bad(srv.line, _("{key} {text!r}: expected a number").format(key=key, text=text))
        numbers.append(int(text))
    name = f"_{service.removeprefix('_')}._{protocol.removeprefix('_')}"
    return Record(RecordType.SRV, _whole(f"{name}.{srv.get('domain') or segment.domain}", segment),
                  _whole(srv.get("target") or "", segment), *numbers)


def _whole(name: str, segment: Segment) -> str:
    """A name as a segment has it: within its domain, else with a final dot. libvirt's plain ones lie within."""
    name = name.lower().removesuffix(".")
    if "." not in name:
        return f"{name}.{segment.domain}"
    return name if name.endswith("." + segment.domain) else f"{name}."


def _plain(ip: str) -> str:
    try:
        return str(ip_address(ip))
    except ValueError:
        return ip


# --- what is left ----------------------------------------------------------------------------------------

def _say(draft: Draft, root: Element) -> None:
    for element, attribute in root.unseen():
        reason = _REASONS.get((element.tag, attribute or ""), lambda: _("a segment has no such setting"))()
        what = str(element) if attribute is None else f"<{element.tag} {attribute}='{element.attributes[attribute]}'>"
        draft.leave_out(element.line, what, reason)


_REASONS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("bridge", ""): lambda: _("the segment has a bridge of its own, called as the segment"),
    ("mac", ""): lambda: _("the bridge has a MAC address that vdenet gives it"),
    ("forward", "dev"): lambda: _("guests reach the outside through every uplink of the host"),
    ("interface", ""): lambda: _("guests reach the outside through every uplink of the host"),
    ("nat", ""): lambda: _("guests get the host's own address and any port"),
    ("forwarder", ""): lambda: _("names of the outside are asked as the host asks them"),
    ("route", ""): lambda: _("routes through guests are the host's own affair"),
    ("virtualport", ""): lambda: _("only for a bridge of Open vSwitch"),
    ("portgroup", ""): lambda: _("what a guest's card may do is not a segment's setting"),
    ("vlan", ""): lambda: _("a guest's VLAN is said where it joins"),
}
"""Why an element, or an attribute of one, has no like here."""

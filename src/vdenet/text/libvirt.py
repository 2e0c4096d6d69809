"""libvirt: the XML of domains, networks and network cards, and the commands of virsh that change a card.

https://libvirt.org/formatdomain.html#network-interfaces; virsh(1).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace

TOOL = "virsh"
MODEL = "virtio"
_MODELS = frozenset({"virtio", "virtio-transitional", "virtio-non-transitional", "e1000", "e1000e", "igb", "rtl8139"})
_OLD_MODELS = frozenset({"e1000", "rtl8139"})
"""Conventional PCI, not PCI Express."""
_URI = re.compile(r"qemu(?:\+unix)?:///(system|session)(?:\?.*)?")
_LINE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +(.*?) *")


@dataclass(frozen=True, slots=True)
class Nic:
    """An `<interface>`. `source` is the bridge, network or device that it is attached to, `target` its tap.

    `bridge` is where it is in the end, where libvirt says so of a card on a network of its own.
    """

    xml: str
    kind: str
    source: str | None = None
    bridge: str | None = None
    target: str | None = None
    mac: str | None = None
    model: str | None = None
    fixed: bool = False
    """It cannot be taken out while the domain runs."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A virtual machine, as it is configured or as it runs."""

    active: bool
    nics: tuple[Nic, ...]
    room: bool
    old_room: bool
    """Whether a card can be added while it runs: one of PCI Express, or of conventional PCI."""

    def takes(self, model: str) -> bool:
        """Whether a card of that model can be added while it runs."""
        return self.old_room if model in _OLD_MODELS else self.room

    @property
    def model(self) -> str:
        """What the guest has a driver for, as far as its cards tell."""
        return next((nic.model for nic in self.nics if nic.model in _MODELS and nic.model is not None), MODEL)


class _Builder(ElementTree.TreeBuilder):
    """Nothing that is read here has a document type, whose entities could be anything."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002  ElementTree's
        raise ValueError("a document type")


def connection(uri: str) -> str | None:
    """`system` or `session` of QEMU on this host; None for other hypervisors and hosts."""
    found = _URI.fullmatch(uri)
    return found[1] if found else None


def listed(text: str) -> dict[str, str]:
    """The names of domains by UUID, as `virsh list --uuid --name` prints them."""
    return {found[1]: found[2] for line in text.splitlines() if (found := _LINE.fullmatch(line))}


def facts(text: str) -> dict[str, str]:
    """What `virsh dominfo` prints."""
    return {key.strip(): value.strip() for key, colon, value in
            (line.partition(":") for line in text.splitlines()) if colon}


def domain(text: str) -> Domain:
    """A domain's XML. Raises ValueError for what is none."""
    root = _parse(text, "domain")
    fixed = _fixed(root)
    nics = tuple(replace(_nic(element), fixed=_bus(element.find("address[@type='pci']")) in fixed)
                 for element in root.iterfind("./devices/interface"))
    room, old_room = _room(root)
    return Domain(root.get("id") is not None, nics, room, old_room)


def network_bridge(text: str) -> str | None:
    """The bridge that a network of libvirt's hands its guests over to; None when it has one of its own.

    Raises ValueError for what is no network.
    """
    root = _parse(text, "network")
    forward = root.find("forward")
    if forward is None or forward.get("mode") != "bridge":
        return None
    for path, key in (("bridge", "name"), ("forward", "dev"), ("forward/interface", "dev")):
        element = root.find(path)
        if element is not None and element.get(key):
            return element.get(key)
    return None


def card(text: str) -> Nic:
    """An `<interface>`. Raises ValueError for what is none."""
    return _nic(_parse(text, "interface"))


def on_segment(nic: Nic, bridge: str, prefix: str, handed: str | None) -> bool:
    """Whether a card is on the segment: on its bridge, or on a tap of ours (their names begin with `prefix`).

    `handed` is the bridge of the network of libvirt's that the card is on, as `network_bridge` has it.
    """
    if nic.kind == "ethernet":
        return (nic.target or "").startswith(prefix)
    if nic.kind == "network":
        return bridge in (nic.bridge, handed)
    return nic.kind in ("bridge", "direct") and nic.source == bridge


def bridged(bridge: str, mac: str, model: str) -> str:
    """A card on a bridge; libvirt makes its tap."""
    return _card("bridge", ("source", {"bridge": bridge}), mac, model)


def tapped(tap: str, mac: str, model: str) -> str:
    """A card on a tap that is there: libvirt opens it, and changes nothing about it."""
    return _card("ethernet", ("target", {"dev": tap, "managed": "no"}), mac, model)


def moved(nic: Nic, to: str) -> str:
    """The card where the card `to` is; its MAC, model, place in the machine and boot order are its own."""
    old, new = _parse(nic.xml, "interface"), _parse(to, "interface")
    # What belongs to the way it was attached until now (libvirt's domain.rng).
    for name in ("source", "target", "virtualport", "vlan", "portForward", "backend", "ip", "route", "script",
                 "bandwidth", "filterref", "port", "guest"):
        for element in old.findall(name):
            old.remove(element)
    old.set("type", new.get("type", ""))
    for place, name in enumerate(("source", "target")):
        for element in new.findall(name):
            old.insert(place, element)
    return _text(old)


def movable(before: Nic, after: Nic) -> bool:
    """Whether a running domain's card can be moved: between bridges, since its tap stays."""
    return {before.kind, after.kind} <= {"bridge", "network"}


def plain(nic: Nic) -> str:
    """The card without its place in the machine, which differs between what runs and what is configured."""
    element = _parse(nic.xml, "interface")
    target = element.find("target")
    if target is not None and nic.kind != "ethernet":
        element.remove(target)
    for name in ("alias", "address"):
        for each in element.findall(name):
            element.remove(each)
    return _text(element)


def command(uri: str, verb: str, uuid: str, *flags: str) -> tuple[str, ...]:
    """A command of virsh's on a domain; a device's XML comes by standard input."""
    device = ("/dev/stdin",) if verb.endswith("-device") else ()
    return (TOOL, "--connect", uri, verb, uuid, *device, *flags)


def _parse(text: str, tag: str) -> ElementTree.Element:
    try:
        root: ElementTree.Element = ElementTree.fromstring(text, ElementTree.XMLParser(target=_Builder()))
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    if root.tag != tag:
        raise ValueError(f"<{root.tag}> instead of <{tag}>")
    return root


def _nic(element: ElementTree.Element) -> Nic:
    def of(name: str, *keys: str) -> str | None:
        found = element.find(name)
        return None if found is None else next((value for key in keys if (value := found.get(key))), None)

    kind = element.get("type", "")
    source = of("source", {"bridge": "bridge", "network": "network", "direct": "dev"}.get(kind, "dev"))
    mac = of("mac", "address")
    return Nic(_text(element), kind, source, of("source", "bridge"), of("target", "dev"),
               None if mac is None else mac.lower(), of("model", "type"))


def _card(kind: str, place: tuple[str, dict[str, str]], mac: str, model: str) -> str:
    root = ElementTree.Element("interface", {"type": kind})
    ElementTree.SubElement(root, "mac", {"address": mac})
    ElementTree.SubElement(root, *place)
    ElementTree.SubElement(root, "model", {"type": model})
    return _text(root)


def _text(element: ElementTree.Element) -> str:
    """As libvirt would lay it out."""
    copy = ElementTree.fromstring(ElementTree.tostring(element, encoding="unicode"))
    copy.tail = None
    ElementTree.indent(copy)
    return ElementTree.tostring(copy, encoding="unicode") + "\n"


def _room(root: ElementTree.Element) -> tuple[bool, bool]:
    """Where cards can be plugged in while it runs: PCI Express, conventional PCI.

    A root port takes one device, a bridge 31. A machine without PCI Express has conventional PCI, where libvirt
    takes the root before any bridge, or no PCI at all and none of its limits.
    """
    used: dict[int | None, set[str]] = {}
    for address in root.iterfind("./devices/*/address[@type='pci']"):
        used.setdefault(_bus(address), set()).add(address.get("slot", ""))
    controllers, fixed = _controllers(root), _fixed(root)
    old_room = any(len(used.get(bus, ())) < 31 for bus, model in controllers.items()
                   if model in ("pci-root", "pci-bridge", "pcie-to-pci-bridge") and bus not in fixed)
    if "pcie-root" in controllers.values():
        return any(not used.get(bus) for bus, model in controllers.items() if model in (
            "pcie-root-port", "pcie-switch-downstream-port") and bus not in fixed), old_room
    room = not controllers or old_room and 0 not in fixed
    return room, room


def _fixed(root: ElementTree.Element) -> frozenset[int]:
    """The PCI buses where nothing is plugged in or out while it runs.

    Those are the root of PCI Express, that of a PC without ACPI, and which are said to be.
    """
    kind = root.find("./os/type")
    without_acpi = kind is not None and kind.get("arch") in ("i686", "x86_64") and root.find("./features/acpi") is None
    off = {int(controller.get("index", "")) for controller in root.iterfind("./devices/controller[@type='pci']")
           if controller.get("index", "").isdecimal() and controller.find("target[@hotplug='off']") is not None}
    return frozenset(bus for bus, model in _controllers(root).items()
                     if bus in off or model == "pcie-root" or (model == "pci-root" and without_acpi))


def _controllers(root: ElementTree.Element) -> dict[int, str]:
    """Models of what makes a PCI bus, by its number."""
    return {int(index): controller.get("model", "") for controller in root.iterfind("./devices/controller[@type='pci']")
            if (index := controller.get("index", "")).isdecimal()}


def _bus(address: ElementTree.Element | None) -> int | None:
    try:
        return None if address is None else int(address.get("bus", ""), 16)
    except ValueError:
        return None

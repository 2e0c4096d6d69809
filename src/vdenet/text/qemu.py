"""QEMU's command line: the NIC on the segment, the guest's name, what a build of QEMU can do."""

from __future__ import annotations

import re
from collections.abc import Sequence

DEFAULT_MODEL = "virtio-net-pci"
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def is_model(text: str) -> bool:
    """Whether it can be the name of a device, without options behind it."""
    return _MODEL.fullmatch(text) is not None


def tap_nic(segment: str, mac: str, tap: int, vhost: int | None, model: str) -> list[str]:
    """A NIC on an open tap, the descriptors inherited; the segment's name is the network's id."""
    speed = "" if vhost is None else f",vhost=on,vhostfd={vhost}"
    return ["-netdev", f"tap,id={segment},fd={tap}{speed}", "-device", _device(segment, mac, model)]


def kept_nic(segment: str, mac: str, port: str, vhost: bool, model: str) -> list[str]:
    """A NIC on a tap that is there, which QEMU opens by its name; no script has anything to do to it."""
    speed = ",vhost=on" if vhost else ""
    return ["-netdev", f"tap,id={segment},ifname={port},script=no,downscript=no{speed}",
            "-device", _device(segment, mac, model)]


def vde_nic(segment: str, mac: str, switch: str, model: str, port: int | str | None = None) -> list[str]:
    """A NIC on the VDE switch, which QEMU opens by itself. A comma in a value is written twice."""
    sock = switch.replace(",", ",,")
    plug = "" if port is None else f",port={port}"
    return ["-netdev", f"vde,id={segment},sock={sock}{plug}", "-device", _device(segment, mac, model)]


def program(machine: str) -> str:
    """QEMU for guests of the host's own kind (`uname -m`), as Debian calls it."""
    return f"qemu-system-{'i386' if re.fullmatch('i[3-6]86', machine) else machine}"


def has_vde(netdev_help: str) -> bool:
    """Whether the output of `-netdev help` names VDE; Ubuntu's builds do not."""
    return "vde" in netdev_help.split()


def guest_name(command: Sequence[str]) -> str | None:
    """The name that the user's command gives the guest (`-name web`, `-name guest=web,…`), as a DNS label.

    None where there is none, or where nothing of it can stand in a label.
    """
    for option, value in zip(command, command[1:], strict=False):
        if option not in ("-name", "--name"):
            continue
        for part in value.split(","):
            key, equals, text = part.partition("=")
            if not equals or key == "guest":
                return label(text if equals else key)
    return None


def label(text: str) -> str | None:
    """`text` as a DNS label: what cannot stand there becomes a hyphen. None where nothing is left."""
    fitting = re.sub(r"[^a-z0-9]+", "-", text.lower(), flags=re.ASCII).strip("-")[:63].strip("-")
    return fitting or None


def _device(segment: str, mac: str, model: str) -> str:
    return f"{model},netdev={segment},mac={mac}"

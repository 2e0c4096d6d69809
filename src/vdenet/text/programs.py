"""Programs that run guests, known by their command lines.

A command line is what its process says of itself. Whom it may speak for is `vdenet.text.recognition`'s to decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import PurePosixPath as Path

WORDS = 1024
"""Of a command line that are read; libvirt's have some 200."""
_KEPT = 64
"""MACs and taps that are kept of a guest."""
_LONGEST = 256
"""Characters that are kept of its name."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What a command line says of the guest that its process runs."""

    kind: str
    guest: str | None
    """The guest's name as its hypervisor has it."""
    macs: frozenset[str] = field(default=frozenset())
    """Of its NICs that are on some network of the host."""
    taps: frozenset[str] = field(default=frozenset())
    """Interfaces of the host that it opens by name."""
    contains: bool = False
    """The guest is a container: a child of the process, in a network namespace of its own."""


def is_known(called: str) -> bool:
    """Whether a process whose first word this is may run a guest: the others need not be read for that."""
    return _reader(called) is not None


def runs(argv: Sequence[str]) -> Runs | None:
    """The guest that a process with these arguments runs; None when it is not known to run any."""
    read = _reader(argv[0]) if argv else None
    said = None if read is None else read(argv[:WORDS])
    return said if said is None or said.guest is None else replace(said, guest=said.guest[:_LONGEST])


def _reader(called: str) -> Callable[[Sequence[str]], Runs | None] | None:
    if called.startswith(_LXC):
        return _lxc
    name = Path(called).name
    return next((read for stem, read in _READERS.items() if name == stem or name.startswith(f"{stem}-")), None)


_LXC = "[lxc monitor] "


def _lxc(argv: Sequence[str]) -> Runs | None:
    """`[lxc monitor] PATH NAME`, in one piece (lxc_start() in src/lxc/lxccontainer.c); Incus and LXD use liblxc."""
    place, _space, name = argv[0].removeprefix(_LXC).rpartition(" ")
    if not place.startswith("/"):
        return None
    if {"incus", "lxd"} & set(Path(place).parts):
        # Outside the default project it is PROJECT_NAME, and an instance's own name has no underscore.
        return Runs("incus", name.rpartition("_")[2] or None, contains=True)
    return Runs("lxc", name or None, contains=True)


def _nspawn(argv: Sequence[str]) -> Runs:
    """systemd-nspawn(1): the name is that of the directory or image where none is given."""
    name = _last(_values(argv, "machine", "M"))
    if name is None:
        place = _last(_values(argv, "directory", "D")) or _last(_values(argv, "image", "i"))
        name = None if place is None else Path(place).name.removesuffix(".raw")
    return Runs("nspawn", name or None, contains=True)


def _conmon(argv: Sequence[str]) -> Runs:
    """conmon(8), which watches a container of Podman."""
    # The first: what follows --exit-command-arg is another program's.
    return Runs("podman", next(iter(_values(argv, "name", "n")), None), contains=True)


def _shim(argv: Sequence[str]) -> Runs | None:
    """containerd's shim, which knows only the number of a container of Docker's."""
    number = _last(_values(argv, "id"))
    if _last(_values(argv, "namespace")) != "moby":
        return None
    return Runs("docker", None if number is None else number[:12], contains=True)


def _libvirt_lxc(argv: Sequence[str]) -> Runs:
    return Runs("libvirt", _last(_values(argv, "name")), contains=True)


def _virtualbox(argv: Sequence[str]) -> Runs | None:
    """A machine's own process has its number in --startvm, and its name in --comment."""
    started = _last(_values(argv, "startvm", "s"))
    return None if started is None else Runs("virtualbox", _last(_values(argv, "comment")) or started)


def _vmware(argv: Sequence[str]) -> Runs | None:
    """The machine's file stands last; its name is there as well, and mostly the same."""
    return Runs("vmware", Path(argv[-1]).stem) if argv[-1].endswith(".vmx") else None


_DEFAULT_MAC = 0x525400123456
"""The MAC of a first NIC that has none of its own (qemu_macaddr_default_if_unset() in net/net.c)."""
_MAC, _INTERFACE = 17, 15
"""Characters of a MAC, and at most of an interface's name (IFNAMSIZ)."""
_HOSTS_OWN = frozenset({"user", "none", "hubport", "socket", "passt"})
"""Back ends without an interface or a switch of the host."""


def _qemu(argv: Sequence[str]) -> Runs:
    """qemu(1), by hand or by libvirt, whose options may be JSON."""
    name = _last(_values(argv, "name"))
    guest = None if name is None else (_properties(name, "guest").get("guest") or None)
    by_libvirt = any("/libvirt/qemu/" in word for word in argv)
    taps: list[str] = []
    macs: list[str] = []
    back_ends: dict[str, str] = {}
    without = 0
    for option, value in _pairs(argv):
        if option == "netdev":
            said = _properties(value, "type")
            back_ends[said.get("id", "")] = said.get("type", "")
            taps.append(said.get("ifname", ""))
        elif option in ("nic", "net"):
            said = _properties(value, "type")
            taps.append(said.get("ifname", ""))
            if option == "nic" and said.get("type") not in _HOSTS_OWN or said.get("type") == "nic":
                macs.append(said.get("mac") or said.get("macaddr") or "")
                without += not (said.get("mac") or said.get("macaddr"))
    for option, value in _pairs(argv):
        if option == "device" and "netdev" in (said := _properties(value, "driver")) \
                and back_ends.get(said["netdev"]) not in _HOSTS_OWN:
            macs.append(said.get("mac", ""))
            without += not said.get("mac")
    macs += [(_DEFAULT_MAC + number).to_bytes(6, "big").hex(":") for number in range(min(without, 16))]
    return Runs("libvirt" if by_libvirt else "qemu", guest,
                macs=_some(mac.lower() for mac in macs if len(mac) == _MAC),
                taps=_some(tap for tap in taps if 0 < len(tap) <= _INTERFACE))


def _some(found: Iterable[str]) -> frozenset[str]:
    return frozenset(islice(dict.fromkeys(found), _KEPT))


_READERS: Mapping[str, Callable[[Sequence[str]], Runs | None]] = {
    "qemu-system": _qemu, "qemu-kvm": _qemu, "kvm": _qemu,
    "VBoxHeadless": _virtualbox, "VirtualBoxVM": _virtualbox, "VBoxSDL": _virtualbox,
    "vmware-vmx": _vmware, "systemd-nspawn": _nspawn, "conmon": _conmon, "containerd-shim": _shim,
    "libvirt_lxc": _libvirt_lxc}
"""By the program's name, or what it is up to a hyphen."""


def _pairs(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options and their values: `-o V`, `--option V`, `--option=V`; a word that is no option is passed over."""
    for word, after in zip(argv[1:], [*argv[2:], ""], strict=False):
        if word.startswith("-"):
            option, equals, value = word.lstrip("-").partition("=")
            yield (option, value) if equals and word.startswith("--") else (word.lstrip("-"), after)


def _values(argv: Sequence[str], *options: str) -> list[str]:
    """The values of an option, which may have several names; a letter's may follow without a space."""
    found = [value for option, value in _pairs(argv) if option in options]
    return found or [word[2:] for word in argv[1:] for letter in options
                     if len(letter) == 1 and re.fullmatch(f"-{letter}[^-=].*", word)]


def _last(values: Sequence[str]) -> str | None:
    return values[-1] if values else None


def _properties(text: str, first: str) -> dict[str, str]:
    """QEMU's `value,key=value,…`, where `first` is the key of a value without one, or its JSON."""
    if text.startswith("{"):
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return {key: value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}
    found = {}
    for at, part in enumerate(re.split(r"(?<!,),(?!,)", text)):
        key, equals, value = part.replace(",,", ",").partition("=")
        if equals:
            found[key] = value
        elif at == 0:
            found[first] = key
    return found

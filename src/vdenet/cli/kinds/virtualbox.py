"""VirtualBox: an adapter of the caller's machine, bridged onto the segment or plugged into its switch.

Three ways. `bridge`: the kernel module vboxnetflt puts the adapter on the bridge; quick, and in every build.
`vde`: VirtualBox speaks to the switch itself, in builds that have the driver (Debian's; Oracle's packages
leave it out). `udp`: a tunnel on this host, in every build and without that module. The best one of this host
is taken unless the user names one. Into a VLAN lead the last two: bridged guests have no port of their own.
"""

from __future__ import annotations

import secrets
import shlex
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from vdenet.cli import hints, tools
from vdenet.errors import BadValue, NoGuest, Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model import tunnel
from vdenet.model.joining import Action, Found, Joining, Leaving, Place, RunTool, Where, Wish
from vdenet.text import inside, qemu, virtualbox
from vdenet.text.virtualbox import TOOL, Machine, Nic

BRIDGE, SWITCH, TUNNEL = "bridge", "vde", "udp"
WAYS = (BRIDGE, SWITCH, TUNNEL)
LIBRARIES = (Path("/usr/lib/virtualbox/VBoxDD.so"), Path("/opt/VirtualBox/VBoxDD.so"))
FILTER = Path("/sys/module/vboxnetflt")
DRIVER = Path("/sys/module/vboxdrv")
_NOTHING = ("none", "null")
"""What an adapter is attached to that is attached to nothing: disabled, or without a cable's other end."""
_SECONDS = 60


class VirtualBox:
    """A machine of the caller's."""

    def __init__(self, guest: str) -> None:
        self._vm = _machine(guest)

    @property
    def id(self) -> str:
        """The machine's own, which its name may outlive."""
        return self._vm.uuid

    def found(self, wish: Wish, where: Where) -> Found:
        """How the machine stands. Raises `BadValue`, `Refused`."""
        if wish.via is not None and wish.via not in WAYS:
            raise BadValue(what=_("way to join"), value=wish.via,
                           why=_("expected one of {ways}").format(ways=", ".join(WAYS)))
        if wish.port is not None and wish.via not in (None, SWITCH):
            raise BadValue(what=_("port"), value=wish.port, why=_("only the VDE switch has ports: --via vde"))
        on = self._on(where.bridge, where.switch)
        if on is None:
            self._require_changeable(_("join {guest}"))
        nic = self._choose(wish, on, where)
        via, _why = _chosen(wish, on)
        tunnelled = on is not None and on.target == virtualbox.UDP
        if via == TUNNEL and not tunnelled:
            self._require_off(wish)
        return Found(qemu.label(self._vm.name) or "vm", nic.mac, self._vm.running, joined=on is not None,
                     tunnel=via == TUNNEL, tunnelled=tunnelled,
                     guest_port=None if on is None else virtualbox.listens_at(on),
                     plug=via == SWITCH and wish.port is None)

    def join(self, wish: Wish, place: Place) -> Joining:
        """An adapter on the segment. Raises `BadValue`, `Refused`."""
        on = self._on(place.bridge, place.switch)
        nic = self._choose(wish, on, place)
        via, why = _chosen(wish, on)
        mac = nic.mac or place.mac
        if via == BRIDGE:
            after = virtualbox.bridged(nic, place.bridge, mac)
        elif via == TUNNEL:
            # By hand somebody may have written other ports.
            after = virtualbox.tunnelled(nic, tunnel.address(place.bridge), place.ports or ("", ""), mac)
        elif on is not None and on.target == virtualbox.VDE and wish.port is None and place.vde_port is None:
            after = on
        else:
            after = virtualbox.plugged(nic, place.switch, place.vde_port or wish.port, mac)
        if on is not None and _same(on, after):
            return Joining((), via, why, live=True, nic=str(on.number))
        if via == TUNNEL:
            self._require_off(wish)
        self._require_changeable(_("join {guest}"))
        return Joining(self._actions(nic, after), via, why, live=True, nic=str(nic.number), group=via == SWITCH,
                       memory={"before": asdict(virtualbox.unparked(nic) or nic)}, notes=self._notes(nic))

    def leave(self, where: Where, memory: object) -> Leaving:
        """The adapter as it was before; one that was joined by hand is taken out. Raises `Refused`.

        Of a machine that left while it ran and is off now, what could not be done then.
        """
        on = self._on(where.bridge, where.switch)
        if on is None:
            back = [(nic, virtualbox.unparked(nic, where.segment)) for nic in self._vm.nics.values()] \
                if self._vm.off else []
            return Leaving(tuple(action for nic, was in back if was is not None for action in self._actions(nic, was)),
                           live=False)
        self._require_changeable(_("take {guest} off"))
        before = _nic(memory.get("before")) if isinstance(memory, dict) else None
        if before is None or before.number != on.number or virtualbox.on_segment(before, where.bridge, where.switch):
            before = virtualbox.unplugged(on, "none")
        note = None
        if self._vm.running and before.kind in _NOTHING:
            was, before = before, self._aside(before, where.segment)
            note = self._left_to_do(was, before)
        # The MAC of an adapter that is taken out stays with it: another join finds its name and lease again.
        return Leaving(self._actions(on, replace(before, mac=before.mac or on.mac)),
                       live=self._vm.running, running=self._vm.running, mac=on.mac, note=note,
                       guest_port=virtualbox.listens_at(on) if self._vm.running else None)

    def _on(self, bridge: str, switch: str) -> Nic | None:
        return next((nic for number, nic in sorted(self._vm.nics.items())
                     if virtualbox.on_segment(nic, bridge, switch)), None)

    def _require_changeable(self, what: str) -> None:
        """Raises `Refused` where VirtualBox changes no adapter: while the machine's state is saved, and while it is at
        work on it."""
        if not (self._vm.running or self._vm.off or self._vm.saved):
            raise Refused(what=what.format(guest=self._vm.name),
                          why=_("VirtualBox is at work on it ({state})").format(state=self._vm.state),
                          hint=_("try again when it is done"))
        if self._vm.saved:
            raise Refused(what=what.format(guest=self._vm.name),
                          why=_("its state is saved, and VirtualBox changes no adapter of such a machine"),
                          hint=_("start it first, or give up what was saved: {command}").format(
                              command=shlex.join((TOOL, "discardstate", self._vm.name))))

    def _require_off(self, wish: Wish) -> None:
        """Raises `Refused` where the machine would be plugged into a tunnel while it runs: `vdenet.cli.tunnelling` says
        what may come of that."""
        if self._vm.running:
            off = _("switch it off first")
            other = "bridge" if wish.vlan is None and FILTER.exists() else "vde" if _speaks_vde() else None
            raise Refused(what=_("plug {guest} into a UDP tunnel while it runs").format(guest=self._vm.name),
                          why=_("VirtualBox' driver has a fault there that could end the machine later"),
                          hint=off if other is None else _("{first}, or --via {other}").format(first=off, other=other))

    def _choose(self, wish: Wish, on: Nic | None, where: Where) -> Nic:
        """The adapter to use: the one that is on the segment, the one asked for, or the first that is free."""
        vm = self._vm
        what = _("join {guest}").format(guest=vm.name)
        if wish.nic is not None and wish.nic not in vm.nics:
            raise BadValue(what=_("adapter"), value=wish.nic,
                           why=_("the machine has 1 to {number}").format(number=len(vm.nics)))
        if on is not None:
            if wish.nic not in (None, on.number):
                raise Refused(what=what, why=_("it is on the segment already, by its adapter {nic}").format(
                    nic=on.number), hint=hints.leave("virtualbox", vm.name, where.segment))
            return on
        if wish.nic is not None:
            nic = vm.nics[wish.nic]
            if vm.running and nic.kind == "none":
                raise Refused(what=what, why=_("its adapter {nic} is disabled, which cannot be changed while "
                                               "the machine runs").format(nic=nic.number),
                              hint=_("switch it off first"))
            return nic
        free = [nic for _number, nic in sorted(vm.nics.items())
                if self._is_free(nic) and not (nic.kind == "none" and vm.running)]
        if free:
            return next((nic for nic in free if not self._may_be_stuck(nic)), free[0])
        if vm.running:
            raise Refused(what=what, why=_("none of its adapters is free, and none can be added while it runs"),
                          hint=_("switch it off first, or name one to use: --nic N; leave puts it back"))
        raise Refused(what=what, why=_("all of its adapters are in use"),
                      hint=_("name one to use: --nic N; leave puts it back"))

    def _is_free(self, nic: Nic) -> bool:
        return nic.kind in _NOTHING or virtualbox.unparked(nic) is not None

    def _may_be_stuck(self, nic: Nic) -> bool:
        """Whether VirtualBox may stop the card for good when it is attached to something: see `virtualbox.parked`. The
        guest sends nothing while the cable is out."""
        return self._vm.running and nic.kind == "null" and nic.cable and nic.number in self._vm.virtio

    def _aside(self, nic: Nic, segment: str) -> Nic:
        """What does for an adapter that is to be attached to nothing while the machine runs. Internal networks are
        vboxdrv's."""
        if nic.number not in self._vm.virtio or not DRIVER.exists():
            return nic
        return virtualbox.parked(nic, segment, secrets.token_hex(16))

    def _left_to_do(self, was: Nic, aside: Nic) -> str | None:
        """What the user should know of an adapter that was attached to nothing, and has left while the machine runs."""
        if was == aside and was.kind == "null":
            return None
        cable = () if was.cable else (f"--cableconnected{was.number}", "off")
        command = shlex.join((TOOL, "modifyvm", self._vm.name, f"--nic{was.number}", was.kind, *cable))
        if was == aside:
            return _("its adapter {nic} is attached to nothing now; to disable it, when the machine is off: {command}"
                     ).format(nic=was.number, command=command)
        return _("its adapter {nic} is on a network of its own now, which leads nowhere; to take it from there, when "
                 "the machine is off: {command}").format(nic=was.number, command=command)

    def _notes(self, nic: Nic) -> tuple[str, ...]:
        """What the user should know of the adapter that joins."""
        notes = []
        if self._is_free(nic) and not all(
                self._is_free(each) for each in self._vm.nics.values() if each.number != nic.number):
            notes.append(inside.another(None))
        if self._may_be_stuck(nic):
            notes.append(_("its adapter {nic}, a virtio card, was attached to nothing while the machine ran: if it "
                           "sends nothing now, switch the machine off and on").format(nic=nic.number))
        return tuple(notes)

    def _actions(self, before: Nic, after: Nic) -> tuple[Action, ...]:
        """The commands from one state of an adapter to the other."""
        if self._vm.running:
            halt = self._vm.state == "running" and after.number in self._vm.virtio
            return tuple(RunTool(*both) for both in virtualbox.control(self.id, before, after, halt=halt))
        return (RunTool(virtualbox.modify(self.id, before, after),
                        virtualbox.modify(self.id, after, before)),)


def _machine(guest: str) -> Machine:
    tools.find(TOOL, hint=_("install VirtualBox: virtualbox.org has packages, and so has Debian's unstable in contrib"))
    try:
        readable = tools.ask([TOOL, "-q", "showvminfo", guest, "--machinereadable"], _SECONDS)
        human = tools.ask([TOOL, "-q", "showvminfo", guest], _SECONDS)
    except ToolFailed as error:
        why = str(error.data.get("why"))
        if "not find a registered machine" in why:
            raise NoGuest(kind="VirtualBox", guest=guest, why=_("you have no machine of that name"),
                          hint="VBoxManage list vms") from None
        raise
    try:
        settings = Path(virtualbox.settings_file(readable) or "").read_text(errors="replace")
    except OSError:
        settings = None
    vm = virtualbox.machine(readable, human, settings)
    if not vm.uuid or not vm.nics:
        raise ToolFailed(what=_("look at {guest}").format(guest=guest), tool=TOOL,
                         why=_("it shows no adapters of the machine"))
    return vm


def _chosen(wish: Wish, on: Nic | None) -> tuple[str, str]:
    """How to join, and why so: as it is joined already, unless the wish is another. Raises `Refused`."""
    if on is None or wish.via is not None or wish.port is not None or (wish.vlan is not None and on.kind == "bridged"):
        return _way(wish)
    if on.kind == "generic":
        return TUNNEL if on.target == virtualbox.UDP else SWITCH, _("it is there already")
    return BRIDGE, _("it is there already")


def _way(wish: Wish) -> tuple[str, str]:
    """How to join, and why so. Raises `Refused` when it cannot be."""
    if wish.via == SWITCH or (wish.via is None and wish.port is not None):
        if not _speaks_vde():
            raise Refused(what=_("plug VirtualBox into the VDE switch"),
                          why=_("this build of VirtualBox has no VDE driver"),
                          hint="--via bridge" if FILTER.exists() else "--via udp")
        return SWITCH, _("through the VDE switch, as asked")
    if wish.via == BRIDGE and wish.vlan is not None:
        raise Refused(what=_("bridge VirtualBox into a VLAN"), why=_(
            "vboxnetflt puts its guests onto the bridge itself, and no port there is theirs"),
            hint="--via vde" if _speaks_vde() else "--via udp")
    if wish.via == BRIDGE:
        return BRIDGE, _("on the bridge, as asked")
    if wish.via == TUNNEL:
        return TUNNEL, _("by a UDP tunnel on this host, as asked")
    if wish.vlan is not None:
        if _speaks_vde():
            return SWITCH, _("through a port of its own on the VDE switch, which is in the VLAN")
        return TUNNEL, _("by a UDP tunnel on this host into the VLAN, since this build has no VDE driver")
    if FILTER.exists():
        return BRIDGE, _("on the bridge, the quickest way: vboxnetflt is loaded")
    if _speaks_vde():
        return SWITCH, _("through the VDE switch, since vboxnetflt is not loaded")
    return TUNNEL, _("by a UDP tunnel on this host, since vboxnetflt is not loaded and this build has no VDE driver")


def _speaks_vde() -> bool:
    """Whether this build has the driver, by the name of the library that it opens."""
    return _opens_vde(LIBRARIES)


@cache
def _opens_vde(libraries: tuple[Path, ...]) -> bool:
    """Whether the first of these that is there names the library: megabytes, read once a command."""
    for library in libraries:
        try:
            return b"libvdeplug.so" in library.read_bytes()
        except OSError:
            continue
    return False


def _same(one: Nic, other: Nic) -> bool:
    return (one.kind, one.target, one.properties if one.kind == "generic" else None) == \
        (other.kind, other.target, other.properties if other.kind == "generic" else None)


def _nic(data: object) -> Nic | None:
    """What was remembered of an adapter; None when it cannot be understood."""
    if not isinstance(data, dict):
        return None
    known: dict[str, Any] = {each.name: data.get(each.name) for each in fields(Nic)}
    texts = (known["kind"], known["driver"])
    maybe = (known["target"], known["mac"], known["interface"])
    if not (isinstance(known["number"], int) and isinstance(known["cable"], bool)
            and all(isinstance(text, str) for text in texts)
            and all(text is None or isinstance(text, str) for text in maybe)
            and isinstance(known["properties"], dict)
            and all(isinstance(value, str) for value in known["properties"].values())):
        return None
    return Nic(**known)

"""VirtualBox: an adapter of the caller's machine, bridged onto the segment or plugged into its switch.

Two ways. `bridge`: the kernel module vboxnetflt puts the adapter on the bridge; quick, and in every build.
`vde`: VirtualBox speaks to the switch itself, in builds that have the driver (Debian's; Oracle's packages
leave it out). The first that this host can do is taken unless the user names one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from vdenet.cli import tools
from vdenet.errors import BadValue, NoGuest, Refused, ToolFailed
from vdenet.i18n import _
from vdenet.model.joining import Action, Found, Joining, Leaving, Place, RunTool, Wish
from vdenet.model.names import mac_address
from vdenet.text import qemu, virtualbox
from vdenet.text.virtualbox import Machine, Nic

TOOL = "VBoxManage"
WAYS = ("bridge", "vde")
_LIBRARIES = (Path("/usr/lib/virtualbox/VBoxDD.so"), Path("/opt/VirtualBox/VBoxDD.so"))
_FILTER = Path("/sys/module/vboxnetflt")


class VirtualBox:
    """The kind `virtualbox`."""

    name = "virtualbox"

    def find(self, guest: str, wish: Wish, bridge: str, switch: str) -> Found:
        """Look the machine up."""
        if wish.via is not None and wish.via not in WAYS:
            raise BadValue(what=_("way to join"), value=wish.via,
                           why=_("expected one of {ways}").format(ways=", ".join(WAYS)))
        vm = _machine(guest)
        on = _joined(vm, bridge, switch)
        nic = on if on is not None and wish.nic in (None, on.number) else _choose(vm, wish)
        mac = mac_address(nic.mac) if nic.mac is not None and nic.kind != "none" else None
        return Found(qemu.label(vm.name) or "vm", mac, vm.running, on is not None and nic == on)

    def join(self, guest: str, wish: Wish, place: Place) -> Joining:
        """An adapter on the segment."""
        vm = _machine(guest)
        on = _joined(vm, place.bridge, place.switch)
        via, why = _way(wish)
        before = on if on is not None and wish.nic in (None, on.number) else _choose(vm, wish)
        after = _wanted(before, via, wish, place)
        if on is not None and before == on and (wish.via is None or _same(before, after)) \
                and (wish.port is None or _same(before, after)):
            return Joining((), _via(on), why, live=True, nic=str(on.number))
        return Joining(_actions(vm, before, after), via, why, live=vm.running, nic=str(before.number),
                       memory={"nic": before.number, "before": _as_json(before)})

    def leave(self, guest: str, bridge: str, switch: str, memory: dict[str, object] | None) -> Leaving:
        """The adapter as it was before; one that was joined by hand is taken out."""
        vm = _machine(guest)
        on = _joined(vm, bridge, switch)
        if on is None:
            return Leaving((), live=False)
        before = _from_json(memory.get("before") if memory and memory.get("nic") == on.number else None)
        after = before or Nic(on.number, "null" if vm.running else "none")
        if vm.running and after.kind == "none":
            after = replace(after, kind="null")  # a running machine's adapter can be unplugged, not removed
        # Properties that are no longer wanted are erased by an empty value.
        left = {key: "" for key in on.properties if key not in after.properties}
        actions: list[Action] = []
        if left and on.kind == "generic":
            for key in left:
                actions.append(RunTool((TOOL, "controlvm", vm.uuid, f"nicproperty{on.number}", f"{key}=")
                                       if vm.running else
                                       (TOOL, "modifyvm", vm.uuid, f"--nicproperty{on.number}", f"{key}=")))
        return Leaving((*_actions(vm, on, after), *actions), live=vm.running)


def _machine(guest: str) -> Machine:
    tools.find(TOOL, package="virtualbox")
    try:
        readable = tools.ask([TOOL, "-q", "showvminfo", guest, "--machinereadable"], seconds=60)
        human = tools.ask([TOOL, "-q", "showvminfo", guest], seconds=60)
    except ToolFailed as error:
        why = str(error.data.get("why"))
        if "registered machine" in why or "OBJECT_NOT_FOUND" in why:
            raise NoGuest(kind="VirtualBox", guest=guest, why=_("you have no machine of that name"),
                          hint="VBoxManage list vms") from None
        raise
    return virtualbox.machine(readable, human)


def _joined(vm: Machine, bridge: str, switch: str) -> Nic | None:
    """The adapter that is on the segment."""
    for nic in vm.nics.values():
        if nic.kind == "bridged" and nic.target == bridge:
            return nic
        network = nic.properties.get("network", "").partition("[")[0].removeprefix("vde://")
        if nic.kind == "generic" and nic.target == virtualbox.VDE and network.rstrip("/") == switch:
            return nic
    return None


def _choose(vm: Machine, wish: Wish) -> Nic:
    """The adapter to use: the one asked for, or the first that is free."""
    if wish.nic is not None:
        nic = vm.nics.get(wish.nic)
        if nic is None:
            raise BadValue(what=_("adapter"), value=wish.nic, why=_("the machine has {number}").format(
                number=len(vm.nics)))
    else:
        free = [nic for nic in vm.nics.values() if nic.kind == "null" or (nic.kind == "none" and not vm.running)]
        if not free:
            raise Refused(what=_("join {guest}").format(guest=vm.name),
                          why=_("none of its adapters can be plugged in while it runs") if vm.running
                          else _("all of its adapters are in use"),
                          hint=_("switch it off first, or name one to use: --nic N") if vm.running
                          else _("name one to use: --nic N; leave puts it back"))
        nic = min(free, key=lambda one: one.number)
    if vm.running and nic.kind == "none":
        raise Refused(what=_("join {guest}").format(guest=vm.name),
                      why=_("its adapter {nic} is disabled, and cannot be enabled while it runs").format(
                          nic=nic.number), hint=_("switch it off first"))
    return nic


def _way(wish: Wish) -> tuple[str, str]:
    """How to join, and why so. Raises `Refused` when it cannot be."""
    filtering, vde = _FILTER.exists(), _speaks_vde()
    if wish.via == "vde" or (wish.via is None and wish.port is not None):
        if not vde:
            raise Refused(what=_("plug VirtualBox into the VDE switch"),
                          why=_("this build of VirtualBox has no VDE driver, or libvdeplug is missing"),
                          hint="tarr-steps join virtualbox --via bridge …")
        return "vde", _("through the segment's VDE switch, as asked")
    if wish.via == "bridge":
        return "bridge", _("bridged onto the segment, as asked")
    if filtering or not vde:
        return "bridge", _("bridged onto the segment: the quickest way")
    return "vde", _("through the segment's VDE switch: vboxnetflt is not loaded")


def _speaks_vde() -> bool:
    """Whether this build has the driver, by the name of the library that it opens."""
    for library in _LIBRARIES:
        try:
            return b"libvdeplug.so" in library.read_bytes()
        except OSError:
            continue
    return False


def _wanted(before: Nic, via: str, wish: Wish, place: Place) -> Nic:
    mac = before.mac if before.kind != "none" and before.mac is not None else place.mac
    if via == "bridge":
        return Nic(before.number, "bridged", place.bridge, mac)
    return Nic(before.number, "generic", virtualbox.VDE, mac, True,
               {"network": virtualbox.vde_network(place.switch, wish.port)})


def _same(one: Nic, other: Nic) -> bool:
    return (one.kind, one.target, dict(one.properties)) == (other.kind, other.target, dict(other.properties))


def _via(nic: Nic) -> str:
    return "vde" if nic.kind == "generic" else "bridge"


def _actions(vm: Machine, before: Nic, after: Nic) -> tuple[Action, ...]:
    """The commands from one state of an adapter to the other."""
    if not vm.running:
        return (RunTool(virtualbox.modify(vm.uuid, after), virtualbox.modify(vm.uuid, before)),)
    undo = virtualbox.control(vm.uuid, replace(before, kind="null", target=None)
                              if before.kind == "none" else before)[-1]
    commands = virtualbox.control(vm.uuid, after)
    return tuple(RunTool(argv, undo if argv == commands[-1] else ()) for argv in commands)


def _as_json(nic: Nic) -> dict[str, Any]:
    return {"number": nic.number, "kind": nic.kind, "target": nic.target, "mac": nic.mac, "cable": nic.cable,
            "properties": dict(nic.properties)}


def _from_json(data: object) -> Nic | None:
    if not isinstance(data, dict):
        return None
    number, kind, target, mac = (data.get(key) for key in ("number", "kind", "target", "mac"))
    properties = data.get("properties")
    if not (isinstance(number, int) and isinstance(kind, str) and isinstance(properties, dict)):
        return None
    return Nic(number, kind, target if isinstance(target, str) else None, mac if isinstance(mac, str) else None,
               data.get("cable") is True, {str(k): str(v) for k, v in properties.items()})

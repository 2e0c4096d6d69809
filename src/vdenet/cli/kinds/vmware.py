"""VMware Workstation and Player: an adapter on the vmnet that is bridged onto the segment, by the .vmx file.

VMware has no program that changes a machine's adapters, and reads the file when the machine starts. Which vmnet
is the segment's is root's to say, once: `vdenetd --vmware`.
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from vdenet.cli import hints
from vdenet.errors import BadValue, NoGuest, Refused, ToolMissing
from vdenet.i18n import _
from vdenet.model.joining import EditFile, Found, Joining, Leaving, Place, Where, Wish
from vdenet.probe import vmware, vmware_machines
from vdenet.probe.vmware_machines import SUFFIX
from vdenet.text import inside, qemu, vmware_file, vmware_machine, vmware_networks
from vdenet.text.vmware_file import Settings
from vdenet.text.vmware_machine import ADAPTERS, Nic

PROGRAMS = ("vmware", "vmplayer", "vmrun")


@dataclass(frozen=True, slots=True)
class _Memory:
    """How an adapter was before it joined: `fresh` when there was none of its number, `before` its lines."""

    nic: int
    vmnet: int
    fresh: bool
    before: dict[str, list[str]]


class VMware:
    """A machine of the caller's, by the path of its .vmx file or by its name."""

    def __init__(self, guest: str) -> None:
        self._networks = _networks()
        self._path = _find(guest)
        self._guest = guest
        try:
            self._text = vmware_machines.text(self._path)
            self._owner = self._path.stat().st_uid
        except FileNotFoundError:
            raise NoGuest(kind="VMware", guest=guest, why=_("{path} does not exist").format(path=self._path)) from None
        except OSError as error:
            raise Refused(what=_("read {path}").format(path=self._path), why=error.strerror or str(error)) from None
        settings = Settings(self._text)
        self._vm = vmware_machine.machine(settings)
        self._contradicted = {nic.number: settings.contradicted(nic.prefix) for nic in self._vm.nics.values()}
        self._holder = _holder(self._path)

    @property
    def id(self) -> str:
        """Where its configuration is."""
        return os.path.realpath(self._path)

    def found(self, wish: Wish, where: Where) -> Found:
        """How the machine stands. Raises `BadValue`, `Refused`."""
        if wish.vlan is not None:
            raise Refused(what=_("put {guest} into a VLAN").format(guest=self._guest), why=_(
                "VMware bridges its guests onto {bridge} itself, and no port there is theirs").format(
                    bridge=where.bridge))
        self._require_machine()
        self._vmnet(where.bridge)
        on = self._on(where.bridge)
        nic = self._choose(wish, on, where)
        return Found(qemu.label(self._vm.name or self._path.stem) or "vm", self._mac(nic),
                     running=self._holder is not None, joined=on is not None)

    def join(self, wish: Wish, place: Place) -> Joining:
        """An adapter on the segment's vmnet. Raises `BadValue`, `Refused`."""
        on = self._on(place.bridge)
        nic = self._choose(wish, on, place)
        vmnet = self._vmnet(place.bridge)
        why = _("VMware bridges vmnet{number} to {bridge}").format(number=vmnet, bridge=place.bridge)
        wanted = vmware_machine.joined(self._vm, nic, vmnet, place.mac)
        if on is not None:
            wanted = {key: value for key, value in wanted.items() if not key.endswith((".connectionType", ".vnet"))}
        after = vmware_file.edited(self._text, wanted)
        actions = () if after == self._text else (self._edit(self._joining(), after),)
        fresh = vmware_file.without(self._text, nic.prefix) == self._text
        second = not nic.present and any(each.present for each in self._vm.nics.values())
        return Joining(actions, "vmnet", why, live=False, nic=str(nic.number), memory=asdict(_Memory(
            nic.number, vmnet, fresh, vmware_file.taken(self._text, wanted))),
            notes=(inside.another(None),) if second else ())

    def leave(self, where: Where, memory: object) -> Leaving:
        """The adapter as it was before; one that was joined by hand is taken out. Raises `Refused`."""
        earlier = _remembered(memory)
        on = self._on(where.bridge) or self._was_on(earlier)
        if on is None:
            return Leaving((), live=False)
        after = self._text
        if earlier is not None and earlier.nic == on.number:
            after = vmware_file.restored(after, earlier.before)
            if earlier.fresh:
                after = vmware_file.without(after, on.prefix)  # what VMware has added since
        if after == self._text or self._on(where.bridge, after) is not None:
            after = vmware_file.edited(after, {f"{on.prefix}present": "FALSE"})
        return Leaving((self._edit(_("take {guest} off the segment").format(guest=self._guest), after),),
                       live=False, mac=on.mac)

    def _on(self, bridge: str, text: str | None = None) -> Nic | None:
        """The adapter that is on the segment."""
        vmnet = self._networks.get(bridge)
        vm = self._vm if text is None else vmware_machine.machine(Settings(text))
        return next((nic for nic in vm.nics.values() if vmnet is not None and nic.present and nic.vmnet == vmnet), None)

    def _was_on(self, earlier: _Memory | None) -> Nic | None:
        """The adapter that joined, still as it was then, though root has taken the vmnet from the segment since."""
        nic = self._vm.nics.get(earlier.nic) if earlier is not None else None
        return nic if nic is not None and earlier is not None and nic.present and nic.vmnet == earlier.vmnet else None

    def _vmnet(self, bridge: str) -> int:
        """The vmnet that is the segment's. Raises `Refused`."""
        vmnet = self._networks.get(bridge)
        if vmnet is None:
            raise Refused(what=self._joining(), hint=vmware.COMMAND, why=_(
                "none of VMware's networks is bridged to {bridge}").format(bridge=bridge))
        return vmnet

    def _choose(self, wish: Wish, on: Nic | None, where: Where) -> Nic:
        """The adapter to use: the one that is on the segment, the one asked for, or the first that is free."""
        if wish.nic is not None and wish.nic not in ADAPTERS:
            raise BadValue(what=_("adapter"), value=wish.nic, why=_("a machine has {first} to {last}").format(
                first=ADAPTERS[0], last=ADAPTERS[-1]))
        if on is not None:
            if wish.nic not in (None, on.number):
                raise Refused(what=self._joining(), why=_("it is on the segment already, by its adapter {nic}").format(
                    nic=on.number), hint=hints.leave("vmware", self._guest, where.segment))
            return on
        free = [nic for nic in self._vm.nics.values() if not nic.present and self._contradicted[nic.number] is None]
        if wish.nic is None and not free:
            raise Refused(what=self._joining(), why=_("all of its adapters are in use"),
                          hint=_("name one to use: --nic N; leave puts it back"))
        nic = free[0] if wish.nic is None else self._vm.nics[wish.nic]
        if (twice := self._contradicted[nic.number]) is not None:
            raise Refused(what=self._joining(), why=_("{path} contradicts itself: {name} stands in the lines {lines}"
                                                      ).format(path=self._path, name=twice[0],
                                                               lines=", ".join(map(str, twice[1]))))
        return nic

    def _mac(self, nic: Nic) -> str:
        """Of an adapter that the guest has, its own; else one that VMware takes, the same each time."""
        if nic.present and nic.mac is not None:
            return nic.mac
        return vmware_machine.static_mac(str(os.getuid()), self.id, str(nic.number))

    def _require_machine(self) -> None:
        if self._vm.encrypted:
            raise Refused(what=self._joining(), why=_("{path} is encrypted").format(path=self._path))
        if not self._vm.known:
            raise Refused(what=self._joining(), why=_("{path} is not the configuration of a machine").format(
                path=self._path))

    def _edit(self, what: str, after: str) -> EditFile:
        """The change of the file, where it may be made now. Raises `Refused`."""
        if self._owner != os.geteuid():
            raise Refused(what=what, why=_("{path} belongs to {owner}").format(
                path=self._path, owner=_account(self._owner)))
        if not os.access(self._path, os.W_OK):
            raise Refused(what=what, why=_("{path} is read-only").format(path=self._path))
        if self._holder is not None:
            # It would write its own idea of the file over ours when it lets go.
            raise Refused(what=what, why=_("VMware has it open: {holder}").format(holder=self._holder),
                          hint=_("shut it down, and close its tab in VMware"))
        if self._vm.suspended is not None and os.path.exists(self._path.parent / self._vm.suspended):
            raise Refused(what=what, why=_("it is suspended, with its adapters as they were"),
                          hint=_("resume it and shut it down"))
        return EditFile(str(self._path), self._text, after)

    def _joining(self) -> str:
        return _("join {guest}").format(guest=self._guest)


def _networks() -> dict[str, int]:
    """The vmnet that is bridged to each interface. Raises `ToolMissing`, `Refused`."""
    try:
        found = vmware.networks()
    except OSError as error:
        raise Refused(what=_("read {path}").format(path=vmware_networks.PATH), why=error.strerror or str(error),
                      hint=f"sudo chmod a+r {vmware_networks.PATH}") from None
    if found is not None:
        return found
    if not any(shutil.which(program) for program in PROGRAMS):
        raise ToolMissing(tool="VMware", hint=_("Workstation and Player come from VMware's own site, not from Debian"))
    raise Refused(what=_("look at VMware's networks"), why=_("VMware has never been started here"),
                  hint=_("start it once, then: {command}").format(command=vmware.COMMAND))


def _find(guest: str) -> Path:
    """The .vmx file that the user means. Raises `NoGuest`, `Refused`."""
    if "/" in guest or guest.endswith(SUFFIX):
        path = Path(guest).absolute()
        try:
            inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        except OSError as error:
            raise Refused(what=_("read {path}").format(path=path), why=error.strerror or str(error)) from None
    else:
        inside = vmware_machines.called(guest, Path.home())
    if not inside:
        raise NoGuest(kind="VMware", guest=guest, why=_("VMware has noted down no machine of yours with that name"),
                      hint=_("name it by the path of its .vmx file"))
    if len(inside) > 1:
        raise Refused(what=_("choose one: {guest}").format(guest=guest), hint=_("name it by its path"), why=_(
            "several machines are called so: {paths}").format(paths=", ".join(map(str, inside))))
    return inside[0]


def _holder(path: Path) -> str | None:
    try:
        return vmware_machines.holder(path)
    except OSError as error:
        return str(error)  # what cannot be looked at may well be held


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _remembered(memory: object) -> _Memory | None:
    """What was remembered; None when that cannot be understood."""
    known = [memory.get(key) for key in ("nic", "vmnet", "fresh", "before")] if isinstance(memory, dict) else [None] * 4
    number, vmnet, fresh, before = known
    if not (isinstance(number, int) and isinstance(vmnet, int) and isinstance(fresh, bool)
            and isinstance(before, dict)):
        return None
    if not all(isinstance(name, str) and name.startswith(f"ethernet{number}.") and isinstance(bodies, list)
               and all(isinstance(body, str) and "\n" not in body and "\r" not in body for body in bodies)
               for name, bodies in before.items()):
        return None
    return _Memory(number, vmnet, fresh, before)

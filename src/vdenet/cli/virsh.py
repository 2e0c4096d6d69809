"""virsh, libvirt's own tool: which libvirt has a domain, what it says, whether it may be changed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from vdenet.cli import tools
from vdenet.errors import BadValue, NoGuest, NotPermitted, Refused, ToolFailed
from vdenet.i18n import _
from vdenet.text import libvirt
from vdenet.text.libvirt import TOOL

SESSION, SYSTEM = "session", "system"
VARIABLES = ("VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI")
"""virsh(1); the first has precedence."""
_SECONDS = 60
_DENIED = ("authentication", "access denied", "permission denied")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Virsh:
    """virsh on one libvirt of this host."""

    uri: str

    @property
    def place(self) -> str:
        """Which libvirt it is, however the user spells it."""
        return libvirt.connection(self.uri) or self.uri

    @property
    def session(self) -> bool:
        """It runs as the user."""
        return self.place == SESSION

    def look(self, *words: str) -> str:
        """What a command that changes nothing prints. Raises `ToolFailed`, `ToolMissing`.

        Everybody may look at the system, so nobody is asked for a password for it.
        """
        only = () if self.session else ("--readonly",)
        return tools.ask([TOOL, *only, "--connect", self.uri, *words], _SECONDS)

    def require_permission(self) -> None:
        """Raises `NotPermitted` where libvirt lets the user look but not change; `ToolFailed`."""
        if self.session:
            return
        try:
            tools.ask([TOOL, "--connect", self.uri, "uri"], _SECONDS)
        except ToolFailed as error:
            raise self.refusal(error) from None

    def refusal(self, error: ToolFailed) -> NotPermitted | ToolFailed:
        """Why it did not answer."""
        if self.session or not any(word in str(error.data.get("why")).lower() for word in _DENIED):
            return error
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = str(os.getuid())
        return NotPermitted(what=_("change domains of {uri}").format(uri=self.uri),
                            why=_("libvirt does not let you"), hint=f"sudo adduser {name} libvirt")


def find(guest: str, connect: str | None) -> tuple[Virsh, str, str]:
    """Where the domain of this name or UUID is, its UUID, and its name.

    Raises `BadValue`, `NoGuest`, `NotPermitted`, `Refused`, `ToolMissing`, `ToolFailed`.
    """
    tools.find(TOOL, package="libvirt-clients")
    places = [Virsh(uri) for uri in _uris(connect)]
    found: list[tuple[Virsh, str, str]] = []
    failed: list[tuple[Virsh, ToolFailed]] = []
    for virsh in places:
        try:
            domains = libvirt.listed(virsh.look("list", "--all", "--uuid", "--name"))
        except ToolFailed as error:
            failed.append((virsh, error))
            continue
        found += [(virsh, uuid, name) for uuid, name in domains.items() if guest == name or guest.lower() == uuid]
    if len(found) > 1:
        raise Refused(
            what=_("use the domain {guest}").format(guest=guest),
            why=_("there is one of that name in {places}").format(
                places=_(" and in ").join(virsh.uri for virsh, _uuid, _name in found)),
            hint=_("say which: --connect {uri}").format(uri=found[0][0].uri))
    if found:
        return found[0]
    if len(failed) == len(places):
        raise failed[0][0].refusal(failed[0][1])
    silent = [virsh for virsh, _error in failed]
    why = _("no domain of that name in {places}").format(
        places=", ".join(virsh.uri for virsh in places if virsh not in silent))
    for virsh, failure in failed:
        why += "; " + _("{uri} does not answer: {why}").format(uri=virsh.uri, why=failure.data.get("why"))
    raise NoGuest(kind="libvirt", guest=guest, why=why, hint=f"virsh --connect {places[-1].uri} list --all")


def understood(parse: Callable[[str], _T], text: str) -> _T:
    """What virsh printed, parsed. Raises `ToolFailed`."""
    try:
        return parse(text)
    except ValueError as error:
        raise ToolFailed(what=_("understand the answer of"), tool=TOOL, why=str(error)) from None


def _uris(connect: str | None) -> list[str]:
    """Where to look: where the user says, else both."""
    named = connect or next((os.environ[name] for name in VARIABLES if os.environ.get(name)), None)
    if named is None:
        return ["qemu:///system"] if os.geteuid() == 0 else ["qemu:///session", "qemu:///system"]
    if libvirt.connection(named) is None:
        raise BadValue(what=_("connection"), value=named, why=_(
            "expected qemu:///system or qemu:///session, which are of this host"))
    return [named]

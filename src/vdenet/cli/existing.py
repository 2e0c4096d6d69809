"""join KIND GUEST and leave KIND GUEST for guests that their hypervisor knows already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import typer

from vdenet.cli import kinds, options
from vdenet.cli.complain import PROGRAM, WrongUsage
from vdenet.cli.output import Output
from vdenet.errors import BadValue
from vdenet.i18n import _
from vdenet.model.joining import Wish
from vdenet.model.names import guest_name

GUEST = typer.Argument(..., help=_("The guest, as its own tool calls it."))
NAME = typer.Option(None, "--name", metavar="NAME", show_default=False,
                    help=_("Its name on the segment, where that is to be another."))
VIA = typer.Option(None, "--via", metavar="WAY", show_default=False,
                   help=_("How to join: bridge, vde or udp; the best one here when not given."))
NIC = typer.Option(None, "--nic", metavar="N", min=0, max=255, show_default=False,
                   help=_("Which of its network adapters to use; the first that is free when not given."))
PORT = typer.Option(None, "--port", metavar="N", min=1, max=1024, show_default=False,
                    help=_("Which port of the VDE switch; any when not given."))
CONNECT = typer.Option(None, "--connect", metavar="URI", show_default=False, help=_(
    "libvirt: qemu:///session or qemu:///system; the one that has the guest when not given."))
DRY_RUN = typer.Option(False, "--dry-run", help=_("Change nothing: print what would be done."))


def join(kind: str) -> Callable[..., None]:
    """The command that joins a guest of this kind."""
    def switchable(guest: str = GUEST, name: Optional[str] = NAME, via: Optional[str] = VIA,
                   nic: Optional[int] = NIC, port: Optional[int] = PORT, vlan: Optional[int] = options.VLAN,
                   dry_run: bool = DRY_RUN, segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
                   quiet: bool = options.QUIET) -> None:
        if port is not None and vlan is not None:
            raise WrongUsage(command=f"{PROGRAM} join {kind}", why=_(
                "--port or --vlan: the VLAN of a port stands in the segment's configuration"))
        _join(kind, guest, name, Wish(via=via, nic=nic, port=port, vlan=vlan), segment, dry_run, Output(json, quiet))

    def plain(guest: str = GUEST, name: Optional[str] = NAME, nic: Optional[int] = NIC,
              vlan: Optional[int] = options.VLAN, dry_run: bool = DRY_RUN,
              segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
              quiet: bool = options.QUIET) -> None:
        _join(kind, guest, name, Wish(nic=nic, vlan=vlan), segment, dry_run, Output(json, quiet))

    def single(guest: str = GUEST, name: Optional[str] = NAME, vlan: Optional[int] = options.VLAN,
               dry_run: bool = DRY_RUN, segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
               quiet: bool = options.QUIET) -> None:
        _join(kind, guest, name, Wish(vlan=vlan), segment, dry_run, Output(json, quiet))

    def connected(guest: str = GUEST, name: Optional[str] = NAME, nic: Optional[int] = NIC,
                  uri: Optional[str] = CONNECT, vlan: Optional[int] = options.VLAN, dry_run: bool = DRY_RUN,
                  segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
                  quiet: bool = options.QUIET) -> None:
        _join(kind, guest, name, Wish(nic=nic, connect=uri, vlan=vlan), segment, dry_run, Output(json, quiet))

    if kinds.TABLE[kind].switchable:
        return switchable
    if not kinds.TABLE[kind].adapters:
        return single
    if kinds.TABLE[kind].connected:
        return connected
    return plain


def leave(kind: str, guest: str, uri: str | None, segment: str, dry_run: bool, output: Output) -> None:
    """Take a guest of one of these kinds off the segment."""
    from vdenet.cli import leaving

    leaving.leave(kind, checked(guest), uri, segment, dry_run, output)


def checked(guest: str) -> str:
    """A guest's name or path as its tool takes it: never an option of that tool. Raises `BadValue`."""
    if not guest or len(guest) > (4095 if "/" in guest else 255) or not guest.isprintable() or guest.startswith("-"):
        raise BadValue(what=_("guest"), value=guest[:80], why=_("expected the name that its own tool shows"))
    return guest


def _join(kind: str, guest: str, name: str | None, wish: Wish, segment: str | None, dry_run: bool,
          output: Output) -> None:
    from vdenet.cli import guests

    guests.join(kind, checked(guest), None if name is None else guest_name(name), wish,
                options.chosen(segment), dry_run, output)

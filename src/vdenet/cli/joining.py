"""join, leave: a guest on the segment, and off it."""

from __future__ import annotations

import os
import platform
import shlex
from typing import Any, NoReturn, Optional

import typer

from vdenet.cli import access, answers, documents, existing, hints, kinds, options, rehearsal, tools
from vdenet.cli.client import ask, connect
from vdenet.cli.complain import PROGRAM, WrongUsage
from vdenet.cli.output import Output
from vdenet.errors import BadValue, NameTaken, NotPermitted, Refused, ToolFailed, ToolMissing
from vdenet.i18n import _
from vdenet.model.names import guest_name, mac_address
from vdenet.model.report import GuestReport
from vdenet.text import qemu
from vdenet.wire.channel import close_all

KINDS = ("qemu", "run")

VHOST = "/dev/vhost-net"
_UNKNOWN, _PORT = "MAC", "PORT"
"""What stand for the daemon's choice in a dry run."""

NAME = typer.Option(None, "--name", metavar="NAME", show_default=False,
                    help=_("The guest's name on the segment."))
MAC = typer.Option(None, "--mac", metavar="MAC", show_default=False,
                   help=_("Its MAC address; always the same for a name when not given."))
MODEL = typer.Option(qemu.DEFAULT_MODEL, "--model", metavar="DEVICE", show_default=False,
                     help=_("QEMU's network device; {model} when not given.").format(
                         model=qemu.DEFAULT_MODEL))
PRINT = typer.Option(False, "--print", help=_(
    "Run nothing: print the arguments for a NIC over VDE, to be put into a QEMU command."))
TAP = typer.Option(None, "--tap", metavar="NAME", show_default=False, help=_(
    "Run nothing: keep a tap for the guest NAME, which QEMU opens by the tap's name, and print the arguments."))
DRY_RUN = typer.Option(False, "--dry-run", help=_("Run nothing: print the command."))
COMMAND = typer.Argument(None, show_default=False, help=_(
    "The guest's own command behind --, as it would be without vdenet."))
KIND = typer.Argument(..., help=_("How it was joined: {kinds}.").format(
    kinds=", ".join((*KINDS, *kinds.TABLE))))
GUEST = typer.Argument(..., help=_("Its name."))


def join_qemu(
    command: Optional[list[str]] = COMMAND, name: Optional[str] = NAME, mac: Optional[str] = MAC,
    model: str = MODEL, vlan: Optional[int] = options.VLAN, print_: bool = PRINT, tap: Optional[str] = TAP,
    dry_run: bool = DRY_RUN,
    segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """`join qemu`: run the user's QEMU with a NIC on the segment."""
    argv = list(command or ())
    output = Output(json, quiet)
    where = options.chosen(segment)
    label = guest_name(name) if name is not None else qemu.guest_name(argv)
    address = mac_address(mac) if mac is not None else None
    if not qemu.is_model(model):
        raise BadValue(what=_("network device"), value=model, why=_(
            "expected a name such as {model}").format(model=qemu.DEFAULT_MODEL))
    if tap is not None:
        if argv or print_ or name is not None:
            raise WrongUsage(command=f"{PROGRAM} join qemu", why=_(
                "--tap NAME stands alone: no command, no --print, no --name"))
        _keep_tap(where, guest_name(tap), address, vlan, model, dry_run, output)
    elif print_:
        _print_nic(argv, where, label, address, vlan, model, dry_run, output)
    elif not argv:
        raise WrongUsage(command=f"{PROGRAM} join qemu", why=_("the QEMU command is missing"))
    elif dry_run:
        tools.find(argv[0])
        wished = _wished(where, label, address, vlan, output)
        command = [*argv, *qemu.tap_nic(where, wished["mac"] or _UNKNOWN, 3, None, model)]
        output.result(shlex.join(command), documents.joined(
            "qemu", label, wished, via="tap", changed=False, live=True, actions=[shlex.join(command)], command=command))
    else:
        _run(argv, where, label, address, vlan, model, output)


def _wished(segment: str, label: str | None, mac: str | None, vlan: int | None, output: Output, *,
            kept: bool = False) -> dict[str, Any]:
    """What the daemon would give a guest. Raises what it would refuse it with."""
    wished = rehearsal.qemu(segment, label, mac, vlan, kept=kept)
    if wished["mac"] is None:
        output.aside(_("the guest has no name: vdenetd chooses one when it joins, and a MAC address for it"))
    return wished


def _run(argv: list[str], segment: str, label: str | None, mac: str | None, vlan: int | None, model: str,
         output: Output) -> NoReturn:
    tools.find(argv[0])  # before a port is taken for nothing
    with connect() as daemon:
        reply = daemon.call("OpenTap", segment=segment, name=label, mac=mac, kind="qemu", vlan=vlan)
    joined, fds = reply.parameters, reply.fds
    if not fds:
        raise ToolFailed(what=_("join the segment"), tool="vdenetd", why=_("it sent no tap"))
    tap, vhost = fds[0], fds[1] if joined.get("vhost") and len(fds) > 1 else None
    close_all(fds[1:] if vhost is None else fds[2:])
    run = [*argv, *qemu.tap_nic(answers.text(joined, "segment"), answers.text(joined, "mac"), tap, vhost, model)]
    if output.json:
        output.result("", documents.joined(
            "qemu", answers.text(joined, "name"), joined, via="tap", changed=True, live=True,
            actions=[shlex.join(run)], port=joined.get("port"), mtu=joined.get("mtu"), vhost=vhost is not None))
    output.aside(_("{name} joins {segment} as {fqdn}, {mac}").format_map(_words(joined)))
    tools.replace(run, inherit=[tap] if vhost is None else [tap, vhost])


def _keep_tap(segment: str, name: str, mac: str | None, vlan: int | None, model: str, dry_run: bool,
              output: Output) -> None:
    try:
        if dry_run:
            kept = _wished(segment, name, mac, vlan, output, kept=True)
        else:
            kept = ask("KeepTap", segment=segment, name=name, mac=mac, kind="qemu", vlan=vlan)
    except NameTaken as error:
        raise NameTaken(**error.data, option="--tap") from None
    if not dry_run:
        output.aside(_("{name} has the tap {port} on {segment}, as {fqdn}, until: {leave}").format(
            **_words(kept), leave=hints.leave("qemu", name, segment)))
    port = answers.text(kept, "port")
    nic = qemu.kept_nic(segment, answers.text(kept, "mac"), port, os.access(VHOST, os.R_OK | os.W_OK), model)
    output.result(shlex.join(nic), documents.joined(
        "qemu", name, kept, via="tap", changed=not dry_run and _is_new(kept), live=True, port=port, arguments=nic))


def _print_nic(argv: list[str], segment: str, label: str | None, mac: str | None, vlan: int | None, model: str,
               dry_run: bool, output: Output) -> None:
    _require_vde(argv)
    reserved: dict[str, Any]
    if dry_run:
        reserved = _wished(segment, label, mac, vlan, output)
        port: int | str | None = None if reserved["vlan"] is None else _PORT
    else:
        reserved = ask("Reserve", segment=segment, name=label, mac=mac, kind="qemu", vlan=vlan, plug=True)
        port = answers.number(reserved, "vde_port")
    if access.account().late:
        output.aside(_("this login is older than the membership: log out and in again, else the VDE switch "
                       "does not let your QEMU in"))
    switch = answers.text(reserved, "switch")
    nic = qemu.vde_nic(segment, reserved["mac"] or _UNKNOWN, switch, model, port)
    output.result(shlex.join(nic), documents.joined(
        "qemu", answers.maybe(reserved, "name"), reserved, via="vde", changed=not dry_run and _is_new(reserved),
        live=True, switch=switch, vde_port=None if dry_run else port, arguments=nic))


def _is_new(given: dict[str, Any]) -> bool:
    """Whether the daemon gave what it had not given before."""
    return given.get("changed") is not False


def _require_vde(argv: list[str]) -> None:
    """Raises `ToolFailed` when the QEMU that is to be used, or else this host's own, has no VDE."""
    if not argv:
        try:
            argv = [qemu.program(platform.machine())]
            tools.find(argv[0])
        except ToolMissing:
            return  # it is elsewhere, and the user knows where
    if not qemu.has_vde(tools.ask([argv[0], "-netdev", "help"], seconds=30)):
        raise ToolFailed(
            what=_("put a NIC on the VDE switch"), tool=argv[0], why=_("it is built without VDE"),
            hint=_("take a tap: {run} or {tap}").format(
                run=f"{PROGRAM} join qemu -- {argv[0]} …", tap=f"{PROGRAM} join qemu --tap NAME"))


def join_run(
    command: Optional[list[str]] = COMMAND, name: Optional[str] = NAME, mac: Optional[str] = MAC,
    vlan: Optional[int] = options.VLAN, segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """`join run`: any command in a network namespace of its own on the segment."""
    argv = list(command or ())
    if not argv:
        raise WrongUsage(command=f"{PROGRAM} join run", why=_("the command is missing"))
    where = options.chosen(segment)
    label = guest_name(name) if name is not None else None
    address = mac_address(mac) if mac is not None else None
    from vdenet.cli.joinrun import join_run as run

    with connect() as daemon:
        status = run(daemon, where, label, address, argv, vlan=vlan, say=Output(json, quiet).aside)
    raise typer.Exit(status)


def leave(kind: str = KIND, guest: str = GUEST, uri: Optional[str] = existing.CONNECT,
          dry_run: bool = existing.DRY_RUN, segment: Optional[str] = options.SEGMENT, json: bool = options.JSON,
          quiet: bool = options.QUIET) -> None:
    """`leave`: take a guest off the segment."""
    if uri is not None and (kind not in kinds.TABLE or not kinds.TABLE[kind].connected):
        raise WrongUsage(command=f"{PROGRAM} leave", why=_("--connect is for libvirt"))
    if kind in kinds.TABLE:
        existing.leave(kind, guest, uri, options.chosen(segment), dry_run, Output(json, quiet))
        return
    if kind not in KINDS:
        raise BadValue(what=_("kind of guest"), value=kind, why=_("expected one of {kinds}").format(
            kinds=", ".join((*KINDS, *kinds.TABLE))))
    _leave(kind, guest_name(guest), options.chosen(segment), dry_run, Output(json, quiet))


def _leave(kind: str, name: str, segment: str, dry_run: bool, output: Output) -> None:
    if dry_run:
        there = _there(name, segment)
        _require_no_other(kind, name, segment, there)
        _require_permission(there)
        seen = there is not None and there.kind == kind
        text = _("{name} leaves {segment}") if seen else _(
            "{name} is not to be seen on {segment}: only its name is freed, if it has joined")
        output.result(text.format(name=name, segment=segment),
                      documents.left(segment, kind, name, name, left=False, live=seen))
        return
    left = bool(ask("Leave", segment=segment, name=name, kind=kind).get("left"))
    if not left:
        _require_no_other(kind, name, segment, _there(name, segment))
    text = _("{name} has left {segment}") if left else _("{name} is not on {segment}")
    output.remark(text.format(name=name, segment=segment),
                  documents.left(segment, kind, name, name, left=left, live=left))


def _there(name: str, segment: str) -> GuestReport | None:
    """The guest that is on the segment under that name, and joined it."""
    guests = answers.segment(ask("List", segment=segment)).guests
    return next((one for one in guests if one.name == name and one.joined), None)


def _require_no_other(kind: str, name: str, segment: str, there: GuestReport | None) -> None:
    """Raises `Refused` where the name is that of a guest of another kind."""
    if there is None or there.kind in (None, kind):
        return
    known = there.guest if there.kind in kinds.TABLE and there.guest is not None else name
    raise Refused(what=_("take the {kind} guest {name} off the segment").format(kind=kind, name=name),
                  why=_("the guest of that name is of the kind {kind}").format(kind=there.kind),
                  hint=hints.leave(str(there.kind), known, segment) if _is_mine(there) else None)


def _require_permission(there: GuestReport | None) -> None:
    """Raises `NotPermitted` for another member's guest, as the daemon does."""
    if there is not None and not _is_mine(there):
        raise NotPermitted(what=_("remove {name}").format(name=there.name), why=_("it belongs to another user"))


def _is_mine(one: GuestReport) -> bool:
    return os.geteuid() == 0 or one.owner in (None, access.account().name)


def _words(joined: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in joined.items()}

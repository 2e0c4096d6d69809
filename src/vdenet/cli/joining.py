"""join, leave: a guest on the segment, and off it."""

from __future__ import annotations

import os
import platform
import shlex
from typing import Any, NoReturn, Optional

import typer

from vdenet.cli import access, answers, existing, kinds, options, tools
from vdenet.cli.client import connect
from vdenet.cli.complain import PROGRAM, WrongUsage
from vdenet.cli.output import Output
from vdenet.errors import BadValue, ToolFailed, ToolMissing
from vdenet.i18n import _
from vdenet.model.names import derived_mac, guest_name, mac_address, port_name
from vdenet.text import qemu
from vdenet.wire.channel import close_all

KINDS = ("qemu", "run")

VHOST = "/dev/vhost-net"

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
        _print_nic(argv, where, label, address, vlan, model, output)
    elif not argv:
        raise WrongUsage(command=f"{PROGRAM} join qemu", why=_("the QEMU command is missing"))
    elif dry_run:
        nic = qemu.tap_nic(where, address or "MAC", 3, None, model)
        output.result(shlex.join([*argv, *nic]), {
            "segment": where, "name": label, "mac": address, "command": [*argv, *nic]})
    else:
        _run(argv, where, label, address, vlan, model, output)


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
    if output.json:
        output.result("", {**_document(joined), "port": joined.get("port"),
                           "mtu": joined.get("mtu"), "vhost": vhost is not None})
    output.aside(_("{name} joins {segment} as {fqdn}, {mac}").format_map(_words(joined)))
    tools.replace([*argv, *qemu.tap_nic(answers.text(joined, "segment"),
                                        answers.text(joined, "mac"), tap, vhost, model)],
                  inherit=[tap] if vhost is None else [tap, vhost])


def _keep_tap(segment: str, name: str, mac: str | None, vlan: int | None, model: str, dry_run: bool,
              output: Output) -> None:
    if dry_run:
        kept = {"segment": segment, "name": name, "mac": mac or derived_mac(segment, str(os.getuid()), name),
                "fqdn": None, "port": port_name(segment, name)}
    else:
        with connect() as daemon:
            kept = daemon.call("KeepTap", segment=segment, name=name, mac=mac, kind="qemu", vlan=vlan).parameters
        output.aside(_("{name} has the tap {port} on {segment}, as {fqdn}, until: {leave}").format(
            **_words(kept), leave=f"{PROGRAM} leave qemu {name}"))
    port = answers.text(kept, "port")
    nic = qemu.kept_nic(segment, answers.text(kept, "mac"), port, os.access(VHOST, os.R_OK | os.W_OK), model)
    output.result(shlex.join(nic), {
        **{key: answers.maybe(kept, key) for key in ("segment", "name", "mac", "fqdn")}, "port": port,
        "arguments": nic})


def _print_nic(argv: list[str], segment: str, label: str | None, mac: str | None, vlan: int | None, model: str,
               output: Output) -> None:
    _require_vde(argv)
    with connect() as daemon:
        reserved = daemon.call("Reserve", segment=segment, name=label, mac=mac,
                               kind="qemu", vlan=vlan, plug=True).parameters
    if access.account().late:
        output.aside(_("this login is older than the membership: log out and in again, else the VDE switch "
                       "does not let your QEMU in"))
    nic = qemu.vde_nic(answers.text(reserved, "segment"), answers.text(reserved, "mac"),
                       answers.text(reserved, "switch"), model, answers.number(reserved, "vde_port"))
    output.result(shlex.join(nic), {
        **_document(reserved), "switch": answers.text(reserved, "switch"),
        "vde_port": answers.number(reserved, "vde_port"), "arguments": nic})


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
    if uri is not None and kind not in kinds.CONNECTED:
        raise WrongUsage(command=f"{PROGRAM} leave", why=_("--connect is for libvirt"))
    if kind in kinds.TABLE:
        existing.leave(kind, guest, uri, options.chosen(segment), dry_run, Output(json, quiet))
        return
    if kind not in KINDS:
        raise BadValue(what=_("kind of guest"), value=kind, why=_("expected one of {kinds}").format(
            kinds=", ".join((*KINDS, *kinds.TABLE))))
    name, where = guest_name(guest), options.chosen(segment)
    if dry_run:
        Output(json, quiet).result(_("{name} leaves {segment}").format(name=name, segment=where), {
            "segment": where, "name": name, "left": False})
        return
    with connect() as daemon:
        done = daemon.call("Leave", segment=where, name=name, kind=kind).parameters
    left = bool(done.get("left"))
    text = _("{name} has left {segment}") if left else _("{name} is not on {segment}")
    Output(json, quiet).remark(text.format_map(_words(done)), {
        "segment": answers.text(done, "segment"), "name": answers.text(done, "name"), "left": left})


def _document(joined: dict[str, Any]) -> dict[str, Any]:
    return {**{key: answers.text(joined, key) for key in ("segment", "name", "mac", "fqdn")},
            "vlan": answers.number(joined, "vlan")}


def _words(joined: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in joined.items()}

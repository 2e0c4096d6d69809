"""vdenetd: serve; or, for the package's scripts and for root, --init, --down and --vmware."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import grp
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import vdenet
from vdenet.daemon import confirming, host, log, notify, segments
from vdenet.daemon.configuration import Configuration
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import logger
from vdenet.daemon.server import Server
from vdenet.daemon.watch import Watch
from vdenet.effect import files
from vdenet.errors import Refused, VdenetError
from vdenet.i18n import _
from vdenet.model.names import DEFAULT_SEGMENT
from vdenet.model.places import GROUP, Places
from vdenet.text import config
from vdenet.text.networks import choose_network, choose_ula


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns the exit status."""
    parser = argparse.ArgumentParser(prog="vdenetd", description=_(
        "The daemon of vdenet: makes and keeps the Ethernet segments of this host. Without an option it "
        "serves in the foreground; see vdenetd(8)."))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--init", action="store_true", help=_("configure the first segment if there is none, and end"))
    what.add_argument("--down", action="store_true", help=_("take every segment down, and end"))
    what.add_argument("--vmware", nargs="?", const="on", choices=("on", "off"), help=_(
        "bridge a network of VMware's to each segment, so that its machines can join, and end; off: undo that"))
    parser.add_argument("--version", action="version", version=f"vdenetd {vdenet.__version__}")
    options = parser.parse_args(argv)
    os.umask(0o022)
    places = Places()
    try:
        if os.geteuid() != 0:
            raise Refused(what=_("start"), why=_("it has to be started by root"))
        if options.init:
            return _init(places)
        if options.vmware:
            return _vmware(places, options.vmware == "on")
        log.set_up()
        _make_places(places)
        return _down(places) if options.down else _serve(places)
    except VdenetError as error:
        print(f"vdenetd: {error}", file=sys.stderr)
        return 1


def _init(places: Places) -> int:
    """Write the default segment's file, with a network that nothing else on this host uses."""
    from vdenet.probe import configured, routes

    if any(path.name != places.policy.name for path in Path(places.etc).glob("*.toml")):
        print(_("vdenetd: a segment is configured already"))
        return 0
    taken = [network for networks in (*routes.networks().values(), *configured.configured_networks().values())
             for network in networks]
    seed = host.machine_id()
    address = choose_network(taken, seed)
    Path(places.etc).mkdir(mode=0o755, parents=True, exist_ok=True)
    files.write(places.config(DEFAULT_SEGMENT), config.initial(address, choose_ula(seed)), 0o640, GROUP)
    print(_("vdenetd: the segment {name} gets the address {address}").format(name=DEFAULT_SEGMENT, address=address))
    return 0


def _down(places: Places) -> int:
    with _only_one(places):
        _sweep(places)
        engine = Engine(places)
        status = 0
        for segment in (*engine.configuration.all(), *engine.configuration.left_behind()):
            try:
                engine.take_down(segment, keep_stopped=False)
            except VdenetError as error:
                print(f"vdenetd: {error}", file=sys.stderr)
                status = 1
        return status


def _vmware(places: Places, on: bool) -> int:
    from vdenet.daemon import vmware

    configuration = Configuration(places)
    bridges = []
    for name in configuration.names():
        try:
            bridges.append(configuration.segment(name).bridge)
        except VdenetError as error:
            # It keeps what it has.
            print(f"vdenetd: {error}", file=sys.stderr)
            bridges.append(name)
    for line in vmware.bridge(places, bridges) if on else vmware.withdraw(places):
        print(f"vdenetd: {line}")
    return 0


def _serve(places: Places) -> int:
    with _only_one(places):
        _sweep(places)
        engine = Engine(places)
        listener = notify.listener() or _bind(places)
        told = _told_to_end()
        _boot(engine)
        watch = Watch(engine)
        watch.start()
        threading.Thread(target=Server(engine, listener).serve, name="server", daemon=True).start()
        notify.ready()
        logger.info("vdenetd %s serves %s", vdenet.__version__, places.control)
        select.select([told], [], [])
        # The segments stay: guests must not notice that the daemon is replaced.
        with engine.lock:
            watch.close()
            logger.info("vdenetd ends; the segments stay")
    return 0


def _told_to_end() -> int:
    """A descriptor that can be read once a signal asked the daemon to end.

    Not an event that the handler sets: the kernel may give the signal to another thread than the main one,
    which then sleeps on, and only the main one runs handlers.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _boot(engine: Engine) -> None:
    """Bring up what is configured; one that cannot be is said and left for the watch to try again.

    A stop that a crash cut short is finished, so is a deletion; and what nobody confirmed before a reboot is
    taken back first.
    """
    segments.finish_deletions(engine)
    confirming.expire(engine)
    for segment in engine.configuration.all():
        try:
            if engine.stopped(segment.name):
                engine.take_down(segment)
                continue
            engine.follow_guests(segment)
            outcome = engine.bring_up(segment, undo=False)
            logger.info("%s: %s", segment.name, f"{len(outcome.steps)} steps" if outcome.changed else "as it should be")
        except VdenetError as error:
            logger.error("cannot bring up %s: %s", segment.name, error)


def _bind(places: Places) -> socket.socket:
    """Our own control socket, where systemd does not hold one for us."""
    path = str(places.control)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # Under another name first, so that nobody connects before the mode is right.
    temporary = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    sock.bind(temporary)
    os.chown(temporary, -1, grp.getgrnam(GROUP).gr_gid)
    os.chmod(temporary, 0o660)
    sock.listen(socket.SOMAXCONN)  # as systemd does: one who floods it must not turn others away
    os.rename(temporary, path)
    return sock


def _make_places(places: Places) -> None:
    for path, mode in ((places.run, 0o755), (places.run / "state", 0o700), (places.run / "dns", 0o711),
                       (places.var, 0o755)):
        Path(path).mkdir(parents=True, exist_ok=True)
        os.chmod(path, mode)


def _sweep(places: Places) -> None:
    """Clear away the halves of files that a predecessor was writing when it was killed."""
    for top in (places.etc, places.run / "state", places.run / "dns", places.var):
        if not Path(top).is_dir():
            continue  # /etc/vdenet, before there is a segment
        files.sweep(top)
        for path in Path(top).iterdir():
            if path.is_dir() and not path.is_symlink():
                files.sweep(path)


@contextlib.contextmanager
def _only_one(places: Places) -> Iterator[None]:
    """Two daemons would undo each other's work. Raises `Refused`."""
    with open(places.run / "state" / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(what=_("start"), why=_("another vdenetd runs")) from None
        yield

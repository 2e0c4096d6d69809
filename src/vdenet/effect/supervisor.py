"""The services of a segment: started, known again, told to reload, stopped.

Theory. A service is known by who it is, not by a number in a file: a process of the service's own account
whose argument list is exactly the one that we would start. Those accounts run nothing else, so a daemon
that comes back after a crash finds its children by looking, even when it died between starting one and
writing that down. The record only adds with which texts the service was started. Signals go through a
pidfd that was opened before the identity was checked, so a recycled number is never hit.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

from vdenet.effect import files, run
from vdenet.errors import StepFailed, ToolFailed
from vdenet.i18n import _
from vdenet.model.digests import reload_digest, restart_digest
from vdenet.model.observed import RunningService, Waiting
from vdenet.model.places import Places
from vdenet.model.wanted import Service
from vdenet.probe import links, processes
from vdenet.text import dnsquery, plugs

READY_SECONDS = 10.0
STOP_SECONDS = 5.0
TAP_SECONDS = 2.0
"""How long it is waited for a predecessor that ends to let go of the tap, and for a switch that answers to hold it."""
PATIENT_SECONDS = 0.7
"""How long it is waited for a plug to fail; so much later than one plug the next is plugged in."""
_MAX_SAID = 65536
MAX_WAIT_SECONDS = 60.0
STEADY_SECONDS = 120.0
"""Who has run so long, and then ended, is started at once."""


class Supervisor:
    """Starts and finds services; keeps nothing in memory that it could not find out again."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def running(self, segment: str, service: Service) -> RunningService | None:
        """The service, if it runs."""
        self.reap()
        record = self._record(segment, service)
        pid = record.get("pid")
        if not (isinstance(pid, int) and _is(pid, service)):
            pid = _find(service)
            if pid is None:
                return None
        digests = [record.get(key) if record.get("pid") == pid else None for key in ("restart", "reload")]
        # A service without a record runs with texts that nobody knows: it will be started anew.
        return RunningService(pid, str(digests[0] or ""), str(digests[1] or ""),
                              connected=service.ready_line in self._said(segment, service))

    def waiting(self, segment: str, service: Service) -> Waiting | None:
        """How long a patient service that has ended waits for its next start; None when it is due."""
        if not service.patient:
            return None
        since, failures = _starts(self._record(segment, service))
        if since is None:
            return None
        left = since + min(2.0 ** failures, MAX_WAIT_SECONDS) - time.monotonic()
        if left <= 0:
            return None
        return Waiting(left, plugs.complaint(self._said(segment, service)))

    def why_ended(self, segment: str, service: Service) -> str:
        """The last that a patient service said before it ended; empty when it said nothing."""
        return plugs.complaint(self._said(segment, service))

    def start(self, segment: str, service: Service) -> None:
        """Start the service and wait until it can be used. Raises `ToolFailed`, `ToolMissing`, `StepFailed`."""
        for stray in _strays(service):
            self._end(stray, service)
        _await_tap(service)
        for path in service.clear:
            files.clear(path, service.account)
        since, failures = _starts(self._record(segment, service))
        again = since is not None and time.monotonic() - since < STEADY_SECONDS
        log = self._log(segment, service)
        child = run.spawn(service, log)
        self._children[child.pid] = child
        record = {"pid": child.pid, "restart": restart_digest(service), "reload": reload_digest(service)}
        if service.patient:
            record |= {"since": time.monotonic(), "failures": min(failures + 1, 10) if again else 0}
        files.write(self._record_path(segment, service), json.dumps(record), 0o600, "root")
        try:
            self._await(child, service, log)
        except BaseException:
            self._end(child.pid, service)
            raise

    def reload(self, segment: str, service: Service) -> None:
        """Tell the service to read its files again."""
        pid = _find(service)
        if pid is None:
            raise StepFailed(step=_("reload {name}").format(name=service.name), why=_("it does not run"))
        _signal(pid, service, signal.SIGHUP)
        record = {"pid": pid, "restart": restart_digest(service), "reload": reload_digest(service)}
        files.write(self._record_path(segment, service), json.dumps(record), 0o600, "root")

    def stop(self, segment: str, service: Service) -> None:
        """End the service; that it has ended already is no error."""
        pid = _find(service)
        if pid is not None:
            self._end(pid, service)
        files.remove(self._record_path(segment, service))
        if service.patient:  # of which there may be ever new ones
            files.remove(self._log(segment, service))

    def pids(self) -> list[int]:
        """Children that have not been reaped."""
        return list(self._children)

    def reap(self) -> None:
        """Collect children that have ended."""
        for pid, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[pid]

    def _log(self, segment: str, service: Service) -> Path:
        return Path(self._places.records(segment) / f"{service.name}.log")

    def _said(self, segment: str, service: Service) -> str:
        try:
            with open(self._log(segment, service), errors="replace") as log:
                return log.read(_MAX_SAID)
        except OSError:
            return ""

    def _record_path(self, segment: str, service: Service) -> Path:
        return Path(self._places.records(segment) / f"{service.name}.json")

    def _record(self, segment: str, service: Service) -> dict[str, object]:
        try:
            record = json.loads(self._record_path(segment, service).read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _await(self, child: subprocess.Popen[bytes], service: Service, log: Path) -> None:
        def failed(why: str) -> ToolFailed:
            return ToolFailed(what=_("start {name}").format(name=service.title or service.name), tool=service.argv[0],
                              why=run.said(log.read_text(errors="replace")) or why)

        began = time.monotonic()
        answered: float | None = None
        while (now := time.monotonic()) < began + READY_SECONDS:
            if child.poll() is not None:
                raise failed(_("exit status {status}").format(status=child.returncode))
            if _is(child.pid, service) and _answers(service):
                answered = answered or now
                if service.useless_line and service.useless_line in log.read_text(errors="replace"):
                    raise failed(service.useless_line)
                if _tap(service) is False:
                    if now > answered + TAP_SECONDS:
                        raise failed(_("it does not hold the tap {name}").format(name=service.link))
                elif not service.patient or now > began + PATIENT_SECONDS:
                    return
            time.sleep(0.02)
        raise ToolFailed(what=_("start {name}").format(name=service.title or service.name), tool=service.argv[0],
                         why=_("no answer for {seconds:g} s").format(seconds=READY_SECONDS))

    def _end(self, pid: int, service: Service) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            fd = _hold(pid, service)
            if fd is None:
                break
            with contextlib.closing(os.fdopen(fd, "rb", buffering=0)):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, number)
                gone, _w, _x = select.select([fd], [], [], STOP_SECONDS)
                if gone:
                    break
        self.reap()


def _starts(record: dict[str, object]) -> tuple[float | None, int]:
    """When a patient service was started last, on the monotonic clock, and how often it had ended early before."""
    since, failures = record.get("since"), record.get("failures")
    if not isinstance(since, float) or not isinstance(failures, int) or not 0 <= since <= time.monotonic():
        return None, 0
    return since, failures


def _account_uid(service: Service) -> int:
    return pwd.getpwnam(service.account).pw_uid


def _is(pid: int, service: Service) -> bool:
    """Whether this process is the service, by its account and its argument list."""
    argv = processes.command_line(pid)
    return processes.real_uid(pid) == _account_uid(service) and len(argv) > 0 \
        and Path(argv[0]).name == service.argv[0] and argv[1:] == service.argv[1:] \
        and processes.identity(pid) is not None


def _find(service: Service) -> int | None:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _is(int(entry), service):
            return int(entry)
    return None


def _strays(service: Service) -> list[int]:
    """Processes that a new one could not run beside: the service, or an earlier version's with other arguments."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _is_in_the_way(int(entry), service)]


def _is_in_the_way(pid: int, service: Service) -> bool:
    argv = processes.command_line(pid)
    return _is(pid, service) or (
        service.claim is not None and processes.real_uid(pid) == _account_uid(service) and len(argv) > 0
        and Path(argv[0]).name == service.argv[0] and service.claim in argv[1:]
        and processes.identity(pid) is not None)


def _hold(pid: int, service: Service) -> int | None:
    """A descriptor of the process, if it is the service, or an earlier version's of it."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    if not _is_in_the_way(pid, service):
        os.close(fd)
        return None
    return fd


def _signal(pid: int, service: Service, number: int) -> None:
    fd = _hold(pid, service)
    if fd is not None:
        try:
            signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def _tap(service: Service) -> bool | None:
    """Whether anybody holds the tap that the service opens; None when it opens none, or that cannot be told."""
    link = None if service.link is None or service.patient else links.link(service.link)
    return None if link is None or not link.up else link.carrier


def _await_tap(service: Service) -> None:
    """A switch that cannot open its tap runs on without it. Raises `StepFailed` when another program has it.

    One that is ending may have it for a moment yet: its command line goes before its descriptors do (exit_mm and
    exit_files in kernel/exit.c), so it was not found.
    """
    deadline = time.monotonic() + TAP_SECONDS
    while _tap(service):
        if time.monotonic() > deadline:
            raise StepFailed(step=_("start {name}").format(name=service.argv[0]),
                             why=_("another program has the tap {name}").format(name=service.link))
        time.sleep(0.02)


def _answers(service: Service) -> bool:
    """Whether the service can be used now."""
    if service.ready_socket is not None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1.0)  # what listens there may have no room for us
            try:
                sock.connect(str(service.ready_socket))
            except OSError:
                return False
    if service.ready_udp is not None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.3)
            try:
                sock.connect(service.ready_udp)
                sock.send(dnsquery.query("localhost", identity=1))
                sock.recv(512)
            except OSError:
                return False
    return True

"""Notices that something changed, and has it repaired.

Netlink tells of links, addresses, forwarding and nftables; a pidfd of each service's end; the lease file and
what dnsmasq reads are looked at once a second. What a message says does not matter: it only means "look again",
and the engine looks at everything. So nothing that a storm of messages loses can be missed.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from pathlib import PurePath

from vdenet.daemon import confirming, reaper, whereabouts
from vdenet.daemon.engine import Engine
from vdenet.daemon.log import logger
from vdenet.errors import VdenetError
from vdenet.model.segment import Segment
from vdenet.probe import links

# linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, and as bits of their numbers
# RTNLGRP_IPV4_NETCONF (24) and RTNLGRP_IPV6_NETCONF (25).
_ROUTE_GROUPS = 0x1 | 0x10 | 0x100 | 1 << 23 | 1 << 24
_NETLINK_NETFILTER = 12
_NFNLGRP_NFTABLES = 1 << 6  # linux/netfilter/nfnetlink.h: group 7

_GROUPS = PurePath("/etc/group")

QUIET_SECONDS = 0.1
"""A burst of messages is waited out for so long, but never longer than half a second."""
_MOST_MESSAGES = 10_000
POLL_SECONDS = 1.0
FULL_SECONDS = 15.0
"""Everything is looked at so often even when nobody said anything."""


class Watch:
    """Runs in a thread of its own until `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sockets = [_listen(socket.NETLINK_ROUTE, _ROUTE_GROUPS),
                         _listen(_NETLINK_NETFILTER, _NFNLGRP_NFTABLES)]
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.epoll()
        for fd in (*(sock.fileno() for sock in self._sockets), self._wake_read):
            self._poll.register(fd, select.EPOLLIN)
        self._services: dict[int, int | None] = {}
        """By process, the pidfd; None once its end was noticed."""
        self._awake = False
        self._closing = False
        self._files: dict[str, list[tuple[int, int] | None]] = {}

    def start(self) -> None:
        """Begin to watch."""
        self._engine.repairs.is_awake = self.is_awake
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def is_awake(self) -> bool:
        """Whether there is something that has not been looked after. For any thread."""
        # In this order: what is not there to be read any more is being looked after.
        ready, _w, _x = select.select([self._poll], [], [], 0)
        return bool(ready) or self._awake or self._engine.is_due()

    def close(self) -> None:
        """Stop watching; a repair that runs is finished."""
        self._closing = True
        os.write(self._wake_write, b"x")

    def _run(self) -> None:
        next_full = 0.0
        while not self._closing:
            try:
                changed = self._wait(POLL_SECONDS)
                now = time.monotonic()
                due = changed or now >= next_full or self._engine.repairs.is_due() or self._engine.is_due()
                if due:
                    next_full = now + FULL_SECONDS
                self._awake = due
                confirming.expire(self._engine)
                self._look(due)
                self._awake = False
            except Exception:
                logger.exception("watch")
                self._awake = False
                time.sleep(1)

    def _wait(self, seconds: float) -> bool:
        """True when something was said; the burst that it belongs to is over then."""
        ended = self._follow_services()
        ready = {fd for fd, _event in self._poll.poll(0 if ended else seconds)}
        if not ready and not ended:
            return False
        self._awake = True  # before anything is read
        for pid, fd in self._services.items():
            if fd is not None and fd in ready:
                self._services[pid] = None
                self._poll.unregister(fd)  # epoll(7), Q6: closed is not enough while a fork has it, too
                os.close(fd)
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            self._drain()
            spoke, _w, _x = select.select(self._sockets, [], [], QUIET_SECONDS)
            if not spoke:
                break
        return True

    def _follow_services(self) -> bool:
        """Watch those that run by now; whether one has ended already.

        One that is no service any more is followed to its end, as who looks between two turns may have found it gone.
        """
        now = set(self._engine.service_pids())
        self._services = {pid: fd for pid, fd in self._services.items() if fd is not None or pid in now}
        ended = False
        for pid in now - self._services.keys():
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._services[pid], ended = None, True
                continue
            except OSError:
                continue  # no descriptors are left: the next turn tries again
            try:
                self._poll.register(fd, select.EPOLLIN)
            except OSError:
                os.close(fd)
                continue
            self._services[pid] = fd
        return ended

    def _drain(self) -> None:
        for sock in self._sockets:
            try:
                # Who makes messages as fast as they are read must not keep the watch from looking.
                for _nth in range(_MOST_MESSAGES):
                    sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                continue  # ENOBUFS: messages were lost, which is as good as one
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 64)

    def _look(self, due: bool) -> None:
        segments = [one for one in self._engine.configuration.all() if not self._engine.stopped(one.name)]
        names = {one.name for one in segments}
        self._engine.keep(names)
        self._files = {name: self._files[name] for name in self._files.keys() & names}
        for segment in segments:
            if not self._files_changed(segment.name) and not due:
                continue
            if self._engine.repairs.may(segment.name):
                self._repair(segment.name)
        if due:
            reaper.reap_left(self._engine)

    def _repair(self, name: str) -> None:
        with self._engine.lock:
            # Whoever had the lock may have stopped the segment, or changed its address.
            if self._engine.stopped(name):
                return
            try:
                self._bring_up(self._engine.configuration.segment(name))
            except VdenetError as error:
                if self._engine.repairs.failed(name, str(error)):
                    logger.error("cannot repair %s: %s", name, error)

    def _bring_up(self, segment: Segment) -> None:
        self._engine.follow_guests(segment)
        outcome = self._engine.bring_up(segment, undo=False)
        if outcome.changed:
            logger.info("repaired %s in %s steps", segment.name, len(outcome.steps))
        if links.link(segment.sign) is not None:
            reaper.reap(self._engine, segment)
            whereabouts.notice(self._engine, segment)

    def _files_changed(self, segment: str) -> bool:
        """Whether dnsmasq gave a lease, a member left, or somebody touched a file of ours, since the last call."""
        places = self._engine.places
        now = [_stamp(path) for path in (places.leases(segment), places.dnsmasq_config(segment),
                                         places.dnsmasq_hosts(segment), places.dnsmasq_addresses(segment), _GROUPS)]
        changed = self._files.get(segment) != now
        self._files[segment] = now
        return changed


def _stamp(path: PurePath) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _listen(protocol: int, groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    sock.bind((0, groups))
    return sock

"""Makes what is there what is wanted.

The one way: read the configuration, look at the machine, plan the difference, carry it out. Whoever asks
(a member, boot, a netlink event, the next start after a crash) gets the same function. A change that a
member asked for is undone when a step fails; a repair keeps what it achieved and tries again later.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vdenet.daemon import attendance, execution, host, namesakes, retiring
from vdenet.daemon.agenda import Agenda
from vdenet.daemon.configuration import Configuration
from vdenet.daemon.departed import Departed
from vdenet.daemon.guests import GuestBook
from vdenet.daemon.log import logger
from vdenet.daemon.observe import observe
from vdenet.daemon.ports import Ports
from vdenet.daemon.repairs import Repairs
from vdenet.daemon.serving import Servers
from vdenet.effect import files
from vdenet.effect.netlink import Netlink
from vdenet.effect.perform import Hands
from vdenet.effect.supervisor import Supervisor
from vdenet.errors import Refused, VdenetError
from vdenet.i18n import _
from vdenet.model import plan as planning
from vdenet.model.change import Plan
from vdenet.model.neighbours import asked, neighbours
from vdenet.model.observed import Link, Observed
from vdenet.model.parts import ports
from vdenet.model.places import Places
from vdenet.model.segment import Retiring, Segment
from vdenet.model.wanted import Wanted
from vdenet.probe import leases, links, resolvers
from vdenet.text import blueprint, config, dnsmasq

if TYPE_CHECKING:
    from vdenet.daemon.whereabouts import Place


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change did: its steps in words, and the guests that it concerns."""

    segment: str
    steps: tuple[str, ...]
    guests: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.steps)


_ASK_AGAIN_SECONDS = 30.0


class Engine:
    """The segments of this host. Every public method takes the lock, but two that say so; one change happens at a
    time."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.lock = threading.RLock()
        self.configuration = Configuration(places)
        self.netlink = Netlink()
        self.supervisor = Supervisor(places)
        self.hands = Hands(places, self.netlink, self.supervisor)
        self._books: dict[str, GuestBook] = {}
        self._ports = Ports()
        self._departed: dict[str, Departed] = {}
        self.agenda = Agenda(places)
        self.whereabouts: dict[str, dict[str, Place]] = {}
        """By segment and MAC: where guests were heard last; for `vdenet.daemon.whereabouts`."""
        self.left_tunnels: dict[tuple[int, str], int] = {}
        """By a guest's owner and MAC: the number of the UDP tunnel that it had last, and nobody after it."""
        self.repairs = Repairs()
        self._servers = Servers()
        self._vlans_possible = False
        self._vlans_asked = 0.0
        self.on_step: Callable[[str], None] | None = None
        """For tests of crashes: called with each step's words before it is carried out."""

    # --- the segments ----------------------------------------------------------------------

    def book(self, segment: str) -> GuestBook:
        """The guests of a segment."""
        if segment not in self._books:
            self._books[segment] = GuestBook(segment, self.places)
        return self._books[segment]

    def stopped(self, segment: str) -> bool:
        """Whether somebody stopped it on purpose since boot."""
        return Path(self.places.stopped(segment)).exists()

    def bring_up(self, segment: Segment, undo: bool = True) -> Outcome:
        """Start, reload, repair: whatever is missing. Raises what the failing step raised."""
        with self.lock:
            self.agenda.postpone(segment.name)
            plan, _wanted, observed = self.plan_up(segment)
            steps = self.make(segment, plan, observed, undo)
            if self.stopped(segment.name):
                files.remove(self.places.stopped(segment.name))
            return Outcome(segment.name, steps)

    def make(self, segment: Segment, plan: Plan, observed: Observed, undo: bool) -> tuple[str, ...]:
        """Carry out a plan that brings `segment` up; returns its steps in words. Raises as `bring_up`."""
        self._prepare_state(segment)
        self._ports.remember(segment, observed)
        if not Path(self.places.applied(segment.name)).exists():
            self._note_applied(segment)  # whatever comes of it, there is something to be taken down
        self.agenda.note(segment, plan, observed)
        steps = self.carry_out(plan, undo)
        self.agenda.note(segment, plan, observed)  # by what it wrote, an address may be served for some time
        self.repairs.succeeded(segment.name)
        try:
            self._note_applied(segment)
        except Refused as error:  # the earlier note will do
            logger.error("%s", error)
        return steps

    def refresh_others(self, segment: str) -> None:
        """Have the other segments that are up follow a change of this one: they guard against it, and ask it."""
        for other in self.configuration.all():
            if other.name != segment and not self.stopped(other.name) and links.link(other.sign) is not None:
                try:
                    self.bring_up(other, undo=False)
                except VdenetError as error:  # the watch tries again
                    logger.error("cannot bring up %s: %s", other.name, error)

    def forget(self, segment: str) -> None:
        """What is remembered of a segment that is no more."""
        self._books.pop(segment, None)
        self._departed.pop(segment, None)
        self._ports.forget(segment)
        self._servers.forget(segment)
        self.agenda.drop(segment)
        self.whereabouts.pop(segment, None)

    def take_down(self, segment: Segment, keep_stopped: bool = True) -> Outcome:
        """Remove the segment from the machine; guests' own taps stay with the guests.

        With it go those of guests that have left, where it does not come again."""
        with self.lock:
            wanted = self.wanted(segment)
            observed = observe(wanted, self.supervisor, self.places)
            self._ports.remember(segment, observed)
            losing = tuple(self._guest_names(segment, ports.on(segment.bridge, observed)))
            plan = planning.down(wanted, observed, last=self._is_last(segment), good=not keep_stopped)
            steps = self.carry_out(plan, undo=True)
            if not keep_stopped:
                self._end_left(segment)
            else:
                # Last: after a crash or a failure before here, the segment was not stopped.
                self._prepare_state(segment)
                files.write(self.places.stopped(segment.name), "", 0o600, "root")
            files.remove(self.places.applied(segment.name))
            self.agenda.drop(segment.name)
            return Outcome(segment.name, steps, losing)

    def service_pids(self) -> list[int]:
        """The processes whose end somebody should notice. Needs no lock."""
        return [*self.supervisor.pids(), *self.agenda.services()]

    def is_due(self) -> bool:
        """Whether the time has come for what waits for it by the clock. Needs no lock."""
        return self.agenda.is_due(self.repairs.may)

    def keep(self, segments: Collection[str]) -> None:
        """Others than these are not looked after: they are down, or cannot be read."""
        with self.lock:
            self.repairs.keep(segments)
            self.agenda.keep(segments)

    def plan_up(self, segment: Segment, former: Segment | None = None,
                served: Sequence[Retiring] | None = None) -> tuple[Plan, Wanted, Observed]:
        """What `bring_up` would do. Raises `Collision`, `Refused`.

        With `former`, the segment as it is now, every step of the plan can be taken back. `served` are the
        earlier addresses, where they are not those that are served now.
        """
        with self.lock:
            namesakes.refuse_later(self, segment.name)
            before = None if former is None else self.wanted(former)
            wanted = self.wanted(segment, served)
            observed = observe(wanted, self.supervisor, self.places)
            if wanted.vlan_filtering and not self._can_vlans():
                raise Refused(what=_("bring up {segment}").format(segment=segment.name), why=_(
                    "it has VLANs, and this host's kernel cannot keep VLANs apart on a bridge"))
            return planning.up(wanted, observed, before), wanted, observed

    def is_crowded_out(self, segment: Segment, resolver: str) -> bool:
        """Whether the host's resolver, of that kind, has no room for this segment's server."""
        return resolver == resolvers.RESOLVCONF and not asked(
            segment, (other for other in self.configuration.all() if other.name != segment.name))

    def wanted(self, segment: Segment, served: Sequence[Retiring] | None = None) -> Wanted:
        """Everything that has to be there while the segment is up; `served` as in `plan_up`."""
        with self.lock:
            there = links.links()
            book = self.book(segment.name)
            if served is None:
                served = retiring.current(segment, self.places, time.time())
            guests = attendance.guests(
                segment, book, there, self._ports.belonging(segment, there),
                namesakes.elsewhere(self, segment.name, there), served, self._servers.find(segment, book, there))
            facts = host.facts(self.places, segment)
            others = [other for other in self.configuration.all() if other.name != segment.name]
            needed = [blueprint.shared_sysctls(other, replace(facts, neighbours=neighbours(other, (segment, *others))))
                      for other in others if other.sign in there]
            facts = replace(facts, shared_elsewhere=frozenset().union(*needed), neighbours=neighbours(segment, others),
                            resolver=resolvers.NONE if self.is_crowded_out(segment, facts.resolver) else facts.resolver)
            return blueprint.wanted(segment, facts, guests, self.places)

    def carry_out(self, plan: Plan, undo: bool) -> tuple[str, ...]:
        """As `execution.carry_out`."""
        return execution.carry_out(self.hands, plan, undo, self.on_step)

    def _can_vlans(self) -> bool:
        """Asked until the kernel can, but not at every look."""
        if not self._vlans_possible and time.monotonic() >= self._vlans_asked:
            self._vlans_possible = self.netlink.can_vlans()
            self._vlans_asked = time.monotonic() + _ASK_AGAIN_SECONDS
        return self._vlans_possible

    # --- ports -----------------------------------------------------------------------------

    def let_go(self, segment: Segment, port: str) -> None:
        """Take a port that is not ours off the bridge, for good."""
        link = links.link(port)
        if link is not None and link.master == segment.bridge and not link.ours:
            self.netlink.detach(port)
        self._ports.let_go(segment.name, port)

    def _end_left(self, segment: Segment) -> None:
        """Delete the taps of guests that have left: with its segment goes all that it made, whoever holds it."""
        for link in links.links().values():
            if link.left is not None and link.left[0] == segment.name:
                try:
                    self.netlink.delete(link.name, link.ifindex, link.alias)
                except VdenetError as error:  # it goes with its holder, at the latest
                    logger.error("%s", error)

    def _guest_names(self, segment: Segment, ports: list[Link]) -> list[str]:
        book = self.book(segment.name)
        found = []
        heard = links.heard(segment.bridge)
        current = {lease.mac: lease for lease in self.leases(segment)}
        for port in ports:
            guest = book.by_port(port.name)
            if guest is not None:
                found.append(guest.name)
                continue
            macs = [mac for mac, name in heard.items() if name == port.name]
            found += [str(known.name if (known := book.by_mac(mac))
                          else (current[mac].name if mac in current else None) or mac) for mac in macs]
        return sorted(set(found))

    # --- guests ----------------------------------------------------------------------------

    def leases(self, segment: Segment) -> list[dnsmasq.Lease]:
        """The leases that dnsmasq has given."""
        return leases.read(Path(self.places.leases(segment.name)))

    def departed(self, segment: Segment, mac: str) -> None:
        """Note that a guest has left: its lease, which goes on, no longer says that it is here."""
        self._of_departed(segment).note(mac, self.leases(segment))

    def is_departed(self, segment: Segment, lease: dnsmasq.Lease) -> bool:
        """Whether the guest left after it was given this lease."""
        return self._of_departed(segment).has(lease)

    def _of_departed(self, segment: Segment) -> Departed:
        if segment.name not in self._departed:
            self._departed[segment.name] = Departed(segment.name, self.places)
        return self._departed[segment.name]

    def follow_guests(self, segment: Segment) -> None:
        """Take over names that guests claimed, and note ports that are gone."""
        with self.lock:
            self.follow_ports(segment.name, links.links())
            book = self.book(segment.name)
            given = self.leases(segment)
            self._of_departed(segment).follow(given)
            book.follow(given, dnsmasq.owners(segment.hosts, self.labels(segment) | segment.labels))

    def follow_ports(self, segment: str, there: Mapping[str, Link]) -> None:
        """Note which ports are gone of those that are `there`. Raises `Refused` when the book cannot be written."""
        with self.lock:
            elsewhere = namesakes.elsewhere(self, segment, there)
            for guest in self.book(segment).follow_ports(there, elsewhere):
                logger.info("port %s of guest %s is gone", guest.port, guest.name)

    def labels(self, segment: Segment) -> frozenset[str]:
        """Names of the host itself in the segment's domain."""
        own = [vlan.name for vlan in segment.vlans if vlan.name is not None]
        return frozenset([segment.name, *own, *blueprint.host_labels(socket.gethostname(), segment.name)])

    # --- helpers ---------------------------------------------------------------------------

    def _prepare_state(self, segment: Segment) -> None:
        """The daemon's own volatile directory, which records of steps go to."""
        for directory in (self.places.records(segment.name), self.places.state(segment.name)):
            Path(directory).mkdir(parents=True, exist_ok=True)

    def _note_applied(self, segment: Segment) -> None:
        """Keep what takes the segment down, when its file is gone by then."""
        path = self.places.applied(segment.name)
        text = config.emit(segment)
        if not Path(path).exists() or Path(path).read_text() != text:
            files.write(path, text, 0o600, "root")

    def _is_last(self, segment: Segment) -> bool:
        there = links.links()
        others = {other.sign for other in self.configuration.all()}
        others |= {link.name for link in there.values() if link.kind == "bridge" and link.ours}
        return not (others - {segment.sign}) & there.keys()

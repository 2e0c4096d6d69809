"""What `check` looks at: the daemon's findings, and what its caller sees with no daemon's help.

Each part adds to `passed` or to `findings`; none of them raises for what it finds wrong.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from vdenet.cli import access, answers, client, nameserver, tools
from vdenet.cli.complain import complaint
from vdenet.cli.unreadable import unreadable
from vdenet.errors import (
    BadConfig,
    NotPermitted,
    ToolFailed,
    ToolMissing,
    UnknownSegment,
    VdenetError,
)
from vdenet.i18n import _
from vdenet.model.places import Places
from vdenet.model.report import Finding, SegmentReport, Severity, State
from vdenet.probe import addresses, conflicts, links, regular, resolvers, vmware
from vdenet.text import qemu, vmnets
from vdenet.text.reports import Passed

_TUN = Path("/dev/net/tun")
_QEMU = "qemu-system-x86_64"
_NO_RESOLVER = "resolver-none"
"""As the conflicts say it (`vdenet.text.conflicts`), that it is said once."""


class Checkup:
    """One run of `check`, for one segment or for all."""

    def __init__(self, segment: str | None, places: Places | None = None) -> None:
        self._asked = segment
        self._places = places or Places()
        self.passed: list[Passed] = []
        self.findings: list[Finding] = []
        self.refusal: NotPermitted | None = None
        """Set when the caller may not talk to the daemon."""

    def run(self) -> None:
        """Look at everything. Raises `UnknownSegment` when the one asked for does not exist."""
        segments = self._daemon()
        self._machine()
        answered = segments is not None
        if segments is None:
            segments = self._configured()
        # Of a segment that was not listed it cannot be said that it is none.
        self.findings += vmware.findings(segments, self._vmnets() if answered and not self._asked else ())
        for segment in segments:
            if segment.state is State.DOWN:
                self._wrong("segment-down", segment, Severity.ERROR,
                            _("{name} is down").format(name=segment.name), _start(segment.name))
            else:
                self._segment(segment)

    # --- the daemon ---------------------------------------------------------------------------

    def _daemon(self) -> list[SegmentReport] | None:
        """The segments as the daemon reports them; None when it cannot be asked."""
        try:
            with client.connect(self._places) as daemon:
                listed = answers.segments(daemon.call("List", segment=self._asked).parameters)
                found = [finding for segment in listed for finding in answers.findings(
                    daemon.call("Check", segment=segment.name).parameters)]
                broken = {} if self._asked else unreadable(daemon, listed, self._places)
                version = daemon.call("Version").parameters.get("version")
        except UnknownSegment:
            raise
        except NotPermitted as error:
            self.refusal = error
            self._complain("not-permitted", error)
            return None
        except VdenetError as error:
            self._complain(error.code, error)
            return None
        self._right("daemon", None, _("vdenetd answers (version {version})").format(version=version))
        self._right("member", None, _("{name} may use it").format(name=access.account().name))
        self.findings += found
        for name, bad in broken.items():
            told = complaint(bad)
            self.findings.append(Finding(told.code, Severity.ERROR, name, told.message, told.hint))
        return listed

    def _complain(self, code: str, error: VdenetError) -> None:
        told = complaint(error)
        self._wrong(code, None, Severity.ERROR, told.message, told.hint)

    # --- the machine --------------------------------------------------------------------------

    def _machine(self) -> None:
        try:
            if not stat.S_ISCHR(_TUN.stat().st_mode):
                raise FileNotFoundError
        except OSError:
            self._wrong("tun-missing", None, Severity.ERROR,
                        _("{path} is missing: there can be no tap").format(path=_TUN),
                        _("modprobe tun, or let the container have the device"))
        else:
            self._right("tun", None, _("{path} is there").format(path=_TUN))
        try:
            has_vde = qemu.has_vde(tools.ask([_QEMU, "-netdev", "help"]))
        except ToolMissing:
            return  # who has no QEMU needs none
        except ToolFailed as error:
            self._complain(error.code, error)
            return
        if has_vde:
            self._right("qemu-vde", None, _("{qemu} speaks VDE").format(qemu=_QEMU))
        else:
            self._wrong("qemu-vde", None, Severity.INFO,
                        _("{qemu} is built without VDE").format(qemu=_QEMU),
                        _("tarr-steps join qemu gives it a tap, which is faster"))

    def _vmnets(self) -> list[str]:
        """The bridges that have a vmnet of VMware's by vdenetd --vmware."""
        return list(vmnets.parse(regular.text(Path(self._places.vmnets), 64 * 1024)))

    # --- the segments -------------------------------------------------------------------------

    def _configured(self) -> list[SegmentReport]:
        """The segments by their files, for want of a daemon; state UP stands for `should be up`."""
        from vdenet.text import config

        found = []
        for path in sorted(Path(self._places.etc).glob("*.toml")):
            if self._asked not in (None, path.stem):
                continue
            try:
                segment = config.parse(path.read_text(), path.stem, str(path))
            except BadConfig as error:
                self._complain(error.code, error)
            except (OSError, ValueError):  # only members may read it
                self._interface(path.stem)
            else:
                self.findings += conflicts.conflicts(segment)
                down = os.path.exists(self._places.stopped(segment.name))
                found.append(SegmentReport(
                    name=segment.name, state=State.DOWN if down else State.UP,
                    address=str(segment.address) if segment.address else None,
                    address6=str(segment.address6) if segment.address6 else None,
                    mode=segment.mode, domain=segment.domain, bridge=segment.bridge,
                    tap=segment.tap, switch=str(self._places.switch(segment.name)),
                    vlans=tuple(vlan.id for vlan in segment.vlans)))
        if self._asked and not os.path.exists(self._places.config(self._asked)):
            raise UnknownSegment(segment=self._asked)
        return found

    def _segment(self, segment: SegmentReport) -> None:
        if not self._interface(segment.bridge, segment):
            return
        self._address(segment)
        self._tap(segment)
        self._switch(segment)
        if segment.address is not None:
            self._leases(segment)
            server = segment.address.partition("/")[0]
            if self._name_server(segment, server):
                self._resolver(segment, server)

    def _interface(self, bridge: str, segment: SegmentReport | None = None) -> bool:
        found = links.link(bridge)
        if found is None:
            self._wrong("bridge-missing", segment, Severity.ERROR,
                        _("the bridge {name} is missing").format(name=bridge), _start(bridge))
        elif found.kind != "bridge":
            self._wrong("bridge-foreign", segment, Severity.ERROR,
                        _("{name} is not a bridge").format(name=bridge),
                        _("rename that interface, then: {start}").format(start=_start(bridge)))
        elif not found.up:
            self._wrong("bridge-down", segment, Severity.ERROR,
                        _("the bridge {name} is not up").format(name=bridge), _reload(bridge))
        else:
            self._right("bridge", segment, _("the bridge {name} is up").format(name=bridge))
            return True
        return False

    def _address(self, segment: SegmentReport) -> None:
        there = {str(one) for one in addresses.of(segment.bridge)}
        for wanted in (segment.address, segment.address6):
            if wanted is None:
                continue
            if wanted in there:
                self._right("address", segment, _("{name} has the address {address}").format(
                    name=segment.bridge, address=wanted))
            else:
                self._wrong("address-missing", segment, Severity.ERROR,
                            _("{name} lacks the address {address}").format(
                                name=segment.bridge, address=wanted), _reload(segment.name))

    def _tap(self, segment: SegmentReport) -> None:
        found = links.link(segment.tap)
        if found is None:
            self._wrong("tap-missing", segment, Severity.ERROR,
                        _("the tap {name} is missing").format(name=segment.tap),
                        _reload(segment.name))
        elif found.master != segment.bridge:
            self._wrong("tap-elsewhere", segment, Severity.ERROR,
                        _("the tap {name} is not on the bridge {bridge}").format(
                            name=segment.tap, bridge=segment.bridge), _reload(segment.name))
        elif not found.carrier:
            self._wrong("tap-no-carrier", segment, Severity.ERROR,
                        _("the tap {name} has no carrier: no VDE switch holds it").format(
                            name=segment.tap), _reload(segment.name))
        else:
            self._right("tap", segment, _("the tap {name} is on the bridge, and a program holds it").format(
                name=segment.tap))

    def _switch(self, segment: SegmentReport) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(2.0)
        try:
            sock.connect(f"{segment.switch}/ctl")
        except PermissionError:
            if access.account().late:
                self._wrong("login-old", segment, Severity.WARNING,
                            _("this login is older than the membership: programs that speak VDE are "
                              "not let in"), _("log out and in again"))
            elif self.refusal is None:
                self._wrong("switch-closed", segment, Severity.ERROR,
                            _("the VDE switch {path} does not let you in").format(
                                path=segment.switch), _reload(segment.name))
        except OSError as error:
            self._wrong("switch-unreachable", segment, Severity.ERROR,
                        _("the VDE switch {path} does not answer: {why}").format(
                            path=segment.switch, why=error.strerror or error),
                        _reload(segment.name))
        else:
            self._right("switch", segment, _("the VDE switch {path} answers").format(
                path=segment.switch))
        finally:
            sock.close()

    def _leases(self, segment: SegmentReport) -> None:
        path = Path(self._places.leases(segment.name))
        try:
            os.stat(path)
        except FileNotFoundError:
            self._wrong("leases-missing", segment, Severity.WARNING,
                        _("DHCP keeps no leases: {path} is missing").format(path=path),
                        _reload(segment.name))
        except OSError:
            return  # the directory is dnsmasq's own
        else:
            self._right("leases", segment, _("DHCP keeps its leases in {path}").format(path=path))

    def _name_server(self, segment: SegmentReport, server: str) -> bool:
        name = _known_name(segment)
        try:
            found = [str(one) for one in nameserver.addresses(server, name)]
        except nameserver.NoAnswer as error:
            self._wrong("dns-silent", segment, Severity.ERROR,
                        _("DNS at {server} does not answer: {why}").format(
                            server=server, why=error), _reload(segment.name))
            return False
        if server not in found:
            self._wrong("dns-wrong", segment, Severity.ERROR,
                        _("DNS at {server} does not know {name}").format(server=server, name=name),
                        _reload(segment.name))
            return False
        self._right("dns", segment, _("DNS at {server} knows {domain}").format(
            server=server, domain=segment.domain))
        return True

    def _resolver(self, segment: SegmentReport, server: str) -> None:
        name = _known_name(segment)
        try:
            found = tools.ask(["getent", "ahostsv4", name], seconds=8.0).split()
        except (ToolMissing, ToolFailed):
            found = []
        kind = resolvers.kind()
        if server in found:
            # However it does that: by hand, perhaps.
            self.findings = [one for one in self.findings
                             if (one.code, one.segment) != (_NO_RESOLVER, segment.name)]
            self._right("resolver", segment, _("this host resolves the names in {domain}").format(
                domain=segment.domain))
        else:
            said = any((one.code, one.segment) == (_NO_RESOLVER, segment.name) for one in self.findings)
            code = _NO_RESOLVER if said or kind in (resolvers.NONE, resolvers.DNSMASQ_BY_HAND) else "resolver"
            self._wrong(code, segment, Severity.WARNING,
                        _("this host does not resolve the names in {domain}").format(
                            domain=segment.domain), _resolver_hint(segment, server, kind))

    # --- what is noted ------------------------------------------------------------------------

    def _right(self, code: str, segment: SegmentReport | None, message: str) -> None:
        self.passed.append(Passed(code, segment.name if segment else None, message))

    def _wrong(self, code: str, segment: SegmentReport | None, severity: Severity, message: str,
               hint: str | None) -> None:
        name = segment.name if segment else None
        if not any((one.code, one.segment) == (code, name) for one in self.findings):
            self.findings.append(Finding(code, severity, name, message, hint))


def _known_name(segment: SegmentReport) -> str:
    """A name that the segment's DNS always has: the segment's own, with the host's address."""
    return f"{segment.name}.{segment.domain}"


def _resolver_hint(segment: SegmentReport, server: str, kind: str) -> str:
    if kind == resolvers.DNSMASQ_BY_HAND:
        return f"echo server=/{segment.domain}/{server} | sudo tee /etc/dnsmasq.d/vdenet-names " \
            "&& sudo service dnsmasq restart"
    if kind != resolvers.NONE:
        return _("{reload} tells {resolver} again").format(reload=_reload(segment.name), resolver=kind)
    return _("sudo apt install systemd-resolved, or put nameserver {server} first in "
             "/etc/resolv.conf").format(server=server)


def _start(segment: str) -> str:
    return f"tarr-steps start {segment}"


def _reload(segment: str) -> str:
    return f"tarr-steps reload {segment}"


"""A machine that steps are carried out on in the mind: what each does, and what it needs to be possible."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath as Path
from typing import Any, assert_never

from unit.model.vdeswitch import VdeSwitch
from vdenet.model import steps
from vdenet.model.observed import Link, Observed, RunningService, stale_settings
from vdenet.model.digests import digest, reload_digest, resolver_mark, restart_digest
from vdenet.model.steps import Step
from vdenet.model.vlans import Membership, SwitchTable, access
from vdenet.model.wanted import ALIAS, Address, Directory, Resolver, Service, Wanted
from vdenet.text import vdeports

FORGETFUL = "systemd-resolved"
"""The resolver that forgets what it knew of a link together with it; the others keep files."""


@dataclass
class Machine:
    """As much of a machine as plans are made of; a step that a real one would refuse is an AssertionError."""

    links: dict[str, Link] = field(default_factory=dict)
    addresses: dict[str, set[Address]] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=lambda: {
        "net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0",
        "net/ipv6/conf/eth0/accept_ra": "1", "net/ipv6/conf/wlan0/accept_ra": "1"})
    own: dict[str, str] = field(default_factory=dict)
    record: dict[str, str] = field(default_factory=dict)
    directories: dict[Path, tuple[int, str]] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)
    services: dict[str, RunningService] = field(default_factory=dict)
    breaks_loops: bool | None = None
    """The spanning tree of the switch that runs."""
    held: dict[str, int] = field(default_factory=dict)
    """By service, the index of the interface that it opened."""
    firewall: str | None = None
    firewall_present: bool = False
    offload: dict[str, bool] = field(default_factory=dict)
    adopted: str | None = None
    uplink: str | None = None
    written: set[Address] = field(default_factory=set)
    """The host's addresses, as they were written down when the uplink was taken."""
    patched: str | None = None
    plugged: dict[str, str] = field(default_factory=dict)
    """By port, the Open vSwitch bridge that has it; it keeps ports that are gone."""
    resolvers: dict[str, str] = field(default_factory=dict)
    """By kind, what is registered."""
    dnsmasq_kept_off: bool | None = None
    filtering: bool = False
    memberships: dict[str, Membership] = field(default_factory=dict)
    switch: VdeSwitch | None = None
    next_index: int = 10
    segment: str = "vdenet0"
    """The one that is looked after here; those `beside` it share the host with it."""

    def beside(self, segment: str) -> Machine:
        """The same host as another segment finds it."""
        return Machine(links=self.links, addresses=self.addresses, shared=self.shared, own=self.own, record=self.record,
                       directories=self.directories, files=self.files, offload=self.offload, plugged=self.plugged,
                       memberships=self.memberships, next_index=self.next_index + 1000, segment=segment)

    def copy(self) -> Machine:
        """For itself; what is in it is frozen."""
        own = {name: copy.copy(value) for name, value in vars(self).items()}
        own["addresses"] = {name: set(there) for name, there in self.addresses.items()}
        own["switch"] = None if self.switch is None else self.switch.copy()
        return Machine(**own)

    def observe(self, wanted: Wanted) -> Observed:
        """As the daemon looks: at what `wanted` speaks of."""
        sysctls = {}
        for sysctl in wanted.sysctls:
            if sysctl.key in self.shared:
                sysctls[sysctl.key] = self.shared[sysctl.key]
            elif sysctl.key.split("/")[3] in self.links:
                sysctls[sysctl.key] = self.own.get(sysctl.key, "as the kernel has it")
        sysctls |= {key: self.own[key] for key in stale_settings(wanted, self.links) if key in self.own}
        bridge = wanted.bridge.name
        names = {service.name for service in (*wanted.services, *wanted.unwanted)}
        kind = wanted.resolver.kind if wanted.resolver is not None else "none"
        return Observed(
            links=dict(self.links), sysctls=sysctls,
            addresses={name: frozenset(there) for name, there in self.addresses.items()
                       if self._own(name, bridge) or name in {wanted.segment, wanted.uplink}},
            adopted=self.adopted, taken_uplink=self.uplink, patched=self.patched,
            patch_plugged=wanted.patch is not None and self.plugged.get(wanted.patch.outer) == wanted.patch.switch,
            directories={d.path: self.directories[d.path] for d in wanted.directories if d.path in self.directories},
            files={file.path: self.files[file.path] for file in (*wanted.files, *wanted.unwanted_files)
                   if file.path in self.files},
            services={name: running for name, running in self.services.items() if name in names},
            breaks_loops=self.breaks_loops,
            firewall=self.firewall, firewall_present=self.firewall_present,
            offload={name: on for name, on in self.offload.items() if self._own(name, bridge)},
            dnsmasq_kept_off=self.dnsmasq_kept_off,
            vlan_filtering=self.filtering and bridge == wanted.segment,
            memberships={name: member for name, member in self.memberships.items()
                         if self._tells(name, wanted)}, switch=self._switch(wanted),
            sysctls_kept={key: self.shared[key] for key in self.record}, resolver=self.resolvers.get(kind),
            stale_resolvers=tuple(Resolver(other, bridge, wanted.server, wanted.domain)
                                  for other in sorted(self.resolvers)
                                  if other != kind and (other != FORGETFUL or not wanted.server)))

    def state(self) -> dict[str, Any]:
        """Everything, as far as it can be seen: two interfaces of one name are the same."""
        return {name: {key: replace(link, ifindex=0) for key, link in value.items()} if name == "links" else value
                for name, value in vars(self).items() if name not in ("next_index", "held")}

    def _own(self, name: str, bridge: str) -> bool:
        return name == bridge or self._is_vlan_of(name, self.segment)

    def _is_vlan_of(self, name: str, bridge: str) -> bool:
        return self.links[name].kind == "vlan" and name.startswith(f"{bridge}.")

    def _tells(self, name: str, wanted: Wanted) -> bool:
        bridge = self.links[name].master or name
        return (self.filtering and bridge == wanted.segment) or (wanted.vlan_filtering and bridge == wanted.bridge.name)

    def _switch(self, wanted: Wanted) -> SwitchTable | None:
        path = next(file.path for file in wanted.files if file.path.name == "start")
        text = next(file.text for file in wanted.files if file.path == path)
        before = self.files.get(path)
        if self.switch is None or (wanted.switch == SwitchTable() and before == text):
            return None
        return self.switch.table(vdeports.told_apart(text) | vdeports.told_apart(before or ""))

    def perform(self, done: Iterable[Step]) -> None:
        for step in done:
            self._do(step)

    def change(self, name: str, **what: Any) -> None:
        """Behind the daemon's back."""
        self.links[name] = replace(self.links[name], **what)

    def detach(self, name: str) -> None:
        """Behind the daemon's back."""
        self.change(name, master=None)
        self.memberships.pop(name, None)

    def delete(self, name: str) -> None:
        """An interface goes, and with it all that hangs on it."""
        outer, inner = f"{self.segment}-ovs", f"{self.segment}-p"
        peer = {outer: inner, inner: outer}.get(name)
        del self.links[name]
        if peer in self.links:
            self.delete(peer)
        self.addresses.pop(name, None)
        self.offload.pop(name, None)
        for key in [key for key in self.own if key.split("/")[3] == name]:
            del self.own[key]
        self.memberships.pop(name, None)
        if name == self.segment:
            self.resolvers.pop(FORGETFUL, None)
            self.filtering = False
            for vlan in [link for link in self.links if self._is_vlan_of(link, name)]:
                self.delete(vlan)
        for port in self.links:
            if self.links[port].master == name:
                self.detach(port)

    def _do(self, step: Step) -> None:
        match step:
            case steps.CreateBridge(bridge, alias):
                self._born(Link(bridge.name, 0, bridge.mac, bridge.mtu, False, False, "bridge", alias=alias))
                self.memberships[bridge.name] = access()
            case steps.CreateTap(tap, alias):
                self._born(Link(tap.name, 0, "9a:00:00:00:00:01", tap.mtu, False, False, "tap", alias=alias,
                                owner=tap.owner))
            case steps.CreateVlanLink(vlan_link, alias):
                assert self.links[vlan_link.bridge].kind == "bridge"
                self._born(Link(vlan_link.name, 0, "9a:00:00:00:00:01", 1500, False, False, "vlan", alias=alias))
            case steps.SetVlans(name, membership):
                if name in self.memberships:
                    self.memberships[name] = membership
            case steps.SetVlanFiltering(name, on):
                assert name in self.links
                self.filtering = on
            case steps.SetSwitch(after=after):
                assert self.switch is not None
                now = self.switch.table({*step.before.ports, *after.ports})
                self.switch.load(vdeports.change(now, after))
            case steps.DeleteLink(name, ifindex):
                link = self.links.get(name)
                if link is not None and ifindex in (0, link.ifindex) and link.alias.startswith(ALIAS):
                    self.delete(name)
            case steps.SetLink(name):
                given = {"up": step.up, "mac": step.mac, "mtu": step.mtu, "alias": step.alias}
                self.change(name, **{key: value for key, value in given.items() if value is not None})
            case steps.AttachPort(name, bridge_name):
                assert self.links[bridge_name].kind == "bridge"
                self.change(name, master=bridge_name)
                self.memberships[name] = access()
            case steps.DetachPort(name):
                if name in self.links:
                    self.detach(name)
            case steps.AdoptBridge(name):
                assert not self.links[name].ours
                self.adopted = name
            case steps.ReleaseBridge():
                self.adopted = None
            case steps.TakeUplink(name, bridge_name):
                assert self.links[bridge_name].up
                self.uplink = name
                self.change(name, master=bridge_name)
                self.memberships[name] = access()
                self._move(name, bridge_name, set())
                self.addresses[bridge_name] |= self.written if not self.addresses[bridge_name] else set()
                self.written = set(self.addresses[bridge_name])
            case steps.ReturnUplink(name, bridge_name, _segment, keep):
                self.uplink = None
                self.detach(name)
                if bridge_name in self.links:
                    self._move(bridge_name, name, set(keep))
                else:
                    self.addresses.setdefault(name, set()).update(self.written)
                self.written = set()
            case steps.CreatePatch(patch, alias):
                for end in (patch.outer, patch.inner):
                    self.links.pop(end, None)
                    self._born(Link(end, 0, "9a:00:00:00:00:02", patch.mtu, True, True, "veth", alias=alias))
            case steps.PlugPatch(name, switch):
                assert name in self.links
                self.patched = self.plugged[name] = switch
            case steps.UnplugPatch(name):
                self.patched = None
                self.plugged.pop(name, None)
            case steps.AddAddress(name, address):
                assert name in self.links
                self.addresses[name].add(address)
            case steps.RemoveAddress(name, address):
                assert name in self.links
                self.addresses[name].discard(address)
            case steps.SetOffload(name, on):
                assert name in self.links
                self.offload[name] = on
            case steps.SetSysctl(key, value, keep):
                if key in self.shared:
                    if keep:
                        self.record.setdefault(key, self.shared[key])
                    self.shared[key] = value
                else:
                    assert key.split("/")[3] in self.links and not keep
                    self.own[key] = value
            case steps.RestoreSysctl(key):
                self.shared[key] = self.record.pop(key)
            case steps.RestoreSysctls():
                self.shared.update(self.record)
                self.record.clear()
            case steps.MakeDirectory(directory):
                # Root makes what is missing above; another account cannot.
                assert directory.account == "root" or directory.path.parent in self.directories
                self.directories[directory.path] = directory.mode, directory.group
            case steps.RemoveTree(directory):
                self._remove(directory)
            case steps.WriteFile(file) | steps.ServeLonger(file=file):
                assert file.path.parent in self.directories
                self.files[file.path] = file.text
            case steps.RemoveFile(path):
                self.files.pop(path, None)
            case steps.LoadFirewall(firewall):
                self.firewall, self.firewall_present = digest(firewall.text), True
            case steps.UnloadFirewall():
                self.firewall, self.firewall_present = None, False
            case steps.SetSpanningTree(_segment, on):
                assert "switch" in self.services
                self.breaks_loops = on
            case steps.StartService(service=service):
                self._start(service)
            case steps.ReloadService(service=service):
                assert service.name in self.services
                self._run(service)
            case steps.StopService(service=service):
                self.services.pop(service.name, None)
                if service.name == "switch":
                    self.breaks_loops = None
                    self.switch = None
                    if service.link in self.links:
                        self.change(str(service.link), carrier=False)
                self.held.pop(service.name, None)
            case steps.RegisterResolver(resolver):
                assert resolver.link in self.links
                self.resolvers[resolver.kind] = resolver_mark(resolver)
            case steps.UnregisterResolver(resolver):
                self.resolvers.pop(resolver.kind, None)
            case steps.KeepDnsmasqOff(segment):
                assert segment == self.segment
                self.dnsmasq_kept_off = True
            case steps.LetDnsmasqOn(segment):
                assert segment == self.segment
                self.dnsmasq_kept_off = None
            case _:
                assert_never(step)

    def _move(self, source: str, target: str, keep: set[Address]) -> None:
        moving = self.addresses.get(source, set()) - keep
        self.addresses.setdefault(target, set()).update(moving)
        self.addresses[source] = self.addresses.get(source, set()) - moving

    def _born(self, link: Link) -> None:
        assert link.name not in self.links
        self.next_index += 1
        self.links[link.name] = replace(link, ifindex=self.next_index)
        self.addresses[link.name] = set()
        self.offload[link.name] = True

    def _remove(self, directory: Directory) -> None:
        path = directory.path
        for one in [one for one in self.directories if one == path or path in one.parents]:
            del self.directories[one]
        for one in [one for one in self.files if path in one.parents]:
            del self.files[one]

    def _start(self, service: Service) -> None:
        assert service.name not in self.services, "a second one"
        if service.name == "switch":
            self.breaks_loops = False
        assert not service.patient or (self.breaks_loops is not None and "gate" in self.services), "a plug goes in there"
        if service.link is not None:
            tap = self.links[service.link]
            assert service.patient or (tap.up and tap.master is not None)
            self.held[service.name] = tap.ifindex
            self.change(tap.name, carrier=True)
        for word in service.argv:  # what it reads is there
            _option, _equals, path = word.partition("=")
            assert not path.endswith(".conf") or Path(path) in self.files
        if service.name == "switch":
            start = Path(service.argv[service.argv.index("--rcfile") + 1])
            self.switch = VdeSwitch.started(self.files[start]).copy()
        if service.ready_udp is not None:
            holders = [name for name, there in self.addresses.items()
                       if any(str(a.ip) == service.ready_udp[0] for a in there)]
            assert [self.links[name].up for name in holders] == [True], "it can be reached"
        self._run(service)

    def _run(self, service: Service) -> None:
        self.services[service.name] = RunningService(1000, restart_digest(service), reload_digest(service))

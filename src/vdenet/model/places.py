"""Where everything lies on disk. Pure: paths are composed here and touched elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath as Path

GROUP = "vdenet"
SWITCH_ACCOUNT = "vdenet-switch"
DNS_ACCOUNT = "vdenet-dns"
PLUG_ACCOUNT = "vdenet-plug"
LXC_USERNET = Path("/etc/lxc/lxc-usernet")
"""Which bridges containers of ordinary users may be on; the administrator's."""


@dataclass(frozen=True, slots=True)
class Places:
    """The three trees of the package: volatile state, configuration, kept state."""

    run: Path = Path("/run/vdenet")
    etc: Path = Path("/etc/vdenet")
    var: Path = Path("/var/lib/vdenet")

    @property
    def control(self) -> Path:
        """The daemon's socket."""
        return self.run / "control"

    def config(self, segment: str) -> Path:
        """The segment's TOML file."""
        return self.etc / f"{segment}.toml"

    def stopped(self, segment: str) -> Path:
        """Exists while a segment was stopped on purpose; gone after a reboot."""
        return self.records(segment) / "stopped"

    @property
    def policy(self) -> Path:
        """What members may do."""
        return self.etc / "policy.toml"

    @property
    def ssh(self) -> Path:
        """Root's: the key by which plugs reach other hosts, and the list of those hosts' keys."""
        return self.etc / "ssh"

    def applied(self, segment: str) -> Path:
        """The configuration by which the segment is up: what takes it down when the admin's file is gone."""
        return self.records(segment) / "segment.toml"

    def pending(self, segment: str) -> Path:
        """The configuration that comes back unless a change is confirmed."""
        return self.state(segment) / "pending.json"

    def deleting(self, segment: str) -> Path:
        """A mark: the segment is being deleted."""
        return self.state(segment) / "deleting"

    def runtime(self, segment: str) -> Path:
        """The home of vde_switch's account: all below it is made and removed as that account."""
        return self.run / segment

    def switch(self, segment: str) -> Path:
        """The VDE control directory, which members give to QEMU, VirtualBox, vde_plug: the gate's."""
        return self.runtime(segment) / "switch"

    def switch_sockets(self, segment: str) -> Path:
        """The switch's own control directory, behind the gate: members reach the sockets for frames there."""
        return self.runtime(segment) / "sockets"

    def switch_scripts(self, segment: str) -> Path:
        """What the switch is told of VLANs and ports; written by the daemon."""
        return self.run / "vde" / segment

    def switch_start(self, segment: str) -> Path:
        """What the switch reads when it starts."""
        return self.switch_scripts(segment) / "start"

    def switch_change(self, segment: str) -> Path:
        """What the switch was told last while it ran."""
        return self.switch_scripts(segment) / "change"

    def console(self, segment: str) -> Path:
        """vde_switch's management socket, in a directory that members cannot enter."""
        return self.runtime(segment) / "console" / "socket"

    def dns(self, segment: str) -> Path:
        """What dnsmasq reads; written by the daemon."""
        return self.run / "dns" / segment

    def dnsmasq_config(self, segment: str) -> Path:
        """The configuration of the segment's dnsmasq."""
        return self.dns(segment) / "dnsmasq.conf"

    def dnsmasq_hosts(self, segment: str) -> Path:
        """dhcp-hostsfile: which MAC has which name and address."""
        return self.dns(segment) / "hosts"

    def dnsmasq_addresses(self, segment: str) -> Path:
        """addn-hosts: names of fixed addresses."""
        return self.dns(segment) / "addresses"

    def records(self, segment: str) -> Path:
        """The daemon's own volatile records: what a restarted daemon has to know again."""
        return self.run / "state" / segment

    def adopted(self, segment: str) -> Path:
        """Which bridge of another program's the segment is on."""
        return self.records(segment) / "adopted"

    def uplink(self, segment: str) -> Path:
        """Which interface of the host's was made a port of the segment's bridge."""
        return self.records(segment) / "uplink"

    def dnsmasq_pending(self, segment: str) -> Path:
        """There while the system's dnsmasq has not been told yet to leave the segment alone."""
        return self.records(segment) / "dnsmasq-pending"

    @property
    def sysctls(self) -> Path:
        """Shared kernel settings as they were before the first segment came up."""
        return self.run / "state" / "sysctls.json"

    @property
    def vmnets(self) -> Path:
        """Which vmnets of VMware's we have bridged to which of our bridges."""
        return self.var / "vmnets.json"

    def state(self, segment: str) -> Path:
        """The segment's kept directory."""
        return self.var / segment

    def lease_home(self, segment: str) -> Path:
        """What dnsmasq's account may write."""
        return self.var / segment / "dns"

    def leases(self, segment: str) -> Path:
        """dnsmasq's lease file."""
        return self.lease_home(segment) / "leases"

    def guests(self, segment: str) -> Path:
        """The daemon's record of guests that joined: names, MACs, owners."""
        return self.var / segment / "guests.json"

    def departed(self, segment: str) -> Path:
        """Which leases are of guests that have left."""
        return self.var / segment / "departed.json"

    def patch(self, segment: str) -> Path:
        """Which Open vSwitch bridge the segment is plugged into."""
        return self.var / segment / "openvswitch"

    def retiring(self, segment: str) -> Path:
        """Addresses that are still served after a change of address."""
        return self.var / segment / "retiring.json"

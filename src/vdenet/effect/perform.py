"""Carries out one step of a plan: from each kind of step to the hand that does it."""

from __future__ import annotations

from typing import assert_never

from vdenet.effect import dnsmasq, files, firewall, openvswitch, resolver, spanning, switch, sysctl, tun, uplink
from vdenet.effect.netlink import Netlink, set_transmit_checksum
from vdenet.effect.supervisor import Supervisor
from vdenet.errors import VdenetError
from vdenet.model import steps
from vdenet.model.places import Places
from vdenet.model.wanted import Resolver, Service
from vdenet.probe import links


class Hands:
    """What steps are carried out with."""

    def __init__(self, places: Places, netlink: Netlink, supervisor: Supervisor) -> None:
        self.places = places
        self.netlink = netlink
        self.supervisor = supervisor
        self.notes: list[str] = []
        """What a step left as it was, and why; for the log."""

    def perform(self, step: steps.Step) -> None:
        """Do it. Raises a `VdenetError` that says why it could not be done."""
        match step:
            case steps.CreateBridge():
                self.netlink.create_bridge(step.bridge, step.alias)
            case steps.CreateTap():
                if tun.open_to_all():
                    self.notes.append(f"{tun.DEVICE} opened to all accounts, as udev does")
                self.netlink.create_tap(step.tap, step.alias)
            case steps.DeleteLink():
                self.netlink.delete(step.name, step.ifindex, step.alias)
            case steps.CreateVlanLink():
                self.netlink.create_vlan_link(step.link, step.alias)
            case steps.SetVlans():
                self._set_vlans(step)
            case steps.SetVlanFiltering():
                self.netlink.set_vlan_filtering(step.bridge, step.on)
            case steps.SetSwitch():
                switch.tell(step.segment, step.before, step.after, self.places)
            case steps.SetLink():
                self.netlink.set(step.name, up=step.up, mac=step.mac, mtu=step.mtu, alias=step.alias)
            case steps.AttachPort():
                self.netlink.attach(step.name, step.bridge)
            case steps.DetachPort():
                self.netlink.detach(step.name)
            case steps.AdoptBridge():
                files.write(self.places.adopted(step.segment), step.bridge, 0o600, "root")
            case steps.ReleaseBridge():
                files.remove(self.places.adopted(step.segment))
            case steps.TakeUplink():
                uplink.take(step.uplink, step.bridge, step.segment, self.places)
            case steps.ReturnUplink():
                uplink.give_back(step.uplink, step.bridge, step.segment, self.places, step.keep)
            case steps.CreatePatch():
                self.netlink.create_patch(step.patch, step.alias)
            case steps.PlugPatch():
                openvswitch.plug(step.port, step.switch, step.segment, self.places)
            case steps.UnplugPatch():
                openvswitch.unplug(step.port, step.switch, step.segment, self.places)
            case steps.AddAddress():
                self.netlink.add_address(step.link, step.address)
            case steps.RemoveAddress():
                self.netlink.remove_address(step.link, step.address)
            case steps.SetOffload():
                set_transmit_checksum(step.link, step.on)
            case steps.SetSysctl(keep=True):
                sysctl.change_kept(step.key, step.value, self.places)
            case steps.SetSysctl():
                sysctl.write(step.key, step.value)
            case steps.RestoreSysctl():
                self.notes += [f"left as it is: {what}" for what in sysctl.restore(self.places, step.key)]
            case steps.RestoreSysctls():
                self.notes += [f"left as it is: {what}" for what in sysctl.restore(self.places)]
            case steps.MakeDirectory():
                files.make_directory(step.directory)
            case steps.RemoveTree():
                files.remove_tree(step.directory)
            case steps.WriteFile() | steps.ServeLonger():
                files.write(step.file.path, step.file.text, step.file.mode, step.file.group)
            case steps.RemoveFile():
                files.remove(step.path)
            case steps.LoadFirewall():
                firewall.load(step.firewall, self.places)
            case steps.UnloadFirewall():
                firewall.unload(step.firewall, self.places)
            case steps.SetSpanningTree():
                spanning.switch(step.segment, step.on, self.places)
            case steps.StartService():
                self._start(step.segment, step.service)
            case steps.ReloadService():
                self.supervisor.reload(step.segment, step.service)
            case steps.StopService():
                self.supervisor.stop(step.segment, step.service)
            case steps.RegisterResolver():
                self._register(step.resolver)
            case steps.UnregisterResolver():
                resolver.unregister(step.resolver)
            case steps.KeepDnsmasqOff():
                dnsmasq.keep_off(step.segment, self.places.dnsmasq_pending(step.segment))
            case steps.LetDnsmasqOn():
                dnsmasq.let_on(step.segment, self.places.dnsmasq_pending(step.segment))
            case _:
                assert_never(step)

    def _start(self, segment: str, service: Service) -> None:
        """What a plug reaches may be away: that is no reason to leave the guests without a network."""
        try:
            self.supervisor.start(segment, service)
        except VdenetError as error:
            if not service.patient:
                raise
            self.notes.append(str(error))

    def _set_vlans(self, step: steps.SetVlans) -> None:
        """A port that left the bridge by itself is in no VLAN of it."""
        link = links.link(step.port)
        if step.bridge:
            self.netlink.set_vlans(step.port, step.membership, None)
        elif link is not None and link.master is not None:
            self.netlink.set_vlans(step.port, step.membership, link.master)

    def _register(self, wanted: Resolver) -> None:
        """A host that cannot look its guests up is no reason to leave the guests without a network."""
        try:
            resolver.register(wanted)
        except VdenetError as error:
            self.notes.append(str(error))

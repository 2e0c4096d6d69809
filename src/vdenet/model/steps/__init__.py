"""The changes that a plan can be made of: a closed set, each a plain value with a sentence.

`vdenet.effect.perform` carries them out. Symmetric steps stand side by side, in a module for each kind of thing.
"""

from __future__ import annotations

from vdenet.model.steps.files import MakeDirectory, RemoveFile, RemoveTree, ServeLonger, WriteFile
from vdenet.model.steps.links import (
    AddAddress,
    AttachPort,
    CreateBridge,
    CreateTap,
    CreateVlanLink,
    DeleteLink,
    DetachPort,
    RemoveAddress,
    SetLink,
    SetOffload,
)
from vdenet.model.steps.outside import (
    AdoptBridge,
    CreatePatch,
    PlugPatch,
    ReleaseBridge,
    ReturnUplink,
    TakeUplink,
    UnplugPatch,
)
from vdenet.model.steps.resolver import KeepDnsmasqOff, LetDnsmasqOn, RegisterResolver, UnregisterResolver
from vdenet.model.steps.services import (
    LoadFirewall,
    ReloadService,
    SetSpanningTree,
    StartService,
    StopService,
    UnloadFirewall,
)
from vdenet.model.steps.settings import RestoreSysctl, RestoreSysctls, SetSysctl
from vdenet.model.steps.vlans import SetSwitch, SetVlanFiltering, SetVlans

__all__ = ["AddAddress", "AdoptBridge", "AttachPort", "CreateBridge", "CreatePatch", "CreateTap", "CreateVlanLink",
           "DeleteLink", "DetachPort", "KeepDnsmasqOff", "LetDnsmasqOn", "LoadFirewall", "MakeDirectory", "PlugPatch",
           "RegisterResolver", "ReleaseBridge", "ReloadService", "RemoveAddress", "RemoveFile", "RemoveTree",
           "RestoreSysctl", "RestoreSysctls", "ReturnUplink", "ServeLonger", "SetLink", "SetOffload", "SetSpanningTree",
           "SetSwitch", "SetSysctl", "SetVlanFiltering", "SetVlans", "StartService", "Step", "StopService",
           "TakeUplink", "UnloadFirewall", "UnplugPatch", "UnregisterResolver", "WriteFile"]

Step = (
    CreateBridge | CreateTap | CreateVlanLink | DeleteLink | SetLink | AttachPort | DetachPort
    | AddAddress | RemoveAddress | SetOffload
    | AdoptBridge | ReleaseBridge | TakeUplink | ReturnUplink | CreatePatch | PlugPatch | UnplugPatch
    | SetVlans | SetVlanFiltering | SetSwitch
    | SetSysctl | RestoreSysctl | RestoreSysctls
    | MakeDirectory | RemoveTree | WriteFile | ServeLonger | RemoveFile
    | LoadFirewall | UnloadFirewall | SetSpanningTree
    | StartService | ReloadService | StopService
    | RegisterResolver | UnregisterResolver | KeepDnsmasqOff | LetDnsmasqOn
)

"""What the clients of Incus and LXD print as JSON (`incus list`, `incus remote list`, `incus query`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

RESTRICTED = "restricted.devices.nic", "restricted.networks.access"
_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Nic:
    """A network device of an instance; `own` where the instance has it itself, not by a profile."""

    device: str
    settings: Mapping[str, str]
    own: bool
    mac: str | None
    """As it is set, or as the server made it up (`volatile.DEVICE.hwaddr`)."""
    name: str | None
    """Of the interface in the instance, where that is known."""

    def on(self, bridge: str, prefix: str) -> bool:
        """Whether it is a port of the bridge, which the server does not manage, or one of ours, whose names begin
        with `prefix`."""
        return (self.settings.get("nictype") == "bridged" and self.settings.get("parent") == bridge) \
            or (self.port or "").startswith(prefix)

    @property
    def port(self) -> str | None:
        """The name of its end out here, where the server leaves that to others to put it on a bridge."""
        return self.settings.get("host_name") if self.settings.get("nictype") == "p2p" else None


@dataclass(frozen=True, slots=True)
class Instance:
    """A container or virtual machine."""

    name: str
    project: str
    running: bool
    profiles: tuple[str, ...]
    devices: frozenset[str]
    """Names of devices of any type, with those of its profiles."""
    nics: tuple[Nic, ...]


def instance(listing: str, name: str) -> Instance | None:
    """The instance of exactly that name; None when it is not listed. Raises ValueError."""
    for entry in _objects(json.loads(listing)):
        if entry.get("name") == name:
            return _instance(name, entry)
    return None


def address(remotes: str, remote: str) -> str | None:
    """Where the server of that name is: `unix://…` on this machine. None when unknown. Raises ValueError."""
    known = json.loads(remotes)
    entry = known.get(remote) if isinstance(known, dict) else None
    where = entry.get("Addr") if isinstance(entry, dict) else None
    return where if isinstance(where, str) else None


def lifting(project: str, bridge: str, in_use: Callable[[], Collection[str]]) -> tuple[str, ...]:
    """The settings that let a restricted project onto the bridge; none where it may be there.

    A project is restricted by `restricted.*` (Incus, "Project restrictions"); `project` is what the server
    says of it. Without `restricted.networks.access`, which names the bridges and networks that it may use, the
    other setting would open all interfaces of the host to it; `in_use` says which it has to keep. Raises
    ValueError.
    """
    answer = json.loads(project)
    config = _texts(answer.get("config") if isinstance(answer, dict) else None)
    devices, networks = RESTRICTED
    if config.get("restricted") != "true":
        return ()
    settings = []
    allowed = [name.strip() for name in config.get(networks, "").split(",") if name.strip()]
    if config.get(devices, "managed") != "allow":
        settings.append(f"{devices}=allow")
        allowed = allowed or sorted(in_use()) or [bridge]
    if allowed and bridge not in allowed:
        allowed.append(bridge)
    if allowed and ",".join(allowed) != config.get(networks, "").replace(" ", ""):
        settings.append(f"{networks}={','.join(allowed)}")
    return tuple(settings)


def in_use(networks: str, project: str) -> frozenset[str]:
    """The managed networks that something of the project is on; `networks` is what the server says of all that
    it has. Raises ValueError."""
    return frozenset(
        name for entry in _objects(json.loads(networks))
        if isinstance(name := entry.get("name"), str) and entry.get("managed") is True
        and project in map(_project, users if isinstance(users := entry.get("used_by"), list) else ()))


def _project(user: object) -> str | None:
    """Of an address like `/1.0/instances/web?project=lab`."""
    if not isinstance(user, str):
        return None
    return next(iter(parse_qs(user.partition("?")[2]).get("project", ())), "default")


def free(instance: Instance) -> int:
    """The lowest N so that neither a device nor an interface is called ethN."""
    taken = instance.devices | {nic.name for nic in instance.nics}
    return next(number for number in range(len(taken) + 1) if f"eth{number}" not in taken)


def _instance(name: str, entry: Mapping[str, object]) -> Instance:
    expanded, own = _devices(entry.get("expanded_devices")), _devices(entry.get("devices"))
    config = _texts(entry.get("config"))
    profiles = entry.get("profiles")
    nics = []
    for device, settings in sorted(expanded.items()):
        if settings.get("type") != "nic":
            continue
        mac = (settings.get("hwaddr") or config.get(f"volatile.{device}.hwaddr") or "").lower()
        nics.append(Nic(device, settings, device in own, mac if _MAC.fullmatch(mac) else None,
                        settings.get("name") or config.get(f"volatile.{device}.name")))
    return Instance(
        name, str(entry.get("project") or "default"), entry.get("status") not in ("Stopped", "Error", None),
        tuple(text for text in profiles if isinstance(text, str)) if isinstance(profiles, list) else (),
        frozenset(expanded), tuple(nics))


def _objects(data: object) -> Iterator[dict[str, object]]:
    for entry in data if isinstance(data, list) else ():
        if isinstance(entry, dict):
            yield entry


def _devices(data: object) -> dict[str, dict[str, str]]:
    return {name: _texts(settings) for name, settings in data.items()} if isinstance(data, dict) else {}


def _texts(data: object) -> dict[str, str]:
    if not isinstance(data, dict):
        return {}
    return {key: value for key, value in data.items() if isinstance(key, str) and isinstance(value, str)}

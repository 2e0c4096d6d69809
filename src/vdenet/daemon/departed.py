"""Guests that left a segment while their leases went on: by the lease file alone, they would still be about.

Kept per segment in /var/lib/vdenet, as the leases are; what is said of a lease goes with that lease. A guest has two
where it was moved into a VLAN, or its segment's address was changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from vdenet.daemon.log import logger
from vdenet.effect import files
from vdenet.errors import Refused
from vdenet.model.places import Places
from vdenet.text.dnsmasq import Lease


class Departed:
    """Those of one segment. Not for several threads at once: the engine's lock guards it."""

    def __init__(self, segment: str, places: Places) -> None:
        self._path = places.departed(segment)
        self._leases = self._read()

    def note(self, mac: str, leases: Iterable[Lease]) -> None:
        """The guest with that MAC has left: the leases that it has now no longer say that it is here."""
        there = list(leases)
        self._replace(self._living(there) | {_key(lease): lease.expires for lease in there if lease.mac == mac})

    def follow(self, leases: Iterable[Lease]) -> None:
        """Forget those whose lease has ended, or was renewed.

        From no leases at all nothing follows: dnsmasq empties its file before it writes it anew.
        """
        if there := list(leases):
            self._replace(self._living(there))

    def has(self, lease: Lease) -> bool:
        """Whether the guest left after it was given this lease."""
        return self._leases.get(_key(lease)) == lease.expires

    def _living(self, leases: Iterable[Lease]) -> dict[str, int]:
        return {_key(lease): lease.expires for lease in leases if self.has(lease)}

    def _replace(self, after: dict[str, int]) -> None:
        """What cannot be written is known until the daemon ends: no reason to keep a guest from leaving."""
        if after == self._leases:
            return
        self._leases = after
        try:
            if after:
                files.write(self._path, json.dumps(after) + "\n", 0o600, "root")
            else:
                files.remove(self._path)
        except (Refused, OSError) as error:
            logger.error("%s", error)

    def _read(self) -> dict[str, int]:
        try:
            data = json.loads(Path(self._path).read_text())
            return {key: expires for key, expires in data.items() if isinstance(expires, int)}
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}


def _key(lease: Lease) -> str:
    return f"{lease.mac} {lease.address}"

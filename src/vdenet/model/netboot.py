"""Boot from the network: what which kind of client is told to load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Netboot:
    """Each is a file below `root`, served by TFTP, or for `http…` and `ipxe` a URL; None: no answer to that kind."""

    root: str | None = None
    """The directory that TFTP serves; None where nothing is served by TFTP."""
    bios: str | None = None
    uefi: str | None = None
    uefi_ia32: str | None = None
    uefi_arm: str | None = None
    http: str | None = None
    http_arm: str | None = None
    ipxe: str | None = None
    """What iPXE loads, once a network card or one of the files above has brought it up."""

    @property
    def files(self) -> tuple[str, ...]:
        """Those that TFTP has to have, below `root`."""
        found = (self.bios, self.uefi, self.uefi_ia32, self.uefi_arm, self.ipxe)
        return tuple(dict.fromkeys(name for name in found if name is not None and "://" not in name))

"""Real machines under QEMU, without a disk, boot from the segment: BIOS, iPXE, UEFI by PXE.

A member starts each by `join qemu`. That it is up is what its own kernel says on the serial console. UEFI by
HTTP is not here: emulated, Debian's firmware had not booted by it after seven minutes. What DHCP answers to such
a client is in tests/net/test_netboot.py.
"""

from __future__ import annotations

from netboot.conftest import ROOT, SAYS, Lab
BIOS = f'\n[netboot]\nroot = "{ROOT}"\nbios = "pxelinux.0"\nuefi = "boot.efi"\n'


def test_bios_and_uefi_by_one_stanza(lab: Lab) -> None:
    """The network card's own ROM is iPXE, which here does as any PXE ROM would: pxelinux, and its files."""
    lab.configure(BIOS)
    uefi = lab.boot("uefi", *lab.firmware("uefi"))
    bios = lab.boot("bios")
    lab.wait(bios, SAYS.format(name="bios"))
    lab.wait(uefi, SAYS.format(name="uefi"))


def test_ipxe_goes_on_with_a_script(lab: Lab) -> None:
    lab.configure(BIOS + 'ipxe = "boot.ipxe"\n')
    lab.wait(lab.boot("ipxe"), SAYS.format(name="ipxe"))

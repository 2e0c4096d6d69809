"""Real machines under QEMU, without a disk, boot from the segment: BIOS, iPXE, UEFI by PXE and by HTTP.

A member starts each by `join qemu`. That it is up is what its own kernel says on the serial console, and the name
in it says which way it came.
"""

from __future__ import annotations

from lab.machine import wait_for
from lab.station import Station

from netboot.conftest import GUESTS_NETWORK, ROOT, SAYS, Lab

SERVER = "52:54:00:dd:00:01"
STANZA = f"""
[netboot]
root = "{ROOT}"
bios = "pxelinux.0"
uefi = "uefi.efi"
http = "http://gateway.vdenet.internal:8080/http.efi"
"""
# How OVMF is told to go straight on to HTTP; a person would choose it in the firmware's menu.
ONLY_HTTP = [word for version in (4, 6) for word in (
    "-fw_cfg", f"name=opt/org.tianocore/IPv{version}PXESupport,string=n")]


def test_bios_and_uefi_by_one_stanza(lab: Lab) -> None:
    """The network card's own ROM is iPXE, which here does as any PXE ROM would: pxelinux, and its files."""
    lab.configure(STANZA)
    uefi = lab.boot("uefi", *lab.firmware("uefi"))
    bios = lab.boot("bios")
    lab.wait(bios, SAYS.format(name="bios"))
    lab.wait(uefi, SAYS.format(name="uefi"))


def test_uefi_by_http(lab: Lab) -> None:
    """The host serves it, since the file opens that port of it; the name is the segment's own DNS's."""
    lab.configure(STANZA, first='open = ["tcp/8080"]\n')
    lab.start("busybox", "httpd", "-f", "-p", "8080", "-h", ROOT)
    lab.wait(lab.boot("http", *lab.firmware("http"), *ONLY_HTTP), SAYS.format(name="http"))


def test_ipxe_goes_on_with_a_script(lab: Lab) -> None:
    lab.configure(STANZA + 'ipxe = "boot.ipxe"\n')
    lab.wait(lab.boot("ipxe"), SAYS.format(name="ipxe"))


def test_a_guest_serves_all_of_it(lab: Lab) -> None:
    """DHCP, PXE's own menu on port 4011, and TFTP; the host gives nothing."""
    lab.configure(f'[[host]]\nmac = "{SERVER}"\ndhcp_server = true\n', first='dhcp = "guest"\n')
    given = GUESTS_NETWORK.rpartition(".")[0]
    with Station(lab.machine, "s", SERVER) as server:
        lab.macs.add(SERVER)
        server.run("ip", "addr", "add", f"{given}.1/24", "dev", "eth0")
        lab.start(*server.command(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--bind-dynamic",
            "--interface=eth0", "--no-ping", "--pid-file=", "--log-facility=/tmp/s.dnsmasq", "--log-dhcp",
            "--dhcp-leasefile=/tmp/s.leases", f"--dhcp-range={given}.10,{given}.20,10m", "--dhcp-authoritative",
            "--enable-tftp", f"--tftp-root={ROOT}", "--pxe-prompt=lab,0", "--pxe-service=x86PC,lab,pxelinux"))
        server.run("ping", "-c", "1", "-W", "1", f"{given}.2", check=False)
        wait_for(lambda: SERVER in lab.machine.run(["nft", "list", "table", "bridge", "vdenet_vdenet0"]).stdout,
                 30, "the guard to open")
        lab.wait(lab.boot("bios"), SAYS.format(name="bios"))
        assert "PXE(eth0)" in lab.machine.path("/tmp/s.dnsmasq").read_text()

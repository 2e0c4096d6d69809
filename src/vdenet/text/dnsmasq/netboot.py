"""Boot from the network: TFTP, and what DHCP tells each kind of client to load.

A client says what it is in option 93 (RFC 4578, section 2.1; the numbers are IANA's "Processor Architecture
Types"), iPXE by its own option 175 (https://ipxe.org/howto/dhcpd).
"""

from __future__ import annotations

from vdenet.model.netboot import Netboot
from vdenet.text.dnsmasq.words import url, word

_IPXE = "ipxe"
_ARCHITECTURES = {
    "bios": (0,),
    "uefi": (7, 9),  # 9 is x64, 7 what RFC 4578 meant by EBC and x64 firmware sends
    "uefi_ia32": (6,),
    "uefi_arm": (11,),
    "http": (16,),
    "http_arm": (19,),
}
"""Which of the configuration's keys is for which architecture."""


def directives(netboot: Netboot, dhcp: bool, one_port: bool) -> list[str]:
    """`dhcp`: whether this dnsmasq is the one that gives out addresses, and so can say what to load.

    `one_port`: every transfer is from port 69, where a firewall lets out nothing that belongs to a connection.
    """
    lines = []
    if netboot.root is not None:
        # Without tftp-no-fail a directory that is missing would end DHCP and DNS too: `check` says it instead.
        lines += ["enable-tftp", "tftp-no-fail", f"tftp-root={word(netboot.root)}"]
        lines += ["tftp-single-port"] if one_port else []
    if not dhcp:
        return lines
    other = ""
    if netboot.ipxe is not None:
        lines += [f"dhcp-match=set:{_IPXE},175", f"dhcp-boot=tag:{_IPXE},{url(netboot.ipxe)}"]
        other = f"tag:!{_IPXE},"  # or it would be given itself, for ever
    for key, numbers in _ARCHITECTURES.items():
        value = getattr(netboot, key)
        if value is None:
            continue
        tag = key.replace("_", "-")
        lines += [f"dhcp-match=set:{tag},option:client-arch,{number}" for number in numbers]
        if key.startswith("http"):
            # The firmware takes an offer for its own only if it names the same class (UEFI 2.10, section 24.7.2).
            lines.append(f"dhcp-option-force=tag:{tag},60,HTTPClient")
        lines.append(f"dhcp-boot=tag:{tag},{other}{url(value)}")
    return lines

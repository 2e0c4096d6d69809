"""systemd-nspawn's settings of a container (systemd.nspawn(5)), and the MAC address that it gives it.

A block of lines at the end of the file puts the container on a bridge; what comes last counts. Taking it out
gives back the file byte for byte; but what somebody has written behind it since stays in the section that it opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vdenet.text.block import BEGIN, END

_BLOCK = re.compile(rf"\n?^{re.escape(BEGIN)}\n.*?^{re.escape(END)}\n", re.MULTILINE | re.DOTALL)
_KEY = bytes.fromhex("c3c4f919b557b21ce6cf1427039ceea2")
"""CONTAINER_HASH_KEY of systemd's src/nspawn/nspawn-network.c."""
_EXTRA_KEY = bytes.fromhex("af501761cef94d35840d2b2054bece59")
"""VETH_EXTRA_CONTAINER_HASH_KEY there."""
EXTRA = "VirtualEthernetExtra"
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_MACHINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def is_machine(name: str) -> bool:
    """Whether a container can be called so (hostname_is_valid() of systemd, and no more than a file name)."""
    return _MACHINE.fullmatch(name) is not None and ".." not in name


def network(text: str) -> dict[str, str]:
    """The settings of [Network]; of one that is given twice, the last."""
    found: dict[str, str] = {}
    for section, key, value, _start, _end in _lines(text):
        if section == "Network":
            found[key] = value
    return found


def port(text: str, prefix: str) -> str | None:
    """The veth's end out here, where nspawn leaves it to us: one of the ports whose names begin with `prefix`."""
    name = network(text).get(EXTRA, "").partition(":")[0]
    return name if name.startswith(prefix) else None


def joined(before: str, bridge: str) -> str:
    """The settings with the container on the bridge."""
    return _with_block(before, f"VirtualEthernet=yes\nBridge={bridge}")


def handed(before: str, port: str) -> str:
    """The settings with a veth that is on no bridge and whose end out here has that name; inside it is host0."""
    return _with_block(before, f"VirtualEthernet=no\n{EXTRA}={port}:host0")


def _with_block(before: str, lines: str) -> str:
    # The line's end, where the last line has none, is the block's.
    return f"{without_block(before)}\n{BEGIN}\n[Network]\n{lines}\n{END}\n"


def without_block(text: str) -> str:
    """The settings without what was added to them.

    The block's section is open behind it: what stands there without a header of its own keeps it.
    """
    block = _BLOCK.search(text)
    if block is None:
        return text
    before, after = text[:block.start()], without_block(text[block.end():])
    behind = next(_lines(after), ("Network",))
    if behind[0] == "" and _section(before) != "Network":
        return f"{before}\n[Network]\n{after}" if before else f"[Network]\n{after}"
    return f"{before}\n{after}" if before and after and not before.endswith("\n") else before + after


def left(text: str, bridge: str) -> str:
    """The settings without the block, and without lines that put the container on the bridge by hand."""
    text = without_block(text)
    for section, key, value, start, end in reversed(list(_lines(text))):
        if (section, key, value) == ("Network", "Bridge", bridge):
            text = text[:start] + text[end:]
    return text


def mac(machine_id: str, name: str, extra: int | None = None) -> str:
    """The MAC address that nspawn gives the container's end of its veth, or of that `extra` one, counted from 0.

    A keyed hash of the host's machine-id(5) and the container's name, marked as locally administered
    (generate_mac() of src/nspawn/nspawn-network.c).
    """
    data = bytes.fromhex(machine_id) + name.encode() + (extra.to_bytes(8, "little") if extra else b"")
    octets = bytearray(siphash24(_KEY if extra is None else _EXTRA_KEY, data).to_bytes(8, "little")[:6])
    octets[0] = octets[0] & 0xFE | 0x02
    return octets.hex(":")


def extras(text: str) -> int:
    """How many veths the settings add, beside that of the block."""
    return sum((section, key) == ("Network", EXTRA) for section, key, *_more in _lines(without_block(text)))


def siphash24(key: bytes, data: bytes) -> int:
    """SipHash-2-4 (Aumasson and Bernstein, 2012), 64 bits."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:16], "little")
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v: list[int], count: int) -> None:
    def rotate(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & _MASK

    for _round in range(count):
        v[0] = (v[0] + v[1]) & _MASK
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[3]) & _MASK
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & _MASK
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & _MASK
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)


def _section(text: str) -> str:
    """The one that is open at the end."""
    headers = [bare[1:-1] for line in _LINE.finditer(text) if _is_header(bare := line[0].strip())]
    return headers[-1] if headers else ""


def _is_header(bare: str) -> bool:
    return bare.startswith("[") and bare.endswith("]")


def _lines(text: str) -> Iterator[tuple[str, str, str, int, int]]:
    """Section, key and value of each setting, and where its line begins and ends (systemd.syntax(7))."""
    section = ""
    for line in _LINE.finditer(text):
        bare = line[0].strip()
        if _is_header(bare):
            section = bare[1:-1]
        elif "=" in bare and not bare.startswith(("#", ";")):
            key, _equals, value = bare.partition("=")
            yield section, key.strip(), value.strip(), *line.span()

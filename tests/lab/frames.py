"""Ethernet frames as bytes: taken apart, put together, and sent as a hostile guest would.

Pure but for `send`, which needs root and a process in the network namespace to send from.
"""

from __future__ import annotations

import ipaddress
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, ARP, VLAN, IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

_SEND = """
import socket, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
for line in sys.stdin:
    out.send(bytes.fromhex(line)); time.sleep(0.01)
"""


@dataclass(frozen=True)
class Frame:
    """A frame as it was seen; `vlan` is None for one without a tag."""

    data: bytes
    outgoing: bool = False
    vlan: int | None = None
    partial: bool = False  # the kernel has yet to write its checksum (CHECKSUM_PARTIAL)

    @property
    def target(self) -> str:
        return self.data[0:6].hex(":")

    @property
    def source(self) -> str:
        return self.data[6:12].hex(":")

    @property
    def kind(self) -> int:
        """Its EtherType; below 1536 it is a length (802.3, as a BPDU has)."""
        return int.from_bytes(self.data[12:14], "big")

    @property
    def payload(self) -> bytes:
        """What follows the header, cut to the length that an IPv4 header states."""
        rest = self.data[14:]
        return rest[: int.from_bytes(rest[2:4], "big")] if self.kind == IPV4 else rest

    @property
    def protocol(self) -> int | None:
        """TCP, UDP, ICMP, ICMPv6; None when it is no IP."""
        if self.kind == IPV4:
            return self.payload[9]
        return self.payload[6] if self.kind == IPV6 else None

    @property
    def ipv4(self) -> tuple[str, str] | None:
        """Source and target address."""
        if self.kind != IPV4:
            return None
        source, target = (ipaddress.IPv4Address(self.payload[at:at + 4]) for at in (12, 16))
        return str(source), str(target)

    @property
    def segment(self) -> bytes:
        """What follows the IP header (no IPv6 extension headers)."""
        if self.kind == IPV4:
            return self.payload[(self.payload[0] & 15) * 4:]
        return self.payload[40:] if self.kind == IPV6 else b""

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and target port of UDP and TCP."""
        if self.protocol not in (TCP, UDP):
            return None
        return int.from_bytes(self.segment[0:2], "big"), int.from_bytes(self.segment[2:4], "big")

    @property
    def checksum_good(self) -> bool:
        """Whether the IPv4 header's and the transport's checksums are right in these very bytes."""
        if self.kind == IPV4:
            size = (self.payload[0] & 15) * 4
            if checksum(self.payload[:size]):
                return False
            addresses = self.payload[12:20]
        elif self.kind == IPV6:
            addresses = self.payload[8:40]
        else:
            return True
        if self.protocol == ICMP:
            return not checksum(self.segment)
        if self.protocol == UDP and self.segment[6:8] == b"\0\0":
            return self.kind == IPV4
        if self.protocol not in (TCP, UDP, ICMPV6):
            return True
        return not checksum(addresses + struct.pack("!HH", self.protocol, len(self.segment))
                            + self.segment)


def checksum(data: bytes) -> int:
    """The internet checksum: 0 over data that holds its own."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(target: str, source: str, kind: int, payload: bytes, vlan: int | None = None) -> bytes:
    tag = struct.pack("!HH", VLAN, vlan) if vlan is not None else b""
    frame = mac(target) + mac(source) + tag + struct.pack("!H", kind) + payload
    return frame + b"\0" * max(0, 60 - len(frame))


def arp(operation: int, sender: tuple[str, str], target: tuple[str, str]) -> bytes:
    """An ARP payload: 1 asks, 2 answers; each end is MAC and address."""
    return (struct.pack("!HHBBH", 1, IPV4, 6, 4, operation)
            + mac(sender[0]) + ipaddress.IPv4Address(sender[1]).packed
            + mac(target[0]) + ipaddress.IPv4Address(target[1]).packed)


def ipv4(source: str, target: str, protocol: int, segment: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 7, 0x4000, 64, protocol, 0,
                       ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address(target).packed)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + segment


def ipv6(source: str, target: str, protocol: int, segment: bytes) -> bytes:
    """An IPv6 packet; `segment` has its checksum filled in where ICMPv6 and UDP want it."""
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(target).packed
    at = 2 if protocol == ICMPV6 else 6
    total = checksum(ends + struct.pack("!II", len(segment), protocol) + segment)
    segment = segment[:at] + struct.pack("!H", total) + segment[at + 2:]
    return struct.pack("!IHBB", 6 << 28, len(segment), protocol, 255) + ends + segment


def udp(source: int, target: int, data: bytes) -> bytes:
    """A UDP segment without a checksum, as IPv4 allows it."""
    return struct.pack("!HHHH", source, target, 8 + len(data), 0) + data


def dhcp_offer(client: str, address: str, server: str, transaction: bytes = b"vdnt") -> bytes:
    """What a rogue DHCP server answers: its own address as router and resolver."""
    own = ipaddress.IPv4Address(server).packed
    return (struct.pack("!BBBB4sHH4s4s4s4s", 2, 1, 6, 0, transaction, 0, 0x8000, bytes(4),
                        ipaddress.IPv4Address(address).packed, own, bytes(4))
            + mac(client) + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63"
            + b"\x35\x01\x02" + b"\x36\x04" + own + b"\x03\x04" + own + b"\x06\x04" + own + b"\xff")


def router_advertisement(source: str, prefix: str) -> bytes:
    """An ICMPv6 router advertisement with one prefix."""
    option = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 1800, 1800, 0,
                         ipaddress.IPv6Address(prefix).packed)
    return (struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option
            + struct.pack("!BB6s", 1, 1, mac(source)))


def neighbour_advertisement(source: str, address: str) -> bytes:
    """An unsolicited ICMPv6 neighbour advertisement that overrides."""
    return (struct.pack("!BBHI16s", 136, 0, 0, 0x20000000, ipaddress.IPv6Address(address).packed)
            + struct.pack("!BB6s", 2, 1, mac(source)))


def bpdu(source: str) -> bytes:
    """A spanning tree BPDU of a switch that wants to be the root."""
    identity = struct.pack("!H6s", 0, mac(source))
    tree = (struct.pack("!HBBB", 0, 0, 0, 1) + identity + struct.pack("!I", 0) + identity
            + struct.pack("!HHHHH", 0x8001, 0, 20 * 256, 2 * 256, 15 * 256))
    body = b"\x42\x42\x03" + tree
    return ethernet("01:80:c2:00:00:00", source, len(body), body)


def send(pid: int, interface: str, frames: Iterable[bytes]) -> None:
    """Send frames from an interface in the network namespace of a process."""
    subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-c", _SEND, interface],
                   input="".join(frame.hex() + "\n" for frame in frames), text=True, check=True,
                   timeout=60)

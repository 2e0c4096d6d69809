"""Records of the segment's DNS that are neither a guest's nor the host's own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RecordType(StrEnum):
    """The types that can be written; the list is closed."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    TXT = "TXT"
    SRV = "SRV"
    MX = "MX"
    PTR = "PTR"


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `name` is a whole domain name within the segment's domain, for PTR an address.

    `value` is one address or one whole domain name, one outside the segment's domain with its final dot; for
    TXT one string or several. `priority`, `weight` and
    `port` as in RFC 2782, `priority` of MX as in RFC 1035, section 3.3.9.
    """

    type: RecordType
    name: str
    value: str | tuple[str, ...]
    priority: int = 0
    weight: int = 0
    port: int = 0

    @property
    def values(self) -> tuple[str, ...]:
        """The strings of TXT; of every other type the one value."""
        return (self.value,) if isinstance(self.value, str) else self.value

"""What an import of a text gives; whatever it is, the configuration's reader reads it again."""

from __future__ import annotations

from ipaddress import IPv4Interface

from vdenet.model.segment import Segment
from vdenet.text import config, foreign
from vdenet.text.foreign import Imported

BASE = Segment("lab", IPv4Interface("10.83.14.1/24"), domain="lab.internal")


def read(text: str, address: str | None = None, format: str | None = None) -> Imported:
    """The import of a file called `in`, for the segment `lab`."""
    given = None if address is None else IPv4Interface(address)
    done = foreign.read(format or foreign.recognise(text, "in"), text, "in", BASE, given)
    assert config.parse(config.emit(done.segment), "lab", "again") == done.segment
    return done


def segment(text: str, address: str | None = None, format: str | None = None) -> Segment:
    """The segment alone."""
    return read(text, address, format).segment


def lines(done: Imported) -> list[int]:
    """Of what was left out."""
    return [one.line for one in done.left_out]

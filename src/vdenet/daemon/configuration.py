"""The segments that /etc/vdenet describes; read when they are needed, so that the file is always right."""

from __future__ import annotations

from pathlib import Path

from vdenet.daemon.log import logger
from vdenet.effect import files
from vdenet.errors import BadConfig, BadValue, UnknownSegment, VdenetError
from vdenet.model.names import segment_name
from vdenet.model.places import GROUP, Places
from vdenet.model.segment import Segment
from vdenet.text import config

MAX_SIZE = 256 * 1024
"""Bytes of a configuration file."""
MODE = 0o640


class Configuration:
    """Reads and rewrites the TOML files."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._told: dict[str, str] = {}

    def names(self) -> list[str]:
        """Names of all segments that have a file."""
        found = []
        for path in sorted(Path(self._places.etc).glob("*.toml")):
            try:
                found.append(segment_name(path.stem))
            except BadValue:
                continue  # policy files and the admin's copies
        return found

    def segment(self, name: str) -> Segment:
        """The segment of that name. Raises `UnknownSegment`, `BadConfig`, `BadValue`."""
        segment_name(name)
        return config.parse(self.text(name), name, str(self._places.config(name)))

    def all(self) -> list[Segment]:
        """Every segment that can be read; one that cannot is logged, once, and left as it is on the machine."""
        found, told = [], {}
        for name in self.names():
            try:
                found.append(self.segment(name))
            except VdenetError as error:
                told[name] = str(error)
                if self._told.get(name) != told[name]:
                    logger.error("%s", error)
        self._told = told
        return found

    def text(self, name: str) -> str:
        """The file's text. Raises `UnknownSegment`, `BadConfig`."""
        path = Path(self._places.config(name))
        try:
            with open(path, "rb") as file:
                raw = file.read(MAX_SIZE + 1)
            if len(raw) > MAX_SIZE:
                raise BadConfig(where=str(path), why="the file is too large")
            return raw.decode()
        except FileNotFoundError:
            raise UnknownSegment(segment=name) from None
        except UnicodeDecodeError:
            raise BadConfig(where=str(path), why="the file is not UTF-8") from None
        except OSError as error:
            raise BadConfig(where=str(path), why=error.strerror or str(error)) from None

    def write(self, name: str, text: str) -> None:
        """Replace the file. Raises `Refused`; the old file is then as it was."""
        files.write(self._places.config(name), text, MODE, GROUP)

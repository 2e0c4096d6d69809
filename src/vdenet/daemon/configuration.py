"""The segments that /etc/vdenet describes; read when they are needed, so that the file is always right."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePath

from vdenet.daemon.log import logger
from vdenet.effect import files
from vdenet.errors import BadConfig, BadPolicy, BadValue, UnknownSegment, VdenetError
from vdenet.i18n import _
from vdenet.model.names import segment_name
from vdenet.model.places import GROUP, Places
from vdenet.model.policy import DEFAULT, Policy
from vdenet.model.segment import Segment
from vdenet.text import config, policy

MAX_SIZE = 256 * 1024
"""Bytes of a configuration file."""
MODE = 0o640


# A segment cannot be altered, and one text always means the same. Each request looks at all files several times.
_parse = lru_cache(maxsize=32)(config.parse)


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
                continue  # the policy and the admin's copies
        return found

    def segment(self, name: str) -> Segment:
        """The segment of that name. Raises `UnknownSegment`, `BadConfig`, `BadValue`."""
        segment_name(name)
        return _parse(self.text(name), name, str(self._places.config(name)))

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
        text = _read(self._places.config(name))
        if text is None:
            raise UnknownSegment(segment=name)
        return text

    def applied(self, name: str) -> Segment | None:
        """The segment as it was last brought up since boot, whatever became of its file."""
        try:
            text = _read(self._places.applied(name))
            return None if text is None else _parse(text, name, str(self._places.applied(name)))
        except VdenetError:
            return None

    def left_behind(self) -> list[Segment]:
        """Segments that are up, though their file is gone or cannot be read."""
        found = []
        for path in sorted(Path(self._places.run / "state").glob("*/segment.toml")):
            try:
                self.segment(path.parent.name)
            except VdenetError:
                segment = self.applied(path.parent.name)
                found += [] if segment is None else [segment]
        return found

    def policy(self) -> Policy:
        """What members may do; the defaults where the admin says nothing. Raises `BadPolicy`."""
        try:
            text = _read(self._places.policy)
            return DEFAULT if text is None else policy.parse(text, str(self._places.policy))
        except BadConfig as error:
            raise BadPolicy(**error.data) from None

    def write(self, name: str, text: str) -> None:
        """Replace the file. Raises `Refused`; the old file is then as it was."""
        files.write(self._places.config(name), text, MODE, GROUP)


def _read(file: PurePath) -> str | None:
    """A file's text, None where there is none. Raises `BadConfig`."""
    path = Path(file)
    try:
        with open(path, "rb") as opened:
            raw = opened.read(MAX_SIZE + 1)
        if len(raw) > MAX_SIZE:
            raise BadConfig(where=str(path), why=_("the file is too large"))
        return raw.decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise BadConfig(where=str(path), why=_("the file is not UTF-8")) from None
    except OSError as error:
        raise BadConfig(where=str(path), why=error.strerror or str(error)) from None

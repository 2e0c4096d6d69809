"""What the tool says on stdout: sentences for people, or one JSON document, never both."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vdenet.text.reports import Style


@dataclass(frozen=True, slots=True)
class Output:
    """How this call answers. `--json` is stronger than `--quiet`."""

    json: bool = False
    quiet: bool = False

    def result(self, text: str, document: Mapping[str, Any]) -> None:
        """What was asked for: printed even when quiet."""
        if self.json:
            self._document(document)
        elif text:
            print(text)

    def remark(self, text: str, document: Mapping[str, Any]) -> None:
        """That something was done: nothing when quiet."""
        if self.json:
            self._document(document)
        elif not self.quiet:
            print(text)

    def aside(self, text: str) -> None:
        """Beside the result, on stderr, for people only."""
        if not self.json and not self.quiet:
            print(text, file=sys.stderr)

    def style(self) -> Style:
        """How tables may look: colour and a limited width on a terminal only."""
        terminal = sys.stdout.isatty()
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        width = shutil.get_terminal_size().columns if terminal else None
        return Style(colour=colour, width=width, bare=self.quiet)

    def _document(self, document: Mapping[str, Any]) -> None:
        import json

        print(json.dumps(document, indent=2))

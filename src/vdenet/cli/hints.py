"""Commands of ours that a hint names, as a shell takes them: on the same segment, of the same hypervisor."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from vdenet.cli.complain import PROGRAM
from vdenet.model.names import DEFAULT_SEGMENT


def leave(kind: str, guest: str, segment: str, uri: str | None = None, *, before: Sequence[str] = ()) -> str:
    """The command that takes a guest off its segment; `before` are the words in front of it."""
    options = (*(("--connect", uri) if uri is not None else ()),
               *(("--segment", segment) if segment != DEFAULT_SEGMENT else ()))
    return shlex.join((*before, PROGRAM, "leave", kind, guest, *options))

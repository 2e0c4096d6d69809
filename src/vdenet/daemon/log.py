"""The daemon's log: one escaped line an event, to the journal, a terminal, or syslog."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys

from vdenet.errors import printable

logger = logging.getLogger("vdenetd")


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), limit=2000)


def set_up() -> None:
    """Standard error under systemd or on a terminal, else syslog where there is one."""
    handler: logging.Handler
    if "JOURNAL_STREAM" in os.environ or sys.stderr.isatty() or not os.path.exists("/dev/log"):
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine("%(message)s"))
    else:
        handler = logging.handlers.SysLogHandler("/dev/log", facility=logging.handlers.SysLogHandler.LOG_DAEMON)
        handler.ident = f"vdenetd[{os.getpid()}]: "
        handler.setFormatter(_OneLine("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def change(uid: int | None, operation: str, object_: str, result: str) -> None:
    """A change that somebody asked for: who, what, on what, with which result."""
    who = "vdenetd" if uid is None else f"uid={uid}"
    logger.info("%s operation=%s object=%s result=%s", who, operation, object_, result)

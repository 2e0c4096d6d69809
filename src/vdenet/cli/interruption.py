"""Being told to end in the middle of a change: what was begun is taken back first.

^C raises KeyboardInterrupt by itself. A closed terminal and kill would end us where we are, and a guest would stay
half-way, paused even.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_TO_END = (signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """A signal that is to end us came, and is `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def raised() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Terminated`, each where it would end us: a shell's nohup has SIGHUP ignored."""
    with _handled(_raise, [number for number in _TO_END if signal.getsignal(number) is signal.SIG_DFL]):
        yield


@contextmanager
def survived() -> Iterator[None]:
    """These signals, and another ^C, end the tool that runs at most."""
    with _handled(_nothing, [number for number in (signal.SIGINT, *_TO_END)
                             if signal.getsignal(number) is not signal.SIG_IGN]):
        yield


@contextmanager
def _handled(handler: signal._HANDLER, numbers: list[signal.Signals]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # where Python has no say in signals
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass

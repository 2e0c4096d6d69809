"""Being told to end in the middle of a change of a guest: what was begun is taken back first.

^C, kill, and the end of the terminal, which may send SIGHUP twice: by the shell, and by the kernel when that ends.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """A signal other than ^C's is to end us, and is `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Door:
    """Whether a signal may come in; only the main thread gets any."""

    def __init__(self) -> None:
        self.watched = False
        self.open = False

    def knock(self, number: int, _frame: FrameType | None) -> None:
        """The first comes in, and shuts the door behind it."""
        if self.open:
            self.open = False
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise Terminated(number)


_door = _Door()
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}


@contextmanager
def raised_once() -> Iterator[None]:
    """In here the first of these signals raises KeyboardInterrupt or `Terminated`, and those after it do nothing: what
    was done is being taken back by then. One that is ignored stays so (nohup). Within itself it changes nothing."""
    if _door.watched or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _door.knock)
              for number, default in _DEFAULTS.items() if signal.getsignal(number) == default}
    _door.watched = _door.open = True
    try:
        yield
    finally:
        _door.watched = _door.open = False
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def kept_out() -> Iterator[None]:
    """In here these signals do nothing: something failed, and is taken back."""
    before, _door.open = _door.open, False
    try:
        yield
    finally:
        _door.open = before


def is_kept_out() -> bool:
    """Whether something is being taken back: no signal is to reach the tools that do it, either."""
    return _door.watched and not _door.open

"""The question, on a terminal, whether a change is to stay: Enter keeps it, Ctrl-C or silence takes it back.

Only the daemon takes back; what is shown here may end at any moment without harm.
"""

from __future__ import annotations

import select
import sys
import time

from vdenet.cli.client import connect
from vdenet.cli.complain import DONE, REFUSED
from vdenet.errors import Refused
from vdenet.i18n import _


def ask(segment: str, seconds: int) -> int:
    """Wait for Enter; the status to exit with."""
    until = time.monotonic() + seconds
    try:
        while (left := until - time.monotonic()) > 0:
            print("\r" + _("press Enter to keep it, Ctrl-C to take it back: {seconds} s ").format(
                seconds=int(left) + 1), end="\033[K", flush=True)
            ready, _w, _x = select.select([sys.stdin], [], [], min(1.0, left))
            if ready:
                if not sys.stdin.readline():
                    break  # the terminal has gone
                with connect() as daemon:
                    daemon.call("Confirm", segment=segment)
                print(_("the change of {segment} stays").format(segment=segment))
                return DONE
    except KeyboardInterrupt:
        pass
    print()
    try:
        with connect() as daemon:
            daemon.call("RollBack", segment=segment)
    except Refused:
        pass  # its time had passed, and the daemon has done so
    print(_("{segment} is as it was before the change").format(segment=segment))
    return REFUSED

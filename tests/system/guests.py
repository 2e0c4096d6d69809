"""Two guests of members, one pinging the other for as long as something is done to the host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from lab.machine import Entered
from system import scenario

# Often enough that a gap of 50 ms shows.
_EVERY = 0.02


@contextmanager
def pinging(machine: Entered, user: str, seconds: int) -> Iterator[None]:
    """The guests `web` and `client`; on the way out, all that was sent has been answered."""
    web = machine.popen(["tarr-steps", "join", "run", "--name=web", "--", "sleep", "900"], user=user)
    client = None
    try:
        address = machine.wait_for(lambda: _address(machine, "web"), 30, "address of guest web")
        client = machine.popen(
            ["tarr-steps", "join", "run", "--name=client", "--",
             "ping", "-q", "-n", f"-i{_EVERY}", f"-c{int(seconds / _EVERY)}", address],
            user=user,
        )
        machine.wait_for(lambda: _address(machine, "client"), 30, "address of guest client")
        yield
        assert client.poll() is None, "the ping ended before what it was to watch"
        said, _ = client.communicate(timeout=seconds + 30)
        counted = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert counted, said
        assert counted[1] == counted[2], f"{int(counted[1]) - int(counted[2])} lost: {said}"
    finally:
        for guest in filter(None, (client, web)):
            guest.kill()
            guest.communicate()
    machine.wait_for(lambda: not scenario.segment(machine)["guests"], 10, "end of the guests")


def _address(machine: Entered, name: str) -> str:
    for guest in scenario.segment(machine)["guests"]:
        if guest["name"] == name and guest["address"]:
            return str(guest["address"])
    return ""

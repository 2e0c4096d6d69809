"""Who is put back on a bridge: those that lost it, and not those that were taken off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unit.samples import PLAIN
from vdenet.daemon.ports import Ports
from vdenet.model.observed import Link, Observed
from vdenet.model.wanted import guest_alias

BRIDGE = Link(PLAIN.bridge, 1, "02:00:00:00:00:01", 1500, True, True, "bridge")
TAP = Link("vd0-web", 2, "fe:00:00:00:00:01", 1500, True, True, "tap", master=PLAIN.bridge, alias=guest_alias(PLAIN.name))
FOREIGN = Link("vnet7", 3, "fe:00:00:00:00:02", 1500, True, True, "tap", master=PLAIN.bridge)


def there(*links: Link) -> dict[str, Link]:
    return {link.name: link for link in links}


def off(link: Link) -> Link:
    return replace(link, master=None)


@pytest.fixture
def ports() -> Ports:
    """After one look at the bridge with both on it."""
    made = Ports()
    made.remember(PLAIN, Observed(links=there(BRIDGE, TAP, FOREIGN)))
    return made


def test_what_another_program_took_off_is_its_own(ports: Ports) -> None:
    assert ports.belonging(PLAIN, there(BRIDGE, off(TAP), off(FOREIGN))) == {"vd0-web"}
    assert ports.belonging(PLAIN, there(BRIDGE, TAP, replace(FOREIGN, master="virbr0"))) == {"vd0-web"}


def test_a_bridge_that_is_gone_gets_all_again(ports: Ports) -> None:
    gone = there(off(TAP), off(FOREIGN))
    assert ports.belonging(PLAIN, gone) == {"vd0-web", "vnet7"}
    # Meanwhile somebody else has an interface of that name, or has put it elsewhere.
    assert ports.belonging(PLAIN, {**gone, "vnet7": replace(off(FOREIGN), ifindex=9)}) == {"vd0-web"}
    assert ports.belonging(PLAIN, {**gone, "vnet7": replace(FOREIGN, master="virbr0")}) == {"vd0-web"}


def test_until_they_are_on_the_new_bridge(ports: Ports) -> None:
    """A change that makes the bridge anew may fail before it gets to the ports."""
    ports.remember(PLAIN, Observed(links=there(off(TAP), off(FOREIGN))))
    half = there(replace(BRIDGE, ifindex=8), off(TAP), off(FOREIGN))
    for _again in range(2):
        assert ports.belonging(PLAIN, half) == {"vd0-web", "vnet7"}
        ports.remember(PLAIN, Observed(links=half))
    ports.remember(PLAIN, Observed(links=there(replace(BRIDGE, ifindex=8), TAP, FOREIGN)))
    assert ports.belonging(PLAIN, half) == {"vd0-web"}


def test_what_was_let_go_is_not_put_back(ports: Ports) -> None:
    ports.let_go(PLAIN.name, "vnet7")
    assert ports.belonging(PLAIN, there(off(TAP), off(FOREIGN))) == {"vd0-web"}


def test_a_bridge_of_another_program_has_its_ports_from_that(ports: Ports) -> None:
    joined, theirs = replace(PLAIN, adopt="br9"), replace(BRIDGE, name="br9", ifindex=8)
    gone = there(theirs, off(TAP), off(FOREIGN))
    assert ports.belonging(joined, gone) == {"vd0-web"}
    ports.remember(joined, Observed(links=there(theirs, replace(FOREIGN, master="br9"))))
    assert ports.belonging(joined, gone) == {"vd0-web"}
    assert ports.belonging(PLAIN, gone) == {"vd0-web"}

"""Hosts and records of the configuration, with real DHCP clients: who gets which name and address."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Interface

import pytest
from lab.daemon import Daemon
from lab.machine import Machine, wait_for
from lab.peer import Peer
from lab.station import Station, lookup
from vdenet.errors import NameTaken

DOMAIN = "vdenet.internal"
MACS = {name: f"52:54:00:aa:00:{number:02x}" for number, name in enumerate(("a", "b", "c", "d"), 1)}
CONFIG = "/etc/vdenet/vdenet0.toml"


class Lab:
    """The machine with its segment, and stations on it."""

    def __init__(self, machine: Machine, stack: ExitStack) -> None:
        self.machine = machine
        self.stack = stack
        self.plain = machine.path(CONFIG).read_text()
        found = re.search(r'^address = "(.*)"$', self.plain, re.MULTILINE)
        assert found
        self.address = IPv4Interface(found[1])

    def at(self, number: int) -> str:
        """An address of the segment."""
        return str(self.address.network[number])

    def station(self, name: str) -> Station:
        return self.stack.enter_context(Station(self.machine, name, MACS[name]))

    def configure(self, more: str) -> None:
        """Add to the configuration, and reload."""
        self.machine.path(CONFIG).write_text(self.plain + more)
        self.machine.run(["tarr-steps", "reload"])

    def ask(self, name: str, kind: str = "a") -> list[str]:
        whole = IPv4Address(name).reverse_pointer if name[0].isdigit() \
            else name if name.endswith(".") else f"{name}.{DOMAIN}"
        return lookup(self.machine, str(self.address.ip), kind, whole)

    def pids(self) -> str:
        """A change that only has files read again leaves it as it is."""
        return self.machine.run(["pidof", "dnsmasq"], check=False).stdout

    def until(self, name: str, address: str | None) -> None:
        """The daemon follows the leases within a second or two."""
        wait_for(lambda: self.ask(name) == ([] if address is None else [address]), 20, f"{name} = {address}")


@pytest.fixture
def lab(machine: Machine, daemon: Daemon) -> Iterator[Lab]:
    with ExitStack() as stack:
        made = Lab(machine, stack)
        yield made
        stack.close()
        # What the stations were called is forgotten with their leases, and so with dnsmasq's.
        made.configure("")
        machine.run(["tarr-steps", "stop"])
        machine.run(["rm", "-f", "/var/lib/vdenet/vdenet0/dns/leases"])
        machine.run(["tarr-steps", "start"])
        wait_for(lambda: machine.path("/run/vdenet/dns/vdenet0/hosts").read_text() == "", 20, "claims to end")


def test_a_fixed_address_and_name_by_mac(lab: Lab) -> None:
    lab.configure(f'[[host]]\nmac = "{MACS["a"]}"\nname = "web"\naddress = "{lab.at(10)}"\naliases = ["www"]\n')
    # The address is known before the guest has come, so nobody else can be it.
    assert lab.ask("web") == lab.ask("www") == [lab.at(10)]
    assert lab.ask(lab.at(10), "ptr") == [f"web.{DOMAIN}"]
    assert lab.station("a").lease("whatever") == lab.at(10)
    assert lab.station("b").lease("web") not in (None, lab.at(10))
    assert lab.ask("web") == [lab.at(10)] and lab.ask("whatever") == []
    listed = json.loads(lab.machine.run(["tarr-steps", "list", "--json"]).stdout)["segments"][0]["guests"]
    assert {guest["mac"]: guest["name"] for guest in listed}[MACS["a"]] == "web"


def test_a_reservation_survives_another_client_id(lab: Lab) -> None:
    lab.configure(f'[[host]]\nmac = "{MACS["a"]}"\naddress = "{lab.at(10)}"\n')
    station = lab.station("a")
    for client_id in (None, "01525400aa0001", "ff00112233000100012b6c", "0066"):
        assert station.lease("web", client_id) == lab.at(10)
    # And a lease without a reservation is the same guest's too.
    other = lab.station("b")
    first = other.lease(None, "aabbcc")
    assert first is not None and other.lease(None, "ddeeff") == first


def test_a_joined_guest_is_itself_by_whatever_client_id(lab: Lab) -> None:
    """With an address of the file's by its name, and with one of DHCP's own choice."""
    lab.configure(f'[[host]]\nname = "db"\naddress = "{lab.at(11)}"\n')
    with Peer(lab.machine, "alice") as alice:
        alice.call("Reserve", name="db", mac=MACS["a"])
        alice.call("Reserve", name="web", mac=MACS["b"])
        database, web = lab.station("a"), lab.station("b")
        chosen = web.lease("other", "0077")
        assert chosen not in (None, lab.at(11))
        for client_id in ("0066", None, "ff00112233000100012b6c"):
            assert database.lease("other", client_id) == lab.at(11)
            assert web.lease("another", client_id) == chosen
            lab.until("db", lab.at(11))
            lab.until("web", chosen)
        # Its leases are read anew.
        pid = lab.pids()
        lab.machine.run(["kill", "-KILL", *pid.split()])
        wait_for(lambda: lab.pids() not in ("", pid), 30, "dnsmasq to be back")
        assert database.lease(None, "0088") == lab.at(11)
        assert web.lease(None, "0088") == chosen
        lab.until("web", chosen)
        for name in ("db", "web"):
            alice.call("Leave", name=name)


def test_two_guests_of_one_client_id_are_two(lab: Lab) -> None:
    """A machine and its clone, which has its machine-id: neither takes the address or the name of the other."""
    lab.configure(f'[[host]]\nmac = "{MACS["a"]}"\nname = "web"\naddress = "{lab.at(10)}"\n')
    one, clone, third = (lab.station(name) for name in ("a", "b", "c"))
    same = "ff00112233000100012b6c"
    assert one.lease("web", same) == lab.at(10)
    given = clone.lease("web", same)
    assert given not in (None, lab.at(10))
    another = third.lease("web", same)
    assert another not in (None, lab.at(10), given)
    assert one.lease("web", same) == lab.at(10) and clone.lease("web", same) == given
    lab.until("web", lab.at(10))


def test_who_joins_has_the_name_of_one_that_left(lab: Lab) -> None:
    """Whose lease goes on, with the name: that is a claim then, before those of others, but not before a join."""
    with Peer(lab.machine, "alice") as alice:
        alice.call("Reserve", name="web", mac=MACS["a"])
        former, claimer = lab.station("a"), lab.station("b")
        first = former.lease()
        lab.until("web", first)
        alice.call("Leave", name="web")
        assert claimer.lease("web") is not None
        assert lab.ask("web") == [first]
        alice.call("Reserve", name="web", mac=MACS["d"])
        lab.until("web", None)
        joined = lab.station("d").lease()
        lab.until("web", joined)
        for other in (former, claimer):
            other.lease("web")
            assert lab.ask("web") == [joined]
        alice.call("Leave", name="web")


@pytest.mark.parametrize("address", [True, False], ids=["fixed", "by DHCP"])
def test_nobody_claims_the_name_of_a_host_that_is_away(lab: Lab, address: bool) -> None:
    lab.configure(f'[[host]]\nmac = "{MACS["a"]}"\nname = "web"\n'
                  + (f'address = "{lab.at(10)}"\n' if address else ""))
    thief = lab.station("b")
    assert thief.lease("web") != lab.at(10)
    assert lab.ask("web") == ([lab.at(10)] if address else [])
    given = lab.station("a").lease("anything")
    assert given is not None
    lab.until("web", given)
    thief.lease("web")
    lab.until("web", given)


def test_who_has_claimed_a_name_loses_it_to_the_file(lab: Lab) -> None:
    claimer = lab.station("b")
    claimed = claimer.lease("web")
    lab.until("web", claimed)
    lab.configure(f'[[host]]\nmac = "{MACS["a"]}"\nname = "web"\n')
    lab.until("web", None)
    lab.until(f"guest-{MACS['b'].replace(':', '')}", claimed)
    owner = lab.station("a").lease("web")
    lab.until("web", owner)
    assert claimer.lease("web") == claimed
    lab.until("web", owner)


def test_a_joined_name_beats_a_claimed_one_and_the_file_beats_both(lab: Lab) -> None:
    claimer = lab.station("b")
    claimed = claimer.lease("web")
    lab.until("web", claimed)
    with Peer(lab.machine, "alice") as alice:
        alice.call("Reserve", name="web", mac=MACS["a"])
        lab.until("web", None)
        joined = lab.station("a").lease("something")
        lab.until("web", joined)
        claimer.lease("web")
        lab.until("web", joined)
        lab.configure(f'[[host]]\nmac = "{MACS["c"]}"\nname = "web"\naddress = "{lab.at(12)}"\naliases = ["www"]\n')
        assert lab.ask("web") == [lab.at(12)]
        with pytest.raises(NameTaken):
            alice.call("Reserve", name="web", mac=MACS["d"])
        with pytest.raises(NameTaken):
            alice.call("Reserve", name="www")
        assert lab.station("c").lease() == lab.at(12)
        alice.call("Leave", name="web")


def test_a_host_by_name_is_the_guest_that_joins_under_it(lab: Lab) -> None:
    lab.configure(f'[[host]]\nname = "db"\naddress = "{lab.at(11)}"\n')
    with Peer(lab.machine, "alice") as alice:
        alice.call("Reserve", name="db", mac=MACS["a"])
        assert lab.station("b").lease("db") != lab.at(11), "a guest that only says so"
        assert lab.station("a").lease("other") == lab.at(11)
        assert lab.ask("db") == [lab.at(11)]
        alice.call("Leave", name="db")


def test_a_host_by_name_that_nobody_joined_is_the_first_that_claims_it(lab: Lab) -> None:
    lab.configure(f'[[host]]\nname = "db"\naddress = "{lab.at(11)}"\n')
    assert lab.station("a").lease("db") == lab.at(11)
    wait_for(lambda: f"{MACS['a']},{lab.at(11)},db" in lab.machine.path("/run/vdenet/dns/vdenet0/hosts").read_text(),
             20, "the claim to be pinned")
    assert lab.station("b").lease("db") != lab.at(11)


def test_an_alias_of_a_guest_whose_address_changes(lab: Lab) -> None:
    lab.configure(f'[[host]]\nmac = "{MACS["a"]}"\nname = "web"\naliases = ["www", "shop"]\n')
    assert lab.ask("www") == [f"web.{DOMAIN}"]
    given = lab.station("a").lease()
    assert given is not None
    lab.until("web", given)
    assert lab.ask("www") == [f"web.{DOMAIN}", given]
    assert lab.ask("shop", "cname") == [f"web.{DOMAIN}"]
    lab.station("b").lease("www")
    assert lab.ask("www") == [f"web.{DOMAIN}", given]


RECORDS = """
[[record]]
name = "printer"
type = "A"
value = "{at77}"
[[record]]
name = "printer"
type = "AAAA"
value = "fd5e:1::77"
[[record]]
name = "print"
type = "CNAME"
value = "printer"
[[record]]
name = "@"
type = "TXT"
value = ["a, b; c = 1"]
[[record]]
name = "_ipp._tcp"
type = "SRV"
value = "printer"
port = 631
priority = 5
[[record]]
name = "@"
type = "MX"
value = "mail.example.org."
priority = 20
[[record]]
name = "{at78}"
type = "PTR"
value = "scanner"
"""


def test_records(lab: Lab) -> None:
    lab.configure(RECORDS.format(at77=lab.at(77), at78=lab.at(78)))
    assert lab.ask("printer") == [lab.at(77)]
    assert lab.ask("printer", "aaaa") == ["fd5e:1::77"]
    assert lab.at(77) in lab.ask("print")
    assert lab.ask(f"{DOMAIN}.", "txt") == ['"a, b; c = 1"']
    assert lab.ask("_ipp._tcp", "srv") == [f"5 0 631 printer.{DOMAIN}"]
    assert lab.ask(f"{DOMAIN}.", "mx") == ["20 mail.example.org"]
    assert lab.ask(lab.at(78), "ptr") == [f"scanner.{DOMAIN}"]
    lab.station("a").lease("printer")
    assert lab.ask("printer") == [lab.at(77)]


def test_addresses_change_without_a_restart(lab: Lab) -> None:
    pids = lab.pids()
    for number in (20, 21):
        lab.configure(f'[[record]]\nname = "printer"\ntype = "A"\nvalue = "{lab.at(number)}"\n'
                      f'[[host]]\nname = "web"\naddress = "{lab.at(number + 10)}"\naliases = ["www"]\n')
        lab.until("printer", lab.at(number))
        assert lab.ask("www") == [lab.at(number + 10)]
    assert lab.pids() == pids


def test_a_change_of_hosts_and_records_loses_nothing_between_others(lab: Lab) -> None:
    one, two = lab.station("a"), lab.station("b")
    target = two.lease()
    assert one.lease() is not None and target is not None
    ping = one.start("ping", "-i", "0.05", target)
    for number in range(20, 24):
        lab.configure(f'[[host]]\nname = "web{number}"\naddress = "{lab.at(number)}"\naliases = ["www"]\n'
                      f'[[record]]\nname = "@"\ntype = "TXT"\nvalue = "{number}"\n')
        assert lab.ask("www") == [lab.at(number)]
    ping.send_signal(signal.SIGINT)
    told = ping.communicate(timeout=20)[0]
    assert " 0% packet loss" in told, told


def test_a_name_of_the_outside_is_refused(lab: Lab) -> None:
    lab.machine.path(CONFIG).write_text(
        lab.plain + '[[record]]\nname = "debian.org."\ntype = "A"\nvalue = "6.6.6.6"\n')
    done = lab.machine.run(["tarr-steps", "reload"], check=False)
    line = lab.plain.count("\n") + 2
    assert done.returncode == 2
    assert f"{CONFIG}:{line}:1: record.name: 'debian.org.': expected a name within {DOMAIN}" in done.stderr, done.stderr
    # Without the final dot it is what it is in a zone file: a name within the domain.
    lab.configure('[[record]]\nname = "debian.org"\ntype = "A"\nvalue = "6.6.6.6"\n')
    assert lab.ask("debian.org.") == []
    assert lab.ask("debian.org") == ["6.6.6.6"]


def test_the_host_keeps_its_own_names(lab: Lab) -> None:
    own = lab.machine.run(["hostname"]).stdout.strip()
    for text in (f'[[record]]\nname = "{own}"\ntype = "A"\nvalue = "6.6.6.6"\n',
                 f'[[record]]\nname = "{own}"\ntype = "CNAME"\nvalue = "web"\n',
                 f'[[host]]\nname = "web"\naddress = "{lab.at(10)}"\naliases = ["{own}"]\n',
                 f'[[host]]\nname = "web"\naliases = ["{own}"]\n',
                 f'[[host]]\nname = "{own}"\naddress = "{lab.at(10)}"\n'):
        lab.configure(text)
        assert lab.ask(own) == [str(lab.address.ip)], text


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def machine(request: pytest.FixtureRequest, new_machine: Callable[[str], Machine]) -> Machine:
    return new_machine(request.param)

"""A guest that left is gone from the list, although its lease goes on and whatever becomes of the daemon."""

from __future__ import annotations

import json
from typing import Any

from lab.daemon import Daemon
from lab.machine import Machine, wait_for

RECORD = "/var/lib/vdenet/{segment}/departed.json"


def listed(machine: Machine, segment: str) -> list[dict[str, Any]]:
    told = json.loads(machine.run(["tarr-steps", "list", "--json", "--segment", segment], user="alice").stdout)
    return list(told["segments"][0]["guests"])


def test_over_a_restart(machine: Machine, daemon: Daemon) -> None:
    segment = "lab"
    machine.run(["tarr-steps", "segment", "create", segment], user="alice")
    record = machine.path(RECORD.format(segment=segment))
    leases = machine.path(f"/var/lib/vdenet/{segment}/dns/leases")
    join = ["tarr-steps", "join", "run", "--segment", segment, "--name", "web", "--"]
    with machine.popen([*join, "cat"], user="alice", stdin=-1):  # it ends with this block
        wait_for(lambda: [one["kind"] for one in listed(machine, segment)] == ["run"] and leases.read_text(),
                 20, "a guest with a lease")
        mac = listed(machine, segment)[0]["mac"]
        machine.run(["tarr-steps", "leave", "run", "web", "--segment", segment], user="alice")
        assert listed(machine, segment) == []
        for end in (daemon.kill, daemon.stop):
            end()
            assert mac in leases.read_text()
            daemon.__init__(machine)  # type: ignore[misc]
            assert listed(machine, segment) == []
        (key,) = json.loads(record.read_text())
        assert key.split()[0] == mac
        for damaged in ("", "[]", json.dumps({key: "x"}), "[" * 100_000):
            daemon.stop()
            record.write_text(damaged)
            daemon.__init__(machine)  # type: ignore[misc]
            assert len(listed(machine, segment)) == 1, "no harm, but what was known of it"
    # Joined again with a lease of its own, and left: what was said of the old lease is forgotten.
    shown = machine.run([*join, "ip", "-4", "-br", "address"], user="alice").stdout
    assert "eth0" in shown
    machine.run(["tarr-steps", "segment", "delete", "--force", segment], user="alice")
    assert not record.parent.exists()

"""Whole frames with right checksums, between every two kinds of ports."""

from __future__ import annotations

import itertools

import pytest
from lab.frames import IPV4, IPV6, TCP, UDP, Frame
from lab.ground import Ground

PAIRS = list(itertools.permutations(("qa", "qb", "ca", "va", "ra"), 2))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_megabyte_arrives_as_it_was(ground: Ground, source: str, target: str) -> None:
    """TCP sets DF and fills its frames, so what is cut or wrongly summed shows here."""
    server = ground.guests[source]
    sent = server.run(f"sha256sum {ground.www(server)}/blob")
    got = ground.guests[target].run(
        f"busybox wget -qO- http://{server.wait_address()}/blob | sha256sum", timeout=60)
    assert got.split()[0] == sent.split()[0]


@pytest.mark.parametrize("target", ["qa", "qb", "ca", "va"])
def test_1500_bytes_that_may_not_be_cut(ground: Ground, target: str) -> None:
    source = ground.guests["ra"]
    address = ground.guests[target].wait_address()
    source.run(f"ping -c 3 -i 0.2 -W 5 -M do -s 1472 {address}")
    assert source.try_(f"ping -c 1 -W 2 -M do -s 1473 {address}").code != 0


def test_1500_bytes_from_vde(ground: Ground) -> None:
    source = ground.guests["va"]
    for target in ("qa", "qb", "ca", "ra"):
        address = ground.guests[target].wait_address()
        source.run(f"ping -c 3 -i 0.2 -W 5 -M do -s 1472 {address}")


@pytest.mark.parametrize("peer", ["qa", "ca", "ra"])
def test_on_vde_every_checksum_is_right(ground: Ground, peer: str) -> None:
    """A VDE port has no place for "checksum to come" or for frames to be cut later."""
    guest = ground.guests["va"]
    with ground.sniff(guest) as seen:
        server = ground.guests[peer].wait_address()
        guest.run(f"busybox wget -qO /dev/null http://{server}/blob", timeout=60)
    came = [frame for frame in seen.frames if not frame.outgoing and frame.kind in (IPV4, IPV6)]
    full = [frame for frame in came if frame.protocol == TCP and len(frame.data) == 1514]
    assert len(full) > 300
    assert max(len(frame.data) for frame in came) <= 1514
    wrong = [frame for frame in came if not frame.checksum_good]
    assert not wrong, f"{len(wrong)} of {len(came)}, the first {wrong[0].data.hex()}"


def test_segment_is_1500(ground: Ground) -> None:
    links = ground.links()
    ports = [link for link in links.values() if link.get("master") == "vdenet0"]
    assert {link["mtu"] for link in [links["vdenet0"], *ports]} == {1500}


@pytest.mark.parametrize("name", ["ca", "va", "qa"])
def test_dhcp_answers_have_right_checksums(ground: Ground, name: str) -> None:
    """A DHCP client on a raw socket sees the very bytes, before any offload is done."""
    guest = ground.guests[name]

    def answer(frame: Frame) -> bool:
        return frame.protocol == UDP and frame.ports == (67, 68)

    with ground.sniff(guest) as seen:
        guest.run(f"udhcpc -i {guest.interface} -q -n -t 10 -T 1 -s /bin/true "
                  f"-x hostname:{guest.name}", timeout=30)
        seen.wait(answer)
    answers = [frame for frame in seen.frames if answer(frame)]
    for frame in answers:
        assert frame.segment[6:8] != b"\0\0"
        assert frame.checksum_good, frame.data.hex()
        assert not frame.partial

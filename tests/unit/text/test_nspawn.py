from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdenet.text import nspawn

FILE = """[Exec]
Boot=yes
; Bridge=br1
[Network]
Port = tcp:80
Bridge=br0
"""


def test_siphash_as_its_authors_have_it() -> None:
    """The first vector of the paper's appendix A."""
    assert nspawn.siphash24(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5


def test_the_mac_that_nspawn_gives() -> None:
    """As systemd-nspawn 257 gave it; tests/hypervisors compares each with the real one."""
    assert nspawn.mac("0123456789abcdef0123456789abcdef", "web") == "da:fb:5c:16:4a:cc"


def test_the_mac_of_a_veth_that_is_on_no_bridge() -> None:
    first, second = (nspawn.mac("0123456789abcdef0123456789abcdef", "web", number) for number in (0, 1))
    assert len({first, second, nspawn.mac("0123456789abcdef0123456789abcdef", "web")}) == 3
    assert nspawn.extras("[Network]\nVirtualEthernetExtra=a\n[Exec]\nVirtualEthernetExtra=b\n") == 1


def test_a_port_for_us() -> None:
    text = nspawn.handed(FILE, "vd0-web")
    assert (nspawn.port(text, "vd0-"), nspawn.port(text, "vd1-"), nspawn.port(FILE, "vd0-")) == ("vd0-web", None, None)
    assert (nspawn.network(text)["VirtualEthernet"], nspawn.extras(text)) == ("no", 0)
    again = nspawn.joined(text, "vdenet0")
    assert (nspawn.port(again, "vd0-"), nspawn.network(again)["Bridge"], nspawn.left(again, "vdenet0")) == (
        None, "vdenet0", FILE)


def test_settings_are_read() -> None:
    assert nspawn.network(FILE) == {"Port": "tcp:80", "Bridge": "br0"}
    assert nspawn.network("Bridge=br0\n[network]\nBridge=br0\n") == {}


def test_by_hand() -> None:
    assert nspawn.left(FILE, "br0") == FILE.replace("Bridge=br0\n", "")
    assert nspawn.left(FILE, "br1") == FILE


@given(st.text(st.sampled_from("[]=#;\n ab") | st.characters(blacklist_categories=("Cs",))))
def test_leaving_gives_back_every_byte(text: str) -> None:
    joined = nspawn.joined(text, "vdenet0")
    assert nspawn.network(joined)["Bridge"] == "vdenet0"
    assert nspawn.left(joined, "vdenet0") == text


@pytest.mark.parametrize("before", ["", "[Exec]\nBoot=yes\n", "[Exec]\nBoot=yes", "[Network]\nPort=80\n", "[Network]"])
@pytest.mark.parametrize("behind", ["Zone=lab\n", "# more\nZone=lab\n", "[Exec]\nBoot=no\n", "# more\n", "\n"])
def test_what_was_written_behind_the_block_stays_in_its_section(before: str, behind: str) -> None:
    """Whoever appends a setting sees [Network] above it."""
    for joined in nspawn.joined(before, "vdenet0"), nspawn.handed(before, "vd0-web"):
        after = nspawn.left(joined + behind, "vdenet0")
        assert nspawn.network(after).get("Zone") == nspawn.network(joined + behind).get("Zone")
        assert settings(after) == settings(before + "\n") + settings(behind, "Network")
        if "=" not in behind.partition("[")[0]:
            assert "[Network]" not in after.removeprefix(before)
        assert nspawn.left(nspawn.joined(after, "vdenet0"), "vdenet0") == after


def settings(text: str, section: str = "") -> list[tuple[str, str, str]]:
    """The sections, keys and values, of a file that ends or begins in the middle of one."""
    found = []
    for line in text.splitlines():
        if line.startswith("["):
            section = line[1:-1]
        elif "=" in line and not line.startswith("#"):
            found.append((section, *line.split("=")))
    return found


@pytest.mark.parametrize(("name", "good"), [
    ("web", True), ("web-1.lab", True), ("", False), ("..", False), ("a..b", False), ("a/b", False),
    ("-M", False), ("a b", False), ("a" * 65, False), ("a\n", False)])
def test_names(name: str, good: bool) -> None:
    assert nspawn.is_machine(name) is good

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vdenet.text import lxc
from vdenet.text.lxc import Net

MAC = "52:54:00:aa:bb:cc"
CONFIG = """# Template used to create this container
lxc.include = /usr/share/lxc/config/debian.common.conf

  lxc.net.0.type = veth
lxc.net.0.link="lxcbr0"
lxc.net.0.hwaddr = 00:16:3e:xx:xx:xx
#lxc.net.1.type = veth
lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs
"""


def nothing(_path: str) -> Sequence[str]:
    return ()


def test_networks_are_read() -> None:
    found = lxc.nets(CONFIG, nothing)
    assert found == {0: Net(0, {"type": "veth", "link": "lxcbr0", "hwaddr": "00:16:3e:xx:xx:xx"})}
    assert found[0].mac is None  # it is another at each start
    assert not found[0].empty


def test_what_comes_later_counts_and_nothing_takes_away() -> None:
    def net(more: str) -> dict[int, Net]:
        return lxc.nets(CONFIG + more, nothing)
    assert net("lxc.net.0.link = vdenet0\n")[0].settings["link"] == "vdenet0"
    assert "link" not in net("lxc.net.0.link =\n")[0].settings
    assert net("lxc.net.0 =\n") == {}
    assert net("lxc.net =\n") == {}
    assert net("lxc.net.0.type = empty\n")[0].empty


def test_includes_are_read_where_they_stand() -> None:
    files = {"/usr/share/lxc/config/debian.common.conf": ["lxc.net.0.link = br9\nlxc.net.7.type = phys\n",
                                                          "lxc.include = more\n"],
             "more": ["lxc.net.8.type = veth\nlxc.include = more\n"]}
    found = lxc.nets(CONFIG, lambda path: files.get(path, ()))
    assert sorted(found) == [0, 7, 8]
    assert found[0].settings["link"] == "lxcbr0"  # the file's own line comes after


def test_a_file_that_includes_itself_twice() -> None:
    asked = []

    def files(path: str) -> Sequence[str]:
        asked.append(path)
        return ["lxc.include = x\nlxc.include = x\nlxc.net.7.type = phys\n"] * 2

    assert sorted(lxc.nets(f"{CONFIG}lxc.include = x\nlxc.net.8.type = veth\n", files)) == [0, 7, 8]
    assert len(asked) <= 200


def test_a_number_of_no_network() -> None:
    huge = f"lxc.net.{'1' * 5000}.type = veth\n"  # more digits than int() takes
    assert sorted(lxc.nets(CONFIG + huge, nothing)) == [0]
    assert lxc.without(CONFIG + huge, 1) == CONFIG + huge


@pytest.mark.parametrize("line, root", [
    ("", "/var/lib/lxc/web/rootfs"),
    ("lxc.rootfs.path = /srv/web", "/srv/web"),
    ("lxc.include = more", "/srv/more"),
    ("lxc.rootfs.path =", None),
    ("lxc.rootfs.path = zfs:tank/web", None),
    ("lxc.rootfs.path = overlayfs:/srv/below:/srv/above", None),
])
def test_the_directory_of_its_root(line: str, root: str | None) -> None:
    files = {"more": ["lxc.rootfs.path = dir:/srv/more\n"]}
    assert lxc.root(f"{CONFIG}{line}\n", lambda path: files.get(path, ())) == root


def test_joined() -> None:
    text = lxc.joined(CONFIG, 1, None, "vdenet0", MAC, "eth1")
    assert text.startswith(CONFIG)
    assert lxc.nets(text, nothing)[1] == Net(
        1, {"type": "veth", "link": "vdenet0", "flags": "up", "name": "eth1", "hwaddr": MAC})
    assert lxc.nets(text, nothing)[0] == lxc.nets(CONFIG, nothing)[0]


def test_joined_in_place_of_another() -> None:
    old = lxc.nets(CONFIG, nothing)[0]
    found = lxc.nets(lxc.joined(CONFIG + "lxc.net.0.mtu = 9000\n", 0, old, "vdenet0", MAC, None), nothing)
    assert found == {0: Net(0, {"type": "veth", "link": "vdenet0", "flags": "up", "hwaddr": MAC})}


def test_joined_by_a_port_for_us() -> None:
    text = lxc.joined(CONFIG, 0, lxc.nets(CONFIG, nothing)[0], None, MAC, "eth0", "vd0-web")
    net = lxc.nets(text, nothing)[0]
    assert (net.port, net.mac, "link" in net.settings) == ("vd0-web", MAC, False)
    assert lxc.without_block(text) == CONFIG
    bridged = lxc.nets("lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.veth.pair = vd0-web\n", nothing)
    assert bridged[0].port is None


def test_its_own_lines_can_be_taken_out() -> None:
    assert lxc.nets(lxc.without(CONFIG, 0), nothing) == {}
    assert "lxc.rootfs.path" in lxc.without(CONFIG, 0)
    assert lxc.without(CONFIG, 1) == CONFIG


@given(st.text(st.sampled_from("a#=\n\r \tlxc.net0")), st.integers(0, 9))
@example("", 0)
@example("lxc.net.0.type = veth", 0)
@example("a\n\n", 1)
def test_the_file_comes_back_byte_for_byte(text: str, number: int) -> None:
    joined = lxc.joined(text, number, None, "vdenet0", MAC, None)
    assert lxc.without_block(joined) == text
    again = lxc.with_mac(joined, number, MAC)
    assert lxc.without_block(again) == text


def test_lines_that_others_add_behind_the_block_stay() -> None:
    for text in (CONFIG, CONFIG.rstrip("\n")):
        joined = lxc.joined(text, 1, None, "vdenet0", MAC, None).rstrip("\n") + "\nlxc.start.auto = 1\n"
        assert lxc.without_block(joined).rstrip("\n").endswith("\nlxc.start.auto = 1")
        assert lxc.nets(lxc.without_block(joined), nothing) == lxc.nets(CONFIG, nothing)


@pytest.mark.parametrize(("line", "allowed"), [
    ("@vdenet veth vdenet0 10", True), ("alice\tveth vdenet0  1", True), ("# x\n@vdenet veth vdenet0 10\n", True),
    ("", False), ("@vdenet veth vdenet0 0", False), ("@vdenet veth vdenet0", False), ("@vdenet veth lxcbr0 10", False),
    (" @vdenet veth vdenet0 10", False), ("bob veth vdenet0 10", False), ("vdenet veth vdenet0 10", False),
    ("@alice veth vdenet0 10", False), ("@vdenet veth vdenet0 ten", False),
])
def test_who_may_use_the_bridge(line: str, allowed: bool) -> None:
    assert lxc.allows(line, "alice", ["users", "vdenet"], "vdenet0") is allowed


LIST = "# bridges\n@staff veth lxcbr0 3\n@vdenet veth vdenet0 10\n"


def test_another_bridge_is_like_the_default_one() -> None:
    assert lxc.let_in(LIST, "lab") == f"{LIST}@vdenet veth lab 10\n"
    assert lxc.let_in("@vdenet  veth\tvdenet0 4", "lab") == "@vdenet  veth\tvdenet0 4\n@vdenet veth lab 4\n"
    assert lxc.allows(lxc.let_in(LIST, "lab"), "alice", ["vdenet"], "lab")
    assert lxc.shut_out(lxc.let_in(LIST, "lab"), "lab") == LIST
    assert lxc.shut_out(LIST, "lab") == LIST


@pytest.mark.parametrize("text", ["", "@staff veth vdenet0 3\n", " @vdenet veth vdenet0 10\n", "#@vdenet veth vdenet0 10\n",
                                  "@vdenet veth vdenet0 10\n@vdenet veth lab 0\n", "@vdenet veth vdenet0\n"])
def test_what_the_admin_has_made_of_it_stays(text: str) -> None:
    assert lxc.let_in(text, "lab") == text

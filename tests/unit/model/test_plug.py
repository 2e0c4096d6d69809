"""URLs of other switches: a closed list of kinds, and nothing in them that another program would take for its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from unit.examples import st
from unit.samples import NOT_WORDS, TARGETS
from vdenet.errors import BadValue
from vdenet.model import plug
from vdenet.model.plug import Plug


@pytest.mark.parametrize("url", TARGETS)
def test_each_kind_is_written_as_it_was_read(url: str) -> None:
    assert str(plug.target(url)) == url
    assert Plug(url).scheme == url.partition("://")[0]


@pytest.mark.parametrize(("short", "long"), (
    ("vxvde://", "vxvde://239.0.0.1"), ("vxlan:///vni=5", "vxlan://239.0.0.1/vni=5"),
    ("vxvde://239.1.2.3/if=eth0/vni=5", "vxvde://239.1.2.3/vni=5/if=eth0"),
    ("vxvde://FF05:0::1", "vxvde://ff05::1"), ("udp://5000->[fd5e:0::1]:5000", "udp://5000->[fd5e::1]:5000"),
))
def test_two_spellings_of_one_are_the_same(short: str, long: str) -> None:
    assert str(plug.target(short)) == long


BAD = (
    "", "vde", "/run/vde2/lab", "://", "vde:/run/x", "VDE:///run/x", "cmd://id", "tap://eth0", "seqpacket:///x",
    "slirp://", "null://", "switch:///x", "multi://{vde:///x}", "pcap://eth0", "file:///etc/passwd", "-vde:///x",
    "vde://", "vde://run/x", "vde:///", "vde:///x/", "vde:///x//y", "vde:///../x", "vde:///x/./y", "vde:///x y",
    "vde:///x[", "vde:///x[]", "vde:///x[0]", "vde:///x[5", "vde:///x[5]y", "vde:///x[group=root]", "vde:///x[5/mode=777]",
    "vde:///x%2f", "vde:///x'", "vde:///x{y}", "vde:///x*", "vde:///$HOME", "vde:///" + "x" * 90, "vde:///x[1024]",
    "vxvde://10.0.0.1", "vxvde://ff05::1%eth0", "vxvde://group", "vxvde://239.1.2.3/", "vxvde://239.1.2.3/grp=root",
    "vxvde://239.1.2.3/v", "vxvde://239.1.2.3/vni=0", "vxvde://239.1.2.3/vni=16777216", "vxvde://239.1.2.3/ttl=256",
    "vxvde://239.1.2.3/port=80", "vxvde://239.1.2.3/if=", "vxvde://239.1.2.3/if=a=b", "vxvde://239.1.2.3/vni=1/vni=2",
    "vxvde://239.1.2.3/hashsize=99999999", "vxvde://239.1.2.3/rcvbuf=1t", "vxvde://239.1.2.3/if=../x", "vxlan://[239.1.2.3]",
    "udp://", "udp://5000", "udp://5000->", "udp://5000->1.2.3.4", "udp://->1.2.3.4:5000", "udp://80->1.2.3.4:5000",
    "udp://5000->1.2.3.4:0", "udp://5000->1.2.3.4:65536", "udp://5000->tower:5000", "udp://5000->fd5e::1:5000",
    "udp://5000->[::ffff:1.2.3.4]:5000", "udp://5000->[fe80::1%eth0]:5000", "udp://1.2.3.4:5000->[fd5e::1]:5000",
    "udp://5000->0.0.0.0:5000", "udp://5000->239.1.2.3:5000", "udp://5000->255.255.255.255:5000", "udp://05000->1.2.3.4:5000",
    "ssh://", "ssh://host/x", "ssh://user@/x", "ssh://@host/x", "ssh://user@host", "ssh://user@host/", "ssh://user@-oX=y/x",
    "ssh://-lroot@host/x", "ssh://user@host:0/x", "ssh://user@host:/x", "ssh://user@host:22:22/x", "ssh://user@host/x;id",
    "ssh://user@host/x y", "ssh://user@host/$(id)", "ssh://user@host/`id`", "ssh://user@host/x&id", "ssh://user@host/x|id",
    "ssh://user@host/~", "ssh://user@a@b/x", "ssh://us er@host/x", "ssh://user@[::1/x", "ssh://user@[host]/x",
    "ssh://user@ho st/x", "ssh://user@host/x[5]", "ssh://user@host-/x", "ssh://ROOT@host/x",
)


@pytest.mark.parametrize("url", BAD)
def test_what_is_refused(url: str) -> None:
    with pytest.raises(BadValue):
        plug.target(url)


@given(st.sampled_from(TARGETS), st.sampled_from(NOT_WORDS), st.integers(0, 60))
def test_nothing_gets_in_between(url: str, word: str, at: int) -> None:
    """Whatever somebody writes into a URL: it is refused, or what comes out is plain."""
    try:
        written = str(plug.target(url[:at] + word + url[at:]))
    except BadValue:
        return
    assert re.fullmatch(r"[a-z]+://[A-Za-z0-9_+.:@/=>\[\]-]+", written)
    assert str(plug.target(written)) == written


@given(st.text(max_size=60) | st.from_regex(r"(vde|vxvde|vxlan|udp|ssh)://.{0,40}", fullmatch=True))
def test_any_text(text: str) -> None:
    try:
        written = str(plug.target(text))
    except BadValue:
        return
    assert written.isascii() and written.isprintable() and not set(written) & set(" '\"\\$`;&|*?{}()<~#!%,")
    assert str(plug.target(written)) == written

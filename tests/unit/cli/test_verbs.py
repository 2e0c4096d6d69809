from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unit.cli.conftest import GUEST, SEGMENT, Daemon, TarrSteps
from vdenet.errors import BadConfig, BadValue, Overlap, UnknownSegment
from vdenet.model.places import Places


def document(text: str) -> Any:
    return json.loads(text)


@pytest.mark.parametrize("words", ["start", "--start", "-st", "start vdenet0", "-st --segment vdenet0",
                                   "vdenet0 -st", "--segment=vdenet0 start vdenet0"])
def test_start(daemon: Daemon, tarr_steps: TarrSteps, words: str) -> None:
    daemon.answers["Start"] = {"segment": "vdenet0", "changed": True, "steps": ["create the bridge"]}
    done = tarr_steps(*words.split())
    assert (done.status, done.out, done.err) == (0, "vdenet0 is up\n", "")
    assert daemon.calls == [("Start", {"segment": "vdenet0"})]


def test_start_says_that_it_was_up(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["Start"] = {"segment": "vdenet0", "changed": False, "steps": []}
    assert tarr_steps("start").out == "vdenet0 is up already\n"
    assert tarr_steps("start", "--quiet").out == ""
    assert document(tarr_steps("start", "--json", "--quiet").out) == {
        "segment": "vdenet0", "changed": False, "steps": []}


def test_stop_names_the_guests(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["Stop"] = {"segment": "vdenet0", "changed": True, "steps": ["x"],
                              "guests": ["web", "d\nb"]}
    done = tarr_steps("-sp")
    assert done.out == ("vdenet0 is down until the next start or boot\n"
                        "2 guests lost it: web, d\\nb\n")
    assert document(tarr_steps("--json", "--stop").out)["guests"] == ["web", "d\nb"]


def test_stop_twice(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["Stop"] = {"segment": "vdenet0", "changed": False}
    done = tarr_steps("stop", "vdenet0")
    assert (done.status, done.out) == (0, "vdenet0 is down already\n")


@pytest.mark.parametrize("verb", ["reload", "apply", "-r"])
def test_reload_tells_the_steps(daemon: Daemon, tarr_steps: TarrSteps, verb: str) -> None:
    daemon.answers["Reload"] = {"segment": "vdenet0", "changed": True, "steps": ["one", "two"]}
    assert tarr_steps(verb).out == "vdenet0 was changed:\n  one\n  two\n"
    daemon.answers["Reload"] = {"segment": "vdenet0", "changed": False, "steps": []}
    assert tarr_steps(verb).out == "vdenet0 is as it should be\n"


def test_plan(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["Plan"] = {"segment": "vdenet0", "steps": ["one"]}
    assert tarr_steps("plan").out == "vdenet0 would change:\n  one\n"
    assert tarr_steps("plan", "-q").out == "  one\n"
    assert document(tarr_steps("plan", "--json").out) == {"segment": "vdenet0", "steps": ["one"]}
    daemon.answers["Plan"] = {"segment": "vdenet0", "steps": []}
    assert tarr_steps("plan").out == "vdenet0 is as it should be\n"
    assert tarr_steps("plan", "-q").out == ""


@pytest.mark.parametrize("words", ["ip", "--ip", "-ip", "ip --segment vdenet0", "-ip -q"])
def test_ip_shows(daemon: Daemon, tarr_steps: TarrSteps, words: str) -> None:
    daemon.answers["GetAddress"] = {"segment": "vdenet0", "address": "10.83.14.1/24"}
    assert tarr_steps(*words.split()).out == "10.83.14.1/24\n"
    assert document(tarr_steps("-ip", "--json").out) == {
        "segment": "vdenet0", "address": "10.83.14.1/24"}


@pytest.mark.parametrize("words", ["ip 10.9.8.1/24", "--ip 10.9.8.1/24", "-ip 10.9.8.1/24",
                                   "10.9.8.1/24 --ip", "--ip=10.9.8.1/24"])
def test_ip_changes(daemon: Daemon, tarr_steps: TarrSteps, words: str) -> None:
    daemon.answers["SetAddress"] = {"segment": "vdenet0", "address": "10.9.8.1/24", "changed": True,
                                    "steps": ["one"], "retiring": "10.83.14.1/24"}
    daemon.answers["List"] = {"segments": [SEGMENT]}
    assert tarr_steps(*words.split()).out == (
        "vdenet0 has the address 10.9.8.1/24 now\n"
        "10.83.14.1/24 stays until the guests have renewed their leases\n")
    assert daemon.calls[0] == ("SetAddress", {"segment": "vdenet0", "address": "10.9.8.1/24"})
    shown = document(tarr_steps(*words.split(), "--json").out)
    assert (shown["segment"], shown["address"]) == ("vdenet0", "10.9.8.1/24")


@pytest.mark.parametrize("changed", [True, False])
def test_the_address_of_a_segment_that_is_down(daemon: Daemon, tarr_steps: TarrSteps, changed: bool) -> None:
    daemon.answers["SetAddress"] = {"segment": "vdenet0", "address": "10.9.8.1/24", "changed": changed, "steps": []}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "state": "down"}]}
    assert tarr_steps("ip", "10.9.8.1/24").out == "vdenet0 will have the address 10.9.8.1/24 when it is up\n"


@pytest.mark.parametrize("name", ["policy", "default", "lo"])
def test_a_reserved_name_is_said_to_be_reserved(daemon: Daemon, tarr_steps: TarrSteps, name: str) -> None:
    done = tarr_steps("segment", "create", name)
    assert (done.status, done.err) == (2, f"tarr-steps: cannot use segment name {name}: the name is reserved\n")
    assert not daemon.calls


def test_segment_delete_says_that_it_changed(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["DeleteSegment"] = {"segment": "lab", "steps": ["- bridge"], "guests": []}
    assert document(tarr_steps("segment", "delete", "lab", "--json").out) == {
        "segment": "lab", "changed": True, "steps": ["- bridge"], "guests": []}


@pytest.mark.parametrize(("verbs", "default"), [
    (("", "list", "check", "segment list"), "all of them when not given"),
    (("plan", "apply"), "the one after which FILE is called, else vdenet0"),
    (("start", "stop", "reload", "ip", "export", "import", "leave", "join qemu", "join run", "join lxc"),
     "The segment; vdenet0 when not given")])
def test_help_says_which_segment_it_is(tarr_steps: TarrSteps, verbs: tuple[str, ...], default: str) -> None:
    for verb in verbs:
        assert default in " ".join(tarr_steps(*verb.split(), "--help").out.split()), verb


@pytest.mark.parametrize("value", [
    "10.0.0.1", "10.0.0.1/33", "10.0.0.0/24", "10.0.0.255/24", "300.1.1.1/24", "8.8.8.8/24", "fd00::1/64",
    "", " ", "10.9.8.1/24\n", "10.9.8.1/0x18", "x" * 300, "\x1b[2J/24", "10.9.8.1/24/24", "１０.9.8.1/24",
])
def test_a_bad_address_never_reaches_the_daemon(daemon: Daemon, tarr_steps: TarrSteps, value: str) -> None:
    done = tarr_steps("ip", value)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("tarr-steps: cannot use address ")
    assert done.err.count("\n") == 1
    assert not daemon.calls


@pytest.mark.parametrize("verb", ["start", "stop", "reload", "check", "list", "ip", "plan", "apply"])
@pytest.mark.parametrize("name", ["../x", "", "a" * 300, "vde net", "lo", "Ä", "a\nb"])
def test_a_bad_segment_never_reaches_the_daemon(daemon: Daemon, tarr_steps: TarrSteps, verb: str,
                                                name: str) -> None:
    done = tarr_steps(verb, "--segment", name)
    assert done.status == 2
    assert done.err.startswith("tarr-steps: cannot use segment name ")
    assert not daemon.calls


def test_an_overlap_is_refused(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["SetAddress"] = Overlap(network="10.9.8.0/24", other="10.0.0.0/8 of tun0")
    done = tarr_steps("ip", "10.9.8.1/24")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(
        "tarr-steps: cannot use the network 10.9.8.0/24: it overlaps 10.0.0.0/8 of tun0\nhint: ")


def test_an_unknown_segment(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["List"] = UnknownSegment(segment="lab")
    done = tarr_steps("list", "--segment", "lab")
    assert done.status == 2
    assert "lab" in done.err


def test_list(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["List"] = {"segments": [SEGMENT]}
    done = tarr_steps("-l")
    for word in ("vdenet0", "up", "10.83.14.1/24", "web", "52:54:00:12:34:56", "10.83.14.23",
                 "web.vdenet.internal", "tap (qemu)", "alice"):
        assert word in done.out
    assert "\033" not in done.out


def test_list_json_is_the_contract(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    bare = {key: GUEST[key] for key in ("mac", "via")}
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": [GUEST, bare]}]}
    done = tarr_steps("--liste", "--json", "-q")
    [segment] = document(done.out)["segments"]
    assert set(segment) >= {"name", "state", "address", "mode", "domain", "bridge", "tap", "switch", "guests"}
    full, empty = segment["guests"]
    assert full == GUEST
    assert empty == {**dict.fromkeys(GUEST), "joined": False, **bare}


def test_no_verb_says_what_helps_next(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["List"] = {"segments": [{**SEGMENT, "state": "down", "guests": []}]}
    assert "tarr-steps start" in tarr_steps().out
    daemon.answers["List"] = {"segments": [{**SEGMENT, "state": "degraded"}]}
    assert "tarr-steps check" in tarr_steps().out
    daemon.answers["List"] = {"segments": [{**SEGMENT, "guests": []}]}
    assert "tarr-steps join" in tarr_steps().out
    daemon.answers["List"] = {"segments": [SEGMENT]}
    assert "ssh web.vdenet.internal" in tarr_steps().out
    assert document(tarr_steps("--json").out)["segments"][0]["name"] == "vdenet0"


def test_segment_list(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["List"] = {"segments": [SEGMENT]}
    assert "vdenet0" in tarr_steps("segment", "list").out
    assert document(tarr_steps("segment", "list", "--json").out)["segments"][0]["name"] == "vdenet0"


@pytest.mark.parametrize("answer", [
    {}, {"segments": {}}, {"segments": [3]}, {"segments": [{}]},
    {"segments": [{**SEGMENT, "state": "odd"}]}, {"segments": [{**SEGMENT, "guests": [{"name": "x"}]}]},
    {"segments": [{**SEGMENT, "guests": [{**GUEST, "vlan": "3"}]}]},
])
def test_an_answer_of_another_shape(daemon: Daemon, tarr_steps: TarrSteps, answer: dict[str, Any]) -> None:
    daemon.answers["List"] = answer
    done = tarr_steps("list")
    assert (done.status, done.out) == (1, "")
    assert "cannot understand the peer" in done.err


def test_a_file_that_cannot_be_read_is_not_passed_over(daemon: Daemon, tarr_steps: TarrSteps,
                                                       places: Places) -> None:
    Path(places.config("vdenet0")).touch()
    Path(places.config("lab")).touch()
    daemon.answers["List"] = {"segments": [SEGMENT]}
    daemon.answers["GetAddress"] = BadConfig(where="/etc/vdenet/lab.toml:16:8", why="invalid value")
    told = ("tarr-steps: cannot read /etc/vdenet/lab.toml:16:8: invalid value\n"
            "hint: man vdenet.toml tells what it may hold\n")
    for words in ("list", "", "segment list"):
        done = tarr_steps(*words.split())
        assert (done.status, done.err) == (2, told)
        assert "vdenet0" in done.out
    assert document(tarr_steps("-l", "--json").out)["segments"]
    assert tarr_steps("list", "--segment", "vdenet0").status == 0
    daemon.answers["List"] = {"segments": []}
    done = tarr_steps("list")
    assert (done.status, done.out, done.err) == (2, "", told)
    # A policy, or a copy, is no segment.
    daemon.answers["GetAddress"] = BadValue(what="segment name", value="x", why="y")
    assert tarr_steps("list").status == 0


def test_no_segment_at_all(daemon: Daemon, tarr_steps: TarrSteps) -> None:
    daemon.answers["List"] = {"segments": []}
    done = tarr_steps("list")
    assert (done.status, done.out) == (0, "no segment is configured\n")
    assert document(tarr_steps("list", "--json").out) == {"segments": []}

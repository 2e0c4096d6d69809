"""The closed table of what can be asked of the daemon.

Each operation stands here once: its name on the wire, who may call it, whether it changes anything, which
parameters it takes, and the function that does it. Nothing else is reachable from the control socket; a test
goes through the table and fails on a gap.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import vdenet
from vdenet.daemon import addressing, applying, authority, confirming, joining, reporting, segments, settling, tunnels
from vdenet.daemon.admission import Asked
from vdenet.daemon.configuration import MAX_SIZE
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.errors import BadConfig, BadValue, SegmentDown, UnknownOperation, UnknownSegment
from vdenet.i18n import _
from vdenet.model.change import Plan
from vdenet.model.names import DEFAULT_SEGMENT, segment_name
from vdenet.model.plan import sentences
from vdenet.model.report import is_ok
from vdenet.model.segment import Segment
from vdenet.model.vlans import FIRST, LAST
from vdenet.text import config
from vdenet.wire.message import Parameters


class Role(StrEnum):
    """Who may call an operation; root may call every one."""

    MEMBER = "member"
    ROOT = "root"


@dataclass(slots=True)
class Request:
    """One call, and what came with it. `fds` belong to the operation, which takes what it keeps."""

    engine: Engine
    caller: Caller
    parameters: Parameters
    fds: list[int] = field(default_factory=list)

    def segment(self) -> Segment:
        """The segment that the call is about, `vdenet0` when it names none."""
        return self.engine.configuration.segment(self.name())

    def name(self) -> str:
        """Its name, whether it exists or not."""
        return segment_name(self.parameters.text("segment") or DEFAULT_SEGMENT)


@dataclass(slots=True)
class Answer:
    """Parameters of the reply, and descriptors to send along; they are closed afterwards."""

    parameters: Mapping[str, Any]
    fds: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Operation:
    """An entry of the table."""

    name: str
    role: Role
    changes: bool
    parameters: tuple[str, ...]
    do: Callable[[Request], Answer]
    fds: int = 0
    """How many descriptors the call brings."""


def _list(request: Request) -> Answer:
    if request.parameters.text("segment"):
        return Answer({"segments": [reporting.report(request.engine, request.name()).json()]})
    found = []
    for segment in request.engine.configuration.all():
        with contextlib.suppress(UnknownSegment, BadConfig):  # deleted or spoilt meanwhile
            found.append(reporting.report(request.engine, segment.name).json())
    return Answer({"segments": found})


def _check(request: Request) -> Answer:
    findings = reporting.check(request.engine, request.name())
    return Answer({"ok": is_ok(findings), "findings": [asdict(finding) for finding in findings]})


def _plan(request: Request) -> Answer:
    def find() -> Plan:
        return request.engine.plan_up(request.segment())[0]

    with settling.settled(request.engine, request.name(), find) as plan:
        return Answer({"segment": request.name(), "steps": sentences(plan)})


def _plan_config(request: Request) -> Answer:
    def find() -> Plan:
        return applying.plan(request.engine, _wished(request))[0]

    with settling.settled(request.engine, request.name(), find) as plan:
        return Answer({"segment": request.name(), "steps": sentences(plan)})


def _apply_config(request: Request) -> Answer:
    seconds = request.parameters.number("confirm", confirming.LEAST, confirming.MOST)
    done = confirming.apply(request.engine, request.caller, _wished(request), seconds)
    waits = confirming.pending(request.engine.places, done.segment) is not None
    return Answer({"segment": done.segment, "changed": done.changed, "steps": list(done.steps),
                   "confirm": seconds if waits else None})


def _confirm(request: Request) -> Answer:
    confirming.confirm(request.engine, request.caller, request.name())
    return Answer({"segment": request.name()})


def _roll_back(request: Request) -> Answer:
    confirming.take_back(request.engine, request.caller, request.name())
    return Answer({"segment": request.name()})


def _export(request: Request) -> Answer:
    segment = request.segment()
    canonical = request.parameters.flag("canonical")
    text = config.emit(segment) if canonical else request.engine.configuration.text(segment.name)
    return Answer({"segment": segment.name, "text": text})


def _create_segment(request: Request) -> Answer:
    created, steps = segments.create(
        request.engine, request.caller, request.name(), request.parameters.document("text", MAX_SIZE),
        request.parameters.text("address"), request.parameters.text("mode"))
    return Answer({"segment": created.name, "address": str(created.address), "domain": created.domain,
                   "owner": created.owner, "steps": list(steps)})


def _delete_segment(request: Request) -> Answer:
    deleted = segments.delete(request.engine, request.caller, request.name(), request.parameters.flag("force"))
    return Answer({"segment": deleted.segment, "steps": list(deleted.steps), "guests": list(deleted.guests)})


def _wished(request: Request) -> applying.Wish:
    text = request.parameters.document("text", MAX_SIZE)
    if text is None:
        raise BadValue(what="text", value="", why=_("it is missing"))
    return applying.wish(request.engine, request.caller, request.name(), text)


def _start(request: Request) -> Answer:
    authority.require_owner(request.caller, request.segment(), _("start {segment}").format(segment=request.name()))
    outcome = request.engine.bring_up(request.segment())
    return Answer({"segment": outcome.segment, "changed": outcome.changed, "steps": list(outcome.steps)})


def _reload(request: Request) -> Answer:
    """One that was stopped on purpose stays down until somebody starts it; one that fell down is brought up again."""
    authority.require_owner(request.caller, request.segment(), _("reload {segment}").format(segment=request.name()))
    with request.engine.lock:
        if request.engine.stopped(request.name()):
            raise SegmentDown(what=_("reload"), segment=request.name())
        return _start(request)


def _stop(request: Request) -> Answer:
    try:
        segment, configured = request.segment(), True
    except (UnknownSegment, BadConfig):
        # One whose file is gone or cannot be read is taken down as it was brought up.
        left = request.engine.configuration.applied(request.name())
        if left is None:
            raise
        segment, configured = left, Path(request.engine.places.config(left.name)).exists()
    authority.require_owner(request.caller, segment, _("stop {segment}").format(segment=segment.name))
    outcome = request.engine.take_down(segment, keep_stopped=configured)
    return Answer({"segment": outcome.segment, "changed": outcome.changed, "steps": list(outcome.steps),
                   "guests": list(outcome.guests)})


def _get_address(request: Request) -> Answer:
    segment = request.segment()
    return Answer({"segment": segment.name, "address": None if segment.address is None else str(segment.address)})


def _set_address(request: Request) -> Answer:
    moved = addressing.set_address(request.engine, request.caller, request.segment(),
                                   request.parameters.required("address"))
    return Answer({"segment": moved.segment, "address": str(request.segment().address), "changed": moved.changed,
                   "steps": list(moved.steps),
                   "retiring": None if moved.retiring is None else str(moved.retiring)})


def _open_tap(request: Request) -> Answer:
    asked = _asked(request)
    opened = joining.open_tap(request.engine, request.segment(), request.caller, asked)
    return Answer(opened.json(), opened.fds)


def _keep_tap(request: Request) -> Answer:
    return _noted(request, lambda segment: joining.keep_tap(
        request.engine, segment, request.caller, _asked(request)).json())


def _open_veth(request: Request) -> Answer:
    opened = joining.open_veth(request.engine, request.segment(), request.caller, _asked(request),
                               request.fds[0])
    return Answer(opened.json())


def _reserve(request: Request) -> Answer:
    return _noted(request, lambda segment: joining.reserve(
        request.engine, segment, request.caller, _asked(request), plug=request.parameters.flag("plug"),
        handed=request.parameters.flag("handed")))


def _noted(request: Request, give: Callable[[Segment], dict[str, Any]]) -> Answer:
    """What a guest is given, and whether that changed what the book has of it."""
    with request.engine.lock:
        segment = request.segment()
        before = {guest.name: guest for guest in request.engine.book(segment.name).all()}
        given = give(segment)
        now = request.engine.book(segment.name).find(given["name"])
        return Answer({**given, "changed": now != before.get(given["name"])})


def _keep_tunnel(request: Request) -> Answer:
    return Answer(tunnels.keep_tunnel(request.engine, request.segment(), request.caller, _asked(request),
                                      back=request.parameters.flag("back")))


def _leave(request: Request) -> Answer:
    segment = request.segment()
    left = joining.leave(request.engine, segment, request.caller, request.parameters.required("name"),
                         request.parameters.text("kind"))
    return Answer({"segment": segment.name, "name": request.parameters.required("name"), "left": left})


def _version(request: Request) -> Answer:
    return Answer({"version": vdenet.__version__})


def _asked(request: Request) -> Asked:
    return Asked(name=request.parameters.text("name"), mac=request.parameters.text("mac"),
                 kind=request.parameters.text("kind"), vlan=request.parameters.number("vlan", FIRST, LAST))


TABLE: Mapping[str, Operation] = {operation.name: operation for operation in (
    Operation("List", Role.MEMBER, False, ("segment",), _list),
    Operation("Check", Role.MEMBER, False, ("segment",), _check),
    Operation("Plan", Role.MEMBER, False, ("segment",), _plan),
    Operation("GetAddress", Role.MEMBER, False, ("segment",), _get_address),
    Operation("Version", Role.MEMBER, False, (), _version),
    Operation("PlanConfig", Role.MEMBER, False, ("segment", "text"), _plan_config),
    Operation("Export", Role.MEMBER, False, ("segment", "canonical"), _export),
    Operation("ApplyConfig", Role.MEMBER, True, ("segment", "text", "confirm"), _apply_config),
    Operation("Confirm", Role.MEMBER, True, ("segment",), _confirm),
    Operation("RollBack", Role.MEMBER, True, ("segment",), _roll_back),
    Operation("CreateSegment", Role.MEMBER, True, ("segment", "text", "address", "mode"), _create_segment),
    Operation("DeleteSegment", Role.MEMBER, True, ("segment", "force"), _delete_segment),
    Operation("Start", Role.MEMBER, True, ("segment",), _start),
    Operation("Stop", Role.MEMBER, True, ("segment",), _stop),
    Operation("Reload", Role.MEMBER, True, ("segment",), _reload),
    Operation("SetAddress", Role.MEMBER, True, ("segment", "address"), _set_address),
    Operation("OpenTap", Role.MEMBER, True, ("segment", "name", "mac", "kind", "vlan"), _open_tap),
    Operation("KeepTap", Role.MEMBER, True, ("segment", "name", "mac", "kind", "vlan"), _keep_tap),
    Operation("OpenVeth", Role.MEMBER, True, ("segment", "name", "mac", "kind", "vlan"), _open_veth, fds=1),
    Operation("Reserve", Role.MEMBER, True, ("segment", "name", "mac", "kind", "vlan", "plug", "handed"), _reserve),
    Operation("KeepTunnel", Role.MEMBER, True, ("segment", "name", "mac", "kind", "vlan", "back"), _keep_tunnel),
    Operation("Leave", Role.MEMBER, True, ("segment", "name", "kind"), _leave),
)}


def find(name: str) -> Operation:
    """The operation of that name. Raises `UnknownOperation`."""
    operation = TABLE.get(name)
    if operation is None:
        raise UnknownOperation(operation=name)
    return operation

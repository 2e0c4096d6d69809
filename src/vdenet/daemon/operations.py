"""The closed table of what can be asked of the daemon.

Each operation stands here once: its name on the wire, who may call it, whether it changes anything, which
parameters it takes, and the function that does it. Nothing else is reachable from the control socket; a test
goes through the table and fails on a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import vdenet
from vdenet.daemon import addressing, joining, reporting, tunnels
from vdenet.daemon.engine import Engine
from vdenet.daemon.members import Caller
from vdenet.errors import UnknownOperation
from vdenet.model.names import DEFAULT_SEGMENT, segment_name
from vdenet.model.plan import sentences
from vdenet.model.report import is_ok
from vdenet.model.segment import Segment
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
        return self.engine.configuration.segment(
            segment_name(self.parameters.text("segment") or DEFAULT_SEGMENT))


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
    asked = request.parameters.text("segment")
    segments = [request.segment()] if asked else request.engine.configuration.all()
    return Answer({"segments": [reporting.report(request.engine, segment).json() for segment in segments]})


def _check(request: Request) -> Answer:
    findings = reporting.check(request.engine, request.segment())
    return Answer({"ok": is_ok(findings), "findings": [asdict(finding) for finding in findings]})


def _plan(request: Request) -> Answer:
    segment = request.segment()
    plan, _wanted, _observed = request.engine.plan_up(segment)
    return Answer({"segment": segment.name, "steps": sentences(plan)})


def _start(request: Request) -> Answer:
    outcome = request.engine.bring_up(request.segment())
    return Answer({"segment": outcome.segment, "changed": outcome.changed, "steps": list(outcome.steps)})


def _stop(request: Request) -> Answer:
    outcome = request.engine.take_down(request.segment())
    return Answer({"segment": outcome.segment, "changed": outcome.changed, "steps": list(outcome.steps),
                   "guests": list(outcome.guests)})


def _get_address(request: Request) -> Answer:
    segment = request.segment()
    return Answer({"segment": segment.name, "address": str(segment.address)})


def _set_address(request: Request) -> Answer:
    moved = addressing.set_address(request.engine, request.segment(), request.parameters.required("address"))
    return Answer({"segment": moved.segment, "address": str(moved.address), "changed": moved.changed,
                   "steps": list(moved.steps),
                   "retiring": None if moved.retiring is None else str(moved.retiring)})


def _open_tap(request: Request) -> Answer:
    wish = _wish(request)
    opened = joining.open_tap(request.engine, request.segment(), request.caller, wish)
    return Answer(opened.json(), opened.fds)


def _keep_tap(request: Request) -> Answer:
    kept = joining.keep_tap(request.engine, request.segment(), request.caller, _wish(request))
    return Answer(kept.json())


def _open_veth(request: Request) -> Answer:
    opened = joining.open_veth(request.engine, request.segment(), request.caller, _wish(request),
                               request.fds[0])
    return Answer(opened.json())


def _reserve(request: Request) -> Answer:
    return Answer(joining.reserve(request.engine, request.segment(), request.caller, _wish(request)))


def _keep_tunnel(request: Request) -> Answer:
    return Answer(tunnels.keep_tunnel(request.engine, request.segment(), request.caller, _wish(request)))


def _leave(request: Request) -> Answer:
    segment = request.segment()
    left = joining.leave(request.engine, segment, request.caller, request.parameters.required("name"),
                         request.parameters.text("kind"))
    return Answer({"segment": segment.name, "name": request.parameters.required("name"), "left": left})


def _version(request: Request) -> Answer:
    return Answer({"version": vdenet.__version__})


def _wish(request: Request) -> joining.Wish:
    return joining.Wish(name=request.parameters.text("name"), mac=request.parameters.text("mac"),
                        kind=request.parameters.text("kind"))


TABLE: Mapping[str, Operation] = {operation.name: operation for operation in (
    Operation("List", Role.MEMBER, False, ("segment",), _list),
    Operation("Check", Role.MEMBER, False, ("segment",), _check),
    Operation("Plan", Role.MEMBER, False, ("segment",), _plan),
    Operation("GetAddress", Role.MEMBER, False, ("segment",), _get_address),
    Operation("Version", Role.MEMBER, False, (), _version),
    Operation("Start", Role.MEMBER, True, ("segment",), _start),
    Operation("Stop", Role.MEMBER, True, ("segment",), _stop),
    Operation("Reload", Role.MEMBER, True, ("segment",), _start),
    Operation("SetAddress", Role.MEMBER, True, ("segment", "address"), _set_address),
    Operation("OpenTap", Role.MEMBER, True, ("segment", "name", "mac", "kind"), _open_tap),
    Operation("KeepTap", Role.MEMBER, True, ("segment", "name", "mac", "kind"), _keep_tap),
    Operation("OpenVeth", Role.MEMBER, True, ("segment", "name", "mac", "kind"), _open_veth, fds=1),
    Operation("Reserve", Role.MEMBER, True, ("segment", "name", "mac", "kind"), _reserve),
    Operation("KeepTunnel", Role.MEMBER, True, ("segment", "name", "mac", "kind"), _keep_tunnel),
    Operation("Leave", Role.MEMBER, True, ("segment", "name", "kind"), _leave),
)}


def find(name: str) -> Operation:
    """The operation of that name. Raises `UnknownOperation`."""
    operation = TABLE.get(name)
    if operation is None:
        raise UnknownOperation(operation=name)
    return operation

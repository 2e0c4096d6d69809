"""How the plugs of a segment are, for `list` and `check`."""

from __future__ import annotations

from vdenet.daemon.engine import Engine
from vdenet.i18n import _
from vdenet.model.observed import Observed
from vdenet.model.plug import Plug
from vdenet.model.report import Finding, PlugReport, Severity
from vdenet.model.segment import Segment
from vdenet.model.wanted import Service, Wanted
from vdenet.text import plugs

UP, CONNECTING, DOWN = "up", "connecting", "down"


def report(engine: Engine, segment: Segment, wanted: Wanted | None,
           observed: Observed | None) -> tuple[PlugReport, ...]:
    """Each plug of the file; without `wanted` and `observed` the segment is down, and they are with it."""
    if wanted is None or observed is None:
        return tuple(PlugReport(plug.url, plug.name, DOWN, plug.port) for plug in segment.plugs)
    found = zip(segment.plugs, plugs.services(segment, engine.places), strict=True)
    return tuple(_report(engine, segment, plug, service, observed) for plug, service in found)


def _report(engine: Engine, segment: Segment, plug: Plug, service: Service, observed: Observed) -> PlugReport:
    running = observed.services.get(service.name)
    if running is not None:
        return PlugReport(plug.url, plug.name, UP if running.connected else CONNECTING, plug.port)
    if service.link is not None and service.link not in observed.links:
        why = _("there is no interface {name}").format(name=service.link)
    else:
        why = engine.supervisor.why_ended(segment.name, service)
    return PlugReport(plug.url, plug.name, DOWN, plug.port, why or None)


def findings(engine: Engine, segment: Segment, wanted: Wanted, observed: Observed) -> list[Finding]:
    """A finding for each plug that is not connected."""
    found = []
    for plug in report(engine, segment, wanted, observed):
        if plug.state == UP:
            continue
        what = plug.url if plug.name is None else f"{plug.name} ({plug.url})"
        if plug.state == CONNECTING:
            found.append(Finding("plug-connecting", Severity.WARNING, segment.name, _(
                "the plug {what} is not connected yet").format(what=what)))
        else:
            found.append(Finding("plug-down", Severity.ERROR, segment.name, _("the plug {what} is down{why}").format(
                what=what, why=f": {plug.why}" if plug.why else ""), _("it is tried again and again; man vdenet.toml")))
    return found

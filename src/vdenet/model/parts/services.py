"""Services and the files that they read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vdenet.model.change import Change
from vdenet.model.digests import reload_digest, restart_digest
from vdenet.model.observed import Observed, RunningService
from vdenet.model.steps import (
    ReloadService,
    RemoveFile,
    SetSpanningTree,
    StartService,
    Step,
    StopService,
    WriteFile,
)
from vdenet.model.wanted import SWITCH, File, Service, Wanted


def stop_changed(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    """Those that start anew, or are not to run any more, first: so when the change is taken back, they start when
    all else is as it was."""
    # Plugs before the switch that they are in.
    for service in sorted((*wanted.services, *wanted.unwanted), key=lambda one: not one.patient):
        running = observed.services.get(service.name)
        if running is not None and (service in wanted.unwanted or running.restart_digest != restart_digest(service)
                                    or _has_lost_its_link(service, observed)):
            before = _former(former, service.name, running)
            yield Change(StopService(wanted.segment, service),
                         () if before is None else _started_again(wanted.segment, before, observed))


def start(wanted: Wanted, observed: Observed, former: Wanted | None) -> Iterable[Change]:
    """Their files, then what does not run or has to read them again; plugs last."""
    told: list[Step] = []
    for service in wanted.services:
        running = observed.services.get(service.name)
        before = None if running is None else _former(former, service.name, running)
        if before is not None and running is not None and running.restart_digest == restart_digest(service) \
                and running.reload_digest != reload_digest(service):
            told.append(ReloadService(wanted.segment, before))
    for file in wanted.files:
        there = observed.files.get(file.path)
        if there != file.text:
            undo: Step = RemoveFile(file.path)
            if there is not None:
                undo = WriteFile(File(file.path, there, file.mode, file.group))
            # With the first file, so after the last one when they are taken back.
            yield Change(WriteFile(file), (undo, *told))
            told = []
    for file in wanted.unwanted_files:
        there = observed.files.get(file.path)
        if there is not None:
            yield Change(RemoveFile(file.path), (WriteFile(replace(file, text=there)),))
    for service in wanted.services:
        if not service.patient:
            yield from _one(wanted.segment, service, observed.services.get(service.name))
    yield from _spanning_tree(wanted, observed)
    for service in wanted.services:
        if not service.patient or service.name in observed.waiting or _has_lost_its_link(service, observed):
            continue
        yield from _one(wanted.segment, service, observed.services.get(service.name))


def stop(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """All of them, last first."""
    for service in reversed((*wanted.unwanted, *wanted.services)):
        if service.name in observed.services:
            yield Change(StopService(wanted.segment, service), _started_again(wanted.segment, service, observed))


def _one(segment: str, service: Service, running: RunningService | None) -> Iterable[Change]:
    if running is None or running.restart_digest != restart_digest(service):
        yield Change(StartService(segment, service), (StopService(segment, service),))
    elif running.reload_digest != reload_digest(service):
        yield Change(ReloadService(segment, service))


def _spanning_tree(wanted: Wanted, observed: Observed) -> Iterable[Change]:
    """A switch begins without. It is on before anything is plugged in that may make a loop."""
    service = next((one for one in wanted.services if one.name == SWITCH), None)
    running = observed.services.get(SWITCH)
    if service is None:
        return
    stays = running is not None and running.restart_digest == restart_digest(service)
    there = observed.breaks_loops if stays else False
    if there is not None and there != wanted.breaks_loops:
        yield Change(SetSpanningTree(wanted.segment, wanted.breaks_loops),
                     (SetSpanningTree(wanted.segment, there),) if stays else ())


def _started_again(segment: str, service: Service, observed: Observed) -> tuple[Step, ...]:
    """What takes back that a service was stopped."""
    tree = service.name == SWITCH and observed.breaks_loops
    return StartService(segment, service), *((SetSpanningTree(segment, on=True),) if tree else ())


def _has_lost_its_link(service: Service, observed: Observed) -> bool:
    """A plug stays with the interface that it opened, also when that is gone and another has its name."""
    return service.patient and service.link is not None and service.link not in observed.links


def _former(former: Wanted | None, name: str, running: RunningService) -> Service | None:
    """The service as it was started, if that is known."""
    for service in former.services if former is not None else ():
        if service.name == name and running.restart_digest == restart_digest(service):
            return service
    return None

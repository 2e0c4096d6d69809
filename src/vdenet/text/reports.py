"""Reports for people: the segments, the checklist, the steps of a plan. Text out, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from vdenet.errors import printable
from vdenet.i18n import _, ngettext
from vdenet.model.names import DEFAULT_SEGMENT
from vdenet.model.report import Finding, GuestReport, PlugReport, SegmentReport, Severity, State

_GAP = "  "
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Style:
    """What the reader's screen can show; `width` None is as wide as it takes, `bare` without headings."""

    colour: bool = False
    width: int | None = None
    bare: bool = False

    def paint(self, text: str, code: str) -> str:
        """`text` in a colour or weight (ECMA-48 SGR)."""
        return f"\033[{code}m{text}\033[0m" if self.colour and code else text


PLAIN = Style()

_BOLD, _FAINT, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"
_STATE_COLOUR = {State.UP: _GREEN, State.DOWN: _RED, State.DEGRADED: _YELLOW}
_SEVERITY_COLOUR = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _FAINT}


@dataclass(frozen=True, slots=True)
class Passed:
    """A part that `check` looked at and that is as it should be."""

    code: str
    segment: str | None
    message: str


def listing(segments: Sequence[SegmentReport], style: Style = PLAIN) -> str:
    """`list`: each segment and a table of its guests."""
    if not segments:
        return _("no segment is configured")
    if style.bare:
        return "\n".join(table for segment in segments if (table := _guests(segment, style)))
    return "\n\n".join(_segment(segment, style) for segment in segments)


def summary(segments: Sequence[SegmentReport], style: Style = PLAIN) -> str:
    """The answer to no verb: the state in a few lines, and the verb that helps next."""
    if not segments:
        return _("no segment is configured")
    lines = [_one_line(segment, style) for segment in segments]
    if style.bare:
        return "\n".join(lines)
    return "\n".join([*lines, "", *(f"{_GAP}{line}" for line in _next(segments))])


def segment_names(segments: Sequence[SegmentReport], style: Style = PLAIN) -> str:
    """`segment list`: one line for each segment."""
    rows = [[s.name, _state(s.state), s.address or _NONE, s.mode, s.domain, s.owner or _NONE] for s in segments]
    heading = [_("SEGMENT"), _("STATE"), _("ADDRESS"), _("MODE"), _("DOMAIN"), _("OWNER")]
    return _table(heading, rows, style, dispensable=(4, 3))


def checklist(passed: Sequence[Passed], findings: Sequence[Finding], style: Style = PLAIN,
              verdict: bool = True) -> str:
    """`check`: what is right, then what is not and how to mend it, then the count."""
    marks = {severity: _severity(severity) for severity in Severity}
    wide = max(map(_columns, (_("ok"), *marks.values())))
    lines: list[str] = []
    if not style.bare:
        lines += [style.paint(_pad(_("ok"), wide), _GREEN) + _GAP + printable(part.message)
                  for part in passed]
    for finding in sorted(findings, key=lambda f: list(Severity).index(f.severity), reverse=True):
        if style.bare and finding.severity is Severity.INFO:
            continue
        mark = style.paint(_pad(marks[finding.severity], wide), _SEVERITY_COLOUR[finding.severity])
        lines.append(mark + _GAP + printable(finding.message))
        if finding.hint:
            lines.append(" " * wide + _GAP + _("hint: {hint}").format(hint=printable(finding.hint)))
    if verdict and not style.bare:
        lines += ["", _verdict(findings)]
    return "\n".join(lines)


def steps(done: Iterable[str]) -> str:
    """The steps of a plan, one a line."""
    return "\n".join(f"{_GAP}{printable(step)}" for step in done)


def names(words: Sequence[str]) -> str:
    """Names in a sentence."""
    return ", ".join(printable(word, 63) for word in words)


def _segment(segment: SegmentReport, style: Style) -> str:
    lines = [_one_line(segment, style)]
    if segment.address6:
        lines.append(_GAP + printable(segment.address6))
    lines.append(_GAP + _("VDE switch: {path}").format(path=printable(segment.switch)))
    lines += [_GAP + _plug(plug) for plug in segment.plugs]
    return "\n".join([*lines, _guests(segment, style) or _GAP + _("no guest")])


def _plug(plug: PlugReport) -> str:
    words = {"up": _("up"), "connecting": _("connecting")}.get(plug.state, _("down"))
    what = plug.url if plug.name is None else f"{plug.name} ({plug.url})"
    line = _("plug {what} is {state}").format(what=printable(what), state=words)
    return line + (f": {printable(plug.why)}" if plug.why else "")


def _guests(segment: SegmentReport, style: Style) -> str:
    rows = [_guest(guest) for guest in segment.guests]
    heading = [_("NAME"), _("MAC"), _("ADDRESS"), _("FQDN"), _("VIA"), _("VLAN"), _("OWNER")]
    # The name and the domain above it make the FQDN; it goes first where the screen is narrow.
    return _table(heading, rows, style, dispensable=(3, 5, 6, 4), empty=(5,)) if rows else ""


def _one_line(segment: SegmentReport, style: Style) -> str:
    count = len(segment.guests)
    words = [segment.address, segment.mode, segment.domain] if segment.address else [segment.mode]
    if segment.state is not State.DOWN:
        words.append(ngettext("{count} guest", "{count} guests", count).format(count=count))
    name = style.paint(printable(segment.name), _BOLD)
    state = style.paint(_state(segment.state), _STATE_COLOUR[segment.state])
    return _("{name} is {state}:").format(name=name, state=state) + " " + ", ".join(map(printable, words))


def _guest(guest: GuestReport) -> list[str]:
    via = guest.via if guest.kind in (None, guest.via) else f"{guest.via} ({guest.kind})"
    vlan = None if guest.vlan is None else str(guest.vlan)
    return [cell or _NONE for cell in
            (guest.name or guest.guest, guest.mac, guest.address, guest.fqdn, via, vlan, guest.owner)]


def _next(segments: Sequence[SegmentReport]) -> list[str]:
    """What to do next, for the segment that needs it most."""
    for state, what, verb in ((State.DEGRADED, _("see what is wrong:"), "check"),
                              (State.DOWN, _("bring it up:"), "start")):
        for segment in segments:
            if segment.state is state:
                return [f"{what} tarr-steps {verb}" + _of(segment)]
    for segment in segments:
        for guest in segment.guests:
            if guest.fqdn and guest.address and guest.port:
                return [_("see the guests:") + " tarr-steps list",
                        _("log into one:") + f" ssh {printable(guest.fqdn)}"]
        if segment.guests:
            return [_("see the guests:") + " tarr-steps list"]
    return [_("put a guest on it:") + " tarr-steps join qemu -- qemu-system-x86_64 …",
            _("or any command:") + " tarr-steps join run -- bash"]


def _of(segment: SegmentReport) -> str:
    return "" if segment.name == DEFAULT_SEGMENT else f" {printable(segment.name)}"


def _verdict(findings: Sequence[Finding]) -> str:
    errors = sum(f.severity is Severity.ERROR for f in findings)
    warnings = sum(f.severity is Severity.WARNING for f in findings)
    if not errors and not warnings:
        return _("everything is as it should be")
    return ", ".join([
        ngettext("{count} error", "{count} errors", errors).format(count=errors),
        ngettext("{count} warning", "{count} warnings", warnings).format(count=warnings)])


def _state(state: State) -> str:
    return {State.UP: _("up"), State.DOWN: _("down"), State.DEGRADED: _("degraded")}[state]


def _severity(severity: Severity) -> str:
    return {Severity.ERROR: _("error"), Severity.WARNING: _("warning"),
            Severity.INFO: _("note")}[severity]


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]], style: Style,
           dispensable: Sequence[int], empty: Sequence[int] = ()) -> str:
    """Aligned columns.

    Where they are too wide, the `dispensable` ones go, in that order; before them those of `empty` in
    which no row has anything. What is too wide then runs over: a wrapped line says more than a cut one.
    """
    cells = [list(heading), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(_columns(row[at]) for row in cells) for at in range(len(heading))]
    shown = list(range(len(heading)))
    bare = [at for at in empty if all(row[at] == _NONE for row in rows)]
    for at in (*bare, *dispensable):
        if style.width is None or sum(widths[i] + len(_GAP) for i in shown) <= style.width:
            break
        if at in shown:
            shown.remove(at)
    lines = [_GAP + _GAP.join(_pad(row[at], widths[at]) for at in shown).rstrip() for row in cells]
    if style.bare:
        return "\n".join(line[len(_GAP):] for line in lines[1:])
    return "\n".join([style.paint(lines[0], _FAINT), *lines[1:]])


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, columns: int) -> str:
    return text + " " * (columns - _columns(text))

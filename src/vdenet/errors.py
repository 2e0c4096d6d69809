"""What can go wrong, as data.

Each error has a stable `code` (it crosses the control socket and stands in JSON), a sentence and
the values that the sentence names. `str(error)` is that sentence: lower case, "cannot …: why", no
full stop. What a process exits with and what hint helps is decided in one place, `vdenet.cli.complain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vdenet.i18n import N_, _

Value = str | int | None


class VdenetError(Exception):
    """Base of all errors of this package; `data` are the values that the sentence names."""

    code: ClassVar[str] = "internal"
    sentence: ClassVar[str] = N_("internal error: {why}")

    def __init__(self, /, **data: Value) -> None:
        super().__init__(data)
        self.data: Mapping[str, Value] = data

    def __str__(self) -> str:
        words = {key: printable(str(value)) for key, value in self.data.items()}
        try:
            return _(self.sentence).format(**words)
        except (KeyError, IndexError):  # data off the wire may lack what the sentence names
            return f"{self.code}: " + ", ".join(f"{k}={v}" for k, v in words.items())


def printable(text: str, limit: int = 400) -> str:
    """`text` as one line that can be shown on a terminal or logged, at most `limit` characters long.

    Control and other unprintable characters become escapes; nothing that a guest or a member wrote
    can move the cursor or start a new line of a log.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


# --- wrong usage or a bad value ---------------------------------------------------------------

class BadValue(VdenetError):
    """A value that cannot be what it is meant to be (an address, a name, an option)."""

    code = "bad-value"
    sentence = N_("cannot use {what} {value!s}: {why}")


class BadConfig(VdenetError):
    """A configuration file that cannot be read as a segment; `where` is FILE:LINE[:COLUMN]."""

    code = "bad-config"
    sentence = N_("cannot read {where}: {why}")


class BadImport(VdenetError):
    """A file of another program's that cannot be made a segment; `where` is FILE[:LINE]."""

    code = "bad-import"
    sentence = N_("cannot import {where}: {why}")


class BadPolicy(VdenetError):
    """policy.toml cannot be read, so only root is served; `where` is FILE:LINE[:COLUMN]."""

    code = "bad-policy"
    sentence = N_("cannot read the policy {where}: {why}")


class UnknownSegment(VdenetError):
    """No segment of that name is configured."""

    code = "unknown-segment"
    sentence = N_("cannot find the segment {segment}: no such segment is configured")


class UnknownOperation(VdenetError):
    """The peer asked for an operation that is not in the table."""

    code = "unknown-operation"
    sentence = N_("cannot do {operation}: no such operation")


# --- refused ----------------------------------------------------------------------------------

class Refused(VdenetError):
    """Possible to ask for, but not to do now."""

    code = "refused"
    sentence = N_("cannot {what}: {why}")


class Overlap(VdenetError):
    """A network that something else on this host uses already."""

    code = "overlap"
    sentence = N_("cannot use the network {network}: it overlaps {other}")


class Collision(VdenetError):
    """An object with one of our names exists and is not ours; it is left alone."""

    code = "collision"
    sentence = N_("cannot use the name {name}: {what} of that name exists already and is not vdenet's")


class SegmentDown(VdenetError):
    """The operation needs a segment that is up."""

    code = "segment-down"
    sentence = N_("cannot {what}: the segment {segment} is down")


class QuotaExceeded(VdenetError):
    """A member has as much as a member may have."""

    code = "quota"
    sentence = N_("cannot {what}: the limit of {limit} {unit} per user is reached")


class NoSuchGuest(VdenetError):
    """The guest is not on the segment, or not by this way of joining."""

    code = "no-such-guest"
    sentence = N_("cannot find the guest {guest} on the segment {segment}")


class NoGuest(VdenetError):
    """The hypervisor knows no guest of that name, or none that the caller may use."""

    code = "no-guest"
    sentence = N_("cannot find the {kind} guest {guest}: {why}")


class NameTaken(VdenetError):
    """Another guest has the name."""

    code = "name-taken"
    sentence = N_("cannot use the name {name}: {why}")


class MacTaken(VdenetError):
    """Another guest has the MAC address, or one that looks like it from the host's side."""

    code = "mac-taken"
    sentence = N_("cannot use the MAC address {mac}: {why}")


class StepFailed(VdenetError):
    """A step of a plan failed; the steps before it were undone."""

    code = "step-failed"
    sentence = N_("cannot {step}: {why}")


# --- access -----------------------------------------------------------------------------------

class NotPermitted(VdenetError):
    """The caller may not do this."""

    code = "not-permitted"
    sentence = N_("cannot {what}: {why}")


class DaemonUnreachable(VdenetError):
    """No daemon answers on the control socket."""

    code = "daemon-unreachable"
    sentence = N_("cannot reach vdenetd at {socket}: {why}")


class ProtocolError(VdenetError):
    """The peer on the control socket sent what is not a message of the protocol."""

    code = "protocol"
    sentence = N_("cannot understand the peer on the control socket: {why}")


# --- other programs ---------------------------------------------------------------------------

class ToolMissing(VdenetError):
    """A program that is needed is not installed."""

    code = "tool-missing"
    sentence = N_("cannot run {tool}: it is not installed")


class ToolFailed(VdenetError):
    """A program ran and failed; `why` is what it said."""

    code = "tool-failed"
    sentence = N_("cannot {what}: {tool} failed: {why}")


class ToolTimedOut(ToolFailed):
    """A program was ended, as it did not end by itself in time; it may have done what it was run for."""

    code = "tool-timed-out"


def _family(base: type[VdenetError]) -> dict[str, type[VdenetError]]:
    found = {base.code: base}
    for child in base.__subclasses__():
        found.update(_family(child))
    return found


def from_code(code: str, data: Mapping[str, Value]) -> VdenetError:
    """The error with this stable code, as received over the control socket.

    The set is closed: an unknown code becomes a plain `VdenetError` that names it.
    """
    kind = _family(VdenetError).get(code)
    if kind is None:
        return VdenetError(why=f"{code}: {dict(data)}")
    return kind(**data)

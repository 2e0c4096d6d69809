"""Calls and replies, and typed access to parameters that an untrusted peer wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vdenet.errors import BadValue, ProtocolError, Value, VdenetError, from_code
from vdenet.i18n import _

INTERFACE = "org.vdenet.Control"
ERROR = f"{INTERFACE}.Error"
_MAX_STRING = 512


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a call; each getter names the bad key. All raise `BadValue`."""

    untrusted: Mapping[str, Any]

    def text(self, key: str) -> str | None:
        """A string of at most 512 printable characters, or None when it is absent or null."""
        value = self.untrusted.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadValue(what=key, value=str(value), why=_("expected a string"))
        if len(value) > _MAX_STRING:
            raise BadValue(what=key, value=value[:40] + "…", why=_("it is too long"))
        if not value.isprintable():
            raise BadValue(what=key, value=value, why=_("it has control characters"))
        return value

    def required(self, key: str) -> str:
        """As `text`, but it has to be there."""
        value = self.text(key)
        if value is None:
            raise BadValue(what=key, value="", why=_("it is missing"))
        return value

    def document(self, key: str, most: int) -> str | None:
        """A text of many lines, at most `most` characters long, or None when it is absent or null.

        What is in it is for its own parser to judge.
        """
        value = self.untrusted.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadValue(what=key, value=str(value)[:40], why=_("expected a string"))
        if len(value) > most:
            raise BadValue(what=key, value=value[:40] + "…", why=_("it is too long"))
        return value

    def number(self, key: str, least: int, most: int) -> int | None:
        """A whole number within bounds, or None when it is absent or null."""
        value = self.untrusted.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadValue(what=key, value=str(value)[:40], why=_("expected a number from {least} to {most}").format(
                least=least, most=most))
        return int(value)

    def flag(self, key: str) -> bool:
        """True or false; false when it is absent or null."""
        value = self.untrusted.get(key)
        if value is not None and not isinstance(value, bool):
            raise BadValue(what=key, value=str(value)[:40], why=_("expected true or false"))
        return bool(value)

    def only(self, *known: str) -> None:
        """Refuse parameters with other keys than `known`."""
        for key in self.untrusted:
            if key not in known:
                raise BadValue(what=_("parameter"), value=key, why=_("no such parameter"))


@dataclass(frozen=True, slots=True)
class Call:
    """A request: which operation, with what."""

    method: str
    parameters: Parameters


def call(method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The message that calls `method` of our interface."""
    return {"method": f"{INTERFACE}.{method}", "parameters": dict(parameters)}


def parse_call(message: Mapping[str, Any]) -> Call:
    """A received message as a call. Raises `ProtocolError`."""
    method = message.get("method")
    parameters = message.get("parameters", {})
    if not isinstance(method, str) or len(method) > 128 or not method.isprintable():
        raise ProtocolError(why=_("the message names no method"))
    if not isinstance(parameters, dict):
        raise ProtocolError(why=_("the parameters are not an object"))
    return Call(method, Parameters(parameters))


def reply(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The message that answers a call."""
    return {"parameters": dict(parameters)}


def refusal(error: VdenetError) -> dict[str, Any]:
    """The message that answers a call with an error."""
    return {"error": ERROR, "parameters": {"code": error.code, "data": dict(error.data)}}


def parse_reply(message: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a reply; raises the error that it carries, or `ProtocolError`."""
    parameters = message.get("parameters", {})
    if not isinstance(parameters, dict):
        raise ProtocolError(why=_("the reply has no parameters"))
    if "error" in message:
        code, data = parameters.get("code"), parameters.get("data", {})
        if not isinstance(code, str) or not isinstance(data, dict):
            raise ProtocolError(why=str(message["error"]))
        raise from_code(code, {str(key): _value(value) for key, value in data.items()})
    return parameters


def _value(value: object) -> Value:
    return value if isinstance(value, (str, int)) or value is None else str(value)

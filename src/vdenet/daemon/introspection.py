"""What Varlink tools ask of every service (org.varlink.service), made from the table of operations."""

from __future__ import annotations

from typing import Any

import vdenet
from vdenet.daemon.operations import TABLE
from vdenet.errors import BadValue, UnknownOperation
from vdenet.i18n import _
from vdenet.wire.message import INTERFACE, Call


KINDS = {"confirm": "int", "force": "bool", "canonical": "bool"}
"""Parameters that are no strings."""


def answer(call: Call) -> dict[str, Any]:
    """The reply to GetInfo or GetInterfaceDescription. Raises `UnknownOperation`, `BadValue`."""
    if call.method == "org.varlink.service.GetInfo":
        return {"vendor": "vdenet", "product": "vdenetd", "version": vdenet.__version__,
                "url": "", "interfaces": ["org.varlink.service", INTERFACE]}
    if call.method == "org.varlink.service.GetInterfaceDescription":
        if call.parameters.text("interface") != INTERFACE:
            raise BadValue(what=_("interface"), value=call.parameters.text("interface"),
                           why=_("expected {interface}").format(interface=INTERFACE))
        return {"description": description()}
    raise UnknownOperation(operation=call.method)


def description() -> str:
    """The interface in Varlink's definition language. Replies are objects that only grow."""
    lines = ["# The control socket of vdenetd; see HACKING.md.", f"interface {INTERFACE}", ""]
    for operation in TABLE.values():
        changes = "changes the segment" if operation.changes else "reads only"
        lines.append(f"# For the role {operation.role}; {changes}.")
        arguments = ", ".join(f"{name}: ?{KINDS.get(name, 'string')}" for name in operation.parameters)
        lines.append(f"method {operation.name}({arguments}) -> (reply: object)")
        lines.append("")
    lines.append("error Error (code: string, data: object)")
    return "\n".join(lines) + "\n"

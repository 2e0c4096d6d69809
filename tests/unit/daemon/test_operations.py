"""The table of operations: nothing is reachable that it does not say, and what it says is so."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

import pytest

import vdenet
from vdenet.daemon import (
    addressing,
    confirming,
    introspection,
    joining,
    operations,
    reporting,
    segments,
    tunnels,
)
from vdenet.daemon.operations import TABLE, Operation, Request, Role
from vdenet.errors import BadValue, UnknownOperation
from vdenet.wire.message import Call, Parameters

each_operation = pytest.mark.parametrize("operation", TABLE.values(), ids=list(TABLE))

# What makes a change, wherever it is called.
CHANGES = {"bring_up", "take_down", "carry_out", "follow_guests", "perform", "write", "enter", "strike", "follow_ports",
           "set_address", "apply", "confirm", "take_back", "create",
           "open_tap", "keep_tap", "open_veth", "keep_tunnel", "reserve", "leave", "delete", "kill", "remove"}


def tree(function: object) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]


def called(function: object) -> Iterator[ast.Call]:
    """The calls in a function, and in those of the same module that it hands its request to."""
    for node in ast.walk(tree(function)):
        if isinstance(node, ast.Call):
            yield node
            helper = getattr(operations, node.func.id, None) if isinstance(node.func, ast.Name) else None
            if inspect.isfunction(helper) and any(
                    isinstance(word, ast.Name) and word.id == "request" for word in node.args):
                yield from called(helper)
            if ast.unparse(node.func) in ("request.segment", "request.name", "self.name"):
                yield from called(getattr(Request, ast.unparse(node.func).rpartition(".")[2]))


def read(function: object) -> set[str]:
    """The parameters that a handler looks at."""
    keys = set()
    for call in called(function):
        if re.fullmatch(r"(request|self)\.parameters\.(text|required|document|number|flag)", ast.unparse(call.func)):
            key = call.args[0]
            assert isinstance(key, ast.Constant), "a name that a test can see"
            keys.add(str(key.value))
    return keys


def names_called(function: object) -> set[str]:
    return {ast.unparse(call.func).rpartition(".")[2] for call in called(function)}


@each_operation
def test_every_entry_is_complete(operation: Operation) -> None:
    assert TABLE[operation.name] is operation is operations.find(operation.name)
    assert re.fullmatch(r"[A-Z][A-Za-z]+", operation.name), "a method's name in Varlink"
    assert operation.role in Role and isinstance(operation.changes, bool)
    assert len(set(operation.parameters)) == len(operation.parameters)


@each_operation
def test_it_takes_the_parameters_that_it_reads(operation: Operation) -> None:
    assert read(operation.do) == set(operation.parameters)


@each_operation
def test_it_takes_the_descriptors_that_it_uses(operation: Operation) -> None:
    uses = "request.fds" in ast.unparse(tree(operation.do))
    assert (operation.fds > 0) is uses


@each_operation
def test_what_only_reads_calls_nothing_that_changes(operation: Operation) -> None:
    assert bool(names_called(operation.do) & CHANGES) is operation.changes


@pytest.mark.parametrize("function", (reporting.report, reporting.check), ids=("report", "check"))
def test_reports_only_read(function: Callable[..., object]) -> None:
    source = ast.parse(inspect.getsource(reporting))
    attributes = {node.func.attr for node in ast.walk(source)
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    assert not attributes & CHANGES


def test_the_doors_behind_the_table_are_all_in_it() -> None:
    """Each public function of the modules behind it that takes a caller or changes is used by one operation."""
    doors = {"open_tap", "keep_tap", "open_veth", "keep_tunnel", "reserve", "leave"} | {"set_address"} \
        | {"apply", "confirm", "take_back"} | {"create"}
    public = {name for module in (joining, tunnels, addressing, confirming, segments) for name, value in vars(module).items()
              if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")}
    assert doors <= public
    used = set().union(*(names_called(operation.do) for operation in TABLE.values()))
    assert doors <= used


@pytest.mark.parametrize("name", ("", "list", "List ", "Version\n", "__class__", "org.vdenet.Control.List", "find"))
def test_nothing_else_is_found(name: str) -> None:
    with pytest.raises(UnknownOperation):
        operations.find(name)


# --- introspection -----------------------------------------------------------------------------------------

def test_the_service_says_what_it_is() -> None:
    info = introspection.answer(Call("org.varlink.service.GetInfo", Parameters({})))
    assert info["interfaces"] == ["org.varlink.service", "org.vdenet.Control"]
    assert info["version"] == vdenet.__version__


@each_operation
def test_every_operation_is_described(operation: Operation) -> None:
    asked = Call("org.varlink.service.GetInterfaceDescription", Parameters({"interface": "org.vdenet.Control"}))
    described = introspection.answer(asked)["description"]
    arguments = ", ".join(f"{name}: ?{introspection.KINDS.get(name, 'string')}" for name in operation.parameters)
    assert f"\nmethod {operation.name}({arguments}) -> (" in described
    assert described.startswith("#") and "\ninterface org.vdenet.Control\n" in described


def test_other_questions_are_refused() -> None:
    with pytest.raises(BadValue):
        introspection.answer(Call("org.varlink.service.GetInterfaceDescription", Parameters({"interface": "x.y"})))
    with pytest.raises(UnknownOperation):
        introspection.answer(Call("org.varlink.service.Quit", Parameters({})))

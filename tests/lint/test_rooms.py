"""Imports point one way, each room keeps to its trade, and each heavy or dangerous module has one door."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "vdenet").rglob("*.py"))
}

# errors <- model <- text, wire <- probe <- cli; probe, effect <- daemon; relay and gate stand alone
BASE = {"", "errors", "i18n"}
MAY_IMPORT = {
    "": set[str](),
    "i18n": {""},
    "errors": {"", "i18n"},
    "model": BASE | {"model"},
    "text": BASE | {"model", "text"},
    "wire": BASE | {"model", "wire"},
    "probe": BASE | {"model", "text", "wire", "probe"},
    "cli": BASE | {"model", "text", "wire", "probe", "cli"},
    "relay": {"relay"},
    "gate": {"gate"},
    "effect": BASE | {"model", "text", "wire", "probe", "effect"},
    "daemon": BASE | {"model", "text", "wire", "probe", "effect", "daemon"},
}
DOORS = {
    "pyroute2": ("vdenet.probe.routes", "vdenet.probe.namespaces", "vdenet.probe.vlans", "vdenet.effect."),
    "netifaces": ("vdenet.probe.addresses",),
    "typer": ("vdenet.cli.",),
    "click": ("vdenet.cli.",),
    "tomlkit": ("vdenet.text.",),
}
# Whoever else names subprocess holds a process that one of these has started.
STARTS_PROCESSES = ("vdenet.effect.run", "vdenet.cli.tools")
BECOMES_ANOTHER = ("vdenet.cli.tools", "vdenet.cli.access")
PURE = ("model", "text")
IMPURE_MODULES = {"os", "socket", "subprocess", "shutil", "fcntl", "ctypes", "signal", "time", "random"}
NEVER = {"pickle", "marshal", "shelve", "multiprocessing", "pty", "imp", "runpy", "code"}

each_module = pytest.mark.parametrize("module", MODULES)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(), str(MODULES[module]))


def imports(module: str) -> Iterator[str]:
    """What a module imports anywhere, for typing or for running, as absolute dotted names."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in MODULES else base


def room(module: str) -> str:
    return (module.split(".") + [""])[1]


def calls(module: str) -> Iterator[str]:
    """Dotted names of what a module calls."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_every_module_is_in_a_room_that_is_known() -> None:
    assert {room(module) for module in MODULES} <= MAY_IMPORT.keys()


@each_module
def test_imports_point_one_way(module: str) -> None:
    inside = {room(name) for name in imports(module) if name.partition(".")[0] == "vdenet"}
    assert inside <= MAY_IMPORT[room(module)]


@each_module
def test_each_library_has_one_door(module: str) -> None:
    named = {name.partition(".")[0] for name in imports(module)}
    wrong = {name for name in named & DOORS.keys() if not module.startswith(DOORS[name])}
    assert not wrong
    known = sys.stdlib_module_names | DOORS.keys() | {"vdenet"}
    assert named <= known, "a library that debian/control does not know"


@each_module
def test_pure_rooms_touch_nothing(module: str) -> None:
    if room(module) in PURE:
        assert not {name.partition(".")[0] for name in imports(module)} & IMPURE_MODULES
        assert not {name for name in calls(module) if name in ("open", "input", "print")}


@each_module
def test_processes_are_started_through_one_door_each(module: str) -> None:
    called = set(calls(module))
    if module not in STARTS_PROCESSES:
        assert not {name for name in called if name.startswith("subprocess.")}
    if module not in BECOMES_ANOTHER:
        assert not {name for name in called if name.startswith("os.exec")}
    assert not {
        name for name in called if name.startswith(("os.system", "os.popen", "os.spawn", "os.posix_spawn"))
    }


@each_module
def test_nothing_runs_text_as_code(module: str) -> None:
    assert not {name.partition(".")[0] for name in imports(module)} & NEVER
    assert not {name for name in calls(module) if name in ("eval", "exec", "compile", "__import__")}
    for node in ast.walk(tree(module)):
        assert not (isinstance(node, ast.keyword) and node.arg == "shell")


def test_no_verb_can_reach_pyroute2() -> None:
    """Followed through every import, also those inside functions: pyroute2 takes longer than all the rest."""
    seen, waiting = set[str](), [module for module in MODULES if room(module) == "cli"]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += [name for name in imports(module) if name in MODULES]
    guilty = {module for module in seen if any(name.split(".")[0] == "pyroute2" for name in imports(module))}
    assert not guilty


def test_the_program_starts_without_what_it_does_not_need() -> None:
    script = (
        f"import sys, json; sys.path.insert(0, {str(SOURCE)!r}); import vdenet.cli.main;"
        " print(json.dumps(sorted(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    loaded = {name.partition(".")[0] for name in json.loads(shown)} | set(json.loads(shown))
    assert not loaded & {"pyroute2", "asyncio", "vdenet.effect", "vdenet.daemon"}

"""The import table and the walls of the design, checked on the source text of every module, late imports included."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "yearling"

ROOT_FILES = {"records", "config", "errors", "clock", "addresses", "canonical"}

MAY_IMPORT: dict[str, set[str]] = {
    "files": set(),
    "store": set(),
    "models": set(),
    "inference": {"models"},
    "retrieval": {"store", "inference"},
    "feedback": {"store"},
    "tasks": {"store"},
    "release": {"store"},
    "chat": {"store", "inference", "retrieval"},
    "training": {"models", "inference", "tasks"},
    "evals": {"store", "inference", "chat", "tasks"},
    "loop": {"store", "feedback", "tasks", "training", "evals", "release"},
    "api": {"store", "inference", "retrieval", "chat", "feedback", "release", "loop"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)  # the front door: anything; and nothing imports it

# What the installation provides for a room, so that a heavy or foreign library does not seep into rooms that do without it.
ONLY_IN: dict[str, set[str]] = {
    "torch": {"models", "inference", "training"},
    "transformers": {"models", "training"},
    "xllamacpp": {"inference"},
    "openvino_genai": {"inference"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "fastapi": {"api"},
    "typer": {"cli"},
    "authlib": {"api"},
    "argon2": {"store"},
}


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement in a module, at any depth. Expressions, which are most of it, are left out."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, block, ()):
            yield child
            yield from statements(child)


def imported_modules(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of each import statement anywhere in the file, and of `import_module("...")` literals."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    package_parts = parts[:-1]
    source = path.read_text(encoding="utf-8")
    by_call = "import_module" in source or "__import__" in source
    for node in (ast.walk if by_call else statements)(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package_parts[: len(package_parts) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def violations(package: Path) -> list[str]:
    """Every import that the design forbids, as `file:line: why`."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        room = relative.parts[0] if len(relative.parts) > 1 else relative.stem
        for line, name in imported_modules(path, package):
            where = f"{relative}:{line}"
            top = name.partition(".")[0]
            if top in ONLY_IN and room not in ONLY_IN[top]:
                found.append(f"{where}: {room} may not import {top}")
            if top != package.name:
                continue
            target, _, rest = name.partition(".")[2].partition(".")
            module = rest.partition(".")[0]
            if target in ("", "__version__") or target == room:
                continue
            if room in ROOT_FILES:
                if target not in ROOT_FILES:
                    found.append(f"{where}: root file {room} may not import {target}")
            elif room in MAY_IMPORT:
                if target not in MAY_IMPORT[room] | ROOT_FILES | {"files"}:
                    found.append(f"{where}: {room} may not import {target}")
                elif (target, module) == ("tasks", "heldout"):
                    if room != "evals":
                        found.append(f"{where}: only evals imports tasks.heldout")
                elif target in MAY_IMPORT and target != "files" and module in submodules(package, target):
                    found.append(f"{where}: {room} reaches past the door of {target} into {module}")
            elif room not in ("__init__", "__main__"):
                found.append(f"{where}: {room} is in no row of the import table")
    return sorted(set(found))


@functools.cache
def submodules(package: Path, room: str) -> set[str]:
    return {path.stem for path in (package / room).glob("*.py")} - {"__init__"} | {
        path.parent.name for path in (package / room).glob("*/*.py")
    }


def web_violations(web: Path) -> list[str]:
    """The page reaches the server over HTTP only: no source file of it names a path inside the package."""
    sources = [path for ending in ("ts", "tsx") for path in web.glob(f"src/**/*.{ending}")]
    return [str(path.relative_to(web)) for path in sources if "yearling/" in path.read_text(encoding="utf-8")]


def test_imports_follow_the_table() -> None:
    assert violations(PACKAGE) == []


def test_every_room_is_in_the_table() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(MAY_IMPORT)


def test_doors_hold_no_logic() -> None:
    for door in PACKAGE.glob("*/__init__.py"):
        for node in ast.parse(door.read_text(encoding="utf-8")).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_all = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
            assert is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom), f"{door}:{node.lineno}"


def test_the_page_uses_http_only() -> None:
    assert web_violations(PACKAGE.parent / "web") == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("store/a.py", "from yearling.api import app", "store may not import api"),
        ("store/a.py", "def f():\n    import yearling.cli.main", "store may not import cli"),
        ("training/a.py", "from yearling.chat import turn", "training may not import chat"),
        ("training/a.py", "from yearling import evals", "training may not import evals"),
        ("release/a.py", "from ..evals import run", "release may not import evals"),
        ("training/a.py", "from yearling.tasks.heldout import cases", "only evals imports tasks.heldout"),
        ("records.py", "import yearling.store", "root file records may not import store"),
        ("chat/a.py", "import importlib\nimportlib.import_module('yearling.models')", "chat may not import models"),
        ("cli/a.py", "from yearling.store.blobs import Blobs", "cli reaches past the door of store into blobs"),
        ("api/a.py", "import torch.nn", "api may not import torch"),
        ("elsewhere/a.py", "from yearling import store", "elsewhere is in no row of the import table"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    package = tmp_path / "yearling"
    for room in ("store/blobs.py", "tasks/heldout.py", file):
        (package / room).parent.mkdir(parents=True, exist_ok=True)
        (package / room).write_text("")
    (package / file).write_text(source)
    assert any(complaint in violation for violation in violations(package))


def test_a_planted_web_violation_is_found(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.ts").write_text("import x from '../../yearling/api/secret'")
    assert web_violations(tmp_path) == ["src/a.ts"]

"""The import table and the limits of the design, checked on the source text of every module, late imports included."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from tests.web_imports import import_cycles

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "yearling"
BENCHMARKS = ROOT / "benchmarks"
WEB = ROOT / "web"

ROOT_FILES = {
    "records",
    "config",
    "errors",
    "clock",
    "addresses",
    "canonical",
    "json_schemas",
    "outbound",
    "schema_limits",
    "tracebacks",
    "unicode_repair",
}

EVERYWHERE = ROOT_FILES | {"files"}
"""What every room may import."""

WITHOUT_DOOR = {"files"}
"""Rooms whose modules are imported one by one: each is as small as a root file."""

MAY_IMPORT: dict[str, set[str]] = {
    "files": set(),
    "store": set(),
    "models": set(),
    "inference": {"models"},
    "retrieval": {"store", "inference"},
    "checks": set(),
    "tools": {"models"},
    "feedback": {"store"},
    "tasks": {"store", "checks"},
    "release": {"store"},
    "chat": {"store", "inference", "retrieval", "tools", "checks"},
    "reading": {"store", "inference", "retrieval"},
    "training": {"models", "inference", "tasks"},
    "evals": {"store", "inference", "chat", "tasks", "retrieval", "tools", "reading", "checks"},
    "loop": {"store", "feedback", "tasks", "training", "evals", "release"},
}
MAY_IMPORT["api"] = set(MAY_IMPORT) - {"training", "evals", "files"}
MAY_IMPORT["cli"] = set(MAY_IMPORT)  # the front door: anything; and nothing imports it

# Libraries that belong to named rooms, so that heavy dependencies do not spread to rooms that work without them.
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

MAX_MODULES = 32
"""Modules in one folder."""
MAX_SUBROOM_MODULES = 20
MAX_LINES = 500
"""Lines in one file."""


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement of a module at any depth. Skips expressions, which are most of a module."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, block, ()):
            yield child
            yield from statements(child)


@functools.cache
def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a source text: several tests walk the trees of all files."""
    return ast.parse(source)


def imported_modules(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) of each import statement in the file, and of each `import_module("...")` literal.

    `from a import b` yields both `a` and `a.b`: the text does not tell whether `b` is a module.
    """
    parts = path.relative_to(package.parent).with_suffix("").parts
    package_parts = parts[:-1]
    source = path.read_text(encoding="utf-8")
    imports_by_call = "import_module" in source or "__import__" in source
    for node in (ast.walk if imports_by_call else statements)(parsed(source)):
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
    """Return every import that the design forbids, as `file:line: reason`."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        room = relative.parts[0] if len(relative.parts) > 1 else relative.stem
        for line, name in imported_modules(path, package):
            where = f"{relative}:{line}"
            top = name.partition(".")[0]
            if top in ONLY_IN and room not in ONLY_IN[top]:
                found.append(f"{where}: {room} may not import {top}")
            if top == "benchmarks":
                found.append(f"{where}: the package may not import benchmarks")
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
                if target not in MAY_IMPORT[room] | EVERYWHERE:
                    found.append(f"{where}: {room} may not import {target}")
                elif (target, module) == ("tasks", "heldout"):
                    if room != "evals":
                        found.append(f"{where}: only evals imports tasks.heldout")
                elif target in MAY_IMPORT and target not in WITHOUT_DOOR and module in members(package, target):
                    found.append(f"{where}: {room} reaches past the door of {target} into {module}")
            elif room not in ("__init__", "__main__"):
                found.append(f"{where}: {room} is in no row of the import table")
    return sorted(set(found))


@functools.cache
def members(package: Path, room: str) -> set[str]:
    """Return the names of a room's modules and sub-rooms."""
    modules = {path.stem for path in (package / room).glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in (package / room).glob("*/__init__.py")}


def module_graph(*packages: Path) -> dict[str, set[str]]:
    """Return module -> modules of the same packages that it imports. `from room import name` is an import of the room's door
    unless `name` is a module."""
    names: dict[str, Path] = {}
    for package in packages:
        for path in package.rglob("*.py"):
            name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            names[name.removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        package = next(package for package in packages if package in path.parents)
        imported = list(dict.fromkeys(target for _, target in imported_modules(path, package)))
        attributes = {target for target in imported if target not in names}
        parents = {target.rpartition(".")[0] for target in imported if target in names}
        doors_used = {target.rpartition(".")[0] for target in attributes}
        # `from room import module` names the room only to reach the module.
        graph[name] = {t for t in imported if t in names and t != name and not (t in parents and t not in doors_used)}
    return graph


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan, 1972), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            place = stack.index(node)
            component = stack[place:]
            del stack[place:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return sorted(found)


def own_door_imports(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return every import of a room's or sub-room's door by one of its own modules."""
    return sorted(
        f"{name} imports its own door {target}"
        for name, targets in graph.items()
        for target in targets
        if "." in target and name.startswith(f"{target}.")
    )


def class_names(folders: Iterable[Path]) -> dict[str, list[str]]:
    """Return class name -> the files that define it."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(parsed(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append(f"{path.relative_to(folder.parent)}:{node.lineno}")
    return found


def source_files() -> list[Path]:
    """Return every source file that a person edits: Python and TypeScript, styles included."""
    python = [path for folder in ("yearling", "benchmarks", "tests", "docs") for path in (ROOT / folder).rglob("*.py")]
    page = [path for ending in ("ts", "tsx", "css") for path in WEB.glob(f"src/**/*.{ending}") if path.name != "schema.d.ts"]
    return python + page


def web_violations(web: Path) -> list[str]:
    """Return the page's source files that name a path inside the package: it reaches the server over HTTP only."""
    sources = [path for ending in ("ts", "tsx") for path in web.glob(f"src/**/*.{ending}")]
    return [str(path.relative_to(web)) for path in sources if "yearling/" in path.read_text(encoding="utf-8")]


def test_imports_follow_the_table() -> None:
    assert violations(PACKAGE) == []


def test_every_room_is_in_the_table() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(MAY_IMPORT)


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = module_graph(PACKAGE, BENCHMARKS)
    assert cycles(graph) == []
    assert own_door_imports(graph) == []


def test_no_file_of_the_page_imports_itself_in_a_circle() -> None:
    assert import_cycles(WEB / "src") == []


def test_doors_hold_no_logic() -> None:
    for door in PACKAGE.rglob("__init__.py"):
        for node in parsed(door.read_text(encoding="utf-8")).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_all = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("__all__", "__version__")
            assert is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom), f"{door}:{node.lineno}"


def test_no_class_name_stands_for_two_things() -> None:
    assert {name: places for name, places in class_names([PACKAGE, BENCHMARKS]).items() if len(places) > 1} == {}


def test_folders_and_files_stay_small() -> None:
    too_many = []
    for folder in {path.parent for path in source_files()}:
        count = len({path for path in source_files() if path.parent == folder and path.name != "__init__.py"})
        is_subroom = len(folder.relative_to(ROOT).parts) > 2 and folder.is_relative_to(PACKAGE)
        if count > (MAX_SUBROOM_MODULES if is_subroom else MAX_MODULES):
            too_many.append(f"{folder.relative_to(ROOT)}: {count} modules")
    assert too_many == []
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_the_page_uses_http_only() -> None:
    assert web_violations(WEB) == []


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
        ("files/a.py", "from yearling.store import Store", "files may not import store"),
        ("chat/a.py", "import importlib\nimportlib.import_module('yearling.models')", "chat may not import models"),
        ("cli/a.py", "from yearling.store.blobs import Blobs", "cli reaches past the door of store into blobs"),
        ("cli/a.py", "from yearling.store.chats import folders", "cli reaches past the door of store into chats"),
        ("cli/a.py", "from yearling.store.chats.folders import Folder", "cli reaches past the door of store into chats"),
        ("api/a.py", "import torch.nn", "api may not import torch"),
        ("cli/a.py", "import benchmarks.gates", "the package may not import benchmarks"),
        ("elsewhere/a.py", "from yearling import store", "elsewhere is in no row of the import table"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, source: str, complaint: str) -> None:
    package = plant(tmp_path, {"store/blobs.py": "", "store/chats/__init__.py": "", "tasks/heldout.py": "", file: source})
    assert any(complaint in violation for violation in violations(package))


@pytest.mark.parametrize(
    "files",
    [
        {"store/a.py": "from yearling.store.b import f", "store/b.py": "def g():\n    from yearling.store.a import h"},
        {"store/a.py": "from yearling.store import b", "store/b.py": "import yearling.store.a"},
        {"store/__init__.py": "from yearling.store.a import f", "store/a.py": "from yearling.store import g"},
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert cycles(module_graph(plant(tmp_path, {"store/__init__.py": ""} | files))) != []


def test_an_import_of_a_rooms_own_door_is_found(tmp_path: Path) -> None:
    package = plant(tmp_path, {"store/__init__.py": "", "store/a.py": "from yearling.store import Store"})
    assert own_door_imports(module_graph(package)) == ["yearling.store.a imports its own door yearling.store"]


def test_a_chain_is_no_circle(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(6)]
    files = {f"store/{a}.py": f"from yearling.store import {b}" for a, b in pairwise(names)}
    package = plant(tmp_path, {"store/__init__.py": "from yearling.store.m0 import f", "store/m5.py": "", **files})
    graph = module_graph(package)
    assert cycles(graph) == []
    assert own_door_imports(graph) == []


def test_a_planted_web_violation_is_found(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.ts").write_text("import x from '../../yearling/api/secret'")
    assert web_violations(tmp_path) == ["src/a.ts"]


def plant(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a package `yearling` of these files and return its folder."""
    package = folder / "yearling"
    for name, source in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source)
    return package

"""Import cycles among the TypeScript modules of the web client, found without Node.

Reads static imports, re-exports and dynamic `import()`. An import of a type counts like any other: two modules that name each
other's types cannot be understood apart either.
"""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path

_STATIC = re.compile(r"""^\s*(?:import|export)\b(?:[^;'"]*?\bfrom)?\s*(['"])(\.[^'"]*)\1""", re.MULTILINE)
_DYNAMIC = re.compile(r"""\bimport\s*\(\s*(['"])(\.[^'"]*)\1""")
_SUFFIXES = (".ts", ".tsx", "/index.ts", "/index.tsx")


def import_graph(root: Path) -> dict[str, list[str]]:
    """Map each module under `root` to the modules under `root` that it imports, as sorted relative paths.

    Packages, style sheets and generated files that do not exist yet are left out.
    """
    modules = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.suffix in {".ts", ".tsx"}}
    graph: dict[str, list[str]] = {}
    for name, path in sorted(modules.items()):
        text = path.read_text(encoding="utf-8")
        specifiers = [found[2] for pattern in (_STATIC, _DYNAMIC) for found in pattern.finditer(text)]
        resolved = {_resolve(name, specifier, modules) for specifier in specifiers}
        graph[name] = sorted(target for target in resolved if target is not None)
    return graph


def import_cycles(root: Path) -> list[list[str]]:
    """Return a shortest cycle for each knot of modules under `root`, first module repeated at the end. Empty if there is none."""
    graph = import_graph(root)
    cycles: list[list[str]] = []
    seen: set[str] = set()
    for module in graph:
        if module in seen:
            continue
        cycle = _shortest_cycle(module, graph)
        if cycle is not None:
            cycles.append(cycle)
            seen.update(cycle)
    return cycles


def _resolve(importer: str, specifier: str, modules: dict[str, Path]) -> str | None:
    base = os.path.normpath(os.path.join(os.path.dirname(importer), specifier)).replace(os.sep, "/")
    candidates = [base, *(os.path.normpath(base + suffix).replace(os.sep, "/") for suffix in _SUFFIXES)]
    return next((candidate for candidate in candidates if candidate in modules), None)


def _shortest_cycle(start: str, graph: dict[str, list[str]]) -> list[str] | None:
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for target in graph[module]:
            if target == start:
                way = [start]
                while module != start:
                    way.append(module)
                    module = before[module]
                return [start, *reversed(way)]
            if target not in before:
                before[target] = module
                queue.append(target)
    return None

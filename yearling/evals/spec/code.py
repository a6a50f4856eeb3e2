"""Checks code in an answer: whether it parses, and whether the modules and names that it uses exist. Nothing of it is run."""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator

_BLOCK = re.compile(r"```[ \t]*[\w+-]*[^\n]*\n(.*?)```", re.S)
_UNCLOSED_BLOCK = re.compile(r"```[ \t]*[\w+-]*[^\n]*\n(?!.*```)", re.S)
_CODE_LINE = re.compile(r"(def \w+\(|class \w+|import \w|from [\w.]+ import |@\w|for .+ in .+:|print\(|\w+ = )")

_INSPECTED_MODULES = (
    *("bisect", "collections", "csv", "datetime", "decimal", "fractions", "functools", "hashlib", "heapq", "itertools", "json"),
    *("math", "operator", "os", "os.path", "pathlib", "random", "re", "shutil", "statistics", "string", "sys", "tempfile"),
    *("textwrap", "time", "typing", "urllib.parse"),
)
"""Standard library modules whose names are looked up. Importing them has no side effects."""

_THIRD_PARTY = {
    *("aiohttp", "bs4", "django", "fastapi", "flask", "httpx", "keras", "lxml", "matplotlib", "networkx", "numpy", "openpyxl"),
    *("pandas", "PIL", "pydantic", "pytest", "requests", "scipy", "seaborn", "sklearn", "sqlalchemy", "sympy", "tensorflow"),
    *("torch", "tqdm", "transformers", "yaml"),
}


def extract_code(text: str, language: str) -> str:
    """The code in an answer: its closed blocks, otherwise unfenced lines that parse. A block that was cut off is ignored."""
    blocks: list[str] = _BLOCK.findall(text)
    if blocks or language == "none":
        return "\n".join(blocks)
    if language == "json":
        return match[0] if (match := re.search(r"[\[{].*[\]}]", text, re.S)) else ""
    return _extract_unfenced_code(text.splitlines())


def has_unclosed_block(text: str) -> bool:
    """Whether the answer has an opened but no closed block."""
    return bool(_UNCLOSED_BLOCK.search(text)) and not _BLOCK.search(text)


def find_code_fault(source: str, language: str) -> tuple[str, str] | None:
    """(label, evidence) of the first fault, or None. Raises ValueError for a language other than Python and JSON."""
    if language == "json":
        try:
            json.loads(source)
        except ValueError as error:
            return "broken_code", str(error)
        return None
    if language != "python":
        raise ValueError(f"cannot check code in {language!r}")
    try:
        tree = ast.parse(_strip_repl_prompts(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return "broken_code", str(error)
    missing = next(_missing_names(tree), None)
    return ("invented_api", missing) if missing else None


def _extract_unfenced_code(lines: list[str]) -> str:
    """As many lines as parse, beginning with the first that looks like code."""
    start = next((number for number, line in enumerate(lines) if _CODE_LINE.match(line)), len(lines))
    for end in range(len(lines), start, -1):
        source = "\n".join(lines[start:end])
        if _parses(source):
            return source
    return ""


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _strip_repl_prompts(source: str) -> str:
    """The code of an interactive session, without prompts and output."""
    if not re.search(r"^>>> ", source, re.M):
        return source
    return "\n".join(line[4:] for line in source.splitlines() if line.startswith((">>> ", "... ")))


def _missing_names(tree: ast.AST) -> Iterator[str]:
    """Modules that are neither in the standard library nor well known, and names that the inspected modules lack."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
                if not _is_known_module(alias.name):
                    yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if not _is_known_module(node.module):
                yield node.module
            elif node.module in _INSPECTED_MODULES:
                for alias in node.names:
                    if alias.name != "*" and not _module_has(node.module, alias.name):
                        yield f"{node.module}.{alias.name}"
                    bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = bound.get(node.value.id, "")
            if module in _INSPECTED_MODULES and not _module_has(module, node.attr):
                yield f"{module}.{node.attr}"


def _is_known_module(module: str) -> bool:
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in _THIRD_PARTY


def _module_has(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name)

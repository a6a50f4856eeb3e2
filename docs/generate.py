"""Writes the reference pages from the code: `make docs`. A test fails when they drift.

docs/cli.md from the help texts, docs/settings.md from the settings, docs/api.md and docs/openapi.json from the OpenAPI schema.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import typer.main
from pydantic_core import PydanticUndefined

from yearling.api import create_app
from yearling.cli.main import app
from yearling.config import Settings
from yearling.inference import EnginePool, fake_served_model
from yearling.store import Store

HERE = Path(__file__).parent
GENERATED = "<!-- Written by `make docs`; edit the code instead. -->\n\n"


def pages() -> dict[str, str]:
    """File name -> content, for every generated page."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with Store.open(settings) as store:
            schema = create_app(settings, store, EnginePool.from_open_models([fake_served_model()])).openapi()
    return {
        "cli.md": cli_page(),
        "settings.md": settings_page(),
        "api.md": api_page(schema),
        "openapi.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n",
    }


def cli_page() -> str:
    sections = [GENERATED + "# Command line\n"]

    def visit(command: Any, path: str) -> None:
        if hasattr(command, "commands"):
            for name, child in sorted(command.commands.items()):
                visit(child, f"{path} {name}")
            return
        sections.append(_command_section(command, path))

    visit(typer.main.get_command(app), "yearling")
    return "\n".join(sections)


def _command_section(command: Any, path: str) -> str:
    context = typer.Context(command, info_name=path)
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join([path, "[OPTIONS]", *(_argument(argument) for argument in arguments)])
    lines = [f"## `{path}`\n", f"    {usage}\n", inspect.cleandoc(command.help or ""), ""]
    records = [record for p in command.get_params(context) if (record := p.get_help_record(context))]
    if records:
        lines += ["| | |", "|---|---|", *(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in records), ""]
    return "\n".join(lines)


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("[]")
    return name if argument.required else f"[{name}]"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def settings_page() -> str:
    lines = [
        GENERATED + "# Settings\n",
        inspect.cleandoc(inspect.getmodule(Settings).__doc__ or ""),  # type: ignore[union-attr]
        "\n| In config.toml | Environment variable | Default | |",
        "|---|---|---|---|",
    ]
    texts = _attribute_docstrings(Settings)
    for name, field in Settings.model_fields.items():
        default = "the user's data folder" if field.default is PydanticUndefined else f"`{_plain(field.default)}`"
        lines.append(f"| `{name}` | `YEARLING_{name.upper()}` | {default} | {_cell(texts.get(name, ''))} |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    return json.dumps(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _attribute_docstrings(cls: type) -> dict[str, str]:
    body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
    return {
        first.target.id: second.value.value
        for first, second in itertools.pairwise(body)
        if isinstance(first, ast.AnnAssign)
        and isinstance(first.target, ast.Name)
        and isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
    }


def api_page(schema: dict[str, Any]) -> str:
    lines = [GENERATED + "# HTTP API\n", schema["info"].get("description", ""), ""]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            lines.append(f"## `{method.upper()} {path}`\n\n{operation.get('description') or operation.get('summary', '')}\n")
            reference = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in reference:
                lines += _fields(schema["components"]["schemas"][reference["$ref"].rpartition("/")[2]])
    return "\n".join(lines)


def _fields(model: dict[str, Any]) -> list[str]:
    required = set(model.get("required", ()))
    rows = [
        f"| `{name}`{' (required)' if name in required else ''} | {_cell(field.get('description', ''))} |"
        for name, field in model.get("properties", {}).items()
    ]
    return ["| Field | |", "|---|---|", *rows, ""]


if __name__ == "__main__":
    for name, content in pages().items():
        (HERE / name).write_text(content, encoding="utf-8")

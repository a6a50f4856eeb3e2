"""Makes command-line options from a settings dataclass: names, types and defaults of its fields, help from their docstrings."""

from __future__ import annotations

import ast
import inspect
import itertools
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any, Literal

import typer


def options_of_dataclass(config: type[Any]) -> list[inspect.Parameter]:
    """One keyword parameter with a Typer option for every field that has a default."""
    hints, texts = typing.get_type_hints(config), field_docstrings(config)
    return [
        _option_parameter(field.name, hints[field.name], field.default, texts.get(field.name, ""))
        for field in fields(config)
        if field.default is not MISSING
    ]


def plain_settings(options: Mapping[str, object]) -> dict[str, object]:
    """The values of such options as plain values: enumeration members become strings."""
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in options.items()}


def field_docstrings(config: type[Any]) -> dict[str, str]:
    """The docstring under each field, by field name, those of base classes included."""
    texts: dict[str, str] = {}
    for base in reversed(config.__mro__[:-1]):
        try:
            tree = ast.parse(inspect.cleandoc(inspect.getsource(base)))
        except (OSError, TypeError):
            continue  # a class that was created at run time has no source
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for first, second in itertools.pairwise(body):
            if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name) and isinstance(second, ast.Expr):
                value = second.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    texts[first.target.id] = " ".join(value.value.split())
    return texts


def _choice_enum(name: str, values: tuple[str, ...]) -> Any:
    """An enumeration of these values, from which Typer reads the choices."""
    make_enum: Any = StrEnum
    return make_enum(name.title().replace("_", ""), {value.upper(): value for value in values})


def _option_parameter(name: str, annotation: Any, default: Any, text: str) -> inspect.Parameter:
    if typing.get_origin(annotation) is Literal:
        annotation = _choice_enum(name, typing.get_args(annotation))
        default = annotation(default)
    flag = f"--{name.replace('_', '-')}"
    declaration = f"{flag}/--no-{flag[2:]}" if annotation is bool else flag
    option = typer.Option(default, declaration, help=text)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)

"""Command-line options made of a dataclass of settings: names, types, defaults, and help from the docstrings of its fields."""

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
    """One keyword parameter with a Typer option for each field that has a default."""
    hints, texts = typing.get_type_hints(config), field_docstrings(config)
    return [
        _option_parameter(field.name, hints[field.name], field.default, texts.get(field.name, ""))
        for field in fields(config)
        if field.default is not MISSING
    ]


def plain_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line gave, as plain values."""
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in given.items()}


def field_docstrings(config: type[Any]) -> dict[str, str]:
    """Field -> the docstring under it, those of base classes included."""
    texts: dict[str, str] = {}
    for kind in reversed(config.__mro__[:-1]):
        try:
            tree = ast.parse(inspect.cleandoc(inspect.getsource(kind)))
        except (OSError, TypeError):
            continue  # made at run time: it has no words of its own
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for first, second in itertools.pairwise(body):
            if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name) and isinstance(second, ast.Expr):
                value = second.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    texts[first.target.id] = " ".join(value.value.split())
    return texts


def _choice_enum(name: str, values: tuple[str, ...]) -> Any:
    """An enumeration of these values, which is what Typer reads choices from."""
    make: Any = StrEnum
    return make(name.title().replace("_", ""), {value.upper(): value for value in values})


def _option_parameter(name: str, kind: Any, default: Any, text: str) -> inspect.Parameter:
    if typing.get_origin(kind) is Literal:
        kind = _choice_enum(name, typing.get_args(kind))
        default = kind(default)
    flag = f"--{name.replace('_', '-')}"
    declared = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
    option = typer.Option(default, declared, help=text)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)

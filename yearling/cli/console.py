"""Output of the command line: results on stdout, everything else on stderr. Independent of the commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from yearling.errors import UserError

out = Console()
err = Console(stderr=True)

_ID_COLUMNS = {"Id", "Item", "Run", "Served as"}


def print_error(error: UserError) -> None:
    """Print what is wrong, and on a second line what to do about it. Paths, links and commands never break."""
    err.print(Text("Error: ", style="bold red") + Text(error.message, style="default"), soft_wrap=True)
    if error.advice:
        err.print(Text(error.advice), soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as indented JSON. Values that JSON does not know become strings."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table. Columns whose name ends in `>` are right-aligned; ids never break, so that they can be copied."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column.endswith(">") else "left"
        table.add_column(column.removesuffix(">"), justify=justify, overflow="fold", no_wrap=column in _ID_COLUMNS)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out.print(table)


def format_count(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: `1 page`, `1,200 pages`."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def format_size(size_bytes: float) -> str:
    """A size in decimal units: 1536 becomes `1.5 KB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
